"""Whole orders by how their sender is proved: a bearer token, a certificate, a key (DPoP), and a stream.

One gateway, and all four over TLS that ends in it, in turn within each round: what differs is the proof. Each
order is durable and acknowledged by the broker. Proofs are made before the clock starts.
"""

from __future__ import annotations

import json
import secrets
import ssl
import statistics
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec
from joserfc import jws
from joserfc.jwk import ECKey

from bench import subject
from bench.clients import RestClient, StreamClient
from bench.loads import ClosedLoop
from bench.measures import DEEP, STREAMS, Rate, taken
from bench.orders import Orders
from bench.processes import Cores
from bench.stand import Broker, Stand, stand
from ordergate.security.dpop import hash_of
from tests.api.test_bound_tokens import Authority

CONNECTIONS: Final = 32
PROOFS_PER_S: Final = 1_500
PATIENCE_S: Final = 30.0
GRANT: Final = {"grant_type": "client_credentials"}
ORDERS: Final = "/v1/orders"


class Way(msgspec.Struct, frozen=True):
    """One way of proving who sends, as it was measured."""

    together: list[Rate]
    alone: list[Rate]


class Senders:
    """A stand, and one client's tokens: one for each way."""

    def __init__(self, here: Stand, authority: Authority) -> None:
        self._here = here
        self._key = ECKey.generate_key("P-256", private=True)
        self._base = f"https://127.0.0.1:{here.port}"
        self._plain = ssl.create_default_context(cafile=str(authority.root))
        self._mine = ssl.create_default_context(cafile=str(authority.root))
        self._mine.load_cert_chain(*authority.signed("mine")[:2])
        self._nonce = ""
        self._tokens: dict[str, str] = {}

    async def log_in(self) -> None:
        for way, context in (("bearer", self._plain), ("certificate", self._mine)):
            self._tokens[way] = await self._token(context, dict)
        await self._token(self._plain, self._at_token_endpoint)  # tells the nonce
        self._tokens["key"] = await self._token(self._plain, self._at_token_endpoint)

    def ways(self) -> dict[str, Callable[[float, bool], Any]]:
        return {
            "rest_bearer": lambda s, alone: self._rest("bearer", self._plain, s, alone=alone),
            "rest_certificate": lambda s, alone: self._rest("certificate", self._mine, s, alone=alone),
            "rest_key": lambda s, alone: self._rest_with_proofs(s, alone=alone),
            "stream": lambda s, alone: self._stream(s, alone=alone),
        }

    async def _rest(self, way: str, context: ssl.SSLContext, seconds: float, *, alone: bool) -> Rate:
        clients = await self._clients(context, alone=alone)
        return await taken(
            self._here, ClosedLoop(clients, Orders(self._tokens[way]).request), clients, seconds
        )

    async def _rest_with_proofs(self, seconds: float, *, alone: bool) -> Rate:
        orders = Orders(self._tokens["key"])
        await self._fresh_nonce()
        stock = deque(self._proof() for _ in range(int(PROOFS_PER_S * seconds / (4 if alone else 1))))
        clients = await self._clients(self._plain, alone=alone)

        def ask() -> bytes:
            return orders.proven(stock.popleft() if stock else self._proof())

        return await taken(self._here, ClosedLoop(clients, ask), clients, seconds)

    async def _stream(self, seconds: float, *, alone: bool) -> Rate:
        token, port = self._tokens["bearer"], self._here.port
        clients = [
            await StreamClient.connect(port, token, self._plain) for _ in range(1 if alone else STREAMS)
        ]
        loop = ClosedLoop(clients, Orders(token).frame, deep=1 if alone else DEEP)
        return await taken(self._here, loop, clients, seconds)

    async def _clients(self, context: ssl.SSLContext, *, alone: bool) -> Sequence[RestClient]:
        port = self._here.port
        return [await RestClient.connect(port, context) for _ in range(1 if alone else CONNECTIONS)]

    async def _token(self, context: ssl.SSLContext, headers: Callable[[], dict[str, str]]) -> str:
        login = (subject.CLIENT, self._here.process.said["client_secret"])
        async with httpx.AsyncClient(base_url=self._base, verify=context, timeout=PATIENCE_S) as http:
            answer = await http.post("/oauth/token", data=GRANT, auth=login, headers=headers())
        self._nonce = answer.headers.get("dpop-nonce", self._nonce)
        return str(answer.json().get("access_token", ""))

    async def _fresh_nonce(self) -> None:
        await self._token(self._plain, self._at_token_endpoint)

    def _at_token_endpoint(self) -> dict[str, str]:
        return {"DPoP": self._proof("/oauth/token", "").decode()}

    def _proof(self, path: str = ORDERS, token: str | None = None) -> bytes:
        header = {"typ": "dpop+jwt", "alg": "ES256", "jwk": self._key.as_dict(private=False)}
        claims = {
            "jti": secrets.token_urlsafe(12),
            "htm": "POST",
            "htu": self._base + path,
            "iat": int(time.time()),
        }
        token = self._tokens["key"] if token is None else token
        if token:
            claims["ath"] = hash_of(token)
        if self._nonce:
            claims["nonce"] = self._nonce
        return jws.serialize_compact(header, json.dumps(claims), self._key, algorithms=["ES256"]).encode()


async def measure(
    cores: Cores,
    folder: Path,
    dsn: str,
    counterparty: Broker,
    *,
    rounds: int,
    seconds: float,
    say: Callable[[str], None],
) -> dict[str, Any]:
    authority = Authority(folder)
    certificate, key, _ = authority.signed("server")
    tls = {"certificate": certificate, "key": key, "client_authorities": str(authority.root)}
    async with stand(cores, folder, "senders", dsn=dsn, broker=counterparty, tls=tls) as here:
        senders = Senders(here, authority)
        await senders.log_in()
        ways = senders.ways()
        found = {name: Way([], []) for name in ways}
        for number in range(rounds + 1):
            say(f"orders by how their sender is proved, round {number} of {rounds}")
            for name, way in ways.items():
                for alone, rates in ((False, found[name].together), (True, found[name].alone)):
                    rate = await way(seconds / (2 if alone else 1), alone)
                    if number:  # the first is to get warm
                        rates.append(rate)
    return {name: _told(way) for name, way in found.items()}


def _told(way: Way) -> dict[str, Any]:
    """Medians of the rounds: of many at once, and of one who asks again when the order is acknowledged."""
    return {
        "orders_per_s": round(statistics.median(one.per_s for one in way.together), 1),
        "cpu_us": round(statistics.median(one.cpu_us for one in way.together), 1),
        "one_after_another_ms": round(statistics.median(1_000 / one.per_s for one in way.alone), 2),
        "rounds": msgspec.to_builtins(way),
    }
