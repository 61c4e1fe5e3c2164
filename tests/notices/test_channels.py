"""The ways out, against a real mail server, a real HTTP server and a real folder."""

import base64
import email
import email.policy
import hashlib
import hmac
import json
import stat
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest

from include.config.readers.notices import Channel
from include.notices.channels import Endpoint, open_channels, to_file, to_mail, to_webhook
from include.notices.delivering import Message, NotDelivered
from tests.notices.conftest import MONDAY, quickly
from tests.notices.servers import MailServer, Webhook, running

MESSAGE = Message(
    7,
    "digest/3/1-9-9",
    "staff",
    "wang.fang@example.cn",
    "page",
    "挽留工单提醒",
    "工单 5 已超时。\nWork it.",
    1,
)
PLAIN_MAIL = {"disable_ssl": True, "disable_tls": True, "from_email": "churn@example.cn"}

# ------------------------------------------------------------ file


def test_a_file_takes_one_json_line_per_message_and_is_private(tmp_path):
    folder = tmp_path / "notices"
    for _ in range(2):
        to_file(folder, MESSAGE, MONDAY)
    file = folder / "2026-11.jsonl"
    lines = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    assert len(lines) == 2
    assert lines[0]["dedupe_key"] == MESSAGE.dedupe_key
    assert (lines[0]["subject"], lines[0]["sent_at"]) == ("挽留工单提醒", "2026-11-09T10:00:00+08:00")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_folder_that_cannot_be_written_is_a_failure_to_deliver(tmp_path):
    (tmp_path / "notices").write_text("a file in the way")
    with pytest.raises(NotDelivered, match="cannot be written"):
        to_file(tmp_path / "notices", MESSAGE, MONDAY)


# ------------------------------------------------------------ mail


def test_a_mail_arrives_with_its_key_as_message_id_and_chinese_intact():
    server = MailServer()
    with running(server) as port:
        to_mail(Endpoint("127.0.0.1", port, extra=PLAIN_MAIL), MESSAGE, MONDAY)
    mail = email.message_from_bytes(server.mails[0], policy=email.policy.default)
    assert (mail["To"], mail["From"], mail["Subject"]) == (
        "wang.fang@example.cn",
        "churn@example.cn",
        "挽留工单提醒",
    )
    assert mail["Message-ID"] == "<digest.3.1-9-9@churn>"
    assert mail["X-Priority"] == "1"
    assert mail.get_content().splitlines() == MESSAGE.body.splitlines()


def test_operations_mail_goes_to_the_address_of_the_connection():
    server = MailServer()
    with running(server) as port:
        to = Endpoint("127.0.0.1", port, extra=PLAIN_MAIL | {"to": "ops@example.cn"})
        to_mail(to, replace(MESSAGE, address=None), MONDAY)
    assert b"To: ops@example.cn" in server.mails[0]


def test_a_mail_server_that_refuses_or_is_not_there_is_a_failure_to_deliver():
    server = MailServer(refuse=True)
    with running(server) as port:
        endpoint = Endpoint("127.0.0.1", port, extra=PLAIN_MAIL)
        with pytest.raises(NotDelivered, match="did not take it") as refused:
            to_mail(endpoint, MESSAGE, MONDAY)
    with pytest.raises(NotDelivered, match="ConnectionRefusedError"):
        to_mail(endpoint, MESSAGE, MONDAY)
    assert not refused.value.is_final


def test_a_person_without_address_is_told_of_at_once():
    with pytest.raises(NotDelivered, match=r"staff\.email") as caught:
        to_mail(Endpoint("127.0.0.1"), replace(MESSAGE, address=None), MONDAY)
    assert caught.value.is_final


@pytest.mark.parametrize("address", ["wang@example.cn\nBcc: all@example.cn", "wang@[", "wang fang", "@"])
def test_an_address_that_is_none_ends_its_own_message_and_is_not_repeated(address):
    server = MailServer()
    with running(server) as port:
        to = Endpoint("127.0.0.1", port, extra=PLAIN_MAIL)
        with pytest.raises(NotDelivered, match="of staff 'w7'") as caught:
            to_mail(to, replace(MESSAGE, address=address, staff_code="w7"), MONDAY)
    assert caught.value.is_final
    assert address not in str(caught.value)
    assert not server.mails


def test_a_wrong_address_of_the_connection_is_a_failure_to_deliver():
    wrong = Endpoint("127.0.0.1", extra=PLAIN_MAIL | {"to": "ops@example.cn\nBcc: x@y.cn"})
    with pytest.raises(NotDelivered, match="`to` and `from_email`") as caught:
        to_mail(wrong, replace(MESSAGE, address=None), MONDAY)
    assert not caught.value.is_final


# ------------------------------------------------------------ webhook


@pytest.mark.parametrize(
    ("style", "expected"),
    [
        ("dingtalk", {"msgtype": "text", "text": {"content": "挽留工单提醒\n工单 5 已超时。\nWork it."}}),
        ("wecom", {"msgtype": "text", "text": {"content": "挽留工单提醒\n工单 5 已超时。\nWork it."}}),
        ("feishu", {"msg_type": "text", "content": {"text": "挽留工单提醒\n工单 5 已超时。\nWork it."}}),
    ],
)
def test_a_group_robot_gets_the_text_in_its_own_shape(style, expected):
    server = Webhook(answer={"errcode": 0, "errmsg": "ok"})
    with running(server) as port:
        url = f"http://127.0.0.1:{port}/robot/send?access_token=abc"
        to_webhook(Endpoint(url), style, MESSAGE, MONDAY)
    path, headers, body = server.posts[0]
    assert body == expected
    assert path == "/robot/send?access_token=abc"
    assert headers["Idempotency-Key"] == MESSAGE.dedupe_key


def test_a_plain_webhook_gets_every_part():
    server = Webhook()
    with running(server) as port:
        to_webhook(
            Endpoint("127.0.0.1", port, schema="http", extra={"path": "/hook"}), "plain", MESSAGE, MONDAY
        )
    path, _, body = server.posts[0]
    assert path == "/hook"
    assert body["dedupe_key"] == MESSAGE.dedupe_key
    assert body["to"] == "wang.fang@example.cn"


def test_a_text_too_long_for_a_robot_is_cut_at_a_whole_sign():
    server = Webhook(answer={"errcode": 0})
    with running(server) as port:
        to_webhook(
            Endpoint(f"http://127.0.0.1:{port}/x"), "wecom", replace(MESSAGE, body="单" * 3000), MONDAY
        )
    content = server.posts[0][2]["text"]["content"]
    assert 2040 < len(content.encode()) <= 2048
    assert content.endswith("单…")


def test_robots_with_a_secret_get_a_signature():
    server = Webhook(answer={"code": 0})
    with running(server) as port:
        endpoint = Endpoint(f"http://127.0.0.1:{port}/x?access_token=abc", password="SECxyz")
        to_webhook(endpoint, "dingtalk", MESSAGE, MONDAY)
        to_webhook(endpoint, "feishu", MESSAGE, MONDAY)
    query = parse_qs(urlsplit(server.posts[0][0]).query)
    stamp = str(int(MONDAY.timestamp() * 1000))
    signed = hmac.new(b"SECxyz", f"{stamp}\nSECxyz".encode(), hashlib.sha256).digest()
    assert query == {
        "access_token": ["abc"],
        "timestamp": [stamp],
        "sign": [base64.b64encode(signed).decode()],
    }
    body = server.posts[1][2]
    key = f"{body['timestamp']}\nSECxyz".encode()
    assert body["sign"] == base64.b64encode(hmac.new(key, b"", hashlib.sha256).digest()).decode()


@pytest.mark.parametrize(
    ("status", "answer", "told"),
    [
        (500, None, "answered 500"),
        (200, {"errcode": 310000, "errmsg": "sign not match"}, "code 310000: sign not match"),
        (200, {"code": 9499, "msg": "Bad Request"}, "code 9499: Bad Request"),
    ],
)
def test_a_webhook_that_refuses_is_a_failure_to_deliver_and_keeps_its_token_secret(status, answer, told):
    server = Webhook(status, answer)
    with running(server) as port:
        endpoint = Endpoint(f"http://127.0.0.1:{port}/robot/send?access_token=topsecret")
        with pytest.raises(NotDelivered, match=told):
            to_webhook(endpoint, "dingtalk", MESSAGE, MONDAY)
    with pytest.raises(NotDelivered, match="cannot be reached: ConnectError") as caught:
        to_webhook(endpoint, "dingtalk", MESSAGE, MONDAY)
    assert "topsecret" not in str(caught.value)


# ------------------------------------------------------------ as configured


def test_channels_are_those_configured_and_look_their_connection_up_by_name(notices, tmp_path):
    asked = []
    hook = Webhook(answer={"errcode": 0})
    mixed = quickly(
        notices,
        channels={
            "staff": Channel(via="file", languages=("zh",)),
            "operations": Channel(via="webhook", connection="churn_ops", style="wecom", languages=("zh",)),
        },
    )

    with running(hook) as port:

        def endpoint(name):
            asked.append(name)
            return Endpoint(f"http://127.0.0.1:{port}/x")

        channels = open_channels(mixed, tmp_path, endpoint)
        assert asked == []
        channels["staff"](MESSAGE, MONDAY)
        channels["operations"](MESSAGE, MONDAY)
    assert asked == ["churn_ops"]
    assert (len(hook.posts), len(list(tmp_path.glob("*.jsonl")))) == (1, 1)
