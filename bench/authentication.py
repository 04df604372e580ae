"""What it costs to know who sent an order, in microseconds of one core.

By REST with a bearer token, by REST with a token that is bound to a key or a certificate, by WebSocket (the
look before each frame), and what a token costs once, when it is seen for the first time. Prints the best and
the median of many rounds: the machine is shared.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from time import perf_counter_ns
from typing import Any, Final

from joserfc import jws
from joserfc.jwk import ECKey

from ordergate.api.bearer import token_in
from ordergate.core.access import Principal, Scope
from ordergate.core.ids import AccountId, Env
from ordergate.ports.identity import Shown
from ordergate.security.clients import Client
from ordergate.security.dpop import hash_of
from ordergate.security.keys.software import SoftwareKeys
from ordergate.security.memory import MemoryStore
from ordergate.security.people.memory import MemoryPeople
from ordergate.security.people.totp import Totp
from ordergate.security.profile import profile
from ordergate.security.service import Security, start

PATH: Final = "/v1/orders"
ROUNDS: Final = 15
ORDERS_PER_ROUND: Final = 500


class _Clock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Stand:
    """A process's identity, and a client with a token of each kind."""

    def __init__(self, security: Security, client: Client) -> None:
        self.security = security
        self.key = ECKey.generate_key("P-256", private=True)
        signer = security.signer
        self.plain = signer.mint(client, client.scopes)
        self.of_key = signer.mint(client, client.scopes, f"jkt:{self.key.thumbprint()}")
        self.of_certificate = signer.mint(client, client.scopes, "x5t:certificate")
        self.principal: Principal | None = None

    async def know(self) -> None:
        """Every token has been seen once."""
        found = await self.security.bearer.authenticate(self.plain)
        assert isinstance(found, Principal)
        self.principal = found
        assert isinstance(await self.security.bearer.authenticate(self.of_key, self.shown()), Principal)
        by_certificate = Shown(certificate="certificate")
        certified = await self.security.bearer.authenticate(self.of_certificate, by_certificate)
        assert isinstance(certified, Principal)

    def shown(self) -> Shown:
        header = {"typ": "dpop+jwt", "alg": "ES256", "jwk": self.key.as_dict(private=False)}
        claims = {
            "jti": secrets.token_urlsafe(12),
            "htm": "POST",
            "htu": f"https://gateway.example{PATH}",
            "iat": int(time.time()),
            "ath": hash_of(self.of_key),
            "nonce": self.security.bearer.nonce(),
        }
        proof = jws.serialize_compact(header, json.dumps(claims), self.key, algorithms=["ES256"])
        return Shown(dpop=True, method="POST", path=PATH, proof=proof)


async def stand() -> Stand:
    clock, store = _Clock(), MemoryStore(Env.PAPER)
    client = Client(
        client_id="bench",
        tenant="bench",
        secret_hash="$argon2id$",
        scopes=frozenset({Scope.ORDERS_WRITE}),
        accounts=frozenset({AccountId("P-BENCH")}),
    )
    await store.put_client(client)
    security = await start(
        profile(Env.PAPER, "https://gateway.example"),
        store,
        clock,
        people=MemoryPeople(Env.PAPER, store),
        totp=Totp(Env.PAPER, bytes(32)),
        keys=SoftwareKeys(Env.PAPER, lambda: int(time.time())),
    )
    made = Stand(security, client)
    await made.know()
    return made


def measured(what: Callable[[Any], object], given: Callable[[], list[Any]]) -> tuple[float, float]:
    """The best and the median round, in microseconds for each of what is `given`."""
    rounds = []
    for _ in range(ROUNDS):
        each = given()
        began = perf_counter_ns()
        for one in each:
            what(one)
        rounds.append((perf_counter_ns() - began) / 1_000 / len(each))
    return min(rounds), statistics.median(rounds)


def costs(here: Stand) -> dict[str, tuple[float, float]]:
    bearer = here.security.bearer
    header = f"Bearer {here.plain}".encode()
    by_certificate = Shown(method="POST", path=PATH, certificate="certificate")

    def plain(_: object) -> None:
        token = token_in(header)
        assert isinstance(token, str)
        assert bearer.known(token) is not None

    def certified(_: object) -> None:
        assert isinstance(bearer.known_bound(here.of_certificate, by_certificate), Principal)

    def proven(shown: Shown) -> None:
        assert isinstance(bearer.known_bound(here.of_key, shown), Principal)

    def framed(_: object) -> None:
        assert here.principal is not None
        assert bearer.still_valid(here.principal)

    def first(_: object) -> None:
        assert bearer.own(here.plain) is not None

    def nothing() -> list[Any]:
        return [None] * ORDERS_PER_ROUND

    return {
        "REST, bearer token": measured(plain, nothing),
        "REST, bound to a certificate": measured(certified, nothing),
        "REST, bound to a key (DPoP)": measured(proven, lambda: [here.shown() for _ in nothing()]),
        "WebSocket, each frame": measured(framed, nothing),
        "a token, the first time": measured(first, nothing),
    }


def main() -> None:
    for name, (best, median) in costs(asyncio.run(stand())).items():
        print(f"{name:32} best {best:7.2f} µs   median {median:7.2f} µs")  # what it is for


if __name__ == "__main__":
    main()
