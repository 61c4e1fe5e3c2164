"""The registry of ticket actions: each stands in the life cycle, has its words, its form and its two routes."""

import inspect
import re

import pytest

from include.desk.tickets.actions import TICKET_ACTIONS
from include.domain.ticket import AGENT, LEAD, MANAGER
from include.settings import ROOT
from include.words import catalogue

TEMPLATES = ROOT / "include" / "desk" / "templates"


def test_every_action_stands_once_and_is_something_people_may_do():
    names = [action.name for action in TICKET_ACTIONS]
    assert len(set(names)) == len(names)
    assert [each.name for each in TICKET_ACTIONS if not each.transition.by & {AGENT, LEAD, MANAGER}] == []


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_action_has_its_words(language):
    assert {f"actions.{action.name}" for action in TICKET_ACTIONS} <= set(catalogue(language))


def test_every_action_takes_what_its_function_takes():
    for action in TICKET_ACTIONS:
        taken = [value.name for value in action.takes.values] if action.takes else []
        asked = inspect.signature(action.act).parameters.values()
        if any(each.kind is each.VAR_KEYWORD for each in asked):
            continue
        assert taken == [each.name for each in asked][1:], action.name


def test_every_action_has_its_form_on_the_page_of_a_ticket():
    page = "".join(path.read_text("utf-8") for path in sorted(TEMPLATES.glob("*.html")))
    asked = set(re.findall(r'"([a-z_]+)" in may\b', page))
    assert {action.name for action in TICKET_ACTIONS} == asked


def test_every_action_is_a_form_and_a_write_of_the_api():
    from include.desk.api import actions
    from include.desk.pages import forms

    for router in (forms.router, actions.router):
        assert [route.name for route in router.routes] == [action.name for action in TICKET_ACTIONS]
