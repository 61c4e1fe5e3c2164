"""The glossary's words are those of the screens, and nothing is called by a second word."""

import re
from dataclasses import dataclass

import pytest

from include.words import catalogue, phrases, refusals
from tests.architecture import ROOT

_CHINESE = re.compile(r"[\u4e00-\u9fff]")


@dataclass(frozen=True)
class Term:
    """One row: the two words, and what the thing is not called."""

    en: str
    zh: str
    discouraged: tuple[str, ...]


def terms() -> list[Term]:
    """The rows of docs/glossary.md."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in (ROOT / "docs/glossary.md").read_text("utf-8").splitlines()
        if line.startswith("|")
    ]
    return [Term(en, zh, tuple(filter(None, no.split(", ")))) for en, zh, _, _, no in rows[2:]]


def shown() -> dict[str, str]:
    """What people read, by where it stands."""
    files = [
        *(ROOT / "include/words").glob("*.yaml"),
        *(ROOT / "include/desk/templates").glob("*.html"),
        ROOT / "README.zh-CN.md",
    ]
    return {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in files}


TERMS = terms()
DISCOURAGED = [(term, word) for term in TERMS for word in term.discouraged]


@pytest.mark.parametrize("term", TERMS, ids=lambda term: term.en)
def test_a_term_stands_on_the_screens_in_both_languages(term):
    chinese = [*catalogue("zh").values(), *refusals().values(), *phrases().values()]
    assert any(term.zh in text for text in chinese)
    assert any(term.en in text.lower() for text in catalogue("en").values())


@pytest.mark.parametrize(("term", "word"), DISCOURAGED, ids=lambda given: getattr(given, "en", given))
def test_nothing_is_called_by_a_second_word(term, word):
    found = {place for place, text in shown().items() if word in text.lower()}
    assert found == set(), f"say {term.zh if _CHINESE.search(word) else term.en}, not {word}"


def test_no_word_stands_for_two_things():
    chinese = [term.zh for term in TERMS]
    assert sorted(set(chinese)) == sorted(chinese)
    assert not {word for _, word in DISCOURAGED} & set(chinese)
