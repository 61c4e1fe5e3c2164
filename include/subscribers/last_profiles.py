"""Last profiles: the month whose factors tell of people who are gone, which is the last they were living in."""

from collections.abc import Sequence

import polars as pl

from include.config.readers.campaign import Campaign
from include.domain.periods.months import shift
from include.lake import Lake

#: So many months, the cycle's own among them, are looked back for the last profile of who has left.
LOOK_BACK = 12


def profiles_of(
    campaign: Campaign, lake: Lake, month: str, subscribers: Sequence[str]
) -> dict[str, list[str]]:
    """By month, newest first, those of `subscribers` whose profile stands there: of the living, the month itself.

    Of who has left it is the newest month up to `month` with factors of them; who has none is in no month.
    """
    if campaign.people == "living":
        return {month: list(subscribers)}
    left = pl.LazyFrame({"subscriber_id": subscribers}, schema={"subscriber_id": pl.String}).unique()
    found: dict[str, list[str]] = {}
    for each in reversed(lake.months("factors")):
        if shift(month, -LOOK_BACK) < each <= month:
            people = lake.scan("factors", each).select("subscriber_id")
            here = left.join(people, on="subscriber_id", how="semi").collect(engine="streaming")
            found[each] = here["subscriber_id"].sort().to_list()
            left = left.join(here.lazy(), on="subscriber_id", how="anti")
    return {each: people for each, people in found.items() if people}
