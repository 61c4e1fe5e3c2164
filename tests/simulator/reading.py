"""How the tests read what the simulator wrote."""

import hashlib
from pathlib import Path

import polars as pl


def feed(out: Path, name: str, period: str) -> pl.DataFrame:
    """One delivery as text, exactly as it lies there."""
    folder = out / "landing" / name / period
    parts = [pl.read_csv(path, infer_schema=False) for path in sorted(folder.glob("*.csv"))]
    return pl.concat(parts)


def days(out: Path, name: str, start: str) -> pl.DataFrame:
    """All day deliveries whose day begins with `start`."""
    folders = sorted((out / "landing" / name).glob(f"day={start}*"))
    return pl.concat([feed(out, name, folder.name) for folder in folders])


def prints(folder: Path) -> dict[str, str]:
    """Relative path → hash of the bytes, for every file below a folder."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
