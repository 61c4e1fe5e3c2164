"""Every refusal the desk can show: in both languages, of the same values, each told in the reader's words."""

import ast
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from string import Formatter

import pytest

from include.config import Config
from include.desk.web.refusals import AS_IT_IS, BY_CATALOGUE, BY_CONFIGURATION, IN_BOTH, as_values, tell
from include.domain.contact import ladder, outcome
from include.domain.errors import BadInput, Refused
from include.domain.periods.months import ZONE
from include.domain.text.words import Words
from include.domain.ticket import ACTIONS, STATES, next_state, refuse_frozen
from include.domain.ticket import phrases as phrases_of_tickets
from include.settings import ROOT
from include.words import catalogue, phrases, refusals
from include.words.ladder import step_in_words
from include.words.outcomes import OUTCOMES

ERRORS = {"LoopError", "BadInput", "Refused", "TooMany", "NotReady", "ConfigError", "Denied"}
#: Raised where only a command, a stage or the start of the desk can come: their sentences stay English.
NEVER_SHOWN = {
    "reassignment.py": {"hand_over", "_leaver", "_conserved"},  # the command of the staff
    "sla.py": {"moved_deadline", "_check_aware"},  # a change of the calendar; instants of programmers
    "__init__.py": {"read", "_read", "_checked", "_contact"},  # reading a configuration folder
}


def files() -> list[Path]:
    """The desk, and the rules of the domain its actions go through."""
    domain = [
        ROOT / "include/domain" / f"{name}.py"
        for name in (
            "ticket",
            "contact/outcome",
            "sla",
            "contact/ladder",
            "text/canonical",
            "contact/stop",
        )
    ]
    others = [ROOT / "include/config/__init__.py", ROOT / "include/clocks/stops.py"]
    return [*sorted((ROOT / "include/desk").rglob("*.py")), *domain, *others]


def raised() -> Iterator[tuple[str, ast.Call]]:
    """Each place that makes an error of the loop, with the functions it stands in."""
    for path in files():
        skipped = NEVER_SHOWN.get(path.name, set())
        tree = ast.parse(path.read_text("utf-8"))
        hidden = {
            id(inner)
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef) and node.name in skipped
            for inner in ast.walk(node)
        }
        for node in ast.walk(tree):
            is_made = (
                isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ERRORS
            )
            if is_made and id(node) not in hidden:
                yield f"{path.relative_to(ROOT)}:{node.lineno}", node


def fields(template: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(template) if name}


def coded() -> dict[str, tuple[str, str, set[str]]]:
    """Code → where it is raised, the English sentence, and the names of the values given."""
    found = {}
    for where, call in raised():
        given = {each.arg: each.value for each in call.keywords}
        code = given.pop("code", None)
        assert isinstance(code, ast.Constant), f"{where} has no code"
        assert isinstance(call.args[0], ast.Constant), f"{where}: the sentence is no constant"
        assert code.value not in found, f"{where}: '{code.value}' is the code of {found[code.value][0]}"
        found[code.value] = (where, call.args[0].value, set(given))
    return found


def test_every_refusal_has_a_chinese_sentence_and_none_is_left_over():
    assert set(coded()) == set(refusals())


def test_every_part_of_a_refusal_is_there_in_chinese_and_none_is_left_over():
    said = {each.code for each in (*phrases_of_tickets(), *outcome.phrases())}
    assert said == set(phrases())


def test_both_sentences_name_exactly_the_values_given():
    for code, (where, english, given) in coded().items():
        assert fields(english) == fields(refusals()[code]) == given, (code, where)


def test_every_value_is_told_in_one_known_way():
    ways = (AS_IT_IS, IN_BOTH, set(BY_CATALOGUE), set(BY_CONFIGURATION))
    told = {name for _, _, given in coded().values() for name in given}
    assert {name for name in told if sum(name in way for way in ways) != 1} == set()
    assert set().union(*ways) - told == set()  # and no way is kept for a value nobody names


def test_a_chinese_sentence_holds_no_english_but_names_and_samples():
    allowed = {"Airflow", "version", "If", "Match", "T15"}
    for code, sentence in refusals().items():
        left = re.sub(r"\{[a-z_]+\}", "", sentence)
        assert set(re.findall(r"[A-Za-z][A-Za-z0-9]*", left)) <= allowed, code
        assert re.search(r"[\u4e00-\u9fff]", left), code


def test_the_words_behind_the_values_are_there_in_both_languages(config: Config):
    known = {
        "states": STATES, "actions": [*ACTIONS, "dispatch"], "actors": ("loop",),
        "roles": {role for each in ACTIONS.values() for role in each.by},
        "outcomes": OUTCOMES, "channels": ("call", "sms", "app", "visit"),
        "results": ("reached", "no_answer", "refused", "call_back"), "processed": ("done", "failed"),
    }  # fmt: skip
    for language in ("zh", "en"):
        words = catalogue(language)
        lacking = [
            f"{group}.{name}"
            for group, names in known.items()
            for name in names
            if f"{group}.{name}" not in words
        ]
        assert lacking == []
    assert catalogue("zh").keys() == catalogue("en").keys()
    for told in BY_CONFIGURATION.values():
        for each in told(config).values():
            assert each.zh, each
            assert each.en, each


def test_the_fields_of_every_form_have_a_name():
    named = set()
    for template in (ROOT / "include/desk/templates").glob("*.html"):
        text = template.read_text("utf-8")
        named |= set(re.findall(r'<(?:input|textarea|select)[^>]*\bname="([a-z_]+)"', text))
        named |= set(re.findall(r'\b(?:text_area|tick)\("([a-z_]+)"', text))  # macros of parts.html
    filters = {
        "view",
        "grade",
        "region",
        "tier",
        "segment",
        "campaign",
        "cycle",
        "is_refusal",
        "view_id",
        "ticket",
    }
    assert named - filters - {"has_changed_customer"} <= {
        key.removeprefix("fields.") for key in catalogue("zh") if key.startswith("fields.")
    }


def test_a_refusal_by_state_is_told_in_the_words_of_the_reader(config: Config):
    with pytest.raises(Refused) as told:
        next_state("assigned", "close", "agent")
    assert str(told.value) == (
        "A ticket in state 'assigned' cannot be closed; it must be in_progress or paused. Record a contact first."
    )
    assert tell(told.value, "en", config) == (
        "A ticket in state 'Assigned' cannot be closed; it must be In progress or Paused. Record a contact first."
    )
    assert (
        tell(told.value, "zh", config)
        == "状态为“已下发”的工单不能关闭，须为处理中或已暂停。请先登记一次联系。"
    )
    assert as_values(told.value) == {
        "state": "assigned", "done": "closed", "states": ["in_progress", "paused"], "advice": "Record a contact first.",
    }  # fmt: skip


def test_a_frozen_ticket_and_the_ladders_next_step_are_told_in_chinese(config: Config):
    with pytest.raises(Refused) as told:
        refuse_frozen("plan", "port_out_applied")
    assert "不能登记挽留方案：用户已申请携号转网" in tell(told.value, "zh", config)
    tried = ladder.Attempt(datetime(2026, 11, 6, 9, tzinfo=ZONE), "sms", "no_answer")
    step = ladder.next_step([tried], None, ladder.Rules())  # type: ignore[arg-type]  # no call: no day is judged
    with pytest.raises(Refused) as told:
        outcome.check_close("unreachable", catalogue=OUTCOMES, next_step=step_in_words(step))
    assert tell(told.value, "zh", config) == "以“无法接通”关闭须走完联系流程。下一步：第 1 次呼叫，共 3 次。"


def test_lists_are_told_as_lists_and_what_nobody_worded_as_it_is(config: Config):
    with pytest.raises(BadInput) as told:
        outcome.check_needs(["price", "tea"])
    assert tell(told.value, "zh", config).startswith("需求调查须选择以下一项或多项：资费、套餐不匹配")
    assert tell(told.value, "zh", config).endswith("收到：tea。")
    with pytest.raises(BadInput) as told:
        outcome.check_needs([])
    assert str(told.value).endswith("got none.")
    inner = Refused("Choose another offer.", code="choose_another")
    refused = Refused(
        "Offer '{offer}' of strategy '{strategy}' cannot be recorded: {against}. {advice}",
        code="offer_unfit", offer="gone", strategy="plan_discount",
        against=[Words("甲", "one"), Words("乙", "two")], advice=inner,
    )  # fmt: skip
    assert (
        str(refused)
        == "Offer 'gone' of strategy 'plan_discount' cannot be recorded: one; two. Choose another offer."
    )
    assert tell(refused, "zh", config) == "策略“资费优惠”的优惠“gone”不能登记：甲；乙。请选择其他优惠。"


def test_what_was_raised_without_a_code_is_told_as_it_is(config: Config):
    assert tell(BadInput("A value {like} that."), "zh", config) == "A value {like} that."
