from include.local.summary import stage_lines


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
