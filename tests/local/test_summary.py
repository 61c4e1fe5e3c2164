from include.local.summary import people_lines, rate_lines, stage_lines


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


def test_the_summary_says_which_feeds_name_known_people_and_of_which_nobody_can_say() -> None:
    known = {
        "usage_months": {"ids": 2114, "known": 2114, "share": 1.0},
        "churned": {"ids": 4, "known": 3, "share": 0.75},
    }
    reported = {
        "stage": "collection", "known_ids": known, "missing_feeds": ["contact_limits"], "values_not_taken": 12,
    }  # fmt: skip
    head, *lines = people_lines([{"stage": "features"}, [reported]])
    assert head.split() == ["feed", "people", "in", "a", "profile", "share"]
    assert [" ".join(line.split()) for line in lines] == [
        "usage_months 2,114 2,114 100.0 %",
        "churned 4 3 75.0 %",
        "not delivered, so nothing is known of their ids: contact_limits",
        "12 values not taken (numbers to call, shared customers)",
    ]
    assert people_lines([{"stage": "features"}]) == ["not measured in this run: collection did not report"]


def test_the_work_of_a_cycle_is_one_line_with_its_three_rates() -> None:
    cycle = {
        "level": "cycle",
        "campaign": "churn_warning",
        "cycle": "2026-10",
        "released": 40,
        "reached": 30,
        "willing": 12,
        "completed": 0,
    }
    shares = {"reached_share": 0.75, "willing_share": 0.4, "completed_share": 0.0}
    team = cycle | shares | {"level": "team"}
    inbound = [
        {"campaign": campaign, "cycle": "2026-10", "arm": arm, "subscribers": n}
        for campaign, arm, n in (
            ("churn_warning", "held_out", 3),
            ("churn_warning", "treated", 9),
            ("contract_renewal", "held_out", 7),
        )
    ]
    _, *lines = rate_lines([cycle | shares, team], inbound)
    assert len(lines) == 1
    assert " ".join(lines[0].split()) == "churn_warning 2026-10 40 30 (75.0 %) 12 (40.0 %) 0 (0.0 %) 3"
    assert rate_lines([], []) == ["no ticket was released yet"]
