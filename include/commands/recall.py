"""Take a wrong batch of tickets back.

python -m include.commands.recall [--campaign NAME] --cycle KEY --because TEXT --by WHO
    [--team TEAM] [--region CODE] [--rule RULE] [--contacted-too] [--now ISO] [--db URL]
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, TypedDict, cast

import sqlalchemy as sa

from include import settings
from include.commands import (
    Command,
    add_campaign,
    add_place_and_time,
    an_id,
    command_line,
    instant,
    on_database,
    option,
)
from include.config import Config, load_config
from include.domain.text.canonical import canonical_id
from include.stages.dispatch import Selection, recall, require_known


class Recalled(TypedDict):
    """What became of a batch, in tickets, clocks and held-out customers."""

    stage: str
    rows_in: int
    rows_out: int
    recalled: int
    clocks_void: int
    held_out_recalled: int
    kept_contacted: int
    kept_finished: int


@dataclass(frozen=True)
class Batch:
    """The part of a cycle to take back, by whom and why; with `contacted_too` also where a customer was contacted."""

    campaign: str
    cycle: str
    selection: Selection
    by: str
    because: str
    contacted_too: bool = False


def take_back(*, db: sa.Connection, config: Config, batch: Batch, now: datetime) -> Recalled:
    """`recall`, once everything that is named is known; a slip would else look like nothing left to recall.

    BadInput, ConfigError or NotReady for a campaign, cycle, team or rule nobody knows, and without a reason or name.
    """
    require_known(db, config, batch.campaign, batch.cycle, batch.selection)
    done = recall(
        db=db, campaign=batch.campaign, cycle=batch.cycle, selection=batch.selection, because=batch.because,
        by=batch.by, now=now, contacted_too=batch.contacted_too,
    )  # fmt: skip
    return cast("Recalled", done)


def chosen(form: Mapping[str, Any]) -> Callable[..., Recalled]:
    """`take_back` what the form selects; it still asks for the database, configuration and now.

    BadInput for a region code that is no id.
    """
    region = canonical_id(form["region"] or "") or None
    selection = Selection(form["team"], region, form["rule"])
    batch = Batch(
        form["campaign"], form["cycle"], selection, form["by"], form["because"], form["contacted_too"]
    )
    return partial(take_back, batch=batch)


@on_database
def _run(db: sa.Connection, args: argparse.Namespace) -> None:
    selection = Selection(args.team, args.region, args.rule)
    batch = Batch(args.campaign, args.cycle, selection, args.by, args.because, args.contacted_too)
    config = load_config(settings.config_folder())
    done = take_back(db=db, config=config, batch=batch, now=instant(args))
    print(json.dumps(done, ensure_ascii=False))


main = command_line(
    "include.commands.recall",
    __doc__,
    Command(
        _run,
        (
            add_campaign,
            option(
                "--cycle", required=True, help="key of the cycle: YYYY-MM, or YYYY-MM-DD of a daily campaign"
            ),
            option("--team", help="only tickets routed to this team"),
            option("--region", type=an_id, help="only this region_code"),
            option("--rule", help="only where this rule fired"),
            option("--because", required=True, help="why, in words; kept with every ticket"),
            option("--by", required=True, help="who takes it back"),
            option("--contacted-too", action="store_true", help="also where a person was contacted"),
            add_place_and_time,
        ),
    ),
)


if __name__ == "__main__":
    sys.exit(main())
