"""A cycle as people left it in the operations database: assignments in arms, tickets, contact attempts."""

import json
from datetime import datetime

import sqlalchemy as sa

from include.domain.periods.horizon import Horizon
from include.domain.periods.period import cadence_of, default_as_of, factors_month
from include.models import labels

CAMPAIGN = "churn_warning"
#: What the model of CAMPAIGN foretells.
LEAVING = labels.leaving(Horizon(1))


class WorkedCycle:
    """Opens the cycle `key`; `assign` and `contact` write what dispatch and the desk would.

    measure: the draw its arms are of, by default one of the campaign's own; None where nobody is held out.
    """

    def __init__(
        self, db: sa.Connection, key: str, revisions: int = 0, campaign: str = CAMPAIGN,
        measure: str | None = "own",
    ) -> None:  # fmt: skip
        self.db = db
        self.key = key
        self.campaign = campaign
        self.measure = campaign if measure == "own" else measure
        self.at = default_as_of(key)
        self._run("insert into configurations values ('test', '{}', :at) on conflict do nothing")
        self._run(
            "insert into cycles (campaign, cycle, cadence, month, measure, as_of, config_hash, opened_at)"
            " values (:campaign, :month, :cadence, :factors, :measure, :at, 'test', :at)",
            cadence=cadence_of(key),
            factors=factors_month(key, self.at),
        )
        for revision in range(revisions + 1):
            self._run(
                "insert into cycle_revisions values (:campaign, :month, :revision,"
                " :at + make_interval(days => :revision), 'test', :at)",
                revision=revision,
            )
        self._run(
            "insert into staff (staff_code, name, role, team, contacts_per_day)"
            " values ('t', 't', 'agent', 'vip', 9) on conflict do nothing"
        )

    def assign(self, subscriber: str, arm: str, share: float = 0.2) -> None:
        """Put a subscriber into an arm; the treated get a ticket."""
        chance = 1.0 if self.measure is None else share if arm == "held_out" else 1 - share
        if self.measure is not None:
            for table, more in (("arms", ", 0.2, :at"), ("subscriber_arms", "")):
                values = f"(:measure, '2026H2', :who, :arm{more})"
                statement = f"insert into {table} values {values} on conflict do nothing"
                self._run(statement, who=subscriber, arm=arm)
        assignment = self._run(
            "insert into assignments (campaign, cycle, measure, subscriber_id, customer_key, epoch, arm,"
            " probability_of_assignment, rank, evidence, evidence_sha256, assigned_at)"
            " values (:campaign, :month, :measure, :who, :who, '2026H2', :arm, :chance, 1, :evidence, '', :at)"
            " returning assignment_id",
            who=subscriber,
            arm=arm,
            chance=chance,
            evidence=json.dumps({}),
        )
        if arm == "treated":
            self._ticket(subscriber, assignment)

    def contact(self, subscriber: str, at: datetime, result: str = "reached") -> None:
        """Log an attempt of a person on the subscriber's ticket of this cycle."""
        self._run(
            "insert into contact_attempts (ticket_id, attempted_at, channel, result, staff_id)"
            " select ticket_id, :then, 'call', :result, (select min(staff_id) from staff) from tickets"
            " where campaign = :campaign and cycle = :month and subscriber_id = :who",
            who=subscriber,
            then=at,
            result=result,
        )

    def write_to(self, subscriber: str, at: datetime, decision: str = "listed", share: float = 0.1) -> None:
        """Put a subscriber on the list for SMS and app, to be sent from `at`, or into its hold-out."""
        self._run(
            "insert into outreach_items (campaign, cycle, subscriber_id, customer_key, rank, grade, decision,"
            " strategy, offer, channel, probability_of_assignment, send_from, listed_at)"
            " values (:campaign, :month, :who, :who, 9, 'mid', :decision, 's', 'o', 'sms', :chance, :then, :at)",
            who=subscriber,
            decision=decision,
            chance=share if decision == "held_out" else 1 - share,
            then=at if decision == "listed" else None,
        )

    def _ticket(self, subscriber: str, assignment: object) -> None:
        self._run(
            "with made as ("
            " insert into tickets (assignment_id, campaign, cycle, subscriber_id, customer_key, state, team,"
            " grade, tier, rank, beside, dispatched_at, expected_on)"
            " values (:assignment, :campaign, :month, :who, :who, 'waiting', 'vip', 'high', 'priority', 1,"
            " true, :at, cast(:at as date)) returning ticket_id)"
            " insert into ticket_events (ticket_id, version, kind, to_state, actor, occurred_at)"
            " select ticket_id, 1, 'dispatched', 'waiting', 'test', :at from made",
            who=subscriber,
            assignment=assignment,
        )

    def _run(self, statement: str, **values: object) -> object:
        whose = {"campaign": self.campaign, "month": self.key, "measure": self.measure}
        given = {**whose, "at": self.at, **values}
        with self.db.begin():
            result = self.db.execute(sa.text(statement), given)
            return result.scalar_one_or_none() if result.returns_rows else None
