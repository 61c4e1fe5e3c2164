"""The arms of two campaigns stay alike, whichever is dispatched first: over 200 drawn provinces."""

import random
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import pytest
import sqlalchemy as sa

from include.domain.periods.months import ZONE
from include.stages.dispatch import dispatch
from tests.fixtures.beside import with_campaign
from tests.fixtures.graded import Warned, graded_cycle
from tests.fixtures.runs import run_of
from tests.fixtures.work import hire

NOW = datetime(2026, 11, 5, 6, 30, tzinfo=ZONE)
FIRST, SECOND = "churn_warning", "renewal"
BY_OTHERS = ("yields", "unfinished_ticket", "assigned_elsewhere")


def rows(db: sa.Connection, statement: str, **values: Any) -> list[Any]:
    with db.begin():
        return [tuple(row) for row in db.execute(sa.text(statement), values)]


@pytest.mark.parametrize("order", [(FIRST, SECOND), (SECOND, FIRST)])
@pytest.mark.parametrize("graded_before", [True, False])
def test_the_arms_of_both_campaigns_stay_alike_over_200_drawn_provinces(
    db, lake, config, order, graded_before
):
    """Whom the other campaign bars is decided by who is in it, never by an arm of either."""
    hire(db, contacts_per_day=400)
    config = with_campaign(config, SECOND, precedence=20, measure="contract_renewal")
    people = {FIRST: _province(1), SECOND: _province(2)}
    everybody = [*people[FIRST], *people[SECOND]]

    def graded(name: str) -> dict[str, Any]:
        return graded_cycle(db, lake, config.of(name), people[name], campaign=name, everybody=everybody)

    given = {name: graded(name) for name in order} if graded_before else {}
    for name in order:
        dispatch(run_of(**given.get(name) or graded(name), now=NOW))
    assert rows(
        db,
        "select count(*) from assignments as a join assignments as b using (customer_key)"
        " where a.campaign < b.campaign",
    ) == [(0,)]
    for name, other in (order, order[::-1]):
        decided = dict(
            rows(db, "select subscriber_id, reason from dispatch_decisions where campaign = :c", c=name)
        )
        barred = {who for who, why in decided.items() if why in BY_OTHERS}
        assert barred == decided.keys() & _before(db, name, other, people, order, graded_before)
        assert abs(_difference(db, name)) < 3


def _before(
    db: sa.Connection, name: str, other: str, people: Mapping[str, Sequence[Warned]], order: tuple[str, str],
    graded_before: bool,
) -> set[str]:  # fmt: skip
    """Whom the other campaign had when the campaign was dispatched: both arms of it, or all it would call."""
    if name == order[1]:
        taken = rows(db, "select subscriber_id from assignments where campaign = :other", other=other)
        return {who for (who,) in taken}
    yields = graded_before and name == SECOND
    return {each.subscriber_id for each in people[other]} if yields else set()


def _province(seed: int) -> list[Warned]:
    """Of 200 provinces of 20 people each every one is warned of with the province's own chance."""
    drawn = random.Random(seed)
    warned = []
    for province in range(200):
        chance = drawn.uniform(0.2, 0.8)
        warned += [
            Warned(
                f"P{province:03}-{n:02}",
                value_yuan=round(30 + 100 * random.Random(f"{province} {n}").random(), 2),
            )
            for n in range(20)
            if drawn.random() < chance
        ]
    drawn.shuffle(warned)
    return warned


def _difference(db: sa.Connection, campaign: str) -> float:
    """By how many standard errors the mean value of the arms differs, province by province."""
    found = rows(
        db,
        "select avg(w.value_yuan) filter (where a.arm = 'treated')"
        " - avg(w.value_yuan) filter (where a.arm = 'held_out')"
        " from assignments as a join warnings as w using (campaign, cycle, subscriber_id)"
        " where a.campaign = :campaign group by left(a.subscriber_id, 4)",
        campaign=campaign,
    )
    each = [float(value) for (value,) in found if value is not None]
    assert len(each) > 100
    mean = sum(each) / len(each)
    spread = (sum((value - mean) ** 2 for value in each) / len(each) / (len(each) - 1)) ** 0.5
    return mean / spread
