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
from include.commands import add_campaign, add_place_and_time, an_id, instant, on_database
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


def _arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m include.commands.recall",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_campaign(parser)
    parser.add_argument(
        "--cycle", required=True, help="key of the cycle: YYYY-MM, or YYYY-MM-DD of a daily campaign"
    )
    parser.add_argument("--team", help="only tickets routed to this team")
    parser.add_argument("--region", type=an_id, help="only this region_code")
    parser.add_argument("--rule", help="only where this rule fired")
    parser.add_argument("--because", required=True, help="why, in words; kept with every ticket")
    parser.add_argument("--by", required=True, help="who takes it back")
    parser.add_argument("--contacted-too", action="store_true", help="also where a person was contacted")
    add_place_and_time(parser)
    return parser.parse_args(words)


def _run(db: sa.Connection, told: argparse.Namespace) -> None:
    done = take_back(
        db=db, config=load_config(settings.config_folder()), campaign=told.campaign, cycle=told.cycle,
        because=told.because, by=told.by, contacted_too=told.contacted_too, now=instant(told),
        selection=Selection(told.team, told.region, told.rule),
    )  # fmt: skip
    print(json.dumps(done, ensure_ascii=False))


def main(words: list[str] | None = None) -> int:
    """Run the command; the exit status is 1, after one sentence on stderr, when a person must act."""
    told = _arguments(words)
    return on_database(told, lambda db: _run(db, told))


if __name__ == "__main__":
    sys.exit(main())
