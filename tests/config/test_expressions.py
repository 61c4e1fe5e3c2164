"""The grammar: what expressions mean, and that nothing else gets through."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.config.expressions import compile_row, parse
from include.config.expressions.grammar import EVENT, LONGEST_TEXT, MONTHLY, ROW
from include.config.expressions.windows import AGE, DAYS, FACTOR_FUNCTIONS, FactorCompiler
from include.domain.errors import ConfigError

ROWS = pl.DataFrame(
    {
        "a": [1.0, 2.0, None, 0.0],
        "b": [0.0, 4.0, 5.0, 0.0],
        "kind": ["complaint", "fault", None, "agent"],
        "text": ["想转网", "谢谢", None, "Port Out please"],
    }
)


def value(text, rows=ROWS):
    return rows.select(compile_row(parse(text)).alias("value"))["value"].to_list()


def months(text, **metrics):
    """A factor's value where `metrics` give each metric from M backwards; what is not given is absent."""
    compiled = FactorCompiler().compile(parse(text, FACTOR_FUNCTIONS))
    padded = {name: (*given, *[None] * (6 - len(given))) for name, given in metrics.items()}
    row = {f"{name}@{back}": [value] for name, given in padded.items() for back, value in enumerate(given)}
    return pl.DataFrame(row, schema=dict.fromkeys(row, pl.Float64)).select(compiled).item()


def events(text, rows, words=()):
    """A factor's value over events (dicts with kind, age, days and more)."""
    compiler = FactorCompiler({"port_out": tuple(words)})
    compiled = compiler.compile(parse(text, FACTOR_FUNCTIONS))
    frame = pl.DataFrame(rows).rename({"age": AGE, "days": DAYS})
    return frame.select(compiler.aggregates["service_events"]).select(compiled).item()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a + b * 2", [1, 10, None, 0]),
        ("-a - 1", [-2, -3, None, -1]),
        ("a / b", [None, 0.5, None, None]),
        ("a > 1", [False, True, None, False]),
        ("1 <= a < 2", [True, False, None, False]),
        ("a > 1 or b > 4", [False, True, True, False]),
        ("a > 1 and b > 4", [False, False, None, False]),
        ("a > 1 and b > 9", [False, False, False, False]),
        ("not a > 1", [True, False, None, True]),
        ("kind in ('complaint', 'fault')", [True, True, None, False]),
        ("kind not in ['complaint']", [False, True, None, True]),
        ("kind == 'agent'", [False, False, None, True]),
        ("min(a, b, 3)", [0, 2, 3, 0]),
        ("max(a, b)", [1, 4, 5, 0]),
        ("abs(a - b)", [1, 2, None, 0]),
        ("coalesce(a, b)", [1, 2, 5, 0]),
        ("missing(a)", [False, False, True, False]),
        ("when(missing(a), 7, a)", [1, 2, 7, 0]),
        ("when(condition=a > 1, then=1, otherwise=0)", [0, 1, 0, 0]),
    ],
)
def test_a_row_expression_means(text, expected):
    assert value(text) == expected


def test_a_name_may_stand_for_a_configured_constant():
    expression = compile_row(parse("a >= benchmark"), {"benchmark": pl.lit(2.0)})
    assert ROWS.select(expression)["a"].to_list() == [False, True, None, False]


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "(lambda: 1)()",
        "a.real",
        "a[0]",
        "[x for x in a]",
        "{'a': 1}",
        "f'{a}'",
        "a if b else 0",
        "(a := 1)",
        "a ** 9",
        "a % 2",
        "a // 2",
        "a | b",
        "~a",
        "+a",
        "a is b",
        "a in b",
        "kind in ()",
        "a < b in (1, 2)",
        "kind in ('a', b)",
        "None",
        "1e999",
        "10000000000000000000000",
        "b'bytes'",
        "1j",
        "...",
        "a; b",
        "a = 1",
        "a b",
        "",
        "open('x')",
        "abs(*a)",
        "abs(**a)",
        "abs()",
        "abs(a, b)",
        "abs(a, y=b)",
        "await a",
        "a\x00",
    ],
)
def test_what_the_grammar_lacks_is_refused(text):
    with pytest.raises(ConfigError):
        parse(text)


def test_a_text_too_long_or_too_deep_is_refused():
    with pytest.raises(ConfigError, match="at most 1000"):
        parse("a" * (LONGEST_TEXT + 1))
    with pytest.raises(ConfigError):
        parse("(" * 499 + "a" + ")" * 499)
    with pytest.raises(ConfigError, match="nested deeper"):
        parse("-" * 900 + "a")
    with pytest.raises(ConfigError, match="nested deeper"):
        parse("a" + "()" * 400)


@given(st.text(max_size=60))
def test_any_text_is_parsed_or_refused_with_a_sentence(text):
    try:
        parse(text, FACTOR_FUNCTIONS)
    except ConfigError as error:
        assert str(error)  # noqa: PT017


def test_the_error_names_the_unknown_function_and_those_there_are():
    with pytest.raises(ConfigError, match="no function 'sqrt'; there are abs, coalesce"):
        parse("sqrt(a)")


def test_names_are_told_apart_by_where_they_are_looked_up():
    text = (
        "tenure_months + last(bill_yuan) + count(kind == 'complaint', 3)"
        " + count(kind == 'left', feed='subscriber_changes')"
    )
    expression = parse(text, FACTOR_FUNCTIONS)
    assert expression.needs(ROW) == {"tenure_months"}
    assert expression.needs(MONTHLY) == {"bill_yuan"}
    assert expression.needs(EVENT) == {"service_events.kind", "subscriber_changes.kind"}


@pytest.mark.parametrize(
    ("text", "bills", "expected"),
    [
        ("last(x)", (5, 4), 5),
        ("previous(x)", (5, 4), 4),
        ("previous(x, 5)", (5, 4, 3, 2, 1, 9), 9),
        ("mean(x)", (3, None, 6), 4.5),
        ("mean(x, 2, before=1)", (9, 2, 4), 3),
        ("mean(x, 3)", (), None),
        ("total(x, 3)", (1, None, 2), 3),
        ("total(x, 3)", (), None),
        ("lowest(x, 2)", (5, 4, 1), 4),
        ("highest(x, 2, before=1)", (9, 4, 6), 6),
        ("change(x)", (70, 100), -0.3),
        ("change(x, 3)", (50, 90, None, 110), -0.5),
        ("change(x)", (70, 0), None),
        ("change(x)", (None, 5), None),
        ("difference(x, 2)", (9, 4, 6), 4),
        ("falls(x)", (1, 2, 3, 3), 2),
        ("falls(x)", (1, None, 3), None),
        ("falls(x)", (2, 1, 9), 0),
        ("zeros(x)", (0, None, 0, 5), 2),
        ("present(x, 3)", (0, None, 0, 5), 2),
        ("spread(x, 3)", (1, 2, 3), (2 / 3) ** 0.5 / 2),
        ("spread(x, 3)", (0, 0, 0), None),
        ("last(x) / mean(x, 6)", (2, 4, 6), 0.5),
        ("last(x) > 4 and mean(x, 2) > 4", (5, 4), 1),
        ("rises(x)", (3, 2, 1, 1), 2),
        ("rises(x)", (1, 2), 0),
        ("rises(x)", (3, None, 1), None),
        ("since(x > 0)", (0, 0, 7), 2),
        ("since(x > 0)", (1, 1), 0),
        ("since(x > 0)", (0, None, 0), None),
        ("since(x > 0, 2)", (0, 0, 7), None),
        ("slope(x, 3)", (9, 6, 3), 3),
        ("slope(x)", (9, None, 5, 3), 2),
        ("slope(x)", (5, 5, 5, 5, 5, 5), 0),
        ("slope(x)", (9, 5), None),
    ],
)
def test_a_window_over_months_means(text, bills, expected):
    found = months(text, x=bills)
    assert found == expected if expected is None else found == pytest.approx(expected)


def test_a_window_takes_an_expression_month_by_month():
    assert months("difference(part / whole)", part=(3, 1), whole=(6, 10)) == pytest.approx(0.4)
    assert months("mean(part / whole, 2)", part=(3, 1), whole=(6, 0)) == 0.5


@pytest.mark.parametrize("text", ["mean(x, 0)", "mean(x, 4, before=3)", "previous(x, 6)", "falls(x, 6)"])
def test_a_window_outside_the_six_months_is_refused(text):
    with pytest.raises(ConfigError, match="outside"):
        months(text, x=(1,))


@pytest.mark.parametrize(
    "text",
    [
        "mean(x, 7)",
        "mean(x, 1.5)",
        "mean(x, True)",
        "mean(x, n)",
        "mean(last(x))",
        "count(last(x) > 1)",
        "mean()",
    ],
)
def test_a_badly_written_window_is_refused(text):
    with pytest.raises(ConfigError):
        parse(text, FACTOR_FUNCTIONS)


EVENTS = [
    {"kind": "complaint", "age": 0, "days": 3, "seconds": 10.0, "text": "要换运营商"},
    {"kind": "complaint", "age": 2, "days": 70, "seconds": None, "text": None},
    {"kind": "agent_call", "age": 1, "days": 40, "seconds": 30.0, "text": "转账"},
    {"kind": "agent_call", "age": 5, "days": 160, "seconds": 50.0, "text": "PORT OUT"},
]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("count(kind == 'complaint', 1)", 1),
        ("count(kind == 'complaint', 3)", 2),
        ("count(True, 6)", 4),
        ("count(kind == 'fault_report')", 0),
        ("days_since(kind == 'agent_call')", 40),
        ("days_since(kind == 'fault_report')", None),
        ("mean_of(seconds, kind == 'agent_call', 6)", 40),
        ("mean_of(seconds, kind == 'fault_report')", None),
        ("total_of(seconds, True, 6)", 90),
        ("lowest_of(seconds, True, 6)", 10),
        ("highest_of(seconds, True, 3)", 30),
        ("count(mentions(text, 'port_out'), 6)", 2),
        ("count(kind == 'complaint') - count(kind == 'complaint', 1)", 1),
    ],
)
def test_a_function_over_events_means(text, expected):
    assert events(text, EVENTS, words=("换运营商", "port out")) == expected


def test_equal_calls_are_counted_once():
    compiler = FactorCompiler()
    for text in ("count(kind == 'complaint', 3)", "count(kind=='complaint', 3) > 1"):
        compiler.compile(parse(text, FACTOR_FUNCTIONS))
    assert len(compiler.aggregates["service_events"]) == 1


def test_an_unknown_word_list_is_refused():
    with pytest.raises(ConfigError, match="no word list 'rude'; there are port_out"):
        events("count(mentions(text, 'rude'))", EVENTS)


def test_counting_over_no_month_is_refused():
    with pytest.raises(ConfigError, match="no month"):
        events("count(True, 0)", EVENTS)


def test_peers_are_compared_with_by_plan_and_the_metric_of_the_month():
    compiler = FactorCompiler()
    parsed = parse("last(x) / peers(part / whole)", FACTOR_FUNCTIONS)
    compiled = compiler.compile(parsed)
    assert parsed.needs(ROW) == {"plan_code"}
    assert parsed.needs(MONTHLY) == {"x", "part", "whole"}
    assert list(compiler.peers) == ["peers#part / whole"]
    row = pl.DataFrame({"x@0": [6.0], "peers#part / whole": [4.0]})
    assert row.select(compiled).item() == 1.5


def test_events_of_a_region_need_the_region_of_the_person():
    parsed = parse("count(kind == 'price_cut', 3, feed='market_events')", FACTOR_FUNCTIONS)
    assert parsed.needs(ROW) == {"region_code"}
    assert parsed.needs(EVENT) == {"market_events.kind"}


def test_an_expression_tells_how_far_back_it_looks_at_each_event_feed():
    text = (
        "count(True, 1) / days_since(kind == 'complaint') + count(kind == 'left', feed='subscriber_changes')"
    )
    assert parse(text, FACTOR_FUNCTIONS).windows == {"service_events": 6, "subscriber_changes": 3}
    assert parse("mean(bill_yuan, 6)", FACTOR_FUNCTIONS).windows == {}


@pytest.mark.parametrize(
    "text", ["peers(mean(x, 3))", "peers()", "peers(x, 3)", "since(x > 0, 7)", "slope(x, 6, 1)"]
)
def test_a_badly_written_comparison_is_refused(text):
    with pytest.raises(ConfigError):
        FactorCompiler().compile(parse(text, FACTOR_FUNCTIONS))
