"""Scripts that compare, or send the agent to others, are refused by configured words; innocent ones are not."""

import pytest

from include.config import config_from, load_config
from include.config.readers.plain import read_yaml
from include.config.readers.strategies import parse
from include.config.readers.strategies.scripts import RefusedScript, check_scripts
from include.domain.errors import ConfigError
from include.settings import ROOT

FOLDER = ROOT / "include/config"


@pytest.fixture(scope="module")
def kinds():
    return parse(read_yaml((FOLDER / "strategies.yaml").read_text("utf-8"), "x"), "x").refused_scripts


@pytest.mark.parametrize(
    "text",
    [
        "可以把您看到的方案和我们的放在一起比一比。",
        "Let us put the offer you saw and ours side by side.",
        "我们的月租比联通便宜十块。",
        "跟 移动 的套餐比，我们流量更多",
        "别家有的我们都有",
        "先问清竞品的价格，再报优惠",
        "中国电信的5G不如我们",
        "We are cheaper than China Unicom.",
        "No COMPETITOR gives you as much.",
        "Other operators charge more for this.",
    ],
)
def test_a_script_that_compares_is_found(kinds, text):
    assert kinds["comparison"].found_in(text)


@pytest.mark.parametrize(
    "text",
    [
        "语速放慢，不催促；需要时先联系子女。",
        "Speak slowly, never hurry; call the children first where that helps.",
        "联系客户的家属说明欠费",
        "接不通就打电话给他的同事",
        "通知其配偶",
        "先给老伴打电话",
        "Ask her husband whether the plan suits.",
        "If nobody answers, contact some of the relatives.",
    ],
)
def test_a_script_that_sends_to_others_is_found(kinds, text):
    assert kinds["third_party"].found_in(text)


@pytest.mark.parametrize(
    "text",
    [
        "不评价其他运营商。",
        "Do not speak ill of other operators.",
        "不得与其他运营商比较。",
        "这一档比您现在的套餐每月省十元。",
        "This plan costs less than yours does today.",
        "对手机和网络设置做一次免费检测",
        "谨防电信诈骗，移动网络可以随时关闭。",
        "跟子女的号码通话不花钱，费用可以由子女交。",
        "Calls to your children are free, and they may pay the bill.",
        "打给家人免费",
        "您可以和家人商量，想好再告诉我。",
        "您可以联系我们为家人办理",
        "不要联系家属，只与客户本人沟通。",
        "Never call the family; the decision is the subscriber's.",
        "其他家庭成员的号码也可以一起梳理",
        "Take your time and talk it over with your family.",
    ],
)
def test_innocent_words_raise_no_alarm(kinds, text):
    assert {name for name, kind in kinds.items() if kind.found_in(text)} == set()


def test_the_delivered_file_keeps_its_own_words():
    load_config(FOLDER)


@pytest.mark.parametrize("has_own_words", [True, False])
def test_a_folder_with_such_a_script_is_refused_with_entry_words_and_reason(tmp_path, config, has_own_words):
    changed = config.texts | {
        "strategies.yaml": config.texts["strategies.yaml"].replace("给您添麻烦了", "我们比其他运营商更可靠")
    }
    if not has_own_words:  # a folder made before there were any
        head, _, rest = changed["strategies.yaml"].partition("refused_scripts:")
        changed["strategies.yaml"] = head + rest[rest.index("# hints follow") :]
    for name, text in changed.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    told = r"strategies\.yaml, offer 'service_manager': '比其他' in '我们.*' is refused as comparison \(MIIT 2019"
    with pytest.raises(ConfigError, match=told):
        load_config(tmp_path)
    config_from(changed)  # a cycle opened with it goes on with what it was opened with


def test_an_operator_may_configure_other_words(config):
    told = config.strategies.model_copy(
        update={"refused_scripts": {"pressure": RefusedScript(because="house rule", words=("您",))}}
    )
    with pytest.raises(ConfigError, match=r"'您' in .* is refused as pressure \(house rule\)"):
        check_scripts(told)
    check_scripts(config.strategies.model_copy(update={"refused_scripts": {}}))
