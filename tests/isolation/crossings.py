"""Six more ways across: by another issuer's token, an alert, a page, copied limits, fills, and a lifted stop.

As in `attempts`, each goes through the product's own code as far as it gets, and tells how many orders the
real venue has got; `foreign_fills` tells how many fills of paper stand in live's books.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final
from unittest.mock import patch

import httpx
import msgspec

from ordergate.api.app import ApiDeps, create_app
from ordergate.brokers.paper.broker import PaperBroker
from ordergate.brokers.paper.orders import PaperOrder
from ordergate.core.access import Principal
from ordergate.core.hooks.hook import Hook, Signed
from ordergate.core.hooks.template import Template
from ordergate.core.ids import AccountId, Env, Paper
from ordergate.core.refusals import Refusal
from ordergate.core.risk.trading_state import Grade, Level
from ordergate.core.webhook_signatures import signature
from ordergate.engine.answering.answers import Answer
from ordergate.journal import postgres
from ordergate.journal.writer import Limits
from ordergate.security import external
from ordergate.security.external import ExternalIssuer, IssuerSettings
from ordergate.wiring import declaration
from tests.api.books import Books
from tests.api.people import deps_of
from tests.engine import stage as stages
from tests.engine.stage import ES, Stage, let_run
from tests.isolation.attempts import PAPER, Attempt, Ground, placed_in_live, settled
from tests.isolation.live import ACCOUNT as LIVE
from tests.isolation.live import person, place, terms
from tests.security.idp import provider
from tests.security.world import World, world

SECRET: Final = b"a secret that both environments were given"
WORD: Final = "orders:read orders:write operations:write"


def known_as(stage: Stage) -> AccountId:
    """The name of paper's account as this gateway reads it."""
    seat = stage.node.lanes.get(PAPER)
    return PAPER if seat is None else seat.lane.account


async def foreign_token(ground: Ground) -> int:
    """PL2: a token that a company's own issuer gave out for paper is shown to live, which trusts it too."""
    async with provider() as corporate, external.http_client() as http, Stage(env=Env.LIVE) as stage:
        practice = await world(Env.PAPER)
        trusted = IssuerSettings(
            name="corp", issuer=corporate.issuer, audience="urn:gateway:live", tenant="test",
            lifetime_s_max=600,
        )  # fmt: skip
        real = await world(Env.LIVE, issuers=(ExternalIssuer(trusted, http, practice.clock),))
        claims = practice.claims(
            iss=corporate.issuer, aud="urn:gateway:paper", tenant="test", scope=WORD, acct=[known_as(stage)]
        )
        principal = await real.bearer.authenticate(corporate.token(claims))
        answer = await stage.gate.place(
            _of(principal), terms(known_as(stage)), key=stage.key(), correlation="test"
        )
        return await _arrived(stage, answer)


async def copied_hook(ground: Ground) -> int:
    """PL5: a hook with its secret was copied from paper's settings to live's, and its sender posts on."""
    declaration.check(ground.settings("live", PAPER, declared="paper"), {})
    async with Stage(env=Env.LIVE) as stage:
        order = {"symbol": ES, "side": "buy", "type": "limit", "quantity": "1", "limit_price": "4700",
                 "time_in_force": "gtc"}  # fmt: skip
        proof = Signed(secrets=(SECRET,))
        hook = Hook(name="tv", account=known_as(stage), tenant="test", proof=proof, template=Template(order))
        real = await world(Env.LIVE)
        at, body = int(stage.clock.now().timestamp()), b"{}"
        headers = {
            "content-type": "application/json",
            "webhook-id": "msg_1",
            "webhook-timestamp": str(at),
            "webhook-signature": signature("msg_1", at, body, SECRET),
        }
        async with _face(stage, real, hooks={"tv": hook}) as client:
            return await _answered(stage, await client.post("/v1/hooks/tv", content=body, headers=headers))


async def wrong_page(ground: Ground) -> int:
    """PL6, PL11: a page shows paper, was logged in to there, and what it asks is led to live."""
    practice, real = await world(Env.PAPER), await world(Env.LIVE)
    async with Stage(env=Env.LIVE) as stage:
        account = known_as(stage)
        claims = practice.claims(tenant="test", acct=[account], scope=WORD)
        order = {"account_id": account, "symbol": ES, "side": "buy", "type": "limit", "quantity": "1",
                 "limit_price": "4700", "time_in_force": "gtc"}  # fmt: skip
        headers = {"authorization": f"Bearer {practice.sign(claims)}", "idempotency-key": stage.key()}
        async with _face(stage, real) as client:
            return await _answered(stage, await client.post("/v1/orders", json=order, headers=headers))


async def copied_limits(ground: Ground) -> int:
    """PL5, PL12: paper's settings and database, with limits as wide as paper's, are put in live's place."""
    declaration.check(ground.settings("live", LIVE, declared="paper"), {})
    await postgres._check(ground.dsn, Env.LIVE, Limits())
    wide = {"enabled": True, "max_open_notional": "1000000000000", "max_open_orders": 1_000_000}
    return await placed_in_live(limits=wide)


async def foreign_fills(ground: Ground) -> int:
    """PL1, PL10: live listens to a session of paper, where somebody trades."""
    await ground.unseal(sealed_in=Env.PAPER, opened_in=Env.LIVE)
    stage = Stage(env=Env.LIVE, expected="live:REAL")

    def of_paper(exchange: Any, **more: Any) -> PaperBroker[Paper]:
        return PaperBroker(exchange, **{**more, "env": Env.PAPER})

    with patch.object(stages, "PaperBroker", of_paper):
        await stage.start(ready=False)
    try:
        await settled(stage)
        practice = stage.exchange.submit("P-000000000000000001-1", terms(PAPER))
        assert isinstance(practice, PaperOrder)
        stage.exchange.fill(practice.id, Decimal(1), Decimal(4700))
        for _ in range(20):
            await settled(stage)
        return len(stage.journal.books[LIVE].executions)
    finally:
        await stage.crash()


async def lifted_stop(ground: Ground) -> int:
    """PL13: who stopped live and who releases paper mean different things, and live goes on."""
    practice, real = await world(Env.PAPER), await world(Env.LIVE)
    async with Stage(env=Env.LIVE) as stage:
        now = stage.clock.now()
        await stage.gate.engage_kill(
            person("anna", now), grade=Grade.BLOCK_NEW, reason="a test", correlation="test",
            level=Level.ACCOUNT, target=LIVE,
        )  # fmt: skip
        claims = practice.claims(tenant="test", acct=[known_as(stage)], scope=WORD)
        operator = _of(await real.bearer.authenticate(practice.sign(claims)))
        released = await stage.gate.release_kill(
            msgspec.structs.replace(operator, auth_time=int(now.timestamp())),
            reason="a test", correlation="test", level=Level.ACCOUNT, target=known_as(stage),
        )  # fmt: skip
        if isinstance(released, Refusal):
            raise PermissionError(released.detail)
        return await _arrived(stage, await place(stage, by=person("trader", now)))


def _of(principal: Principal | Refusal) -> Principal:
    if isinstance(principal, Refusal):
        raise PermissionError(principal.detail)
    return principal


async def _arrived(stage: Stage, answer: Answer | Refusal) -> int:
    if isinstance(answer, Refusal):
        raise PermissionError(answer.detail)
    if answer.failed:
        raise PermissionError(answer.failed[0].detail)
    await settled(stage)
    return stage.placed_at_exchange()


async def _answered(stage: Stage, answer: httpx.Response) -> int:
    """Whatever is answered says whose it is, to whoever shows it."""
    assert answer.headers["x-ordergate-env"] == Env.LIVE.value
    if answer.is_error:
        raise PermissionError(answer.text)
    await let_run()
    await settled(stage)
    return stage.placed_at_exchange()


def _face(stage: Stage, real: World, **changes: Any) -> httpx.AsyncClient:
    """Live's API over its engine, with live's own check of tokens."""
    deps: ApiDeps = msgspec.structs.replace(
        deps_of(Books()), env=Env.LIVE, gate=stage.gate, identity=real.bearer, clock=stage.clock,
        instruments=stage.instruments, **changes,
    )  # fmt: skip
    transport = httpx.ASGITransport(create_app(deps), raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://gateway")


STOPS: Final[Mapping[Attempt, frozenset[int]]] = {
    foreign_token: frozenset({3, 8, 9}),
    copied_hook: frozenset({2, 8, 9}),
    wrong_page: frozenset({3, 8, 9}),
    copied_limits: frozenset({2, 4, 9}),
    foreign_fills: frozenset({1, 5, 7}),
    lifted_stop: frozenset({3, 8, 9}),
}
