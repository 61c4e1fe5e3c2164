"""Take a wrong batch of tickets back.

python -m include.commands.recall [--campaign NAME] --cycle KEY --because TEXT --by WHO
    [--team TEAM] [--region CODE] [--rule RULE] [--contacted-too] [--now ISO] [--db URL]
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any

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


def take_back(
    *, db: sa.Connection, config: Config, campaign: str, cycle: str, selection: Selection, now: datetime,
    because: str, by: str, contacted_too: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """`recall`, once everything that is named is known; a slip would else look like nothing left to recall."""
    require_known(db, config, campaign, cycle, selection)
    return recall(
        db=db, campaign=campaign, cycle=cycle, selection=selection, because=because, by=by, now=now,
        contacted_too=contacted_too,
    )  # fmt: skip


def chosen(form: Mapping[str, Any]) -> Callable[..., dict[str, Any]]:
    """`take_back` what the form selects; it still asks for the database, configuration and now."""
    region = canonical_id(form["region"] or "") or None
    selection = Selection(form["team"], region, form["rule"])
    given = {name: form[name] for name in ("campaign", "cycle", "because", "by", "contacted_too")}
    return partial(take_back, selection=selection, **given)


@on_database
def _run(db: sa.Connection, args: argparse.Namespace) -> None:
    done = take_back(
        db=db, config=load_config(settings.config_folder()), campaign=args.campaign, cycle=args.cycle,
        because=args.because, by=args.by, contacted_too=args.contacted_too, now=instant(args),
        selection=Selection(args.team, args.region, args.rule),
    )  # fmt: skip
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
