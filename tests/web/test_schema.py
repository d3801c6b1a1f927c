"""Generated requests against the description: no 5xx, and no answer that it does not name.

What ``openapi.json`` says is what other people's clients are built from, in every role.
"""

from __future__ import annotations

import pytest

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")

from hypothesis import HealthCheck, Phase, given, seed, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from schemathesis.checks import not_a_server_error  # noqa: E402
from schemathesis.specs.openapi.checks import (  # noqa: E402
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from protocol.clip import ROLES  # noqa: E402

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
EXAMPLES = 4


@pytest.mark.parametrize("role", [*ROLES, None])
def test_no_generated_request_breaks_the_description(app, join, role):
    headers = {} if role is None else {"Authorization": f"Bearer {join(role).token}"}
    description = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", app)
    broken = []
    for found in description.get_all_operations():
        operation = found.ok()
        if operation.method.upper() == "OPTIONS":
            continue
        try:
            _check(operation, headers)
        except BaseExceptionGroup as failed:
            broken.append(f"{operation.label}: {failed.exceptions}")
    assert not broken, "\n".join(broken)


def _check(operation, headers):
    @seed(20260131)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def run(data):
        case = data.draw(operation.as_strategy())
        answer = case.call(headers=headers)
        case.validate_response(answer, checks=CHECKS)

    run()
