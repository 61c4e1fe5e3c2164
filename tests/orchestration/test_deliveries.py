"""How the deliveries of a run become tasks, and what a day needs of them."""

from include.orchestration.deliveries import by_feed_and_month


def test_the_days_of_a_month_become_one_task():
    days = [{"feed": "changes", "period": f"2026-10-{day:02d}"} for day in (3, 1, 2)]
    others = [{"feed": "usage_months", "period": "2026-10"}, {"feed": "changes", "period": "2026-11-01"}]
    assert by_feed_and_month([*days, *others]) == [
        {"feed": "changes", "periods": ["2026-10-01", "2026-10-02", "2026-10-03"]},
        {"feed": "changes", "periods": ["2026-11-01"]},
        {"feed": "usage_months", "periods": ["2026-10"]},
    ]


def test_ten_years_of_days_stay_far_below_what_airflow_maps():
    days = [
        {"feed": feed, "period": f"{year}-{month:02d}-{day:02d}"}
        for feed in ("service_events", "market_events", "subscriber_changes", "contact_limits")
        for year in range(2016, 2026)
        for month in range(1, 13)
        for day in range(1, 29)
    ]
    assert len(by_feed_and_month(days)) == 480
