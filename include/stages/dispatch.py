"""Dispatch: from high-priority warnings to arms, assignments and tickets, in one transaction, once a cycle."""

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from include.config import Config
from include.config.operations import Approval
from include.database import copy_rows, lock
from include.domain import assignment, months
from include.domain.assignment import Candidate, Decision, Routing
from include.domain.errors import NotReady, Refused
from include.lake import Lake
from include.queries import load
from include.stages import prediction
from include.stages.eligibility import barred
from include.stages.evidence import evidence_of, sha256_of
from include.stages.release import release_within
from include.stages.sla import fill_calendar, read_calendar

Q = load("dispatch")

_STAGED = (
    "subscriber_id", "customer_key", "rank", "decision", "reason", "linked_ticket_id", "linked_subscriber_id",
    "probability_of_assignment", "evidence", "evidence_sha256", "team", "branch_code", "region_code", "grade",
    "tier", "value_yuan", "expected_on", "msisdn",
)  # fmt: skip
_EXPECTED_HORIZON_DAYS = 60


def is_late(month: str, now: datetime) -> bool:
    """Whether the month after `month` has ended: tickets sent now would be cold."""
    return now >= months.month_start(months.shift(month, 2))


def plan_size(
    *, db: sa.Connection, lake: Lake, config: Config, campaign: str, cycle: str, month: str, now: datetime,
    revision: int = 0, dispatch_late: bool = False, top_up: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """How large a dispatch would be, against the cycle before, and whether to ask a person first, and why.

    `ask` is false when nothing can be dispatched: the month is over, or the cycle is fixed and not topped up.
    """
    rules = config.campaign(campaign)
    key = {"campaign": campaign, "cycle": cycle}
    with db.begin():
        is_fixed = db.execute(Q["find_cycle"], key).one().fixed_at is not None
        counts = _warned(db, key, revision)
        before = db.execute(Q["count_warned_before"], key).one_or_none()
        left = _capacity_left(db, key, rules.capacity_days)
    high, priority = counts.get("high", 0), counts.get("high/priority", 0)
    scored = lake.manifest(_scores(revision), month).rows
    tickets = priority if left is None else min(priority, left)
    times = _times(high, scored, before)
    may_dispatch = (top_up or not is_fixed) and (dispatch_late or not is_late(month, now))
    why = _unusual(tickets, times, rules.approval)
    return {
        "stage": "dispatch",
        "high": high,
        "scored": scored,
        "tickets_at_most": tickets,
        "share_warned_times": times,
        "before": before.cycle if before else None,
        "ask": bool(may_dispatch and why),
        "why": why,
    }


def _require_own_grades(lake: Lake, month: str, as_of: datetime, revision: int) -> None:
    """The grades that stand must be those of this as_of and revision, or evidence and cycle would disagree."""
    facts = lake.manifest("grades_revised" if revision else "grades", month).facts
    if datetime.fromisoformat(facts["as_of"]) != as_of or facts["revision"] != revision:
        raise Refused(
            f"The grades of {month} were made as of {facts['as_of']} (revision {facts['revision']}), not as of "
            f"{as_of.isoformat()} (revision {revision}). Run prediction and grading for this as_of first."
        )


def _unusual(tickets: int, times: float | None, limits: Approval) -> str:
    told = []
    if tickets > limits.tickets:
        told.append(f"Up to {tickets:,} tickets; more than {limits.tickets:,} need approval.")
    if times is not None and times > limits.share_warned_times:
        told.append(
            f"The share warned is {times:g} times that of the cycle before; the limit is {limits.share_warned_times:g}."
        )
    return " ".join(told)


def dispatch(
    *, db: sa.Connection, lake: Lake, config: Config, campaign: str, cycle: str, month: str, as_of: datetime,
    now: datetime, revision: int = 0, dispatch_late: bool = False, top_up: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """Dispatch a cycle once; again, only compare, or with `top_up` fill what capacity is left.

    Everything is written in one transaction under the lock of (campaign, cycle): killed at any point,
    nothing has happened; run twice, the second finds the cycle fixed.
    """
    key = {"campaign": campaign, "cycle": cycle}
    with db.begin():
        lock(db, "dispatch", campaign, cycle)
        found = db.execute(Q["find_cycle"], key).one_or_none()
        if found is None:
            raise NotReady(
                f"Cycle {cycle} of {campaign} was never opened. Run the loop from its first stage."
            )
        if found.fixed_at is not None and not top_up:
            return _compared(db, config, key, revision, now)
        if is_late(month, now) and not dispatch_late:
            return _nothing(
                f"{month} is over: its subscribers have long decided. Set dispatch_late to send anyway."
            )
        if found.fixed_at is None and found.as_of != as_of:
            raise Refused(
                f"Cycle {cycle} was reopened with as_of {found.as_of.isoformat()}. Run that one instead."
            )
        _require_own_grades(lake, month, as_of, revision)
        return _Dispatch(db, lake, config, key, month, as_of, now, revision).run(
            is_top_up=found.fixed_at is not None
        )


class _Dispatch:
    """One dispatch within its transaction."""

    def __init__(
        self, db: sa.Connection, lake: Lake, config: Config, key: dict[str, str], month: str, as_of: datetime,
        now: datetime, revision: int,
    ) -> None:  # fmt: skip
        self.db, self.lake, self.config, self.key = db, lake, config, key
        self.month, self.as_of, self.now, self.revision = month, as_of, now, revision
        self.campaign = config.campaign(key["campaign"])
        self.epoch = assignment.epoch_of(month)
        self.arms: dict[str, sa.Row[Any]] = {}

    def run(self, *, is_top_up: bool) -> dict[str, Any]:
        if not is_top_up:
            self.db.execute(Q["expire_waiting"], self.key | {"now": self.now})
        rows = self._candidates()
        capacity = _capacity(self.db, self.campaign.capacity_days)
        decisions = self._decide(rows, _capacity_left(self.db, self.key, self.campaign.capacity_days))
        self._write(decisions, {row["subscriber_id"]: row for row in rows})
        summary = self._summary(decisions, capacity, is_top_up)
        self._fix(summary)
        if capacity is None:
            summary["released"] = release_within(self.db, self.config, self.now, is_unlimited=True)[
                "released"
            ]
        return summary

    def _candidates(self) -> list[dict[str, Any]]:
        values = {
            "revision": self.revision,
            "epoch": self.epoch,
            "as_of": self.as_of,
            "cooling_off_days": self.campaign.cooling_off_days,
        }
        found = self.db.execute(Q["find_candidates"], self.key | values)
        return [dict(row) for row in found.mappings()]

    def _decide(self, rows: Sequence[Mapping[str, Any]], capacity: int | None) -> list[Decision]:
        outside = barred(self.lake, self.month, self.as_of, [row["subscriber_id"] for row in rows])
        candidates = [
            Candidate(
                row["subscriber_id"], row["customer_key"], row["rank"],
                outside.get(row["subscriber_id"]) or _barred_by_tickets(row),
            )
            for row in rows if not row["is_assigned"]
        ]  # fmt: skip
        own_arms = {row["subscriber_id"]: row["own_arm"] for row in rows if row["own_arm"]}
        self._draw_arms(candidates, own_arms)
        arms = {key: row.arm for key, row in self.arms.items()}
        return assignment.walk(assignment.without_mixed_arms(candidates, arms, own_arms), arms, capacity)

    def _draw_arms(self, candidates: Sequence[Candidate], own_arms: Mapping[str, str]) -> None:
        """Draw an arm per customer; one that a number of the customer already has this epoch goes first."""
        callable_ = [candidate for candidate in candidates if not candidate.barred]
        standing = {each.customer_key: own_arms.get(each.subscriber_id) for each in reversed(callable_)}
        keys = sorted(standing)
        hold_out = self.campaign.hold_out
        drawn = [
            standing[key]
            or assignment.arm_of(key, self.key["campaign"], self.epoch, hold_out.salt, hold_out.share)
            for key in keys
        ]
        values = {"campaign": self.key["campaign"], "epoch": self.epoch, "customer_keys": keys}
        self.db.execute(
            Q["draw_arms"], values | {"arms": drawn, "held_out_share": hold_out.share, "now": self.now}
        )
        self.arms = {row.customer_key: row for row in self.db.execute(Q["read_arms"], values)}

    def _write(self, decisions: Sequence[Decision], rows: Mapping[str, dict[str, Any]]) -> None:
        assigned = [each for each in decisions if each.decision in (assignment.TREATED, assignment.HELD_OUT)]
        extras = self._evidence([rows[each.candidate.subscriber_id] for each in assigned])
        for subscriber, facts in self._routes(assigned, rows).items():
            extras[subscriber] |= facts
        self.db.execute(Q["stage_decisions"])
        staged = (
            _staged(each, rows[each.candidate.subscriber_id], extras, self._chance) for each in decisions
        )
        copy_rows(self.db, "dispatch_stage", _STAGED, staged)
        values = self.key | {"epoch": self.epoch, "now": self.now}
        for statement in ("keep_subscriber_arms", "write_assignments", "write_tickets", "write_decisions"):
            self.db.execute(Q[statement], values)

    def _chance(self, candidate: Candidate) -> float:
        """The probability with which the customer got the arm, by the share in force when it was drawn."""
        drawn = self.arms[candidate.customer_key]
        return float(drawn.held_out_share if drawn.arm == assignment.HELD_OUT else 1 - drawn.held_out_share)

    def _evidence(self, rows: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
        subscribers = [row["subscriber_id"] for row in rows]
        champions = self.lake.manifest(_scores(self.revision), self.month).facts["champions"]
        reasons = prediction.reasons(
            lake=self.lake, config=self.config, month=self.month, champions=champions,
            subscriber_ids=subscribers, revision=self.revision, top=None,
        )  # fmt: skip
        found = evidence_of(
            lake=self.lake,
            config=self.config,
            month=self.month,
            as_of=self.as_of,
            warnings=rows,
            reasons=reasons,
        )
        return {
            subscriber: {"evidence": text, "evidence_sha256": sha256_of(text)}
            for subscriber, text in found.items()
        }

    def _routes(
        self, assigned: Sequence[Decision], rows: Mapping[str, dict[str, Any]]
    ) -> dict[str, dict[str, Any]]:
        treated = [each.candidate.subscriber_id for each in assigned if each.decision == assignment.TREATED]
        routing = Routing(**self.config.teams.model_dump(exclude={"teams"}))
        teams = [
            assignment.team_of(rows[each]["value_yuan"], rows[each]["tenure_months"], routing)
            for each in treated
        ]
        per_day = {row.team: row.per_day for row in self.db.execute(Q["read_capacity"])}
        days = assignment.expected_days(teams, per_day, self._working_days(bool(per_day)))
        phones = self._phones(treated)
        return {
            subscriber: {"team": team, "expected_on": day, "msisdn": phones.get(subscriber)}
            for subscriber, team, day in zip(treated, teams, days, strict=True)
        }

    def _working_days(self, is_limited: bool) -> list[date]:
        today = self.now.astimezone(months.ZONE).date()
        if not is_limited:
            return [today]
        fill_calendar(self.db)
        calendar = read_calendar(self.db, self.config, self.now)
        span = (today + timedelta(days=ahead) for ahead in range(_EXPECTED_HORIZON_DAYS))
        return [day for day in span if calendar.is_working(day)]

    def _phones(self, subscribers: list[str]) -> dict[str, str]:
        """The numbers to call; nothing else in the loop reads this table."""
        if not self.lake.has("contacts", self.month):
            return {}
        import polars as pl

        rows = (
            self.lake.scan("contacts", self.month)
            .filter(pl.col("subscriber_id").is_in(subscribers))
            .collect()
        )
        return dict(rows.select("subscriber_id", "msisdn").iter_rows())

    def _summary(
        self, decisions: Sequence[Decision], capacity: int | None, is_top_up: bool
    ) -> dict[str, Any]:
        counts = _counted(each.decision for each in decisions)
        return {
            "stage": "dispatch",
            "rows_in": len(decisions),
            "rows_out": counts.get("treated", 0),
            "treated": counts.get("treated", 0),
            "held_out": counts.get("held_out", 0),
            "not_reached": counts.get("not_reached", 0),
            "ineligible": _counted(each.reason for each in decisions if each.reason),
            "capacity": capacity,
            "top_up": is_top_up,
            "high": _warned(self.db, self.key, self.revision).get("high", 0),
            "scored": self.lake.manifest(_scores(self.revision), self.month).rows,
        }

    def _fix(self, summary: dict[str, Any]) -> None:
        manifests = {name: self.lake.manifest(name, self.month) for name in ("factors", "scores")}
        facts = {
            "as_of": self.as_of.isoformat(),
            "config_hash": self.config.hash,
            "inputs": {name: manifest.fingerprint for name, manifest in manifests.items()},
            "champions": manifests["scores"].facts.get("champions"),
        }
        values = {"now": self.now, "facts": json.dumps(facts), "summary": json.dumps(summary)}
        self.db.execute(Q["fix_cycle"], self.key | values)


def _staged(
    each: Decision, row: Mapping[str, Any], extras: Mapping[str, Mapping[str, Any]], chance: Any
) -> list[Any]:
    subscriber = each.candidate.subscriber_id
    values: dict[str, Any] = (
        dict(row)
        | dict(extras.get(subscriber, {}))
        | {
            "decision": each.decision,
            "reason": each.reason,
            "linked_ticket_id": row["unfinished_ticket_id"] if each.reason == "unfinished_ticket" else None,
            "linked_subscriber_id": each.linked,
            "probability_of_assignment": chance(each.candidate) if subscriber in extras else None,
        }
    )
    return [values.get(name) for name in _STAGED]


def _barred_by_tickets(row: Mapping[str, Any]) -> str | None:
    if row["unfinished_ticket_id"] is not None:
        return "unfinished_ticket"
    return "cooling_off" if row["is_cooling_off"] else None


def _scores(revision: int) -> str:
    return "scores" if revision == 0 else "scores_revised"


def _capacity(db: sa.Connection, days: int) -> int | None:
    """First contacts the teams can make in a cycle; None when nobody has set any."""
    rows = db.execute(Q["read_capacity"]).all()
    return days * sum(row.per_day for row in rows) if rows else None


def _capacity_left(db: sa.Connection, key: Mapping[str, str], days: int) -> int | None:
    """What of the capacity the cycle's tickets have not used yet; None when there is no limit."""
    capacity = _capacity(db, days)
    done = db.execute(Q["count_treated"], key).scalar_one()
    return None if capacity is None else max(0, capacity - int(done))


def _warned(db: sa.Connection, key: Mapping[str, str], revision: int) -> dict[str, int]:
    counts: dict[str, int] = {}
    for row in db.execute(Q["count_warned"], {**key, "revision": revision}):
        counts[row.grade] = counts.get(row.grade, 0) + row.subscribers
        counts[f"{row.grade}/{row.tier}"] = row.subscribers
    return counts


def _times(high: int, scored: int, before: Any) -> float | None:
    if before is None or not before.high or not scored:
        return None
    return float(round((high / scored) / (before.high / before.scored), 3))


def _compared(
    db: sa.Connection, config: Config, key: dict[str, str], revision: int, now: datetime
) -> dict[str, Any]:
    values = key | {"revision": revision}
    found = db.execute(Q["compare_revision"], values).one()
    comparison = {"would_come": found.would_come, "would_go": found.would_go} if revision else {}
    if revision:
        db.execute(Q["keep_comparison"], values | {"comparison": json.dumps(comparison)})
    differ = sum(comparison.values())
    told = {
        "stage": "dispatch",
        "rows_in": found.high_priority,
        "rows_out": 0,
        "treated": 0,
        "already_fixed": True,
        "would_differ": differ,
        "message": f"Cycle {key['cycle']} is already fixed, {differ} would differ; nothing new is dispatched.",
        **comparison,
    }
    if _capacity(db, 1) is None:  # without a limit nothing may stay waiting, whoever was killed before
        told["released"] = release_within(db, config, now, is_unlimited=True)["released"]
    return told


def _nothing(message: str) -> dict[str, Any]:
    return {"stage": "dispatch", "rows_in": 0, "rows_out": 0, "treated": 0, "message": message}


def _counted(words: Any) -> dict[str, int]:
    counts: dict[str, int] = {}
    for word in words:
        counts[word] = counts.get(word, 0) + 1
    return dict(sorted(counts.items()))
