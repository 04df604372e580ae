"""The twin's books, the application over them, and a server where a test needs the wire."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from ordergate.api.app import ApiDeps, Gateway, create_app
from tests.api.books import Books
from tests.api.people import TRADER, Directory, StillClock, deps_of
from tests.api.served import Served, serving


@pytest.fixture
def books() -> Books:
    return Books()


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def identity() -> Directory:
    return Directory()


@pytest.fixture
def deps(books: Books, clock: StillClock, identity: Directory) -> ApiDeps:
    return deps_of(books, clock=clock, identity=identity)


@pytest.fixture
def app(deps: ApiDeps) -> Gateway:
    return create_app(deps)


@pytest.fixture
async def client(app: Gateway) -> AsyncIterator[httpx.AsyncClient]:
    """Requests straight into the application, as the trader."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    headers = {"authorization": f"Bearer {TRADER}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway", headers=headers) as client:
        yield client


@pytest.fixture
async def served(deps: ApiDeps) -> AsyncIterator[Served]:
    async with serving(deps) as served:
        yield served
