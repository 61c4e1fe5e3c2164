"""A delivery is known by its feed and period, a month or a day."""

from datetime import date, datetime, timedelta

from include.domain.periods.months import ZONE
from include.stages.collection.sources.delivery import DeliveryKey

MONTH = DeliveryKey("usage_months", "2026-10")
DAY = DeliveryKey("subscriber_changes", "2026-10-03")


def test_a_month_and_a_day_name_their_folders():
    assert (MONTH.name, DAY.name) == ("usage_months/month=2026-10", "subscriber_changes/day=2026-10-03")


def test_a_day_belongs_to_its_month():
    assert (DAY.is_day, DAY.day, DAY.month) == (True, "2026-10-03", "2026-10")
    assert DAY.of_month == ("subscriber_changes", "2026-10")
    assert (MONTH.is_day, MONTH.day, MONTH.of_month) == (False, None, MONTH)


def test_the_days_of_a_period_are_its_first_and_last():
    assert MONTH.days == (date(2026, 10, 1), date(2026, 10, 31))
    assert DAY.days == (date(2026, 10, 3), date(2026, 10, 3))


def test_a_period_begins_at_midnight_in_shanghai():
    midnight = datetime(2026, 10, 3, tzinfo=ZONE)
    assert not DAY.starts_before(midnight)
    assert DAY.starts_before(midnight + timedelta(seconds=1))
    assert MONTH.starts_before(midnight)
