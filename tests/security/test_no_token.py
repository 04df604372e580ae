"""Schemathesis asks without any token, for everything there is: nothing that is protected succeeds.

Over a whole gateway in memory and real sockets, both listeners and the authorization server. The document
leaves the forms of its endpoints to their standards, so here are fields of those.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import GenerationMode

from ordergate.core.ids import Env
from ordergate.wiring.gateway import mounted
from ordergate.wiring.serving import kept_port
from tests.api.served import serving
from tests.dose import dose
from tests.security.floor import Floor, floor
from tests.security.matrix import PUBLIC

PATIENCE_S: Final = 60.0
OPEN: Final = PUBLIC | {
    "GET /.well-known/oauth-protected-resource/paper",
    "GET /oauth/passkey.js",
}
"""What anybody may have."""

GRANTS: Final = ["client_credentials", "authorization_code", "refresh_token", "password"]
FORM: Final = {
    "grant_type": {"enum": GRANTS},
    "client_id": {"enum": ["app", "trader", "program-own", "nobody"]},
    "client_secret": {"type": "string"},
    "token": {"type": "string"},
    "code": {"type": "string"},
    "refresh_token": {"type": "string"},
    "response_type": {"enum": ["code", "token"]},
    "redirect_uri": {"enum": ["https://desk.example/back", "https://evil.example/"]},
    "scope": {"enum": ["orders:read", "risk:write", "openid"]},
    "code_challenge": {"type": "string", "minLength": 43, "maxLength": 43},
    "code_challenge_method": {"enum": ["S256", "plain"]},
    "user": {"enum": ["trader", "nobody"]},
    "password": {"type": "string"},
    "visit": {"type": "string"},
    "decision": {"enum": ["allow", "deny"]},
    "credential": {"type": "string"},
    "new": {"type": "string"},
    "again": {"type": "string"},
    "end": {"enum": ["logins"]},
}


class Asked:
    def __init__(self, here: Floor, base_url: str, admin_url: str) -> None:
        self.here = here
        self.base_url = base_url
        self.admin_url = admin_url
        self.written = self.events()

    def events(self) -> int:
        """How much is in the journal, of everybody's."""
        return sum(len(book.events) for book in self.here.journal.books.values())


@pytest.fixture(scope="module")
def asked() -> Iterator[Asked]:
    """The gateway runs in a thread with a loop of its own."""
    started = threading.Event()
    found: dict[str, Any] = {}

    async def run() -> None:
        with kept_port() as port:
            async with floor(Env.PAPER, base_url=f"http://127.0.0.1:{port}") as here:
                endpoints = tuple(mounted(endpoint) for endpoint in here.security.endpoints())
                deps = msgspec.structs.replace(here.deps, authorization=endpoints)
                async with serving(deps, port=port) as served:
                    found.update(asked=Asked(here, served.base_url, served.admin_url))
                    found.update(loop=asyncio.get_running_loop(), ended=asyncio.Event())
                    started.set()
                    await found["ended"].wait()

    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    assert started.wait(PATIENCE_S)
    try:
        yield found["asked"]
    finally:
        found["loop"].call_soon_threadsafe(found["ended"].set)
        thread.join(PATIENCE_S)


@pytest.fixture(scope="module")
def api_schema(asked: Asked) -> Any:
    document = schemathesis.openapi.from_url(f"{asked.base_url}/openapi.json").raw_schema
    for path, its in document["paths"].items():
        if not path.startswith("/oauth/"):
            continue
        if "post" in its:
            form = {"schema": {"type": "object", "properties": FORM}}
            its["post"]["requestBody"] = {"content": {"application/x-www-form-urlencoded": form}}
        if "get" in its:
            its["get"]["parameters"] = [
                {"name": name, "in": "query", "schema": fits} for name, fits in FORM.items()
            ]
    return schemathesis.openapi.from_dict(document)


@pytest.mark.timeout(dose(300, 1_800))
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_without_a_token_nothing_protected_succeeds(
    mode: GenerationMode, *, api_schema: Any, asked: Asked
) -> None:
    document: dict[str, dict[str, Any]] = api_schema.raw_schema["paths"]
    operations = {f"{method.upper()} {path}" for path, its in document.items() for method in its}
    assert operations >= OPEN
    protected = sorted(operations - OPEN)
    answers: Counter[int] = Counter()
    for name in protected:
        counted = _answers(api_schema, asked, name, mode)
        answers += counted
        if "security" not in document[name.split(" ")[1]][name.split(" ")[0].lower()]:
            assert mode is GenerationMode.NEGATIVE or set(counted) == {401}, (name, counted)
        assert not [status for status in counted if status >= 500], (name, counted)

    successes = sum(times for status, times in answers.items() if status < 400)
    assert successes == 0, answers
    assert len(protected) > 80
    assert answers[401] > len(protected)
    assert asked.events() == asked.written


def _answers(api_schema: Any, asked: Asked, name: str, mode: GenerationMode) -> Counter[int]:
    """How often which status came."""
    method, path = name.split(" ")
    operation = api_schema[path][method.lower()]
    takes = {"parameters", "requestBody"} & operation.definition.raw.keys()
    if mode is GenerationMode.NEGATIVE and not takes:
        return Counter()
    base_url = asked.admin_url if "servers" in operation.definition.raw else asked.base_url
    counted: Counter[int] = Counter()

    @seed(20240301)
    @settings(
        max_examples=dose(usual=5, long=100),
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        deadline=None,
        database=None,
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        case.headers = {k: v for k, v in (case.headers or {}).items() if k.lower() != "authorization"}
        counted[case.call(base_url=base_url, allow_redirects=False).status_code] += 1

    ask()
    return counted
