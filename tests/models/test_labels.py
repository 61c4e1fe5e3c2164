"""Labels over what is delivered later: what they say of whom, and when that is known."""

import hashlib
import itertools
import json
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.config import Config, load_config
from include.config.readers.campaign.later import facts_in
from include.domain.periods.horizon import Horizon
from include.domain.periods.months import ZONE
from include.lake import Lake
from include.models import labels
from include.models.labels import Label
from include.settings import ROOT
from tests.stages.collection.delivered import deliver, events, leave, put

RENEWED = "later_contract_ends_on > contract_ends_on"
SEVEN_DAYS = Horizon(7, is_in_days=True)
OLD, NEW = date(2026, 12, 31), date(2028, 12, 31)


def at(*words: int) -> datetime:
    return datetime(*words, tzinfo=ZONE)  # type: ignore[misc]


def label(text: str, horizon: Horizon, *, are_gone: bool = False) -> Label:
    sources = load_config(ROOT / "include" / "config").sources
    return Label(*facts_in(text, sources), horizon, are_gone)


def told(lake: Lake, asked: Label, key: str, who: list[str], month: str | None = None) -> list[bool | None]:
    people = pl.LazyFrame({"subscriber_id": who})
    found = labels.truths(lake, asked, asked.horizon.after(key, month), people)
    return labels.with_labels(people, found).collect()["happened"].to_list()


# ---------------------------------------------------------------- beside a slow reference


class People:
    """Everybody there can be: each combination of what may be known of one."""

    def __init__(self) -> None:
        ends = (None, OLD, NEW)
        combined = itertools.product(
            ends, (*ends, "absent"), (None, 50.0), (None, 20.0, 90.0), (0, 2), (False, True)
        )
        self.rows = {f"S{number:04d}": values for number, values in enumerate(combined)}

    def put_into(self, lake: Lake) -> None:
        rows = self.rows.items()
        deliver(lake, "subscribers", "2026-09", {who: (each[0], "A", False) for who, each in rows})
        later = {who: (each[1], "B", each[3] == 90.0) for who, each in rows if each[1] != "absent"}
        deliver(lake, "subscribers", "2026-11", later)
        deliver(lake, "usage_months", "2026-09", {who: (each[2],) for who, each in rows if each[2]})
        deliver(lake, "usage_months", "2026-11", {who: (each[3],) for who, each in rows if each[3]})
        for month, day in (("2026-10", 31), ("2026-11", 30)):
            complained = [who for who, each in rows if each[4]]
            events(
                lake,
                month,
                [(who, at(2026, int(month[5:]), day, 23), "complaint") for who in complained],
            )
            leave(lake, month, {})
        leave(lake, "2026-11", {who: date(2026, 11, 30) for who, each in rows if each[5]})

    def facts(self, who: str) -> dict[str, Any]:
        own, later, data, later_data, complaints, left = self.rows[who]
        is_there = later != "absent"
        return {
            "contract_ends_on": own,
            "later_contract_ends_on": later if is_there else None,
            "data_mb": data,
            "later_data_mb": later_data,
            "plan_code": "A",
            "later_plan_code": "B" if is_there else None,
            "later_is_student": later_data == 90.0 if is_there else None,
            "later_complaint": complaints,
            "left": left,
            "is_there": is_there,
        }


PEOPLE = People()

Told = tuple[str, Callable[[dict[str, Any]], bool | None], bool]


def compared(text: str) -> Told:
    """`a > b` read by hand: unknown beside anything is unknown."""
    left, sign, right = text.split()
    said = {">": lambda a, b: a > b, "<": lambda a, b: a < b, "!=": lambda a, b: a != b}[sign]

    def value(facts: dict[str, Any]) -> bool | None:
        sides = [facts[name] if name in facts else float(name) for name in (left, right)]
        return None if None in sides else said(*sides)

    return text, value, text.startswith("later_") and not text.startswith("later_complaint")


ATOMS: list[Told] = [
    ("left", lambda facts: facts["left"], False),
    ("later_is_student", lambda facts: facts["later_is_student"], True),
    ("missing(later_contract_ends_on)", lambda facts: facts["later_contract_ends_on"] is None, True),
    *map(
        compared,
        (
            RENEWED,
            "later_data_mb < data_mb",
            "later_data_mb > 30",
            "later_plan_code != plan_code",
            "later_complaint > 3",
        ),
    ),
]


def negated(one: Told) -> Told:
    text, value, reads = one
    return f"not ({text})", lambda facts: None if (v := value(facts)) is None else not v, reads


def joined(both: tuple[str, Told, Told]) -> Told:
    """Three-valued: what decides alone decides, else unknown beats the other."""
    word, one, other = both
    decisive = word == "or"

    def value(facts: dict[str, Any]) -> bool | None:
        values = [one[1](facts), other[1](facts)]
        return decisive if decisive in values else None if None in values else not decisive

    return f"({one[0]} {word} {other[0]})", value, one[2] or other[2]


EXPRESSIONS = st.recursive(
    st.sampled_from(ATOMS),
    lambda inner: st.one_of(
        inner.map(negated), st.tuples(st.sampled_from(["and", "or"]), inner, inner).map(joined)
    ),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def everybody(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    made = Lake.create(tmp_path_factory.mktemp("labels") / "lake", subscribers=1_000_000)
    PEOPLE.put_into(made)
    return made


@given(EXPRESSIONS)
def test_an_expression_says_of_everybody_what_a_slow_reference_says(everybody: Lake, one: Told) -> None:
    text, value, reads_later = one
    found = told(everybody, label(text, Horizon(2)), "2026-09", list(PEOPLE.rows))
    for who, truth in zip(PEOPLE.rows, found, strict=True):
        facts = PEOPLE.facts(who)
        is_unknown = reads_later and not facts["is_there"] and not facts["left"]
        assert truth is (None if is_unknown else value(facts) or False), (who, text)


# ---------------------------------------------------------------- whom nobody can know


@pytest.fixture
def renewals(lake: Lake) -> Lake:
    """September's contracts and those of November: renewed, ended, none any more, gone, lost sight of."""
    before = ("renewed", "same", "ended", "never", "new", "left", "lost")
    ends: dict[str, date | None] = dict.fromkeys(before, OLD) | {"never": None, "new": None}
    deliver(lake, "subscribers", "2026-09", {who: (end, "A", False) for who, end in ends.items()})
    after = {"renewed": NEW, "same": OLD, "ended": None, "never": None, "new": NEW}
    deliver(lake, "subscribers", "2026-11", {who: (end, "A", False) for who, end in after.items()})
    leave(lake, "2026-10", {"left": date(2026, 10, 9)})
    leave(lake, "2026-11", {})
    return lake


def test_a_contract_is_renewed_when_it_ends_later_and_unknown_of_who_is_lost_sight_of(renewals: Lake) -> None:
    who = ["renewed", "same", "ended", "never", "new", "left", "lost", "stranger"]
    found = told(renewals, label(RENEWED, Horizon(2)), "2026-09", who)
    assert dict(zip(who, found, strict=True)) == {
        "renewed": True, "same": False, "ended": False, "never": False, "new": False, "left": False, "lost": None,
        "stranger": None,
    }  # fmt: skip


def test_who_left_did_not_stay(renewals: Lake) -> None:
    assert told(renewals, label("not left", Horizon(2)), "2026-09", ["same", "left", "lost"]) == [
        True,
        False,
        True,
    ]


def test_where_leavings_are_never_delivered_whoever_is_missing_is_unknown(lake: Lake) -> None:
    for month in ("2026-09", "2026-11"):
        deliver(lake, "subscribers", month, {"S1": (OLD, "A", False)})
    asked = label(RENEWED, Horizon(2))
    assert labels.is_labelled(lake, "2026-09", asked, at(2026, 12, 6))
    assert told(lake, asked, "2026-09", ["S1", "S2"]) == [False, None]


def test_of_people_who_were_gone_no_profile_means_that_they_stayed_away(lake: Lake) -> None:
    deliver(lake, "subscribers", "2026-11", {"back": (None, "A", False)})
    asked = label("later_plan_code == 'A'", Horizon(2), are_gone=True)
    assert told(lake, asked, "2026-09", ["back", "away"]) == [True, False]


def test_who_is_not_known_teaches_nothing(renewals: Lake) -> None:
    from include.models.training_sets import Labelling, churners_and_stayers

    people = pl.DataFrame({"subscriber_id": ["renewed", "same", "lost"], "x": [1.0, 2.0, 3.0]})
    parts = [renewals.write_part("factors", "2026-09", 0, people, "test")]
    renewals.publish("factors", "2026-09", parts, facts={"factors": ["x"]})
    month = Labelling(None, renewals, "renewal", label(RENEWED, Horizon(2)), at(2026, 12, 6)).of_month(
        "2026-09"
    )
    assert month.people(renewals).collect()["subscriber_id"].to_list() == ["renewed", "same"]
    assert churners_and_stayers(renewals, month) == (1, 1)


# ---------------------------------------------------------------- days


def test_a_horizon_of_days_counts_from_the_first_midnight_to_the_last(lake: Lake) -> None:
    happened = [
        ("before", at(2026, 10, 16, 23, 59)),
        ("first", at(2026, 10, 17, 0, 0)),
        ("last", at(2026, 10, 23, 23, 59)),
        ("after", at(2026, 10, 24, 0, 0)),
    ]
    events(lake, "2026-10", [(who, when, "complaint") for who, when in happened])
    leave(lake, "2026-10", {who: when.date() for who, when in happened})
    who = [who for who, _ in happened]
    for text in ("later_complaint > 0", "left"):
        assert told(lake, label(text, SEVEN_DAYS), "2026-10-17", who) == [False, True, True, False]
    assert told(lake, label("later_fault_report > 0", SEVEN_DAYS), "2026-10-17", who) == [False] * 4


def test_a_day_compares_with_the_profile_its_factors_were_made_of(lake: Lake) -> None:
    deliver(lake, "subscribers", "2026-09", {"S1": (OLD, "A", False)})
    deliver(lake, "subscribers", "2026-10", {"S1": (NEW, "A", False)})
    asked = label(RENEWED, SEVEN_DAYS)
    assert told(lake, asked, "2026-10-17", ["S1"], month="2026-09") == [True]
    assert told(lake, asked, "2026-10-17", ["S1"], month="2026-10") == [False]


# ---------------------------------------------------------------- when it is known


def known(lake: Lake, text: str, horizon: Horizon, key: str, as_of: datetime) -> tuple[bool, str, str]:
    asked = label(text, horizon)
    found = labels.knowledge(lake, asked, horizon.after(key), as_of)
    return found.is_there(as_of), found.on.isoformat(), found.why_unknown(as_of)


def test_a_label_waits_for_the_last_month_it_reads_and_says_for_which_day(renewals: Lake) -> None:
    assert known(renewals, RENEWED, Horizon(2), "2026-09", at(2026, 11, 20)) == (
        False, "2026-12-06", "not known yet, on 2026-12-06",
    )  # fmt: skip
    assert not known(renewals, RENEWED, Horizon(2), "2026-09", at(2026, 12, 5, 23, 59))[0]
    assert known(renewals, RENEWED, Horizon(2), "2026-09", at(2026, 12, 6)) == (True, "2026-12-06", "")
    # leavings alone are marked complete
    assert known(renewals, "left", Horizon(2), "2026-09", at(2026, 12, 1)) == (True, "2026-12-01", "")
    assert not known(renewals, "left", Horizon(2), "2026-09", at(2026, 11, 30, 23, 59))[0]


def test_what_was_not_delivered_is_named_once_the_day_has_come(renewals: Lake) -> None:
    assert known(renewals, RENEWED, Horizon(1), "2026-09", at(2026, 11, 7)) == (
        False, "2026-11-06", "not known: subscribers of 2026-10 was not delivered",
    )  # fmt: skip
    put(renewals, "subscribers", "2026-10", [("S1",)], [])
    assert known(renewals, RENEWED, Horizon(1), "2026-09", at(2026, 11, 7))[2] == (
        "not known: subscribers of 2026-10 has no column contract_ends_on"
    )
    assert not known(renewals, "later_data_mb > 3", Horizon(2), "2026-09", at(2027, 1, 1))[0]


def test_a_later_profile_is_not_judged_before_leavings_are_complete(renewals: Lake) -> None:
    leave(renewals, "2026-11", {}, is_marked=False)
    deliver(renewals, "subscribers", "2026-11", {"same": (OLD, "A", False)}, is_marked=True)
    assert not known(renewals, RENEWED, Horizon(2), "2026-09", at(2026, 12, 5))[0]
    leave(renewals, "2026-11", {}, is_marked=True)
    deliver(renewals, "subscribers", "2026-09", {"same": (OLD, "A", False)}, is_marked=True)
    assert known(renewals, RENEWED, Horizon(2), "2026-09", at(2026, 12, 1))[0]


def test_events_by_the_day_are_known_when_every_day_has_come(lake: Lake) -> None:
    for day in range(1, 23):
        events(lake, "2026-10", [], day=f"2026-10-{day:02d}")
    asked = ("later_complaint > 0", SEVEN_DAYS, "2026-10-17")
    assert known(lake, *asked, at(2026, 10, 20)) == (False, "2026-10-24", "not known yet, on 2026-10-24")
    # the last day has not come: nobody is told before the grace of its month
    assert known(lake, *asked, at(2026, 10, 24, 7))[:2] == (False, "2026-11-06")
    events(lake, "2026-10", [], day="2026-10-23")
    assert known(lake, *asked, at(2026, 10, 23, 23, 59))[0] is False
    assert known(lake, *asked, at(2026, 10, 24)) == (True, "2026-10-24", "")
    # of the next month nothing has come yet: it will come as this one did
    assert known(lake, "later_complaint > 0", SEVEN_DAYS, "2026-10-28", at(2026, 10, 28))[1] == "2026-11-04"


def test_a_day_that_never_comes_is_waited_for_until_the_grace_of_its_month(lake: Lake) -> None:
    events(lake, "2026-10", [], day="2026-10-17")
    asked = ("later_complaint > 0", SEVEN_DAYS, "2026-10-17")
    assert not known(lake, *asked, at(2026, 11, 5))[0]
    assert known(lake, *asked, at(2026, 11, 6))[0]


def test_events_by_the_month_are_known_as_the_other_feeds_are(lake: Lake) -> None:
    events(lake, "2026-10", [])
    asked = ("later_complaint > 0", SEVEN_DAYS, "2026-10-17")
    assert not known(lake, *asked, at(2026, 11, 5))[0]
    assert known(lake, *asked, at(2026, 11, 6))[0]
    assert known(lake, "later_complaint > 0", SEVEN_DAYS, "2026-12-17", at(2027, 3, 1))[2] == (
        "not known: service_events of 2026-12 was not delivered"
    )


def test_only_months_of_which_all_is_known_are_labelled(renewals: Lake) -> None:
    for month in ("2026-09", "2026-11"):
        deliver(renewals, "usage_months", month, {})
    asked = label(RENEWED, Horizon(2))
    assert labels.labelled_months(renewals, "2026-11", asked, at(2026, 12, 5)) == []
    assert labels.labelled_months(renewals, "2026-11", asked, at(2027, 12, 5)) == ["2026-09"]
    assert labels.labelled_months(renewals, "2026-11", None, at(2027, 12, 5)) == []


# ---------------------------------------------------------------- by what it is known


def test_the_mark_of_leaving_by_months_is_that_of_before_there_were_other_labels(renewals: Lake) -> None:
    put(renewals, "subscribers", "2026-08", [("S1",)], [])
    parts = [renewals.write_part("factors", "2026-09", 0, pl.DataFrame({"subscriber_id": ["S1"]}), "test")]
    renewals.publish("factors", "2026-09", parts, fingerprint="f")
    read = [renewals.manifest("churned", month).fingerprint for month in ("2026-10", "2026-11")]
    before = hashlib.sha256(json.dumps(["f", *read]).encode()).hexdigest()
    assert labels.fingerprint(renewals, "2026-09", labels.leaving(Horizon(2))) == before
    others = [("not left", Horizon(2)), ("left", Horizon(60, is_in_days=True))]
    marks = {labels.fingerprint(renewals, "2026-09", label(*each)) for each in others}
    assert len(marks | {before}) == 3


def test_a_mark_changes_with_every_delivery_the_label_reads(renewals: Lake) -> None:
    parts = [renewals.write_part("factors", "2026-09", 0, pl.DataFrame({"subscriber_id": ["S1"]}), "test")]
    renewals.publish("factors", "2026-09", parts, fingerprint="f")
    asked, marks = label(RENEWED, Horizon(2)), set()
    marks.add(labels.fingerprint(renewals, "2026-09", asked))
    for month in ("2026-09", "2026-11"):
        deliver(renewals, "subscribers", month, {"same": (NEW, month, False)})
        marks.add(labels.fingerprint(renewals, "2026-09", asked))
    leave(renewals, "2026-10", {"same": date(2026, 10, 2)})
    marks.add(labels.fingerprint(renewals, "2026-09", asked))
    assert len(marks) == 4


def test_the_project_s_own_campaign_foretells_leaving_and_succeeds_where_somebody_stays(
    config: Config,
) -> None:
    foretold, success = labels.label_of(config, "churn_warning"), labels.success_of(config, "churn_warning")
    assert foretold is not None
    assert labels.is_leaving(foretold)
    assert (success.text, success.horizon) == ("not left", Horizon(1))
