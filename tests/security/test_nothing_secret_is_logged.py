"""Canaries: every secret of a whole session is looked for in everything that was logged."""

import io
from collections.abc import Iterator

import pytest

from ordergate.security.clients import StoreUnavailable
from ordergate.telemetry import log
from tests.fixtures.logged import logging_from
from tests.security.test_token_confusion import CASES
from tests.security.world import world


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """Down to what only who looks for a fault would read."""
    with logging_from("debug") as stream:
        yield stream


async def test_a_session_with_every_mistake_logs_no_secret(logged: io.StringIO) -> None:
    here = await world()
    secret = here.secret.reveal()
    canaries = [secret, secret[:-1], "canary-secret-0001", "canary-client-0002", "canary-scope-0003"]
    private = here.own.key.as_dict(private=True)["d"]
    assert isinstance(private, str)
    canaries.append(private)

    tokens = [await here.token(), *(forger(here) for _, forger in CASES.values())]
    for token in tokens:
        await here.bearer.authenticate(token)
    canaries += [part for token in tokens for part in token.split(".") if len(part) > 20]
    login = ("desk", secret)
    await here.ask("/oauth/introspect", {"token": tokens[0]}, basic=login)
    await here.ask("/oauth/revoke", {"token": tokens[0]}, basic=login)
    await here.ask("/oauth/token", {"client_id": secret, "client_secret": "x"}, peer="192.0.2.1")
    await here.ask(
        "/oauth/token", {"client_id": "canary-client-0002", "client_secret": secret}, peer="192.0.2.2"
    )
    for _ in range(7):
        await here.ask("/oauth/token", {"client_id": "desk", "client_secret": "canary-secret-0001"})
    await here.ask("/oauth/token", {"grant_type": "canary-scope-0003"}, basic=login, peer="192.0.2.3")
    await here.security.signer.rotate()
    log.logger("test").error("store.failed", error=StoreUnavailable(f"client_secret={secret}"))

    text = logged.getvalue()
    assert "login.failed" in text
    assert "login.throttled" in text
    assert "token.revoked" in text
    found = [canary for canary in canaries if canary in text]
    assert found == []
