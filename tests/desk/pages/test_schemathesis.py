"""The JSON API under requests Schemathesis makes from its description: it answers as described and never breaks.

More requests than the suite has time for: `API_REQUESTS=5000 pytest tests/desk/pages/test_schemathesis.py`.
"""

import os

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from include.desk.api import described
from tests.desk.pages.conftest import SITE

REQUESTS = int(os.environ.get("API_REQUESTS", "150"))
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@pytest.mark.parametrize(
    "mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["fitting", "unfitting"]
)
def test_the_api_answers_as_it_is_described_and_never_breaks(desk_app, tickets, numbers, tokens, mode):
    schema = schemathesis.openapi.from_dict(described() | {"servers": [{"url": SITE}]})
    schema.app = desk_app
    seen = set()

    @settings(
        max_examples=REQUESTS, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )  # fmt: skip
    @given(
        case=schema.as_strategy(mode),
        who=st.sampled_from(["agent", "lead"]),
        ticket=st.none() | st.sampled_from(tickets),
        version=st.none() | st.integers(2, 6),
    )
    def send(case, who, ticket, version):
        if ticket is not None and "ticket_id" in case.path_parameters:
            case.path_parameters["ticket_id"] = ticket
        if version is not None and isinstance(case.body, dict) and "version" in case.body:
            case.body["version"] = version
        answer = case.call(headers={"Authorization": f"Bearer {tokens[who]}"})
        seen.add(answer.status_code)
        case.validate_response(answer, checks=CHECKS)

    send()
    assert 422 in seen
    assert mode == GenerationMode.NEGATIVE or {200, 409} <= seen
