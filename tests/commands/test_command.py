"""What the small commands share: ids and days in any writing, the way a command ends, tables."""

import argparse
from datetime import date

import pytest

from include.commands import Command, an_id, command_line, day, in_columns, option
from include.domain.errors import Refused
from tests.fixtures.writings import WRITINGS


@pytest.mark.parametrize("way", WRITINGS)
def test_an_id_is_the_same_however_it_is_written(way):
    assert an_id(WRITINGS[way]("0012")) == "0012"


@pytest.mark.parametrize(("text", "told"), [("1.38E+10", "Give the id as text"), ("\u200b", "it is empty")])
def test_what_is_no_id_is_told(text, told):
    with pytest.raises(argparse.ArgumentTypeError, match=told):
        an_id(text)


def test_a_day_is_written_with_the_year_first():
    assert day("2026/11/9") == date(2026, 11, 9)
    with pytest.raises(argparse.ArgumentTypeError, match="Write the year first"):
        day("9/11/2026")


def test_a_command_of_several_is_chosen_by_its_word_and_told_by_its_docstring(capsys):
    def weigh(args):
        """how heavy it is"""
        print(f"{args.thing} weighs {args.grams} g")

    main = command_line(
        "include.scales",
        "Scales.",
        {
            "weigh": Command(weigh, (option("thing"), option("--grams", type=int))),
            "verify": Command(lambda args: 1),
        },
    )
    assert main(["weigh", "it", "--grams", "3"]) == 0
    assert capsys.readouterr().out == "it weighs 3 g\n"
    assert main(["verify"]) == 1
    with pytest.raises(SystemExit) as end:
        main(["-h"])
    told = capsys.readouterr().out
    assert end.value.code == 0 and "python -m include.scales" in told and "how heavy it is" in told


def test_what_a_person_must_put_right_is_one_line_and_a_status(capsys):
    def refuse(args):
        raise Refused("It is\n  too heavy.")

    assert command_line("include.scales", None, Command(refuse))([]) == 1
    assert capsys.readouterr().err == "Refused: It is too heavy.\n"


def test_columns_stand_below_each_other_and_chinese_takes_two_places():
    rows = [
        ("of", "since", "tickets"),
        ("广西壮族", "2026-11-09", "1,000"),
        ("vip", "", "7"),
        ("", "007", ""),
    ]
    assert in_columns(rows, to_the_right=[2]).splitlines() == [
        "of        since       tickets",
        "广西壮族  2026-11-09    1,000",
        "vip                         7",
        "          007",
    ]
    assert in_columns([]) == ""
