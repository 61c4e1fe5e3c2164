"""Who looks: a person of the staff, with what Airflow lets them read and change at the desk."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

DESK, TEAM, BOARD, PHONES = "Retention Desk", "Retention Team", "Retention Board", "Phone Reveal"
Method = Literal["GET", "PUT"]
#: What Airflow is asked for: to read or change one of the resources above.
Right = tuple[Method, str]


@dataclass(frozen=True)
class Viewer:
    """A person of the staff at the desk."""

    staff_id: int
    staff_code: str
    name: str
    role: str
    team: str
    branch_code: str | None
    username: str
    resources: frozenset[Right]
    #: What is stopped just now: scope, what, because, stopped_by, since
    stops: Sequence[Mapping[str, Any]] = ()

    @property
    def may_stop(self) -> bool:
        """Whether this person may stop outbound: a lead their team's, a manager any."""
        return self.role in ("lead", "manager")

    def may(self, method: Method, resource: str) -> bool:
        """Whether Airflow lets this person read (GET) or change (PUT) a resource of the desk."""
        return (method, resource) in self.resources
