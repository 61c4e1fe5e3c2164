"""Chinese on the screens stands in include/words and what analysts edit; in Python it stands where it must alone."""

import re

import pytest

from include.words import catalogue, in_airflow, named_in, words_in
from tests.architecture import ROOT, project_files

CHINESE = re.compile(r"[\u4e00-\u9fff]")
#: Chinese that is no word of a screen.
NO_SCREEN = {
    "include/config/readers/dialects.py": "units and halves of the day as operators write them",
    "include/stages/collection/": "halves of the day and rows of totals as operators write them",
    "include/stages/training/table.py": "yes, as a table of somebody else's writes it",
    "include/domain/text/typed.py": "yes, no and dates as people type them",
    "include/domain/workdays.py": "names of holidays, stored with the calendar",
    "include/commands/calendar.py": "how such a name is typed",
    "include/simulator/": "what simulated customers say, staff write down and places are called",
}


def in_chinese() -> set[str]:
    return {path for path in project_files() if CHINESE.search((ROOT / path).read_text("utf-8"))}


def test_no_other_python_file_holds_chinese():
    assert {path for path in in_chinese() if not path.startswith(tuple(NO_SCREEN))} == set()


@pytest.mark.parametrize("place", NO_SCREEN)
def test_no_exception_is_kept_for_nothing(place):
    assert any(path.startswith(place) for path in in_chinese())


def test_both_languages_have_the_same_keys_and_put_in_the_same_values():
    field = re.compile(r"{(\w+)")
    zh, en = catalogue("zh"), catalogue("en")
    assert zh.keys() == en.keys()
    assert [key for key in zh if set(field.findall(zh[key])) != set(field.findall(en[key]))] == []


def test_a_key_nobody_wrote_is_no_empty_word():
    for look_up in (words_in("zh"), words_in("en"), in_airflow):
        with pytest.raises(KeyError):
            look_up("nobody.wrote.this")
    assert named_in("zh")("states", "unheard_of") == "unheard_of"
