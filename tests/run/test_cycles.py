"""Cycles: as_of is kept at the first attempt, an explicit one replaces it, a fixed cycle gets revisions."""

import json
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from include.database import engine
from include.domain.errors import BadInput, ConfigError, NotReady
from include.domain.periods.months import ZONE, default_as_of
from include.run.cycles import config_of, open_cycle

NOW = datetime(2026, 11, 5, 6, 1, tzinfo=ZONE)
LATER = datetime(2026, 11, 9, 6, tzinfo=ZONE)


def opened(db, config, as_of=None, now=NOW, month="2026-10", campaign="churn_warning"):
    return open_cycle(db=db, config=config, campaign=campaign, cycle=month, as_of=as_of, now=now)


def fix(db):
    with db.begin():
        db.execute(sa.text("update cycles set fixed_at = now(), fixed_facts = '{}'"))


def test_as_of_is_the_fifth_at_six_in_shanghai_whatever_the_clock_says(db, config):
    assert (
        opened(db, config, now=LATER).as_of
        == default_as_of("2026-10")
        == datetime(2026, 11, 5, 6, tzinfo=ZONE)
    )


def test_a_retry_finds_the_as_of_of_the_first_attempt(db, config):
    opened(db, config, as_of=LATER, now=LATER)
    assert opened(db, config, now=NOW + timedelta(days=30)).as_of == LATER


def test_a_cycle_whose_as_of_is_still_to_come_is_not_opened(db, config):
    for as_of, now in ((None, default_as_of("2026-10") - timedelta(minutes=1)), (LATER, NOW)):
        with pytest.raises(NotReady, match=r"It is .*, before as_of .* would be dated before their cycle"):
            opened(db, config, as_of=as_of, now=now)
    with db.begin():
        assert db.execute(sa.text("select count(*) from cycles")).scalar() == 0
    assert opened(db, config, now=default_as_of("2026-10")).revision == 0


def test_the_same_call_twice_gives_the_same_cycle(db, config):
    assert opened(db, config) == opened(db, config)


def test_a_fixed_cycle_gets_a_revision_and_the_same_knowledge_finds_it_again(db, config):
    opened(db, config)
    fix(db)
    first, again = opened(db, config), opened(db, config)
    others = [opened(db, config, as_of=LATER, now=LATER) for _ in range(2)]
    assert [cycle.revision for cycle in (first, again, *others)] == [1, 1, 2, 2]


def test_another_configuration_is_another_revision(db, config):
    opened(db, config)
    fix(db)
    changed = replace(config, texts=config.texts | {"sla.yaml": "x"}, hash="another")
    assert [opened(db, each).revision for each in (config, changed, config)] == [1, 2, 1]


def test_the_configuration_is_kept_with_its_text(db, config):
    opened(db, config)
    with db.begin():
        texts = db.execute(sa.text("select texts from configurations")).scalar_one()
    assert texts == config.of("churn_warning").texts


def test_the_kept_configuration_is_the_one_the_cycle_was_opened_with(db, config):
    kept = config_of(db, opened(db, config).config_hash)
    assert kept == config.of("churn_warning")


def test_the_desk_reads_of_a_cycle_the_file_of_its_campaign_and_no_salt(db, config, role_url):
    file = "campaigns/churn_warning.yaml"
    text = 'hold_out: {share: 0.2, salt: "of-today"}\nmore:\n  salt: churn-1\n  waiting_days: 27\n'
    kept = replace(config, texts={file: text, "measures.yaml": "salt: none"}, hash="of before")
    opened(db, replace(config, texts=config.texts))
    with db.begin():
        db.execute(
            sa.text("insert into configurations values ('of before', cast(:texts as jsonb), now())"),
            {"texts": json.dumps(kept.texts)},
        )
        db.execute(sa.text("update cycles set config_hash = 'of before'"))
    with engine(role_url("churn_desk"), role=None, poolclass=sa.NullPool).connect() as desk:
        read = sa.text("select campaign_file_of('churn_warning', :cycle)")
        told = desk.execute(read, {"cycle": "2026-10"}).scalar_one()
        assert told == text.replace('"of-today"', "-").replace("churn-1", "-")
        assert desk.execute(read, {"cycle": "2026-09"}).scalar_one() is None
        with pytest.raises(sa.exc.ProgrammingError, match="permission denied for table configurations"):
            desk.execute(sa.text("select texts from configurations"))


def test_a_configuration_never_kept_is_one_sentence(db):
    with pytest.raises(NotReady, match="no configuration f00d"):
        config_of(db, "f00d")


@pytest.mark.parametrize(
    ("as_of", "told"),
    [
        (datetime(2026, 10, 31, 23, tzinfo=ZONE), "lies before the end of 2026-10"),
        (datetime(2026, 11, 5, 6), "has no time zone"),  # noqa: DTZ001
    ],
)
def test_an_impossible_as_of_is_refused(db, config, as_of, told):
    with pytest.raises(BadInput, match=told):
        opened(db, config, as_of=as_of)


def test_an_unknown_campaign_is_refused_with_the_known_ones(db, config):
    with pytest.raises(ConfigError, match="Known: churn_warning"):
        opened(db, config, campaign="win_back")
