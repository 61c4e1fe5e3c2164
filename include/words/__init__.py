"""Every word of the screens in Chinese and English: one YAML file a language, with the same keys."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import yaml

LANGUAGES = ("zh", "en")


@cache
def catalogue(language: str) -> dict[str, str]:
    """Key → words, from `<language>.yaml` beside this file; nested keys joined by dots."""
    text = (Path(__file__).parent / f"{language}.yaml").read_text("utf-8")
    return dict(_flat("", yaml.safe_load(text)))


def _flat(prefix: str, node: object) -> list[tuple[str, str]]:
    if isinstance(node, dict):
        return [pair for key, value in node.items() for pair in _flat(f"{prefix}{key}.", value)]
    return [(prefix[:-1], str(node))]


@cache
def refusals() -> dict[str, str]:
    """Code → the Chinese sentence of a refusal."""
    return dict(_flat("", yaml.safe_load((Path(__file__).parent / "refusals.zh.yaml").read_text("utf-8"))))


def words_in(language: str) -> Callable[..., str]:
    """`t("queue.title", n=3)`: the words of a key with values put in; KeyError for a key nobody wrote."""
    known = catalogue(language)
    return lambda key, /, **values: known[key].format(**values) if values else known[key]


def named_in(language: str) -> Callable[[str, object], str]:
    """`named("products", "mobile")`: the words for a value that comes from data; the value as it came without any."""
    known = catalogue(language)
    return lambda group, value: known.get(f"{group}.{value}", str(value))
