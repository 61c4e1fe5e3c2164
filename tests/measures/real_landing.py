"""The loop and its model on a real operator's landing folder, beside scikit-learn; nothing is dispatched.

python -m tests.measures.real_landing --landing DIR --month YYYY-MM --as-of ISO

Every number in usage_months that the contract does not name becomes a metric by configuration alone. An
embedded PostgreSQL and a lake are made in a temporary folder. Prints the JSON of training, grading and the
comparison, one object a line.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from include.settings import ROOT


def with_extra_metrics(folder: Path, header: list[str]) -> list[str]:
    """Declare the columns of `header` that are unknown in the configuration `folder`; their names."""
    sources, factors = (
        yaml.safe_load((folder / name).read_text("utf-8")) for name in ("sources.yaml", "factors.yaml")
    )
    columns = sources["feeds"]["usage_months"]["columns"]
    extra = [name for name in header if name not in columns]
    columns |= {name: {"type": "number"} for name in extra}
    factors["metrics"] = [
        {"name": name, "zh": name, "en": name, "class": "risk", "group": "usage", "unit": "units"}
        for name in extra
    ]
    for name, content in (("sources.yaml", sources), ("factors.yaml", factors)):
        (folder / name).write_text(yaml.safe_dump(content, allow_unicode=True, sort_keys=False), "utf-8")
    return extra


def measure(landing: Path, month: str, as_of: str, folder: Path) -> Iterator[dict[str, Any]]:
    """Every stage's JSON, then the comparison's."""
    from include.local.postgres import Server

    config = folder / "config"
    shutil.copytree(ROOT / "include" / "config", config, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    delivery = next((landing / "usage_months" / f"month={month}").glob("*.csv"))
    with delivery.open(encoding="utf-8-sig") as file:
        with_extra_metrics(config, file.readline().strip().split(","))
    server = Server(folder / "postgres", fsync=False)
    server.start()
    try:
        where = ["--landing", str(landing), "--lake", str(folder / "lake"), "--db", server.url("postgres")]
        told = run(config, "include.loop", *where, "--month", month, "--as-of", as_of, "--train")
        yield from (json.loads(line) for line in told.splitlines())
    finally:
        server.stop()
    words = ("compare", "--lake", str(folder / "lake"), "--month", month)
    yield json.loads(run(config, "include.stages.training", *words))


def run(config: Path, module: str, *words: str) -> str:
    """What a command of the project prints."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CHURN_CONFIG": str(config)}
    command = [sys.executable, "-m", module, *words]
    return subprocess.run(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True
    ).stdout


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--landing", type=Path, required=True)
    parser.add_argument("--month", required=True)
    parser.add_argument("--as-of", required=True)
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="churn-real-"))
    folder.chmod(0o755)  # the server has a user of its own
    try:
        for told in measure(asked.landing, asked.month, asked.as_of, folder):
            print(json.dumps(told, ensure_ascii=False), flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
