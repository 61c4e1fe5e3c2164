from datetime import date

from include.local.summary import (
    decision_lines,
    lacks_of,
    people_lines,
    rate_lines,
    stage_lines,
    success_lines,
    warning_lines,
)


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


def plain(lines: list[str]) -> list[str]:
    return [" ".join(line.split()) for line in lines]


def test_whom_a_campaign_chose_is_told_by_grade_or_without() -> None:
    graded = {"grade": "high", "tier": "priority", "subscribers": 1200, "admitted": 1200}
    admitted = {"grade": None, "tier": "priority", "subscribers": 30, "admitted": 30}
    _, *lines = plain(warning_lines([graded, admitted]))
    assert lines == ["high priority 1,200 1,200", "not graded priority 30 30"]
    assert warning_lines([]) == ["nobody"]


def test_why_the_admitted_are_left_out_is_counted_by_reason() -> None:
    decided = [
        {"decision": "treated", "reason": None, "subscribers": 40},
        {"decision": "held_out", "reason": None, "subscribers": 9},
        {"decision": "not_reached", "reason": None, "subscribers": 5},
        {"decision": "ineligible", "reason": "unfinished_ticket", "subscribers": 3},
    ]
    assert plain(decision_lines(decided))[1:] == [
        "gets a ticket 40",
        "held out, for comparison 9",
        "beyond capacity 5",
        "left out: unfinished_ticket 3",
    ]


def test_success_is_observed_or_told_from_which_day_on_it_can_be() -> None:
    rows = [
        {"cycle": "2026-09", "arm": "treated", "subscribers": 40, "known": 40, "succeeded": 36, "churned": 4,
         "known_on": date(2026, 11, 5)},
        {"cycle": "2026-10", "arm": "held_out", "subscribers": 9, "known": 0, "succeeded": 0, "churned": None,
         "known_on": date(2026, 12, 5)},
    ]  # fmt: skip
    assert plain(success_lines(rows, date(2026, 11, 5)))[1:] == [
        "2026-09 with a ticket 40 36 90.0 % 4",
        "2026-10 held out 9 not known yet, on 2026-12-05",
    ]
    (*_, late) = plain(success_lines(rows, date(2026, 12, 5)))
    assert late == "2026-10 held out 9 not known yet, what tells it is awaited since 2026-12-05"
    assert success_lines([], date(2026, 11, 5)) == ["no cycle was dispatched yet"]


def test_a_campaign_that_lacks_what_it_goes_by_says_so_and_one_that_finds_nobody_does_not() -> None:
    lacks = {
        "stage": "grading",
        "rows_in": 0,
        "message": "subscribers of 2026-10 has no column contract_ends_on.",
    }
    assert lacks_of([{"stage": "features", "rows_in": 9}, lacks]) == [lacks["message"]]
    assert (
        lacks_of([{"stage": "grading", "rows_in": 0}, {"stage": "dispatch", "rows_in": 0, "message": "x"}])
        == []
    )
    assert lacks_of([{"stage": "grading", "rows_in": 5, "message": "of another month"}]) == []
