"""A gateway whose answers a test chooses, with no socket between."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from joserfc.jwk import ECKey

from ordergate.cli.client import GatewayClient
from ordergate.cli.exchange import Exchange
from ordergate.cli.profiles import Profile
from ordergate.cli.proofs import Proofs
from ordergate.cli.tokens import Token

URL = "https://gateway.example"

Answer = httpx.Response | Exception | type[BaseException]


class OneToken:
    """Good for as long as the test is."""

    def token(self) -> Token:
        return Token(text="a-token", renew_at=0.0, expires_at=0.0, answer={})

    def another(self, refused: str) -> bool:
        return False

    def log_in_again(self) -> bool:
        return False


def client(answers: Callable[[httpx.Request], httpx.Response]) -> GatewayClient:
    http = httpx.Client(base_url=URL, transport=httpx.MockTransport(answers))
    profile = Profile(base_url=URL, stream_url=URL, token_url=URL, client_id="desk", account="P-DEMO")
    return GatewayClient(
        profile, Exchange(http, Proofs(ECKey.generate_key("P-256", private=True))), OneToken()
    )


def giving(*given: Answer) -> GatewayClient:
    """A gateway that gives these one after the other."""
    left = list(given)

    def answers(_: httpx.Request) -> httpx.Response:
        one = left.pop(0)
        if isinstance(one, httpx.Response):
            return one
        raise one

    return client(answers)


def stand_in(monkeypatch: pytest.MonkeyPatch, *given: Answer, module: str = "orders") -> list[httpx.Request]:
    """Let the commands of this module ask a gateway that gives these; what it is asked."""
    asked: list[httpx.Request] = []
    left = list(given)

    def answers(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        one = left.pop(0)
        if isinstance(one, httpx.Response):
            return one
        raise one

    @contextmanager
    def gateway(_: Path | None) -> Iterator[GatewayClient]:
        yield client(answers)

    monkeypatch.setattr(f"ordergate.cli.{module}.gateway", gateway)
    return asked
