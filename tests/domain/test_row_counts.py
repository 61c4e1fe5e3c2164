"""Rows of several steps are added up the same way everywhere."""

from include.domain.row_counts import RowCounts, added


def test_the_rows_of_steps_are_added_each_to_its_kind():
    steps = [
        RowCounts(rows_in=5, rows_out=3, quarantined=2),
        RowCounts(rows_in=7, rows_out=7, quarantined=0),
    ]
    assert added(steps) == {"rows_in": 12, "rows_out": 10, "quarantined": 2}


def test_no_step_is_no_rows():
    assert added(()) == {"rows_in": 0, "rows_out": 0, "quarantined": 0}
