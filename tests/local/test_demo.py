from datetime import datetime
from pathlib import Path

import pytest

from include.domain.periods.months import ZONE
from include.local import demo
from include.local.sites import Site


@pytest.mark.parametrize(
    ("today", "month"),
    [
        (datetime(2026, 11, 21, 12, 0, tzinfo=ZONE), "2026-10"),
        (datetime(2026, 11, 5, 6, 0, tzinfo=ZONE), "2026-10"),
        (datetime(2026, 11, 5, 5, 59, tzinfo=ZONE), "2026-09"),
        (datetime(2027, 1, 31, 23, 59, tzinfo=ZONE), "2026-12"),
    ],
)
def test_the_demo_opens_the_month_a_scheduled_run_would_have(today: datetime, month: str) -> None:
    assert demo.newest_month(today) == month


def test_a_step_finished_by_an_earlier_command_is_not_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site("demo", tmp_path)
    done: list[str] = []
    monkeypatch.setattr(demo, "simulate", lambda _site, _months, last, *_: done.append(f"simulate {last}"))
    monkeypatch.setattr(demo, "monthly_campaigns", lambda: ["first", "second"])
    monkeypatch.setattr(
        demo, "run_earlier_cycle", lambda _site, campaign, month: done.append(f"loop {campaign} {month}")
    )
    monkeypatch.setattr(demo, "work_tickets", lambda _site, month: done.append(f"staff {month}"))
    monkeypatch.setattr(demo, "treated", lambda _site, month: done.append(f"treated {month}"))
    demo.prepare_data(site, "2026-10")
    demo.prepare_data(site, "2026-10")
    order = ["simulate 2026-09", "loop first 2026-09", "loop second 2026-09"]
    order += ["staff 2026-09", "treated 2026-09", "simulate 2026-10"]
    assert done == order
