"""notices.yaml: every kind has its words in both languages, and mistakes are told with their entry."""

import copy
import re

import pytest
import yaml

from include.config.readers import notices
from include.domain.errors import ConfigError
from tests.conftest import ROOT

DEFAULT = yaml.safe_load((ROOT / "include" / "config" / "notices.yaml").read_text("utf-8"))


def test_the_default_reads_and_tells_operations_what_cannot_wait_at_once():
    known = notices.load_notices(ROOT / "include" / "config")
    assert {"stage_failed", "heartbeat_missing", "message_dead"} <= set(known.kinds_by("page"))
    assert {"feed_waiting", "drift"} <= set(known.kinds_by("morning_mail"))
    assert {channel.via for channel in known.channels.values()} == {"file"}


def changed(path, value):
    raw = copy.deepcopy(DEFAULT)
    *above, last = path.split(".")
    inner = raw
    for step in above:
        inner = inner[step]
    inner[last] = value
    return raw


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ("kinds.drift.tell", "sometimes", "kinds.drift.tell"),
        ("kinds.drift.zh", "{ticket_id}", "kinds.drift has no {ticket_id}"),
        ("kinds.gossip", {"tell": "none", "zh": "", "en": ""}, "kinds must be"),
        ("channels.staff", {"via": "smtp", "languages": ["zh"]}, "name a connection"),
        ("channels.staff", {"via": "file", "connection": "x", "languages": ["zh"]}, "file does not"),
        ("channels.staff.languages", [], "languages"),
        ("attempts", 0, "attempts"),
        ("heartbeats.watch_sla.from", "late", "heartbeats.watch_sla.from"),
    ],
)
def test_a_mistake_is_told_with_file_and_entry(path, value, told):
    with pytest.raises(ConfigError, match=r"notices\.yaml") as caught:
        notices.parse(changed(path, value), "notices.yaml")
    assert told in str(caught.value)


def written_by_sql() -> list[str]:
    """The kind of every statement that inserts notices; `:kind` where the caller names it."""
    kinds = []
    for path in sorted((ROOT / "sql").rglob("*.sql")):
        for statement in re.split(r"insert into notices\b", path.read_text("utf-8"))[1:]:
            found = re.match(
                r"[^;]*?(?:format\([^;]*?\),|values \(:dedupe_key,)\s*(?:'(\w+)'|(:kind))", statement
            )
            assert found, f"{path.name}: the kind follows the key, as a word of its own"
            kinds.append(found[1] or found[2])
    return kinds


def announced_by_code() -> set[str]:
    """The kinds that code tells operations of."""
    call = re.compile(r'\b(?:alarm|announce)\((?:db, )?"(\w+)"')
    return {
        kind for path in (ROOT / "include").rglob("*.py") for kind in call.findall(path.read_text("utf-8"))
    }


def test_every_kind_that_is_written_anywhere_has_its_words_and_no_other_does():
    written = written_by_sql()
    assert written.count(":kind") == 1
    assert {*written, *announced_by_code()} - {":kind"} == set(DEFAULT["kinds"]) == set(notices.FACTS)
    for name, kind in DEFAULT["kinds"].items():
        assert kind["zh"] != kind["en"] and kind["zh"] and kind["en"], name


def test_a_kind_may_be_told_to_nobody():
    quiet = notices.parse(changed("kinds.clock_warned.tell", "none"), "notices.yaml")
    assert quiet.kinds_by("none") == ["clock_warned"]
