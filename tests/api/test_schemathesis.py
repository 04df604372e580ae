"""Schemathesis asks what nobody thought of: no 5xx, and every answer as the document says.

It asks a gateway of its own over the twin's books, or the one at ORDERGATE_BASE_URL, whose
administration is at ORDERGATE_ADMIN_URL, with the token in ORDERGATE_TOKEN.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS

from ordergate.api.app import create_app
from tests.api.books import Books
from tests.api.people import TRADER, deps_of
from tests.api.served import serving
from tests.dose import dose

PATIENCE_S = 30.0

CHECKED: list[Any] = [
    check
    for check in CHECKS.get_all()
    if check.__name__
    in {
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
        "ignored_auth",
        "unsupported_method",
    }
]


@pytest.fixture(scope="module")
def token() -> str:
    return os.environ.get("ORDERGATE_TOKEN", TRADER)


class Place(NamedTuple):
    """Where the gateway's two listeners are."""

    base_url: str
    admin_url: str


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """Ours runs in a thread with a loop of its own."""
    given = os.environ.get("ORDERGATE_BASE_URL")
    if given is not None:
        yield Place(given, os.environ["ORDERGATE_ADMIN_URL"])
        return
    started = threading.Event()
    found: dict[str, Any] = {}

    async def run() -> None:
        async with serving(deps_of(Books())) as served:
            found.update(url=served.base_url, admin=served.admin_url)
            found.update(loop=asyncio.get_running_loop(), ended=asyncio.Event())
            started.set()
            await found["ended"].wait()

    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    assert started.wait(PATIENCE_S)
    try:
        yield Place(found["url"], found["admin"])
    finally:
        found["loop"].call_soon_threadsafe(found["ended"].set)
        thread.join(PATIENCE_S)


def operations() -> Iterator[tuple[str, str, GenerationMode]]:
    """Every operation that is ours to describe, asked rightly, and wrongly where it takes anything.

    The authorization server follows its own standards and is left to their tests.
    """
    paths: dict[str, dict[str, Any]] = create_app(deps_of(Books())).openapi()["paths"]
    for path, found in paths.items():
        if path.startswith(("/oauth/", "/.well-known/")):
            continue
        for method, operation in found.items():
            yield path, method, GenerationMode.POSITIVE
            if "parameters" in operation or "requestBody" in operation:
                yield path, method, GenerationMode.NEGATIVE


@pytest.fixture(scope="module")
def api_schema(place: Place) -> Any:
    return schemathesis.openapi.from_url(f"{place.base_url}/openapi.json")


@pytest.mark.parametrize(("path", "method", "mode"), list(operations()))
def test_every_answer_is_as_the_document_says(
    path: str, method: str, mode: GenerationMode, *, api_schema: Any, place: Place, token: str
) -> None:
    operation = api_schema[path][method]
    base_url = place.admin_url if "servers" in operation.definition.raw else place.base_url
    headers = {"authorization": f"Bearer {token}"}

    @seed(20240301)
    @settings(
        max_examples=dose(usual=20, long=400),
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        deadline=None,
        database=None,
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        case.call_and_validate(base_url=base_url, headers=headers, checks=CHECKED)

    ask()
