"""One campaign is one file: what it may say, what is told of a wrong one, and that it stops itself alone."""

import shutil
from pathlib import Path

import pytest

from include.config import Config, campaign_from, config_from, load_config
from include.config.__main__ import main
from include.config.readers.campaign import CLOCKS, Campaign, parse_campaign
from include.domain.campaign_files import campaign_files
from include.domain.errors import ConfigError
from include.settings import ROOT
from include.words.outcomes import NEEDS

FOLDER = ROOT / "include" / "config"
FILE = "campaigns/daily/audit.yaml"
PLAIN = {
    "zh": "甲",
    "en": "Audit",
    "horizon_days": 7,
    "measure": {"because": "everybody is called"},
    "approval": {"tickets": 10, "share_warned_times": 2.0},
}
TEXT = """\
zh: 新入网回访
en: New-subscriber audit
horizon_days: 7
measure: {because: everybody is called}
model: none
approval: {tickets: 10, share_warned_times: 2.0}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A configuration folder of its own, with a second campaign in it."""
    shutil.copytree(FOLDER, tmp_path / "config", ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    (tmp_path / "config" / FILE).parent.mkdir(exist_ok=True)
    (tmp_path / "config" / FILE).write_text(TEXT, "utf-8")
    return tmp_path / "config"


def test_a_file_is_a_campaign_and_its_folder_the_cadence(folder):
    config = load_config(folder)
    assert (config.cadence("churn_warning"), config.cadence("audit")) == ("monthly", "daily")
    assert config.campaign("audit").model is None
    assert config.measure("audit") is None
    assert config.campaign("audit").clocks == dict(CLOCKS)
    assert [path.stem for path in campaign_files(folder) if path.parent.name == "daily"] == ["audit"]


def test_a_wrong_file_stops_its_own_campaign_alone_and_says_why(folder):
    (folder / FILE).write_text(TEXT.replace("horizon_days: 7", "horizon_days: seven"), "utf-8")
    config = load_config(folder)
    assert "churn_warning" in config.campaigns
    with pytest.raises(ConfigError, match=r"campaigns/daily/audit\.yaml, entry 'horizon_days'.*seven"):
        config.campaign("audit")
    (folder / FILE).write_text("zh: [", "utf-8")
    with pytest.raises(ConfigError, match=r"audit\.yaml is not valid YAML"):
        load_config(folder).campaign("audit")


def test_a_new_file_changes_nobody_elses_hash(folder):
    before = load_config(FOLDER).of("churn_warning")
    assert load_config(folder).of("churn_warning") == before
    (folder / FILE).write_text("nonsense", "utf-8")
    assert load_config(folder).of("churn_warning").hash == before.hash
    (folder / "grading.yaml").write_text((folder / "grading.yaml").read_text("utf-8") + "# x\n", "utf-8")
    assert load_config(folder).of("churn_warning").hash != before.hash


def test_two_files_of_one_name_are_refused(folder):
    shutil.copy(folder / FILE, folder / "campaigns" / "monthly" / "audit.yaml")
    with pytest.raises(ConfigError, match="there is another file of the campaign 'audit'"):
        load_config(folder).campaign("audit")


def test_a_folder_of_before_reads_on_with_its_own_hold_out_and_quiet_hours(config: Config):
    texts = {
        name: text for name, text in config.texts.items() if name not in ("measures.yaml", "contact.yaml")
    }
    now = texts.pop("campaigns/monthly/churn_warning.yaml")
    old = now.replace("measure: churn_warning", "hold_out: {share: 0.3, salt: another-salt}")
    strategies = texts["strategies.yaml"].replace(
        "  needs_consent: true", '  needs_consent: true\n  quiet_hours: {from: "19:00", until: "10:00"}'
    )
    read = config_from(texts | {"campaigns/churn_warning.yaml": old, "strategies.yaml": strategies})
    assert read.cadence("churn_warning") == "monthly"
    draw = read.measure("churn_warning")
    assert draw is not None
    assert (draw.share, draw.salt, draw.epoch) == (0.3, "another-salt", "half_year")
    assert read.contact.quiet_hours.begins.hour == 19
    assert read.contact.caps == config.contact.caps


def test_what_has_moved_is_told_where_it_belongs_now(config: Config):
    file = "campaigns/monthly/churn_warning.yaml"
    both = config.texts[file].replace("measure: churn_warning", "hold_out: {share: 0.3, salt: another-salt}")
    with pytest.raises(ConfigError, match="it is a measure now"):
        config_from(config.texts | {file: both}).campaign("churn_warning")
    strategies = config.texts["strategies.yaml"].replace(
        "  needs_consent: true", '  needs_consent: true\n  quiet_hours: {from: "19:00", until: "10:00"}'
    )
    with pytest.raises(ConfigError, match=r"outreach\.quiet_hours.*contact\.yaml"):
        config_from(config.texts | {"strategies.yaml": strategies})


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"horizon_months": 1}, "give horizon_months or horizon_days, one of them"),
        ({"source": {"event": {"feed": "x"}}}, "source.event.feed"),
        (
            {
                "source": {
                    "event": {"feed": "service_events"},
                    "outcome": {"campaign": "abc", "outcomes": ["x"]},
                }
            },
            "not both",
        ),
        (
            {"admission": {"by": "grade", "where": "value_yuan > 3"}},
            "admission by grade takes no `where` and no `write`",
        ),
        ({"routing": {"by": "pool", "team": "vip"}}, "a pool has a quota"),
        ({"routing": {"by": "pool", "quota": 50}}, "a pool belongs to a team"),
        (
            {"clocks": {"audited": {"zh": "甲", "en": "x", "stops": "closed"}}},
            "clock 'audited' needs its days",
        ),
        ({"clocks": {"plan": {"zh": "甲", "en": "x", "stops": "sleep"}}}, "clocks.plan.stops"),
        (
            {"clocks": {"checked": {"zh": "甲", "en": "x", "days": 2, "stops": "checklist"}}},
            "clock 'checked' waits for a checklist, and the campaign has none",
        ),
        (
            {"outcomes": {"won": {"zh": "甲", "en": "x", "is_reached": True}}},
            r"audit\.yaml, entry 'outcomes': .*no outcome is for somebody who was not reached",
        ),
        (
            {"outcomes": {"lost": {"zh": "甲", "en": "x", "is_reached": False, "needs": ["checklist"]}}},
            "outcome 'lost' needs a checklist, and the campaign has none",
        ),
        ({"survey": {"needs": {"roaming": None}}}, "need 'roaming' has no words; give it zh and en"),
        ({"survey": {"needs": {}}}, "survey.needs"),
        ({"checklist": {"seen": {"zh": "甲"}}}, "checklist.seen.en"),
        ({"kind": "other"}, "kind"),
        ({"precedence": 0}, "precedence"),
    ],
)
def test_a_wrong_entry_is_named(entry, told):
    with pytest.raises(ConfigError, match=told):
        parse_campaign({**PLAIN, **entry}, FILE)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            "measure: churn_warning",
            "measure: nowhere",
            r"entry 'measure': there is no 'nowhere'; known: churn",
        ),
        ("phase: intervention", "phase: later", r"entry 'phase': there is no 'later'; known: "),
        ("precedence: 10", "rank: tenure_months > 3", r"entry 'rank': .*gives no number"),
        (
            "precedence: 10",
            "admission: {by: all, where: nothing > 3}",
            r"entry 'admission.where': .*'nothing'",
        ),
    ],
)
def test_what_a_campaign_names_exists(config: Config, old, new, told):
    file = "campaigns/monthly/churn_warning.yaml"
    assert old in config.texts[file]
    with pytest.raises(ConfigError, match=told):
        config_from(config.texts | {file: config.texts[file].replace(old, new)}).campaign("churn_warning")


@pytest.mark.parametrize(
    ("file", "more"), [(FILE, ""), ("campaigns/monthly/audit.yaml", "people: left\n")], ids=["daily", "left"]
)
def test_where_no_list_of_messages_goes_out_nobody_is_to_be_written_to(config: Config, file, more):
    text = TEXT.replace("horizon_days: 7", "horizon_months: 1") if "monthly" in file else TEXT
    text += f"{more}admission: {{by: all, write: value_yuan > 100}}\n"
    with pytest.raises(
        ConfigError, match=r"audit\.yaml, entry 'admission\.write': lists of messages are of monthly"
    ):
        config_from(config.texts | {file: text}).campaign("audit")


def test_a_campaign_is_read_by_its_own_file_alone_as_a_cycle_keeps_it(config: Config):
    text = config.texts["campaigns/monthly/churn_warning.yaml"]
    assert campaign_from(text, "churn_warning.yaml") == config.campaign("churn_warning")
    of_before = text.replace("measure: churn_warning", "hold_out: {share: 0.2, salt: -}")
    assert campaign_from(of_before, "churn_warning.yaml") == config.campaign("churn_warning")


def test_a_campaign_that_says_little_gets_the_engines_own():
    campaign = parse_campaign(PLAIN, FILE)
    assert isinstance(campaign, Campaign)
    assert (campaign.kind, campaign.enabled, campaign.shadow, campaign.success) == (
        "marketing", True, False, "not left",
    )  # fmt: skip
    assert campaign.measure_name is None
    assert (campaign.rates.reached.en, campaign.rates.willing.zh) == ("Reached", "有意向")


def test_a_campaign_calls_its_rates_what_its_people_call_them():
    own = {"rates": {"willing": {"zh": "愿续约", "en": "Will renew"}}}
    campaign = parse_campaign(PLAIN | own, FILE)
    assert (campaign.rates.willing.en, campaign.rates.completed.en) == ("Will renew", "Completed")


def test_the_command_tells_every_campaign_and_what_is_wrong_with_the_others(folder, capsys):
    assert main([str(folder)]) == 0
    told = capsys.readouterr()
    assert told.out.split("\n")[0].split()[:3] == ["campaign", "cadence", "kind"]
    assert "audit" in told.out
    assert "nobody is held out" in told.out
    (folder / FILE).write_text(TEXT.replace("horizon_days: 7", "horizon_days: seven"), "utf-8")
    assert main([str(folder)]) == 1
    told = capsys.readouterr()
    assert "churn_warning" in told.out
    assert "entry 'horizon_days'" in told.err


def test_a_survey_offers_the_needs_it_names_in_its_own_words_or_the_engines():
    own = {
        "price": None,
        "device": {"zh": "换机", "en": "new phone"},
        "roaming": {"zh": "漫游", "en": "roaming"},
    }
    needs = parse_campaign({**PLAIN, "survey": {"needs": own}}, FILE).needs
    assert [(name, words.en) for name, words in needs.items()] == [
        ("price", "price"), ("device", "new phone"), ("roaming", "roaming"),
    ]  # fmt: skip
    assert parse_campaign(PLAIN, FILE).needs == NEEDS


def test_clocks_have_the_words_of_their_campaign_or_those_every_campaign_may_have(folder):
    text = (
        TEXT + "clocks: {talk: {zh: 首次通话, en: First talk, days: 2, counts: calendar, stops: reached}}\n"
    )
    (folder / FILE).write_text(text, "utf-8")
    config = load_config(folder)
    assert config.clocks_named("audit")["talk"].en == "First talk"
    assert config.clocks_named("audit")["plan"] == CLOCKS["plan"]
    for unknown in ("gone", None):
        assert config.clocks_named(unknown) == CLOCKS
