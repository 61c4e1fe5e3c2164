"""Take a wrong batch of tickets back.

python -m include.recall --campaign NAME --cycle YYYY-MM --because TEXT --by WHO
    [--team TEAM] [--region CODE] [--rule RULE] [--contacted-too] [--now ISO] [--db URL]
"""

import argparse
import json
import sys

from include.command import add_place_and_time, ended, instant, opened
from include.settings import CAMPAIGN
from include.stages.dispatch import Selection, recall


def _arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m include.recall", description=__doc__)
    parser.add_argument("--campaign", default=CAMPAIGN)
    parser.add_argument("--cycle", required=True, help="key of the cycle: a month for churn_warning")
    parser.add_argument("--team", help="only tickets routed to this team")
    parser.add_argument("--region", help="only this region_code")
    parser.add_argument("--rule", help="only where this rule fired")
    parser.add_argument("--because", required=True, help="why, in words; kept with every ticket")
    parser.add_argument("--by", required=True, help="who takes it back")
    parser.add_argument("--contacted-too", action="store_true", help="also where a person was contacted")
    add_place_and_time(parser)
    return parser.parse_args(words)


def _run(told: argparse.Namespace) -> None:
    with opened(told.db) as db:
        done = recall(
            db=db, campaign=told.campaign, cycle=told.cycle, because=told.because, by=told.by,
            selection=Selection(told.team, told.region, told.rule), contacted_too=told.contacted_too,
            now=instant(told),
        )  # fmt: skip
    print(json.dumps(done, ensure_ascii=False))


def main(words: list[str] | None = None) -> int:
    """Run the command; the exit status is 1, after one sentence on stderr, when a person must act."""
    told = _arguments(words)
    return ended(lambda: _run(told))


if __name__ == "__main__":
    sys.exit(main())
