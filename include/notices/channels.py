"""The ways a message can go: lines of a private file, a mail server, a chat webhook."""

import base64
import hashlib
import hmac
import json
import os
import re
import smtplib
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from include.config.readers.notices import Channel, Notices
from include.domain.periods.months import ZONE
from include.notices.delivering import Message, NotDelivered, Send

_SECONDS = 10.0
# as staff.email is checked where it is kept
_ADDRESS = re.compile(r"""[^\s\x00-\x1f@,;:<>()\[\]\\"]+@[^\s\x00-\x1f@,;:<>()\[\]\\"]+""")
# what the robots take in one text, in bytes
_LONGEST = {"wecom": 2048, "dingtalk": 18_000, "feishu": 18_000}


@dataclass(frozen=True)
class Endpoint:
    """What an Airflow Connection says of a server."""

    host: str
    port: int | None = None
    login: str | None = None
    password: str | None = None
    schema: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


def open_channels(notices: Notices, folder: Path, endpoint: Callable[[str], Endpoint]) -> dict[str, Send]:
    """How each channel sends; `endpoint` looks a connection up when it is first used."""
    return {name: _sender(channel, folder, endpoint) for name, channel in notices.channels.items()}


def _sender(channel: Channel, folder: Path, endpoint: Callable[[str], Endpoint]) -> Send:
    if channel.connection is None:
        return lambda message, now: to_file(folder, message, now)
    name = channel.connection
    if channel.via == "smtp":
        return lambda message, now: to_mail(endpoint(name), message, now)
    return lambda message, now: to_webhook(endpoint(name), channel.style, message, now)


def to_file(folder: Path, message: Message, now: datetime) -> None:
    """Append the message as one JSON line to `<folder>/<month>.jsonl`, readable by its owner alone."""
    line = {
        "dedupe_key": message.dedupe_key,
        "sent_at": now.astimezone(ZONE).isoformat(),
        "channel": message.channel,
        "to": message.address,
        "severity": message.severity,
        "subject": message.subject,
        "body": message.body,
    }
    data = (json.dumps(line, ensure_ascii=False) + "\n").encode()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / f"{now.astimezone(ZONE):%Y-%m}.jsonl"
        opened = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(opened, data)  # one write: lines of several processes do not mix
            os.fsync(opened)
        finally:
            os.close(opened)
    except OSError as error:
        raise NotDelivered(f"{folder} cannot be written: {error.strerror}. Make room or rights.") from error


def to_mail(server: Endpoint, message: Message, now: datetime) -> None:
    """Send the message through a mail server; the dedupe key is its Message-ID.

    Extra of the connection: `from_email`, `to` (for operations), `disable_tls`, `disable_ssl` as in Airflow's
    own mail connections.
    """
    to = message.address or server.extra.get("to")
    if not to:
        raise NotDelivered("The person has no mail address. Enter one in staff.email.", is_final=True)
    if message.address and not _ADDRESS.fullmatch(message.address):
        raise NotDelivered(
            f"The mail address of staff '{message.staff_code}' is not one. Correct staff.email.",
            is_final=True,
        )
    try:
        mail = _mail(server, message, to, now)
    except (ValueError, LookupError, AttributeError):  # all of them come from the header parser
        raise NotDelivered(
            "An address of the mail connection is not one. Correct `to` and `from_email` of its extra."
        ) from None
    try:
        with _connected(server) as smtp:
            smtp.send_message(mail)
    except (smtplib.SMTPException, OSError) as error:
        told = getattr(error, "smtp_code", "") or type(error).__name__
        raise NotDelivered(f"The mail server {server.host} did not take it: {told}.") from error


def _mail(server: Endpoint, message: Message, to: str, now: datetime) -> EmailMessage:
    mail = EmailMessage()
    mail["From"] = server.extra.get("from_email") or server.login or f"churn@{server.host}"
    mail["To"] = to
    mail["Subject"] = message.subject
    mail["Date"] = now
    mail["Message-ID"] = f"<{message.dedupe_key.replace('/', '.')}@churn>"
    if message.severity == "page":
        mail["X-Priority"] = "1"
    mail.set_content(message.body)
    return mail


def _connected(server: Endpoint) -> smtplib.SMTP:
    is_plain = bool(server.extra.get("disable_ssl", False))
    port = server.port or (465 if not is_plain else 25)
    if is_plain:
        smtp = smtplib.SMTP(server.host, port, timeout=_SECONDS)
        if not server.extra.get("disable_tls", False):
            smtp.starttls(context=ssl.create_default_context())
    else:
        smtp = smtplib.SMTP_SSL(server.host, port, timeout=_SECONDS, context=ssl.create_default_context())
    if server.login and server.password:
        smtp.login(server.login, server.password)
    return smtp


def to_webhook(server: Endpoint, style: str, message: Message, now: datetime) -> None:
    """Post the message to a group robot (dingtalk, wecom, feishu) or, plain, as JSON with all its parts."""
    import httpx

    query, body = _WEBHOOKS[style](message, server.password, now)
    headers = {"Idempotency-Key": message.dedupe_key}
    try:
        url = httpx.URL(_url(server)).copy_merge_params(query)
        answer = httpx.post(url, json=body, headers=headers, timeout=_SECONDS)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        # the error's own words quote the address, which holds the robot's token
        raise NotDelivered(f"The webhook cannot be reached: {type(error).__name__}.") from None
    if answer.status_code >= 300:
        raise NotDelivered(f"The webhook answered {answer.status_code}.")
    _check_answer(answer.text)


def _check_answer(text: str) -> None:
    """Group robots answer 200 to everything; their own code says whether they took it."""
    try:
        said = json.loads(text)
    except ValueError:
        return
    if isinstance(said, dict):
        code = said.get("errcode", said.get("code", 0))
        if code not in (0, None):
            raise NotDelivered(
                f"The webhook refused it with code {code}: {said.get('errmsg', said.get('msg', ''))}"
            )


def _url(server: Endpoint) -> str:
    """The whole address: Airflow keeps the scheme apart; tokens stand in the extra's `query`."""
    address = server.host if "://" in server.host else f"{server.schema or 'https'}://{server.host}"
    scheme, _, rest = address.partition("://")
    host, slash, path = rest.partition("/")
    if server.port and ":" not in host:
        host = f"{host}:{server.port}"
    more = server.extra.get("path", "")
    return f"{scheme}://{host}{slash}{path}{more}"


def _text(message: Message, style: str) -> str:
    """Subject and body, cut where the robot would refuse a longer text."""
    whole, longest = f"{message.subject}\n{message.body}", _LONGEST[style]
    if len(whole.encode()) <= longest:
        return whole
    return whole.encode()[: longest - len("…".encode())].decode(errors="ignore") + "…"


_Made = tuple[dict[str, str], dict[str, Any]]


def _dingtalk(message: Message, secret: str | None, now: datetime) -> _Made:
    body = {"msgtype": "text", "text": {"content": _text(message, "dingtalk")}}
    if not secret:
        return {}, body
    stamp = str(int(now.timestamp() * 1000))
    signed = hmac.new(secret.encode(), f"{stamp}\n{secret}".encode(), hashlib.sha256).digest()
    return {"timestamp": stamp, "sign": base64.b64encode(signed).decode()}, body


def _wecom(message: Message, secret: str | None, now: datetime) -> _Made:
    return {}, {"msgtype": "text", "text": {"content": _text(message, "wecom")}}


def _feishu(message: Message, secret: str | None, now: datetime) -> _Made:
    body: dict[str, Any] = {"msg_type": "text", "content": {"text": _text(message, "feishu")}}
    if not secret:
        return {}, body
    stamp = str(int(now.timestamp()))
    signed = hmac.new(f"{stamp}\n{secret}".encode(), b"", hashlib.sha256).digest()
    return {}, {"timestamp": stamp, "sign": base64.b64encode(signed).decode(), **body}


def _plain(message: Message, secret: str | None, now: datetime) -> _Made:
    return {}, {
        "dedupe_key": message.dedupe_key,
        "channel": message.channel,
        "to": message.address,
        "severity": message.severity,
        "subject": message.subject,
        "body": message.body,
    }


_WEBHOOKS: Mapping[str, Callable[[Message, str | None, datetime], _Made]] = {
    "dingtalk": _dingtalk,
    "wecom": _wecom,
    "feishu": _feishu,
    "plain": _plain,
}
