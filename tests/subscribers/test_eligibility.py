"""Who must not be called: gone, unless they came back, by what was known before as_of."""

from dataclasses import replace
from datetime import UTC, date, datetime

import polars as pl

from include.config import Config
from include.domain.periods.months import default_as_of
from include.lake import Lake
from include.subscribers.eligibility import barred, barred_of, consent_note
from tests.fixtures.campaigns import with_campaign
from tests.fixtures.lakes import put
from tests.fixtures.runs import run_of

MONTH = "2026-10"
AS_OF = default_as_of(MONTH)  # 5 November, 06:00 in Shanghai


def gone(lake: Lake, joined_on: date = date(2020, 1, 31)) -> dict[str, str]:
    """Why A is barred, whose profile says `joined_on`."""
    put(lake, "factors", MONTH, [{"subscriber_id": "A", "consents_to_marketing": True}])
    put(lake, "subscribers", MONTH, [{"subscriber_id": "A", "joined_on": joined_on}])
    return barred(lake, MONTH, AS_OF, ["A"])


def left(lake: Lake, on: date) -> None:
    put(lake, "churned", on.strftime("%Y-%m"), [{"subscriber_id": "A", "churned_on": on}])


def changed(lake: Lake, kind: str, at: datetime) -> None:
    rows = [{"subscriber_id": "A", "kind": kind, "occurred_at": at}]
    put(lake, "subscriber_changes", at.strftime("%Y-%m"), rows, occurred_at=pl.Datetime("us", "UTC"))


def test_who_left_before_as_of_is_gone_and_who_leaves_later_is_not_yet(lake: Lake) -> None:
    left(lake, date(2026, 11, 5))
    assert gone(lake) == {}
    left(lake, date(2026, 11, 4))
    assert gone(lake) == {"A": "gone"}


def test_who_returned_after_leaving_may_be_called_again(lake: Lake) -> None:
    left(lake, date(2026, 3, 5))
    changed(lake, "returned", datetime(2026, 4, 2, tzinfo=UTC))
    assert gone(lake) == {}


def test_who_left_again_after_returning_is_gone(lake: Lake) -> None:
    changed(lake, "returned", datetime(2026, 4, 2, tzinfo=UTC))
    left(lake, date(2026, 10, 5))
    assert gone(lake) == {"A": "gone"}


def test_a_profile_that_joined_after_the_leaving_is_not_gone(lake: Lake) -> None:
    left(lake, date(2026, 3, 5))
    assert gone(lake, joined_on=date(2026, 6, 1)) == {}
    assert gone(lake, joined_on=date(2020, 6, 1)) == {"A": "gone"}


def test_a_return_on_or_after_as_of_is_not_known(lake: Lake) -> None:
    left(lake, date(2026, 3, 5))
    changed(lake, "returned", AS_OF)
    assert gone(lake) == {"A": "gone"}


def test_without_a_profile_of_the_month_the_leaving_stands(lake: Lake) -> None:
    left(lake, date(2026, 3, 5))
    put(lake, "factors", MONTH, [{"subscriber_id": "A", "consents_to_marketing": True}])
    assert barred(lake, MONTH, AS_OF, ["A"]) == {"A": "gone"}


def limited(lake: Lake, *rows: dict) -> dict[str, str]:
    """Why A and B are barred, who are numbers of one customer; C is somebody else's."""
    people = [("A", "C1"), ("B", "C1"), ("C", None)]
    told = [
        {"subscriber_id": name, "customer_id": key, "consents_to_marketing": True} for name, key in people
    ]
    put(lake, "factors", MONTH, told)
    put(lake, "contact_limits", MONTH, list(rows))
    return barred(lake, MONTH, AS_OF, ["A", "B", "C"])


def test_a_refusal_by_one_number_bars_every_number_of_the_customer(lake: Lake) -> None:
    rows = {"subscriber_id": "A", "kind": "refused", "valid_from": date(2026, 10, 1)}
    assert limited(lake, rows) == {"A": "refused", "B": "refused"}


def test_a_refusal_by_a_number_without_a_customer_bars_that_number_alone(lake: Lake) -> None:
    rows = {"subscriber_id": "C", "kind": "red_list", "valid_from": date(2026, 10, 1)}
    assert limited(lake, rows) == {"C": "red_list"}


def test_a_limit_is_not_known_before_its_first_day_is_over(lake: Lake) -> None:
    rows = {"subscriber_id": "C", "kind": "red_list", "valid_from": AS_OF.date()}
    assert limited(lake, rows) == {}


# ---------------------------------------------------------------- numbers that went to somebody new

JOINED = date(2026, 10, 5)


def recycled(lake: Lake, *said_on: date, customers: tuple[str | None, str | None] = ("C1", "C2")) -> set[str]:
    """Who is barred when A refused on these days: A was the first customer's until 31 August and is the second's now.

    B is another number of the first, D of the second, E nobody's.
    """
    former, now = customers
    profiles = {
        "2026-08": [
            ("A", former, date(2020, 1, 1)),
            ("B", "C1", date(2020, 1, 1)),
            ("D", "C2", date(2020, 1, 1)),
        ],
        MONTH: [
            ("A", now, JOINED),
            ("B", "C1", date(2020, 1, 1)),
            ("D", "C2", date(2020, 1, 1)),
            ("E", None, JOINED),
        ],
    }
    for month, people in profiles.items():
        rows = [{"subscriber_id": name, "customer_id": key, "joined_on": day} for name, key, day in people]
        put(lake, "subscribers", month, rows, customer_id=pl.String)
    people = [{"subscriber_id": name, "customer_id": key} for name, key, _ in profiles[MONTH]]
    put(
        lake,
        "factors",
        MONTH,
        [row | {"consents_to_marketing": True} for row in people],
        customer_id=pl.String,
    )
    left(lake, date(2026, 8, 31))
    limits = [{"subscriber_id": "A", "kind": "refused", "valid_from": day} for day in said_on]
    put(lake, "contact_limits", MONTH, limits)
    return set(barred(lake, MONTH, AS_OF, ["A", "B", "D", "E"]))


def test_a_former_holders_refusal_lapses_for_the_number_and_holds_for_the_customer_who_said_it(
    lake: Lake,
) -> None:
    assert recycled(lake, date(2026, 5, 10)) == {"B"}
    assert recycled(lake, date(2026, 8, 31)) == {"B"}


def test_a_refusal_of_the_new_holder_holds_for_all_their_numbers(lake: Lake) -> None:
    assert recycled(lake, date(2026, 10, 20)) == {"A", "D"}
    assert recycled(lake, date(2026, 5, 10), date(2026, 10, 20)) == {"A", "B", "D"}


def test_a_refusal_between_the_leaving_and_the_joining_stands(lake: Lake) -> None:
    assert "A" in recycled(lake, date(2026, 9, 1))


def test_a_former_holder_without_a_customer_takes_the_refusal_along(lake: Lake) -> None:
    assert recycled(lake, date(2026, 5, 10), customers=(None, None)) == set()
    assert recycled(lake, date(2026, 10, 20), customers=(None, None)) == {"A"}


def test_who_returned_has_refused_still(lake: Lake) -> None:
    changed(lake, "returned", datetime(2026, 10, 5, 1, tzinfo=UTC))
    assert recycled(lake, date(2026, 5, 10)) == {"A", "D"}


# ---------------------------------------------------------------- consent

YES, NO, UNKNOWN = "Y", "N", "U"


def asked(
    lake: Lake, config: Config, kind: str, otherwise: str = "allow", *, is_delivered: bool = True
) -> dict[str, str]:
    """Why Y (consents), N (does not) and U (nobody knows) may not be contacted by a campaign of that kind."""
    told = {YES: True, NO: False, UNKNOWN: None} if is_delivered else dict.fromkeys((YES, NO, UNKNOWN))
    people = [{"subscriber_id": name, "consents_to_marketing": said} for name, said in told.items()]
    put(lake, "factors", MONTH, people, consents_to_marketing=pl.Boolean)
    profiles = [row if is_delivered else {"subscriber_id": row["subscriber_id"]} for row in people]
    put(lake, "subscribers", MONTH, profiles)
    put(
        lake,
        "contact_limits",
        MONTH,
        [{"subscriber_id": YES, "kind": "refused", "valid_from": date(2026, 10, 1)}],
    )
    known = with_campaign(config, "renewal", f"kind: {kind}\n")
    known = replace(known, contact=known.contact.model_copy(update={"consent_not_delivered": otherwise}))
    return barred_of(
        run_of(lake=lake, config=known, campaign="renewal", month=MONTH, as_of=AS_OF), list(told)
    )


def test_marketing_needs_a_consent_that_was_given(lake: Lake, config: Config) -> None:
    assert asked(lake, config, "marketing") == {YES: "refused", NO: "no_consent", UNKNOWN: "no_consent"}


def test_service_asks_no_consent_and_is_bound_by_refusals_all_the_same(lake: Lake, config: Config) -> None:
    assert asked(lake, config, "service") == {YES: "refused"}


def test_where_no_consents_are_delivered_marketing_does_what_is_configured(
    lake: Lake, config: Config
) -> None:
    assert asked(lake, config, "marketing", is_delivered=False) == {YES: "refused"}
    refused = asked(lake, config, "marketing", "refuse", is_delivered=False)
    assert refused == {YES: "refused", NO: "no_consent", UNKNOWN: "no_consent"}


def test_that_no_consents_are_delivered_is_told_of_marketing_alone(lake: Lake, config: Config) -> None:
    asked(lake, config, "marketing", is_delivered=False)
    service = with_campaign(config, "notice", "kind: service\n")
    assert consent_note(config, "churn_warning", lake, MONTH) == (
        "subscribers of 2026-10 has no column consents_to_marketing: by consent_not_delivered (allow) in "
        "contact.yaml everybody counts as having consented."
    )
    assert consent_note(service, "notice", lake, MONTH) == ""
    asked(lake, config, "marketing")
    assert consent_note(config, "churn_warning", lake, MONTH) == ""


def test_who_is_won_back_is_barred_by_no_leaving_and_by_every_refusal(lake: Lake, config: Config) -> None:
    people = [{"subscriber_id": name, "consents_to_marketing": True} for name in "AB"]
    put(lake, "factors", "2026-09", people)
    left(lake, date(2026, 10, 3))
    put(
        lake,
        "contact_limits",
        MONTH,
        [{"subscriber_id": "B", "kind": "red_list", "valid_from": date(2026, 10, 1)}],
    )
    known = with_campaign(config, "win_back", "people: left\n")
    assert barred_of(
        run_of(lake=lake, config=known, campaign="win_back", month=MONTH, as_of=AS_OF), ["A", "B"]
    ) == {"B": "red_list"}
    put(lake, "factors", MONTH, people)
    assert barred_of(
        run_of(lake=lake, config=config, campaign="churn_warning", month=MONTH, as_of=AS_OF), ["A", "B"]
    ) == {
        "A": "gone",
        "B": "red_list",
    }
