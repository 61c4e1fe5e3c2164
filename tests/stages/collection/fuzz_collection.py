"""Thousands of mutated files through collection: no traceback, and read = accepted + quarantined, always.

python -m tests.stages.collection.fuzz_collection --files 2000 --seed 1
"""

import argparse
import gzip
import io
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import polars as pl
import yaml

from include import settings
from include.config.readers.sources import Sources, parse
from include.domain.errors import LoopError
from tests.fixtures.deliveries import DIALECTS, as_csv, province
from tests.stages.collection.test_collection import take
from tests.stages.collection.validator.test_dialects import spoken

TOKENS = (
    b"", b"\xef\xbb\xbf", b"\r\n", b"\n", b"\r", b"\n\n\n", b"\0", b'"', b'""', b'"a\nb"', b",", b"|",
    b"\xff\xfe", b"\x81", b"\x1f\x8b", b"=cmd|'/c calc'!A1", b"nan", b"1e999", b"-1", b"3.0000", b"9" * 400,
    b"2026-13-45", b"S001", b"true", b"\xe2\x80\xa8", b"PAR1", b",,,,,,,,,,", b"x" * 5000,
)  # fmt: skip

Mutation = Callable[[bytes, random.Random], bytes]


def flip(content: bytes, draw: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(draw.randint(1, 8)):
        changed[draw.randrange(len(changed))] = draw.randrange(256)
    return bytes(changed)


def insert(content: bytes, draw: random.Random) -> bytes:
    at = draw.randrange(len(content) + 1)
    return content[:at] + draw.choice(TOKENS) + content[at:]


def cut(content: bytes, draw: random.Random) -> bytes:
    return content[: draw.randrange(len(content))]


def remove(content: bytes, draw: random.Random) -> bytes:
    at = draw.randrange(len(content))
    return content[:at] + content[at + draw.randint(1, 40) :]


def shuffle_lines(content: bytes, draw: random.Random) -> bytes:
    lines = content.split(b"\n")
    draw.shuffle(lines)
    return b"\n".join(lines)


def repeat_lines(content: bytes, draw: random.Random) -> bytes:
    lines = content.split(b"\n")
    return b"\n".join([*lines, *draw.choices(lines, k=draw.randint(1, 9))])


def replace_cell(content: bytes, draw: random.Random) -> bytes:
    lines = content.split(b"\n")
    at = draw.randrange(len(lines))
    cells = lines[at].split(b",")
    cells[draw.randrange(len(cells))] = draw.choice(TOKENS)
    lines[at] = b",".join(cells)
    return b"\n".join(lines)


MUTATIONS: tuple[Mutation, ...] = (flip, insert, cut, remove, shuffle_lines, repeat_lines, replace_cell)


def seeds() -> list[tuple[str, str, bytes, bool]]:
    """Feed, file name, sound content and whether it is in the feed's dialect."""
    found = []
    for feed, rows in province().items():
        plain, parquet = as_csv(rows), io.BytesIO()
        pl.DataFrame(rows).write_parquet(parquet)
        found += [(feed, "a.csv", plain, False)] * 4
        found += [
            (feed, "a.csv.gz", gzip.compress(plain), False),
            (feed, "a.parquet", parquet.getvalue(), False),
        ]
        encoded = as_csv(rows, separator="|").decode().encode(DIALECTS[feed]["encoding"])
        found += [(feed, "a.csv", encoded, True)] * 2
    return found


def mutated(content: bytes, name: str, draw: random.Random) -> bytes:
    """The content changed one to three times, its header mostly spared; of gz mostly what is inside."""
    if name.endswith(".gz") and draw.random() < 0.7:
        return gzip.compress(mutated(gzip.decompress(content), "a.csv", draw))
    spared = content.find(b"\n") + 1 if name == "a.csv" and draw.random() < 0.8 else 0
    header, rest = content[:spared], content[spared:]
    for _ in range(draw.randint(1, 3)):
        rest = draw.choice(MUTATIONS)(rest or b"\n", draw)
    return header + rest


def fuzz(files: int, seed: int, sources: Sources, folder: Path) -> Counter[str]:
    """Read that many mutated files; how many were accepted, partly or refused, and how many rows.

    Whatever is not a LoopError, and any row that is neither accepted nor quarantined, ends it.
    """
    draw, known, counted = random.Random(seed), seeds(), Counter[str]()
    dialects = spoken(sources, DIALECTS)
    for _ in range(files):
        feed, name, content, is_spoken = draw.choice(known)
        content = mutated(content, name, draw)
        try:
            found = take(folder, dialects if is_spoken else sources, feed, content, name=name)
        except LoopError:
            counted["refused"] += 1
            continue
        counted["with quarantine" if found.staged.rows_quarantined else "whole"] += 1
        counted["rows read"] += found.staged.rows_read
        counted["rows quarantined"] += found.staged.rows_quarantined
    return counted


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    told = parser.parse_args()
    declared = (settings.config_folder() / "sources.yaml").read_text("utf-8")
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        counted = fuzz(
            told.files, told.seed, parse(yaml.safe_load(declared), "sources.yaml"), Path(folder) / "any"
        )
    seconds = time.monotonic() - started
    print(f"{told.files:,} files, seed {told.seed}, {seconds:.0f} s: no traceback, rows conserved")
    print(", ".join(f"{count:,} {what}" for what, count in counted.most_common()))


if __name__ == "__main__":
    main()
