"""Take a wrong batch of tickets back.

python -m include.commands.recall [--campaign NAME] --cycle KEY --because TEXT --by WHO
    [--team TEAM] [--region CODE] [--rule RULE] [--contacted-too] [--now ISO] [--db URL]
"""

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
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
from include.domain.signature import Signature
from include.domain.text.canonical import canonical_id
from include.stages.dispatch import Batch, Selection, recall, require_known
from include.stages.dispatch.recall import Recalled


@dataclass(frozen=True)
class Wish:
    """What somebody wants taken back, and why; with `contacted_too` also where a customer was contacted."""

    batch: Batch
    by: str
    because: str
    contacted_too: bool = False


def take_back(*, db: sa.Connection, config: Config, wish: Wish, now: datetime) -> Recalled:
    """`recall`, once everything that is named is known; a slip would else look like nothing left to recall.

    BadInput, ConfigError or NotReady for a campaign, cycle, team or rule nobody knows, and without a reason or name.
    """
    require_known(db, config, wish.batch)
    signed = Signature(wish.by, now, wish.because)
    return recall(db=db, batch=wish.batch, signed=signed, contacted_too=wish.contacted_too)


def wished(form: Mapping[str, Any]) -> Wish:
    """What the form of the DAG selects; BadInput for a region code that is no id."""
    region = canonical_id(form["region"] or "") or None
    batch = Batch(form["campaign"], form["cycle"], Selection(form["team"], region, form["rule"]))
    return Wish(batch, form["by"], form["because"], form["contacted_too"])


@on_database
def _run(db: sa.Connection, args: argparse.Namespace) -> None:
    batch = Batch(args.campaign, args.cycle, Selection(args.team, args.region, args.rule))
    wish = Wish(batch, args.by, args.because, args.contacted_too)
    done = take_back(db=db, config=load_config(settings.config_folder()), wish=wish, now=instant(args))
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
