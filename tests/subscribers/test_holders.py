"""Numbers that went to somebody new: whose history begins at joined_on, and after which leaving."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.domain.periods.months import ZONE, month_of
from include.lake import Lake
from include.subscribers.contact_limits import limits_said
from include.subscribers.holders import new_holders
from tests.fixtures.lakes import put

MONTH, BEFORE = "2026-10", datetime(2026, 11, 5, 6, tzinfo=ZONE)
JOINED = date(2026, 10, 5)


@dataclass(frozen=True)
class Event:
    """Something delivered of a number: `churned` tells a day, the others an instant of it."""

    kind: str
    day: date
    at: time = time(10)

    @property
    def instant(self) -> datetime:
        return datetime.combine(self.day, time(0) if self.kind == "churned" else self.at, ZONE)


def deliver(lake: Lake, events: dict[str, Sequence[Event]], joined: dict[str, date | None]) -> None:
    """Profiles with these days of joining, and the events of their numbers month by month."""
    rows = [{"subscriber_id": name, "joined_on": day} for name, day in joined.items()]
    put(lake, "subscribers", MONTH, rows, joined_on=pl.Date)
    feeds: dict[tuple[str, str], list[dict]] = {}
    for name, told in events.items():
        for event in told:
            feed = "churned" if event.kind == "churned" else "subscriber_changes"
            row = {"subscriber_id": name} | (
                {"churned_on": event.day}
                if feed == "churned"
                else {"kind": event.kind, "occurred_at": event.instant.astimezone(UTC)}
            )
            feeds.setdefault((feed, month_of(event.day)), []).append(row)
    for (feed, month), rows in feeds.items():
        put(
            lake,
            feed,
            month,
            rows,
            **({"occurred_at": pl.Datetime("us", "UTC")} if feed != "churned" else {}),
        )


def left_on(lake: Lake, *events: Event, joined: date | None = JOINED) -> date | None:
    """The leaving after which the history of A begins anew at `joined`; None when it goes on."""
    for table in ("churned", "subscriber_changes"):
        for month in lake.months(table):
            lake.drop(table, month)
    deliver(lake, {"A": events}, {"A": joined})
    rows = new_holders(lake, MONTH, BEFORE).collect()
    assert rows.columns == ["subscriber_id", "left_on", "joined_on"]
    assert rows["joined_on"].to_list() == [joined] * rows.height
    return rows["left_on"].to_list()[0] if rows.height else None


GONE = Event("churned", date(2026, 8, 31))


@pytest.mark.parametrize("kind", ["churned", "left"])
def test_a_number_that_was_left_and_joined_again_went_to_somebody_new(lake: Lake, kind: str) -> None:
    assert left_on(lake, Event(kind, date(2026, 8, 31))) == date(2026, 8, 31)


def test_a_number_nobody_left_is_nobody_elses(lake: Lake) -> None:
    assert left_on(lake, Event("port_out_applied", date(2026, 8, 31))) is None


def test_the_leaving_of_the_holder_of_today_does_not_make_a_new_one(lake: Lake) -> None:
    assert left_on(lake, Event("left", JOINED + timedelta(days=1))) is None


def test_who_returned_goes_on_also_where_the_profile_gives_a_new_day_of_joining(lake: Lake) -> None:
    assert left_on(lake, GONE, Event("returned", JOINED)) is None
    assert left_on(lake, GONE, Event("returned", date(2026, 9, 2))) is None


def test_a_return_delivered_after_the_day_of_joining_counts_as_well(lake: Lake) -> None:
    assert left_on(lake, GONE, Event("returned", JOINED + timedelta(days=2))) is None


@pytest.mark.parametrize("kind", ["left", "port_out_applied"])
def test_a_return_from_a_leaving_of_their_own_does_not_give_the_new_holder_the_former_ones_past(
    lake: Lake, kind: str
) -> None:
    own = (Event(kind, date(2026, 10, 20)), Event("returned", date(2026, 10, 22)))
    assert left_on(lake, GONE, *own) == GONE.day


def test_one_who_returned_and_left_for_good_is_gone(lake: Lake) -> None:
    again = (Event("returned", date(2026, 9, 2)), Event("left", date(2026, 9, 20)))
    assert left_on(lake, GONE, *again) == date(2026, 9, 20)


def test_one_leaving_told_by_two_feeds_is_undone_by_one_return(lake: Lake) -> None:
    told_twice = (Event("left", date(2026, 8, 30)), GONE, Event("returned", date(2026, 9, 1)))
    assert left_on(lake, *told_twice) is None


def test_a_leaving_on_the_day_of_joining_lies_before_it(lake: Lake) -> None:
    assert left_on(lake, Event("left", JOINED, time(18))) == JOINED


def test_on_the_same_day_a_return_follows_a_leaving_that_tells_no_time(lake: Lake) -> None:
    assert left_on(lake, GONE, Event("returned", GONE.day, time(0, 1))) is None
    assert left_on(lake, Event("returned", GONE.day, time(9)), Event("left", GONE.day, time(10))) == GONE.day
    assert left_on(lake, Event("returned", GONE.day, time(9)), Event("left", GONE.day, time(9))) is None


def test_a_day_is_one_in_shanghai(lake: Lake) -> None:
    assert left_on(lake, Event("left", JOINED, time(0, 30))) == JOINED


def test_what_happened_on_or_after_the_instant_is_not_known(lake: Lake) -> None:
    late = BEFORE.date()
    assert left_on(lake, GONE, Event("returned", late, time(6))) == GONE.day
    assert left_on(lake, GONE, Event("returned", late, time(5, 59))) is None
    assert left_on(lake, GONE, joined=late) is None


def test_without_a_day_of_joining_or_a_profile_nobody_is_new(lake: Lake) -> None:
    assert left_on(lake, GONE, joined=None) is None
    assert new_holders(lake, "2026-09", BEFORE).collect().is_empty()


def test_a_lake_without_leavings_has_no_new_holders(lake: Lake) -> None:
    deliver(lake, {}, {"A": JOINED})
    assert new_holders(lake, MONTH, BEFORE).collect().is_empty()


def test_shards_tell_together_what_the_whole_tells(tmp_path: Path) -> None:
    lake = Lake.create(tmp_path / "sharded", subscribers=1_200_000)
    names = [f"S{n:03d}" for n in range(60)]
    deliver(lake, dict.fromkeys(names, (GONE,)), dict.fromkeys(names, JOINED))
    apart = [new_holders(lake, MONTH, BEFORE, shard).collect() for shard in range(lake.shards)]
    assert lake.shards == 3 and all(part.height for part in apart)
    whole = new_holders(lake, MONTH, BEFORE).collect()
    assert pl.concat(apart).sort("subscriber_id").equals(whole.sort("subscriber_id"))


# ---------------------------------------------------------------- any order, against a plain walk through the days

DAYS = st.dates(date(2026, 8, 28), date(2026, 9, 6))
EVENTS = st.lists(
    st.builds(
        Event,
        st.sampled_from(["churned", "left", "returned", "port_out_applied", "plan_change"]),
        DAYS,
        st.sampled_from([time(8), time(12), time(20)]),
    ),
    max_size=7,
)


def by_hand(events: Sequence[Event], joined: date) -> date | None:
    """Walk through the events in order: a leaving opens a gap, a return closes what it follows."""
    order = {"churned": 0, "left": 0, "port_out_applied": 0, "returned": 1}
    known = sorted(
        (event for event in events if event.kind in order), key=lambda one: (one.instant, order[one.kind])
    )
    found = None
    for event in known:
        is_own = event.day > joined
        if event.kind == "returned":
            found = None
        elif is_own:
            return found  # whatever is answered from here on is the holder's own
        elif event.kind != "port_out_applied":
            found = event.day if found is None else max(found, event.day)
    return found


@settings(max_examples=60, deadline=None, database=None)
@given(cases=st.lists(st.tuples(EVENTS, DAYS), min_size=1, max_size=12))
def test_any_order_of_leavings_joinings_and_returns_is_read_as_a_person_would(
    cases: list[tuple[list[Event], date]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    lake = Lake.create(tmp_path_factory.mktemp("any") / "lake")
    events = {f"S{n}": told for n, (told, _) in enumerate(cases)}
    joined: dict[str, date | None] = {f"S{n}": day for n, (_, day) in enumerate(cases)}
    deliver(lake, events, joined)
    rows = new_holders(lake, MONTH, BEFORE).collect()
    expected = {name: by_hand(told, joined[name] or date.max) for name, told in events.items()}
    assert dict(rows.select("subscriber_id", "left_on").iter_rows()) == {
        name: day for name, day in expected.items() if day is not None
    }


def has_lapsed(events: Sequence[Event], joined: date, said_on: date) -> bool:
    """A refusal lapses by a leaving between it and the joining that no return answers."""
    own = [event.instant for event in events if event.day > joined and event.kind in GOING]
    answered = [
        event.instant
        for event in events
        if event.kind == "returned" and not any(start <= event.instant for start in own)
    ]
    return any(
        said_on <= event.day <= joined and not any(back >= event.instant for back in answered)
        for event in events
        if event.kind in ("churned", "left")
    )


GOING = ("churned", "left", "port_out_applied")


@settings(max_examples=60, deadline=None, database=None)
@given(cases=st.lists(st.tuples(EVENTS, DAYS, DAYS), min_size=1, max_size=12))
def test_a_refusal_lapses_in_any_order_only_by_a_leaving_between_it_and_the_joining(
    cases: list[tuple[list[Event], date, date]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    lake = Lake.create(tmp_path_factory.mktemp("said") / "lake")
    names = [f"S{n}" for n in range(len(cases))]
    deliver(
        lake,
        {name: told for name, (told, _, _) in zip(names, cases, strict=True)},
        {name: joined for name, (_, joined, _) in zip(names, cases, strict=True)},
    )
    limits = [
        {"subscriber_id": name, "kind": "refused", "valid_from": said_on}
        for name, (_, _, said_on) in zip(names, cases, strict=True)
    ]
    put(lake, "contact_limits", "2026-09", limits)
    holders = new_holders(lake, MONTH, BEFORE)
    rows = limits_said(lake, ["2026-09"], MONTH, holders, BEFORE.date()).collect()
    assert dict(rows.select("subscriber_id", "has_lapsed").iter_rows()) == {
        name: has_lapsed(*case) for name, case in zip(names, cases, strict=True)
    }
