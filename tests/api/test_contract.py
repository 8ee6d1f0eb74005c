"""The OpenAPI document against the application: whatever the document allows is answered as the document says."""

import asyncio
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from gmcenter.kube import preflight
from tests.support.api import API, Installation, served

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
EXAMPLES = 12
# Signing out ends the session of the others; a stream does not end.
LEFT_OUT = {"logout", "loginByForm"}


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Generated endpoints do not exist: a fifth of a second is enough to find that out."""
    for stage in ("dns", "tcp", "tls"):
        monkeypatch.setitem(preflight.STAGE_SECONDS, stage, 0.2)


async def test_every_operation_answers_as_the_document_says(gm: Installation) -> None:
    token = await gm.token("admin")
    async with served(gm.app) as url:
        await asyncio.to_thread(_exercise, gm.app.openapi(), url, {"Authorization": f"Bearer {token}"})


def _exercise(document: dict[str, Any], url: str, headers: dict[str, str]) -> None:
    schema = schemathesis.openapi.from_dict(document)
    tried = set()
    for result in schema.get_all_operations():
        operation = result.ok()
        if operation.definition.raw.get("operationId") in LEFT_OUT:
            continue
        tried.add(operation.label)

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=True,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=GenerationMode.POSITIVE))
        def holds(case: Any) -> None:
            if case.query:
                case.query.pop("watch", None)
            case.call_and_validate(base_url=url, headers=headers, checks=CHECKS, timeout=30)

        holds()
    assert len(tried) > 30
    assert f"GET {API}/pods" in tried
