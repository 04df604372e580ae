"""How a client reaches the gateways: whichever serves, under a timeout, again under the same key.

A client gives up on nothing: it asks until it has a definite answer, as `docs/api.md` tells it to.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Final, TypeVar

import msgspec

from ordergate.core.access import Principal, Scope
from ordergate.core.faults import JournalUnavailable
from ordergate.core.ids import AccountId, Env
from ordergate.core.refusals import Code, Refusal
from ordergate.core.risk.trading_state import Grade, Level
from ordergate.engine.answering.answers import Answer, CancelAllAnswer, GroupAnswer
from ordergate.engine.commands.gate import Gate
from ordergate.engine.node import Node
from ordergate.ports.views import Views
from ordergate.simulation.gateway import Gateway
from ordergate.simulation.ground import Ground
from ordergate.simulation.listing import TENANT
from ordergate.simulation.witness import Answered

T = TypeVar("T")

PATIENCE_S: Final = 8.0
_WAIT_S: Final = 0.4
_NOT_YET: Final = frozenset(
    {Code.NOT_READY, Code.UNAVAILABLE, Code.IDEMPOTENCY_KEY_IN_USE, Code.RATE_LIMITED}
)

Reply = Answer | CancelAllAnswer | GroupAnswer | Refusal
Ask = Callable[[Gate], Awaitable[T]]


class NoAnswer(Exception):
    """The connection broke or the answer did not come in time."""


def of_the_house(who: Principal) -> Principal:
    """The same, of the tenant whose accounts these are: a stop may hold for every one of them."""
    return msgspec.structs.replace(who, tenant=TENANT)


class Client:
    """One application of one tenant."""

    def __init__(
        self, ground: Ground, name: str, account: AccountId, serving: Callable[[], Gateway | None]
    ) -> None:
        self.name = name
        self.account = account
        self.waiting = 0
        self.on_answer: Callable[[Answered], None] = lambda answered: None
        self._stops = 0
        self._ground = ground
        self._serving = serving
        self.principal = Principal(
            env=Env.PAPER,
            tenant=f"tenant of {name}",
            client_id=name,
            subject=name,
            scopes=frozenset(Scope),
            accounts=frozenset({account}),
            expires_at=2**40,
            token_id=name,
        )

    async def command(self, verb: str, key: str, ask: Ask[Reply], *, about: str = "") -> Reply:
        """Ask until there is a definite answer; `about` is the order that it concerns, if there is one."""
        return await self.command_of(verb, key, lambda node: ask(node.gate), about=about)

    async def command_of(
        self, verb: str, key: str, ask: Callable[[Node], Awaitable[Reply]], *, about: str = ""
    ) -> Reply:
        """The same of any part of a gateway."""
        self.waiting += 1
        try:
            while True:
                reply = await self._tried(verb, key, ask, about)
                if reply is not None:
                    return reply
                await asyncio.sleep(_WAIT_S)
        finally:
            self.waiting -= 1

    async def once(self, ask: Ask[T]) -> T:
        """Ask the gate once. Raises NoAnswer, also for what the API answers with 503."""
        return await self.once_of(lambda node: ask(node.gate))

    async def once_of(self, ask: Callable[[Node], Awaitable[T]]) -> T:
        """Ask any part of a gateway once. Raises NoAnswer."""
        return await self._in_time(lambda gateway: gateway.call(ask))

    async def look(self, ask: Callable[[Views], Coroutine[None, None, T]]) -> T:
        """Read once what is shown to this client. Raises NoAnswer."""
        return await self._in_time(lambda gateway: gateway.look(self.principal, ask))

    async def _in_time(self, request: Callable[[Gateway], asyncio.Future[T]]) -> T:
        gateway = self._serving()
        if gateway is None or not gateway.serves:
            raise NoAnswer("connection refused")
        answer = request(gateway)
        done, _ = await asyncio.wait((answer,), timeout=PATIENCE_S)
        if not done:
            raise NoAnswer("no answer in time")
        error = answer.exception()
        if error is None:
            return answer.result()
        if not isinstance(error, JournalUnavailable):
            self._ground.witness.say("I24", f"{self.name} was answered with a defect: {error!r}")
        raise NoAnswer(str(error))

    async def _tried(
        self, verb: str, key: str, ask: Callable[[Node], Awaitable[Reply]], about: str
    ) -> Reply | None:
        asked_s = self._ground.loop.time()
        try:
            reply = await self.once_of(ask)
        except NoAnswer:
            return None
        if isinstance(reply, Refusal) and reply.code in _NOT_YET:
            return None
        answered = _answered(self, verb, key, reply)
        self._ground.witness.answered(msgspec.structs.replace(answered, asked_s=asked_s, about=about))
        self.on_answer(answered)
        return reply

    async def engage(self, level: Level, target: str, grade: Grade) -> None:
        """Engage a stop, once. Raises NoAnswer."""
        asked_s = self._ground.loop.time()
        self._stops += 1
        correlation = f"{self.name} stops {self._stops}"
        reply = await self.once(
            lambda gate: gate.engage_kill(
                of_the_house(self.principal),
                grade=grade,
                reason="drill",
                correlation=correlation,
                level=level,
                target=target,
            )
        )
        self._ground.witness.answered(
            Answered(
                account=self.account,
                client=self.name,
                verb="stop",
                key=correlation,
                order="",
                refused=reply.code if isinstance(reply, Refusal) else "",
                asked_s=asked_s,
                about=f"{level} {target}",
            )
        )


def _answered(client: Client, verb: str, key: str, reply: Reply) -> Answered:
    match reply:
        case Refusal(code=code):
            return Answered(
                account=client.account, client=client.name, verb=verb, key=key, order="", refused=code
            )
        case CancelAllAnswer():
            return Answered(account=client.account, client=client.name, verb=verb, key=key, order="")
        case GroupAnswer(failed=failed, replayed=replayed):
            return Answered(
                account=client.account,
                client=client.name,
                verb=verb,
                key=key,
                order="",
                denied=bool(failed),
                replayed=replayed,
            )
        case _:
            return Answered(
                account=client.account,
                client=client.name,
                verb=verb,
                key=key,
                order=reply.order_id,
                denied=bool(reply.failed),
                replayed=reply.replayed,
                body=reply.body,
            )
