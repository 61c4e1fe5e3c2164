"""YAML whose values are text as typed, and what is wrong with a file told with its line."""

from datetime import date

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from include.config import config_from
from include.config.readers import rules
from include.config.readers.plain import read_yaml
from include.config.readers.reading import Code, Day, Entry, Flag, validated
from include.domain.errors import ConfigError

#: Everything YAML 1.1 makes a number, a date, a truth or nothing of, but for `null`, `~` and the empty text.
TURNED = st.one_of(
    st.from_regex(r"0[0-7]{1,6}", fullmatch=True),
    st.from_regex(r"[1-9][0-9_]{0,8}", fullmatch=True),
    st.from_regex(r"[-+]?0[xb][01]{1,8}", fullmatch=True),
    st.from_regex(r"[1-9][0-9]?(:[0-5][0-9]){1,2}(\.[0-9]{1,3})?", fullmatch=True),
    st.from_regex(r"[0-9]{1,6}\.[0-9]{0,4}(e[-+][0-9]{1,2})?", fullmatch=True),
    st.from_regex(r"20[0-9]{2}-[01][0-9]-[0-3][0-9]( [0-9]{2}:[0-9]{2}:[0-9]{2})?", fullmatch=True),
    st.sampled_from(
        [
            "yes",
            "Yes",
            "NO",
            "no",
            "on",
            "Off",
            "OFF",
            "true",
            "True",
            "FALSE",
            ".inf",
            "-.INF",
            ".nan",
            ".NaN",
            "Null",
            "NULL",
            "=",
            "y",
            "n",
        ]
    ),
)


@given(TURNED)
@example("0012")
@example("0451")
@example("1:20")
@example("12_345")
@example("no")
@example("010")
@example("2026-13-01")
def test_a_code_is_the_text_typed_as_value_key_and_item_quoted_or_not(code):
    for written in (code, f"'{code}'", f'"{code}"', f"!!str {code}"):
        assert read_yaml(f"a: {written}\n", "x.yaml") == {"a": code}
        assert read_yaml(f"[{written}, b]", "x.yaml") == [code, "b"]
        assert read_yaml(f"{{{written}: b}}", "x.yaml") == {code: "b"}


@pytest.mark.parametrize("written", ["", "~", "null"])
def test_only_these_are_nothing_and_only_without_quotes(written):
    assert read_yaml(f"a: {written}\n", "x.yaml") == {"a": None}
    assert read_yaml(f"a: '{written}'\n", "x.yaml") == {"a": written}
    assert read_yaml(f"'{written}': a\n", "x.yaml") == {written: "a"}


@given(
    st.recursive(
        st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
        max_leaves=8,
    )
)
def test_what_a_writer_of_yaml_quotes_comes_back_as_it_was(content):
    assert read_yaml(yaml.safe_dump({"a": content}), "x.yaml") == {"a": content}


def test_anchors_are_read_and_merged_entries_give_way_to_own_ones():
    text = """
low: &low {days: 1, team: 007}
far: {deep: {own: &own {<<: *low, days: 2}}}
both: {<<: [*own, *low], team: x}
again: *low
"""
    found = read_yaml(text, "x.yaml")
    assert found == {
        "low": {"days": "1", "team": "007"},
        "far": {"deep": {"own": {"days": "2", "team": "007"}}},
        "both": {"days": "2", "team": "x"},
        "again": {"days": "1", "team": "007"},
    }


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: 1\nb: 2\na: 3\n", r"^x\.yaml, line 3: the key 'a' stands twice\. Keep one of them\.$"),
        ("a:\n  - {b: 1, 'b': 2}\n", r"line 2: the key 'b' stands twice"),
        ("a: {<<: {b: 1}, <<: {c: 1}}\n", r"line 1: the key '<<' stands twice"),
        ("a: {<<: b}\n", r"line 1: '<<' takes in mappings alone"),
        ("a: !!int 0012\n", r"line 1: the tag int is not known"),
        ("a: !!python/object:os.system 1\n", r"line 1: the tag .* is not known"),
        ("? [a]\n: 1\n", r"line 1: a key must be one word"),
        ("a: &a [*a]\n", r"line 1: the entry contains itself"),
        ("a: [1, 2\n", r"x\.yaml is not valid YAML: .*line 2"),
        ("a: 1\n---\na: 2\n", r"x\.yaml is not valid YAML: expected a single document"),
        ("a: \x07\n", r"x\.yaml is not valid YAML: unacceptable character"),
        ("a: " + "[" * 3000 + "]" * 3000, r"x\.yaml is nested too deeply"),
    ],
)
def test_what_cannot_be_read_is_told_in_a_sentence_with_its_place(text, told):
    with pytest.raises(ConfigError, match=told):
        read_yaml(text, "x.yaml")


class Shop(Entry):
    code: Code
    is_open: Flag = True
    since: Day | None = None
    contacts: int = 0
    share: float = 0


def test_each_entry_reads_what_it_wants_of_the_text():
    text = '{code: ＝"0012", is_open: no, since: 2026-11-9, contacts: 010, share: 1e-1}'
    shop = validated(Shop, read_yaml(text, "x.yaml"), "x.yaml")
    assert shop == Shop(code="0012", is_open=False, since=date(2026, 11, 9), contacts=10, share=0.1)


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("is_open: maybe", r"x\.yaml, entry 'is_open': .*'maybe' is neither true nor false.*yes or no, on or off"),
        ("since: 2026-13-01", r"x\.yaml, entry 'since': .*'2026-13-01' is no day\. Write it like 2026-11-09"),
        ("since: 9/11/2026", r"does not tell the day from the month"),
        ("contacts: 1:20", r"entry 'contacts': .*valid integer.*\(given: '1:20'\)"),
        ("contacts: 0x10", r"entry 'contacts': .*valid integer"),
        ("share: .inf", r"entry 'share': .*valid number"),
        ("code: 1.38E+10", r"entry 'code': .*scientific notation"),
        ("code:", r"entry 'code': Input should be a valid string"),
    ],
)  # fmt: skip
def test_a_value_that_does_not_fit_is_told_with_file_entry_and_value(entry, told):
    text = entry if entry.startswith("code") else f"code: A1\n{entry}"
    with pytest.raises(ConfigError, match=told) as caught:
        validated(Shop, read_yaml(text, "x.yaml"), "x.yaml")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("raw", [None, ["a"], "a"])
def test_a_file_that_is_no_mapping_is_told(raw):
    with pytest.raises(ConfigError, match=r"x\.yaml must be a mapping of names to values, but is"):
        validated(Shop, raw, "x.yaml")


def test_a_day_that_does_not_exist_in_a_rule_names_file_rule_and_value(config):
    text = config.texts["rules.yaml"].replace("2010-01-01", "2026-13-01", 1)
    with pytest.raises(ConfigError, match=r"rules\.yaml, rule 'arpu_falling': valid_from: .*'2026-13-01'"):
        rules.parse(read_yaml(text, "rules.yaml"), "rules.yaml")


def test_closing_time_and_branches_need_no_quotes(config):
    text = config.texts["sla.yaml"].replace('"18:00"', "18:00").replace("{}", "{0451: [cn]}", 1)
    assert text.count("18:00") == config.texts["sla.yaml"].count("18:00")
    known = config_from(config.texts | {"sla.yaml": text}).sla
    assert (known.closes, known.branch_layers) == (config.sla.closes, {"0451": ("cn",)})
