"""What a year of contact does to training: two twin provinces, one of them called by staff for twelve cycles.

python -m tests.measures.a_year_of_contact [--subscribers 60000] [--seed 7]

Each cycle is scored, graded and dispatched by the loop; everybody treated is called within its label window. Of
the calmer half of them three quarters answer, of the half likelier to leave fewer than half; they are made the right
offer in 85 of 100 cases, and the simulator lets the next month feel it. Then three models learn from the
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
from include.commands import DEFAULT_CAMPAIGN as CAMPAIGN
from include.config import Config, load_config
from include.domain.dispatch.assignment import HELD_OUT, arm_of
from include.domain.errors import BadInput
from include.domain.periods.months import default_as_of, shift
from include.domain.periods.period import epoch_of
from include.lake import Lake
from include.local.postgres import Server
from include.loop import Loop
from include.models import bootstrap, fitting, quality, store, training_sets
from include.models.calibration import Floats
from include.settings import ROOT
from include.simulator.population.reasons import REASONS
from include.simulator.province import Province
from include.simulator.truth import main_reasons, read_truth
from include.simulator.walk import Order, simulate
from include.stages import training
from include.stages.collection import open_lake
from tests.stages.worked_cycle import LEAVING

FIRST, HISTORY, YEAR, JUDGES = "2025-01", 6, 12, 3
TOLD_RIGHT = 0.85
#: Who has made up his mind answers less often: of the calmer half of the treated, and of the other.
ANSWERS = (0.75, 0.45)
#: One month's few who left decide too little of the tail; chance would hide what the weights do.
CALIBRATING = 3
_GENEROUS = {
    "grading.yaml": {"high_times: 6": "high_times: 4", "priority_value_yuan: 30": "priority_value_yuan: 0"},
    "campaigns/monthly/churn_warning.yaml": {
        "minimum_cluster_churners: 500": "minimum_cluster_churners: 1000000"
    },
}
#: Day feeds are a thousand small deliveries and tell nothing about the weights.
MISSING = frozenset({"subscriber_changes", "contact_limits", "market_events"})

_HIRE = """
insert into staff (staff_code, name, role, team, contacts_per_day) values ('t', 't', 'agent', 'vip', 9)
on conflict do nothing
"""
_TREATED = (
    "select ticket_id, subscriber_id from tickets where campaign = :campaign and cycle = :cycle order by 2"
)
_CALLED = """
insert into contact_attempts (ticket_id, attempted_at, channel, result, staff_id)
select tickets.ticket_id, cast(:first as timestamptz) + make_interval(days => (tickets.ticket_id % 9)::integer),
    'call', case when tickets.subscriber_id = any(:reached) then 'reached' else 'no_answer' end,
    (select min(staff_id) from staff where staff_code = 't')
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

    def call(self, cycle: str, dice: np.random.Generator) -> dict[str, int]:
        """Call everybody treated in `cycle` and note for the simulator whom it reached; how many."""
        key = {"campaign": CAMPAIGN, "cycle": cycle}
        first = default_as_of(cycle) + timedelta(days=1)
        with self.db.begin():
            self.db.execute(sa.text(_HIRE))
            treated = self.db.execute(sa.text(_TREATED), key).all()
            reached = self.answering(cycle, [subscriber for _, subscriber in treated], dice)
            self.db.execute(sa.text(_CALLED), {**key, "first": first, "reached": sorted(reached)})
            self.db.execute(sa.text(_DISMISS))
        reasons = main_reasons(self.folder / "out", cycle)
        is_new = not self.book.exists()
        with self.book.open("a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            if is_new:
                writer.writerow(("subscriber_id", "month", "offer_reason", "contacted_on"))
            for ticket, subscriber in treated:
                if subscriber not in reached:
                    continue
                day = (first + timedelta(days=ticket % 9)).date()
                own, other = reasons.get(subscriber, "none"), str(dice.choice(REASONS))
                offer = own if own in REASONS and dice.random() < TOLD_RIGHT else other
                writer.writerow((subscriber, cycle, offer, day.isoformat()))
        return {"treated": len(treated), "reached": len(reached)}

    def answering(self, cycle: str, treated: list[str], dice: np.random.Generator) -> set[str]:
        """Who of the treated answers the telephone: fewer of those likelier to leave."""
        truth = read_truth(self.folder / "out", cycle).select("subscriber_id", "hazard_untreated")
        people = pl.DataFrame({"subscriber_id": treated}).join(truth, on="subscriber_id", how="left")
        risk = people["hazard_untreated"].fill_null(0).to_numpy()
        answers = dice.random(len(risk)) < np.where(risk > np.median(risk), ANSWERS[1], ANSWERS[0])
        return set(people["subscriber_id"].filter(pl.Series(answers)))


def generous(folder: Path) -> Config:
    """The configuration of an operator that calls from four times the base rate on, whatever the bill.

    No tenure cluster gets a model of its own: the weights are the same in all of them.
    """
    shutil.copytree(ROOT / "include" / "config", folder, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    for name, changes in _GENEROUS.items():
        text = (folder / name).read_text("utf-8")
        for old, new in changes.items():
            if old not in text:
                raise BadInput(f"{name} no longer says '{old}'. Change _GENEROUS.")
            text = text.replace(old, new)
        (folder / name).write_text(text, "utf-8")
    return load_config(folder)


def world(folder: Path, server: Server, name: str, subscribers: int, seed: int) -> World:
    """An empty world with its own database."""
    maker = sa.create_engine(database.driver_url(server.url("postgres")), isolation_level="AUTOCOMMIT")
    with maker.connect() as db:
        db.execute(sa.text(f"create database {name}"))
    maker.dispose()
    url = server.url(name)
    database.upgrade(url)
    place = folder / name
    config = generous(place / "config")
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
            **called.call(cycle, dice),
            "held_out": told["dispatch"].get("held_out"),
        }


def fitted(world: World, learned: list[str], *, weighted: bool) -> tuple[store.Model, int]:
    """The model of the world's last cycles, with or without the weights; and how many rows it dropped."""
    as_of = default_as_of(shift(learned[-1], 1))
    found = [
        training_sets.Labelling(world.db, world.lake, CAMPAIGN, LEAVING, as_of).of_month(month)
        for month in learned
    ]
    dropped = sum(each.weights.filter(pl.col("weight") == 0).height for each in found)
    if not weighted:
        found = [replace(each, weights=each.weights.head(0)) for each in found]
    plan = fitting.Plan(
        tuple(found),
        tuple(found[:-CALIBRATING]),
        tuple(found[-CALIBRATING:]),
        training_sets.common_factors(world.lake, learned),
        1.0,
        None,
    )
    made = fitting.fit(world.lake, plan)
    names = tuple(made.booster.feature_names)
    return store.Model("measured", names, made.booster, made.calibration, {}, 1), dropped if weighted else 0


def people(world: World, judges: list[str], *, held_out_in: str | None) -> pl.DataFrame:
    """Factors, labels and true chances of leaving of the judging months.

    Of the hold-out of an epoch alone where one is named.
    """
    frames = []
    for month in judges:
        as_went = training_sets.Labelling(None, world.lake, CAMPAIGN, LEAVING, default_as_of(month)).of_month(
            month
        )
        frame = as_went.people(world.lake).collect()
        if held_out_in:
            draw = world.config.measure(CAMPAIGN)
            customer = frame.select(pl.coalesce("customer_id", "subscriber_id")).to_series()
            arm = [arm_of(each, CAMPAIGN, held_out_in, draw.salt, draw.share) for each in customer]
            called = pl.read_csv(world.book, columns=["subscriber_id"])["subscriber_id"]
            frame = frame.filter(pl.Series(arm) == HELD_OUT, ~pl.col("subscriber_id").is_in(called.implode()))
        truth = read_truth(world.folder / "out", shift(month, 1)).drop_nulls("hazard_untreated")
        chance = pl.col("hazard_untreated").clip(1e-6, 1 - 1e-6).alias("chance")
        frames.append(frame.join(truth.select("subscriber_id", chance), on="subscriber_id"))
    return pl.concat(frames, how="diagonal_relaxed")


def judged(rows: pl.DataFrame, found: dict[str, store.Model]) -> Iterator[dict[str, Any]]:
    """Figures of each model on the same people, and how far each lies from the one without contact.

    Losses are expected ones, by the true chance of leaving: no luck of who left is in them. Nor is the season:
    one shift in log-odds, the same for all, makes the model without contact right on average.
    """
    chance, happened = (rows[name].cast(pl.Float64).to_numpy() for name in ("chance", "happened"))
    raw = {name: model.probabilities(store.matrix(rows, model.factors)) for name, model in found.items()}
    shift_by = season(raw["without_contact"], float(chance.mean()))
    scores = {name: shifted(own, shift_by) for name, own in raw.items()}
    lost = {name: expected_losses(own, chance) for name, own in scores.items()}
    mean = np.mean(list(scores.values()), axis=0)  # no model alone says who is at risk
    risky = {share: mean >= np.quantile(mean, 1 - share) for share in (0.1, 0.02, 0.005)}
    for name, own in scores.items():
        yield {
            "model": name,
            "people": rows.height,
            "auc": quality.auc(own, happened, np.ones(rows.height)),
            "promised_before_the_season": float(raw[name].mean()),
            "promised": float(own.mean()),
            "true": float(chance.mean()),
            **{
                f"riskiest_{share:.1%}": {
                    "promised": float(own[top].mean()),
                    "true": float(chance[top].mean()),
                }
                for share, top in risky.items()
            },
            **{each: compared(each, lost, name) for each in lost[name]},
        }


def season(promised: Floats, rate: float) -> float:
    """The shift in log-odds that brings the mean promise to `rate`."""
    low, high = -3.0, 3.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if shifted(promised, middle).mean() < rate else (low, middle)
    return (low + high) / 2


def shifted(promised: Floats, by: float) -> Floats:
    """The promises with their log-odds shifted."""
    odds = promised / (1 - promised) * np.exp(by)
    return np.asarray(odds / (1 + odds))


def expected_losses(promised: Floats, chance: Floats) -> dict[str, Floats]:
    """What each person's promise loses against the true chance, beyond what the truth itself would lose."""
    entropy = chance * np.log(chance) + (1 - chance) * np.log(1 - chance)
    log = entropy - chance * np.log(promised) - (1 - chance) * np.log(1 - promised)
    return {"excess_log_loss": log, "excess_brier": (promised - chance) ** 2}


def compared(kind: str, lost: dict[str, dict[str, Floats]], name: str) -> dict[str, Any]:
    """The mean loss, and 95 % of its difference to the model without contact (above 0: worse)."""
    values = lost[name][kind]
    told: dict[str, Any] = {"mean": float(values.mean())}
    if name != "without_contact":
        other = lost["without_contact"][kind]
        told["more_than_without_contact"] = bootstrap.mean_difference(values - other, np.ones(len(values)))
    return told


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
    parser = argparse.ArgumentParser(prog="python -m tests.measures.a_year_of_contact")
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
