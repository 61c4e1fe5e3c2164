"""Click to call: the telephone system behind the Connection `churn_cti` rings the agent and the customer.

Without that Connection the desk gives a `tel:` link to the telephone of the computer.
"""

from collections.abc import Callable

from include.domain.errors import LoopError

Dial = Callable[[str, str, int], None]
SECONDS = 3


def dial_by(address: str, token: str | None) -> Dial:
    """`dial(agent, number, ticket_id)` by a JSON POST to `address`; LoopError when nobody takes it."""

    def dial(agent: str, number: str, ticket_id: int) -> None:
        import httpx

        body = {"agent": agent, "number": number, "ticket_id": ticket_id}
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            answer = httpx.post(address, json=body, headers=headers, timeout=SECONDS)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _not_taken(type(error).__name__) from None
        if answer.status_code >= 300:
            raise _not_taken(f"answer {answer.status_code}")

    return dial


def _not_taken(why: str) -> LoopError:
    return LoopError(
        "The telephone system did not take the call ({why}). Dial by hand and tell operations.",
        code="call_not_taken", why=why,
    )  # fmt: skip


def dial_from_airflow() -> Dial | None:
    """By the Connection `churn_cti` (its password a bearer token, `path` in its extra); None when there is none."""
    from airflow.exceptions import AirflowNotFoundException
    from airflow.models.connection import Connection

    try:
        found = Connection.get_connection_from_secrets("churn_cti")
    except AirflowNotFoundException:
        return None
    host = found.host or ""
    address = host if "://" in host else f"{found.schema or 'https'}://{host}"
    port = f":{found.port}" if found.port else ""
    return dial_by(f"{address}{port}{found.extra_dejson.get('path', '')}", found.password)
