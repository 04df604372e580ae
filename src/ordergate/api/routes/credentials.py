"""What lets the gateway in at brokers: stored and rotated by few, who have logged in a moment ago.

Whoever does this may trade every account of the login; what a step means is the desk's to judge.
"""

from __future__ import annotations

from typing import Final

import msgspec

from ordergate.api.bearer import challenge
from ordergate.api.credential_schemas import PairFields
from ordergate.api.deps import Deps
from ordergate.api.door import Door
from ordergate.api.exchange import Call, Reply, refused
from ordergate.api.json_bodies import decode
from ordergate.api.routes.hot import HotRoute
from ordergate.api.stored_credentials import CredentialView, Step
from ordergate.core.access import Principal, Scope
from ordergate.core.refusals import Code, Refusal
from ordergate.core.two_persons import stale_login
from ordergate.telemetry.secret import Secret

NO_LOGIN: Final = Refusal(Code.NOT_FOUND, "there is no such login with stored credentials")

_pair: Final = msgspec.json.Decoder(PairFields)
_encode: Final = msgspec.json.Encoder().encode


class CredentialRoutes:
    """Every step can be repeated, and the second time is refused where the first was done."""

    def __init__(self, deps: Deps, door: Door) -> None:
        self._desk = deps.credentials
        self._clock = deps.clock
        self._bounds = deps.bounds
        self._door = door

    def routes(self) -> list[HotRoute]:
        return [
            HotRoute("/v1/credentials", {"GET": self.listed}),
            HotRoute("/v1/credentials/{login}", {"POST": self.add}),
            HotRoute("/v1/credentials/{login}/verify", {"POST": self.verify}),
            HotRoute("/v1/credentials/{login}/switch", {"POST": self.switch}),
            HotRoute("/v1/credentials/{login}/drain", {"POST": self.drain}),
            HotRoute("/v1/credentials/{login}/revoke", {"POST": self.revoke}),
        ]

    async def listed(self, call: Call) -> Reply:
        principal = await self._door.enter(call, Scope.CREDENTIALS_WRITE)
        if isinstance(principal, Reply):
            return principal
        found = await self._desk.listed()
        if isinstance(found, Refusal):
            return refused(found, call.correlation)
        seen = [one for one in found if self._serves(principal, one.broker)]
        return Reply(200, _encode({"credentials": seen}))

    async def add(self, call: Call) -> Reply:
        login = await self._entered(call)
        if isinstance(login, Reply):
            return login
        body = await call.json_body(self._bounds)
        if isinstance(body, Refusal):
            return refused(body, call.correlation)
        pair = decode(body, _pair)
        if isinstance(pair, Refusal):
            return refused(pair, call.correlation)
        done = await self._desk.add(login, Secret(pair.key_id), Secret(pair.secret_key))
        return _told(call, done, status=201)

    async def verify(self, call: Call) -> Reply:
        return await self._moved(call, "verify")

    async def switch(self, call: Call) -> Reply:
        return await self._moved(call, "switch")

    async def drain(self, call: Call) -> Reply:
        return await self._moved(call, "drain")

    async def revoke(self, call: Call) -> Reply:
        return await self._moved(call, "revoke")

    async def _moved(self, call: Call, step: Step) -> Reply:
        login = await self._entered(call)
        return login if isinstance(login, Reply) else _told(call, await self._desk.move(login, step))

    async def _entered(self, call: Call) -> str | Reply:
        """The login that is meant, or the answer to give instead."""
        principal = await self._door.enter(call, Scope.CREDENTIALS_WRITE)
        if isinstance(principal, Reply):
            return principal
        login = call.part("login")
        if not self._serves(principal, login):
            return refused(NO_LOGIN, call.correlation)
        stale = stale_login(principal, self._clock.now())
        if stale is not None:
            return refused(stale, call.correlation, challenge(stale, Scope.CREDENTIALS_WRITE))
        return login

    def _serves(self, principal: Principal, login: str) -> bool:
        accounts = self._desk.accounts_of(login)
        return bool(accounts) and accounts <= principal.accounts


def _told(call: Call, found: CredentialView | Refusal, status: int = 200) -> Reply:
    if isinstance(found, Refusal):
        return refused(found, call.correlation)
    return Reply(status, _encode(found))
