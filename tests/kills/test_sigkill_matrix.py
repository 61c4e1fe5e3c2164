"""Killed anywhere and run again is the same as undisturbed: a few points here, all by the command."""

import pytest

from tests.kills.sigkill_matrix import Databases, judge, prepare, table
from tests.kills.sigkill_points import POINTS, Point

FEW = [
    Point("dispatch", "after", "stages/dispatch", "draw_arms"),
    Point("dispatch", "after", "stages/dispatch", "write_tickets"),
    Point("dispatch", "commit"),
    Point("better", "after", "stages/dispatch", "find_candidates"),
    Point("better", "done"),
    Point("other", "before", "stages/dispatch", "write_tickets"),
    Point("other", "commit"),
    Point("release", "after", "stages/release", "release_tickets"),
    Point("watch", "after", "stages/sla", "breach_clocks"),
    Point("deliver", "sent"),
    Point("deliver", "done"),
]


@pytest.fixture
def databases(postgres, execute, migrated_template, tmp_path):
    made = Databases(postgres.url, execute, tmp_path, {})
    prepare(made, migrated_template)
    yield made
    for name in set(made.ready.values()):
        made.drop(name)


def test_a_process_killed_at_any_point_loses_and_doubles_nothing(databases):
    verdicts = list(judge(databases, FEW))
    assert all(each.is_right for each in verdicts), "\n" + table(verdicts)
    # the tickets, clocks and notices it is about were there to be lost
    assert all(each.expected > 30 for each in verdicts)
    assert next(each for each in verdicts if each.point.moment == "sent").sent_again == 1


def test_the_matrix_names_points_of_every_process():
    assert len(set(POINTS)) == len(POINTS) >= 20
    assert {point.process for point in POINTS} == {
        "dispatch",
        "better",
        "other",
        "release",
        "watch",
        "deliver",
    }
    assert set(FEW) <= set(POINTS)
