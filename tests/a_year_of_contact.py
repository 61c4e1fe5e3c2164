"""What a year of contact does to training: two twin provinces, one of them called by staff for twelve cycles.

python -m tests.a_year_of_contact [--subscribers 60000] [--seed 7]

Each cycle is scored, graded and dispatched by the loop; everybody treated is reached within its label window, with
the right offer in 85 of 100 cases, and the simulator lets the next month feel it. Then three models learn from the
last six of those cycles: with the weights of the loop, with none, and on the twin nobody ever called. All
three are judged by people of later months who were never called: the hold-out of the contact province, and
the twin. Prints one JSON object a line.
"""

import argparse
import csv
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import sqlalchemy as sa

from include import database
from include.config import Config, load_config
from include.domain.assignment import HELD_OUT, arm_of, epoch_of
from include.domain.months import default_as_of, shift
from include.lake import Lake
from include.local.postgres import Server
from include.loop import Loop
from include.settings import CAMPAIGN
from include.simulator.province import Province
from include.simulator.reasons import REASONS
from include.simulator.truth import main_reasons
from include.simulator.walk import Order, simulate
from include.stages import bootstrap, examples, fitting, models, quality, training
from include.stages.collection import open_lake
from include.stages.examples import LabelledMonth

FIRST, HISTORY, YEAR, JUDGES = "2025-01", 6, 12, 3
TOLD_RIGHT = 0.85
#: Day feeds are a thousand small deliveries and tell nothing about the weights.
MISSING = frozenset({"subscriber_changes", "contact_limits", "market_events"})

_HIRE = """
insert into staff (staff_code, name, role, team, contacts_per_day) values ('t', 't', 'agent', 'vip', 9)
on conflict do nothing
"""
_TREATED = (
    "select ticket_id, subscriber_id from tickets where campaign = :campaign and cycle = :cycle order by 2"
)
_REACHED = """
insert into contact_attempts (ticket_id, attempted_at, channel, result, staff_id)
select tickets.ticket_id, cast(:first as timestamptz) + make_interval(days => (tickets.ticket_id % 9)::integer),
    'call', 'reached', (select min(staff_id) from staff where staff_code = 't')
from tickets where tickets.campaign = :campaign and tickets.cycle = :cycle
"""
_DISMISS = "update staff set is_active = false where staff_code = 't'"


@dataclass
class World:
    """One simulated province with its lake and database; `book` is what its staff did, for the simulator."""

    folder: Path
    db: sa.Connection
    lake: Lake
    config: Config
    subscribers: int
    seed: int

    @property
    def book(self) -> Path:
        return self.folder / "treated.csv"

    def live(self, until: str, start: str) -> None:
        """Simulate up to `until`, writing the months from `start` on."""
        months = 1 + (int(until[:4]) - int(FIRST[:4])) * 12 + int(until[5:]) - int(FIRST[5:])
        order = Order(missing=MISSING, treated=self.book if self.book.exists() else None, from_month=start)
        simulate(Province(self.subscribers, months, self.seed, until), self.folder / "out", order)

    def run(self, month: str, last: str, *, train: bool = False) -> list[dict[str, Any]]:
        """The loop for `month` on its own default as_of."""
        as_of = default_as_of(month)
        landing = self.folder / "out" / "landing"
        loop = Loop(self.db, self.lake, self.config, landing, month, as_of, as_of + timedelta(hours=2), train)
        return list(loop.run(None, last))

    def call(self, cycle: str, dice: np.random.Generator) -> int:
        """Reach everybody treated in `cycle` and note it for the simulator; how many."""
        key = {"campaign": CAMPAIGN, "cycle": cycle}
        first = default_as_of(cycle) + timedelta(days=1)
        with self.db.begin():
            self.db.execute(sa.text(_HIRE))
            treated = self.db.execute(sa.text(_TREATED), key).all()
            self.db.execute(sa.text(_REACHED), {**key, "first": first})
            self.db.execute(sa.text(_DISMISS))
        reasons = main_reasons(self.folder / "out", cycle)
        is_new = not self.book.exists()
        with self.book.open("a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            if is_new:
                writer.writerow(("subscriber_id", "month", "offer_reason", "contacted_on"))
            for ticket, subscriber in treated:
                day = (first + timedelta(days=ticket % 9)).date()
                own, other = reasons.get(subscriber, "none"), str(dice.choice(REASONS))
                offer = own if own in REASONS and dice.random() < TOLD_RIGHT else other
                writer.writerow((subscriber, cycle, offer, day.isoformat()))
        return len(treated)


def world(folder: Path, server: Server, name: str, subscribers: int, seed: int) -> World:
    """An empty world with its own database."""
    maker = sa.create_engine(database.driver_url(server.url("postgres")), isolation_level="AUTOCOMMIT")
    with maker.connect() as db:
        db.execute(sa.text(f"create database {name}"))
    maker.dispose()
    url = server.url(name)
    database.upgrade(url)
    config = load_config(Path(__file__).resolve().parent.parent / "include" / "config")
    place = folder / name
    (place / "out" / "landing").mkdir(parents=True)
    lake = open_lake(str(place / "lake"), place / "out" / "landing", config)
    return World(place, database.engine(url).connect(), lake, config, subscribers, seed)


def months(first: str, count: int) -> list[str]:
    return [shift(first, ahead) for ahead in range(count)]


def a_year(called: World, dice: np.random.Generator) -> Iterator[dict[str, Any]]:
    """The year of contact: each cycle scored, dispatched, called, and felt by the month after."""
    called.live(shift(FIRST, HISTORY - 1), FIRST)
    for number, cycle in enumerate(months(shift(FIRST, HISTORY), YEAR)):
        called.live(cycle, cycle)
        told = {each["stage"]: each for each in called.run(cycle, "dispatch", train=number == 0)}
        yield {
            "cycle": cycle,
            "graded": told["grading"]["grades"],
            "treated": called.call(cycle, dice),
            "held_out": told["dispatch"].get("held_out"),
        }


def fitted(world: World, learned: list[str], *, weighted: bool) -> tuple[models.Model, int]:
    """The model of the world's last cycles, with or without the weights; and how many rows it dropped."""
    as_of = default_as_of(shift(learned[-1], 1))
    found = [examples.labelled_month(world.db, world.lake, CAMPAIGN, month, 1, as_of) for month in learned]
    dropped = sum(each.weights.filter(pl.col("weight") == 0).height for each in found)
    if not weighted:
        found = [replace(each, weights=each.weights.head(0)) for each in found]
    plan = fitting.Plan(
        tuple(found),
        tuple(found[:-1]),
        tuple(found[-1:]),
        examples.common_factors(world.lake, learned),
        1.0,
        None,
    )
    made = fitting.fit(world.lake, plan)
    names = tuple(made.booster.feature_names)
    return models.Model("measured", names, made.booster, made.calibration, {}, 1), dropped if weighted else 0


def people(world: World, judges: list[str], *, held_out_in: str | None) -> pl.DataFrame:
    """Factors and labels of the judging months; of the hold-out of an epoch alone where one is named."""
    frames = []
    for month in judges:
        empty = pl.DataFrame(schema={"subscriber_id": pl.String, "weight": pl.Float64})
        labelled = LabelledMonth(month, examples.labels.leavers(world.lake, month, 1), empty)
        frame = labelled.people(world.lake).collect()
        if held_out_in:
            draw = world.config.campaign(CAMPAIGN).hold_out
            customer = frame.select(pl.coalesce("customer_id", "subscriber_id")).to_series()
            arm = [arm_of(each, CAMPAIGN, held_out_in, draw.salt, draw.share) for each in customer]
            called = pl.read_csv(world.book, columns=["subscriber_id"])["subscriber_id"]
            frame = frame.filter(pl.Series(arm) == HELD_OUT, ~pl.col("subscriber_id").is_in(called.implode()))
        frames.append(frame)
    return pl.concat(frames, how="diagonal_relaxed")


def judged(rows: pl.DataFrame, found: dict[str, models.Model]) -> Iterator[dict[str, Any]]:
    """Figures of each model on the same people, and how far each lies from the one without contact."""
    happened, weights = rows["has_churned"].cast(pl.Float64).to_numpy(), np.ones(rows.height)
    scores = {name: model.probabilities(models.matrix(rows, model.factors)) for name, model in found.items()}
    top = scores["without_contact"] >= np.quantile(scores["without_contact"], 0.98)
    for name, own in scores.items():
        figures = quality.figures(own, happened, weights)
        told = {"model": name} | {
            each: figures[each] for each in ("auc", "brier", "log_loss", "n", "churners")
        }
        told |= {"promised_to_top_2_percent": float(own[top].mean()), "seen": float(happened[top].mean())}
        other = scores["without_contact"]
        if name != "without_contact":
            told["auc_difference"] = bootstrap.auc_difference(own, other, happened, weights, 200)
            more = (own - happened) ** 2 - (other - happened) ** 2
            told["brier_difference"] = bootstrap.mean_difference(more, weights)
            lost = quality.losses(own, happened) - quality.losses(other, happened)
            told["log_loss_difference"] = bootstrap.mean_difference(lost, weights)
        yield told


def measure(folder: Path, subscribers: int, seed: int) -> Iterator[dict[str, Any]]:
    """Both worlds, the three models, and their figures."""
    server = Server(folder / "postgres", fsync=False)
    server.start()
    try:
        called = world(folder, server, "called", subscribers, seed)
        yield from a_year(called, np.random.default_rng(seed))
        last = shift(FIRST, HISTORY + YEAR + JUDGES)
        called.live(last, shift(FIRST, HISTORY + YEAR))
        alone = world(folder, server, "alone", subscribers, seed)
        alone.live(last, FIRST)
        judges = months(shift(FIRST, HISTORY + YEAR), JUDGES)
        learned = months(shift(FIRST, HISTORY + YEAR - 6), 6)
        for each in (called, alone):
            each.run(last, "collection")
            for month in [*learned, *judges]:
                training._build_factors(each.db, each.lake, each.config, [month])
        found = {}
        for name, where, weighted in (
            ("weighted", called, True), ("unweighted", called, False), ("without_contact", alone, False)
        ):  # fmt: skip
            found[name], dropped = fitted(where, learned, weighted=weighted)
            yield {
                "model": name,
                "learned_from": [learned[0], learned[-1]],
                "contacted_rows_dropped": dropped,
            }
        views = {
            "held out, never called": people(called, judges, held_out_in=epoch_of(learned[-1])),
            "twin, never called": people(alone, judges, held_out_in=None),
        }
        for view, rows in views.items():
            for told in judged(rows, found):
                yield {"people": view, **told}
        called.db.close()
        alone.db.close()
    finally:
        server.stop()


def main() -> int:
    """Measure in a temporary folder and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.a_year_of_contact")
    parser.add_argument("--subscribers", type=int, default=60_000)
    parser.add_argument("--seed", type=int, default=7)
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="churn-year-"))
    folder.chmod(0o755)  # the server has a user of its own
    try:
        for told in measure(folder, asked.subscribers, asked.seed):
            print(json.dumps(told, ensure_ascii=False), flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
