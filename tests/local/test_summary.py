from include.local.summary import rate_lines, stage_lines


def test_a_stages_rows_are_summed_over_its_mapped_tasks() -> None:
    results = [
        {"stage": "collection", "rows_in": 100, "rows_out": 99, "quarantined": 1},
        [{"stage": "collection", "rows_in": 10, "rows_out": 10, "quarantined": 0}],
        {"stage": "grading", "rows_in": 99, "rows_out": 99},
        {"stage": "silent"},
        None,
        "a/path",
    ]
    head, *rows = [line.split() for line in stage_lines(results)]
    assert head == ["rows", "in", "rows", "out", "quarantined"]
    assert rows == [["collection", "110", "109", "1"], ["grading", "99", "99"]]


def test_the_work_of_a_cycle_is_one_line_with_its_three_rates() -> None:
    cycle = {
        "level": "cycle",
        "cycle": "2026-10",
        "released": 40,
        "reached": 30,
        "willing": 12,
        "completed": 0,
    }
    shares = {"reached_share": 0.75, "willing_share": 0.4, "completed_share": 0.0}
    team = cycle | shares | {"level": "team"}
    inbound = [
        {"cycle": "2026-10", "arm": arm, "subscribers": n} for arm, n in (("held_out", 3), ("treated", 9))
    ]
    _, *lines = rate_lines([cycle | shares, team], inbound)
    assert len(lines) == 1
    assert " ".join(lines[0].split()) == "2026-10 40 30 (75.0 %) 12 (40.0 %) 0 (0.0 %) 3"
    assert rate_lines([], []) == ["no ticket was released yet"]
