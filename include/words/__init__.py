"""Every word of the screens in Chinese and English: one YAML file a language, with the same keys."""

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import TypedDict

import yaml

from include.domain.text.words import Words

LANGUAGES = ("zh", "en")
# the C reader, where it was built, takes a tenth of the time
_READER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Named(TypedDict):
    """A name in both languages, as the entries of the configuration take it."""

    zh: str
    en: str


@cache
def catalogue(language: str) -> Mapping[str, str]:
    """Key → words, from `<language>.yaml` beside this file; nested keys joined by dots."""
    return _read(f"{language}.yaml")


@cache
def refusals() -> Mapping[str, str]:
    """Code → the Chinese sentence of a refusal."""
    return _read("refusals.zh.yaml")


@cache
def phrases() -> Mapping[str, str]:
    """Code → the Chinese of a part of a refusal."""
    return _read("phrases.zh.yaml")


def _read(file: str) -> dict[str, str]:
    text = (Path(__file__).parent / file).read_text("utf-8")
    return dict(_flat("", yaml.load(text, Loader=_READER)))  # noqa: S506  # both readers are safe ones


def _flat(prefix: str, node: object) -> list[tuple[str, str]]:
    if isinstance(node, dict):
        return [pair for key, value in node.items() for pair in _flat(f"{prefix}{key}.", value)]
    return [(prefix[:-1], str(node))]


def words_in(language: str) -> Callable[..., str]:
    """`t("queue.title", n=3)`: the words of a key with values put in; KeyError for a key nobody wrote."""
    known = catalogue(language)
    return lambda key, /, **values: known[key].format(**values) if values else known[key]


def named_in(language: str) -> Callable[[str, object], str]:
    """`named("products", "mobile")`: the words for a value that comes from data; the value as it came without any."""
    known = catalogue(language)
    return lambda group, value: known.get(f"{group}.{value}", str(value))


def both(key: str, /, **values: object) -> Words:
    """The words of a key in both languages with values put in; KeyError for a key nobody wrote."""
    return Words(words_in("zh")(key, **values), words_in("en")(key, **values))


def named(key: str) -> Named:
    """The words of a key as an entry of the configuration takes them; KeyError for a key nobody wrote."""
    words = both(key)
    return {"zh": words.zh, "en": words.en}


def group(prefix: str) -> Mapping[str, Words]:
    """Name → words of every key right below `prefix`, in the order they are written."""
    names = [key.removeprefix(f"{prefix}.") for key in catalogue("zh") if key.startswith(f"{prefix}.")]
    return {name: both(f"{prefix}.{name}") for name in names if "." not in name}


@cache
def _beside() -> Mapping[str, str]:
    return _read("airflow.yaml")


def in_airflow(key: str, /, **values: object) -> str:
    """What Airflow's own pages show, both languages beside each other; KeyError for a key nobody wrote."""
    return _beside()[key].format(**values) if values else _beside()[key]
