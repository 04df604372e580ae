"""A GET looks and changes nothing.

Every one that either listener answers is asked, and the journal and the stores stay as they were. But for
the page that a login begins with: what it opens, once, is in memory and was pushed by POST (`test_login`).
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from starlette.routing import Route

from ordergate.api.face import Face
from ordergate.core.access import SCOPES_OF, Role
from ordergate.core.ids import Env
from tests.api.test_document import NOT_DESCRIBED
from tests.engine.stage import let_run
from tests.security.doors import Doors
from tests.security.floor import OWN, Floor, floor
from tests.security.inside import asked
from tests.security.matrix import MATRIX, PUBLIC


@pytest_asyncio.fixture
async def here() -> AsyncIterator[Floor]:
    async with floor(Env.PAPER) as made:
        await let_run()
        yield made


def kept(here: Floor) -> dict[str, Any]:
    """The last event of every stream of the journal, its receipts, and what the stores of identity hold."""
    journal = here.journal.store
    return {
        "heads": {stream: (len(books.events), books.events[-1:]) for stream, books in journal.books.items()},
        "receipts": dict(journal.receipts),
        "identity": repr(vars(here.store)),
        "people": repr(vars(here.people)),
        "stops": here.node.gate.kill_state(),
        "limits": repr(here.node.limits.book.policy),
    }


def served(face: Face) -> set[str]:
    """Every GET of the listener's route table, whether the document has it or not."""
    found: set[str] = set()
    waiting: list[Any] = list(face.router.routes)
    while waiting:
        route = waiting.pop()
        if isinstance(route, Route):
            path = re.sub(r":path\}", "}", route.path)
            found |= {f"GET {path}" for method in route.methods or () if method == "GET"}
        else:
            inner = getattr(route, "original_router", None) or getattr(route, "router", None)
            waiting += list(getattr(inner, "routes", ()))
    return found


async def test_every_get_of_both_listeners_is_asked_here(here: Floor) -> None:
    doors = Doors(here.app)
    resource = f"GET /.well-known/oauth-protected-resource/{here.env}"
    asked_here = {name for name in [*MATRIX, *PUBLIC] if name.startswith("GET ")} | {resource}
    pages = {f"GET {path}" for path in NOT_DESCRIBED if path != "/v1/stream"}
    assert served(doors.app) | served(doors.administration) == asked_here | pages


async def test_no_get_changes_what_is_kept(here: Floor) -> None:
    before = kept(here)
    let_in = set()
    for name, row in MATRIX.items():
        if not name.startswith("GET "):
            continue
        for role in (role for role in Role if row.scope is None or row.scope in SCOPES_OF[role]):
            token = here.signed(here.claims(role))
            status, body = await here.ask("GET", row.path.format(**here.things[OWN]), token=token)
            assert status == 200, (name, role, body)
            let_in.add(name)
            await let_run()
            assert kept(here) == before, (name, role)
    assert let_in == {name for name in MATRIX if name.startswith("GET ")}


async def test_no_page_that_needs_no_token_changes_what_is_kept(here: Floor) -> None:
    before, doors = kept(here), Doors(here.app)
    for face in (doors.app, doors.administration):
        for name in sorted(served(face) - MATRIX.keys()):
            status, _ = await asked(face, "GET", name.partition(" ")[2], token=None)
            assert status == 200, name
            await let_run()
            assert kept(here) == before, name


@pytest.mark.parametrize("name", ["DELETE /v1/orders/{order_id}", "POST /v1/access/assignments"])
async def test_what_does_change_something_would_be_seen(here: Floor, name: str) -> None:
    before, row, thing = kept(here), MATRIX[name], here.things[OWN]
    (role, *_) = (role for role in Role if row.scope in SCOPES_OF[role])
    status, body = await here.ask(
        name.partition(" ")[0],
        row.path.format(**thing),
        token=here.signed(here.claims(role)),
        body=None if row.body is None else row.body(thing),
        headers={"idempotency-key": here.key()},
    )
    assert status < 300, body
    await let_run()
    assert kept(here) != before
