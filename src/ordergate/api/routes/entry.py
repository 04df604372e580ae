"""How FastAPI's routes ask the door, and how they say no."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import msgspec
from fastapi import Request

from ordergate.api.cursors import key_in
from ordergate.api.deps import Bounds, Deps
from ordergate.api.door import Door
from ordergate.api.exchange import Call, Reply, refused
from ordergate.api.json_bodies import shown
from ordergate.core.access import Principal, Scope
from ordergate.core.ids import AccountId
from ordergate.core.refusals import Code, Refusal
from ordergate.ports.views import Views

T = TypeVar("T", bound=msgspec.Struct)

NO_SUCH_ACCOUNT: Final = Refusal(Code.NOT_FOUND, "there is no such account")


class Refused(Exception):
    """Carries a refusal out of a route; never leaves the application."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.code)
        self.refusal = refusal


class TurnedAway(Exception):
    """Carries an answer that the door has made already."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply


def entering(door: Door, scope: Scope | None = None) -> Callable[[Request], Awaitable[Principal]]:
    """The dependency that asks the door. FastAPI runs it before it looks at the query."""

    async def entered(request: Request) -> Principal:
        found = await door.enter(Call(request.scope, request.receive), scope)
        if isinstance(found, Reply):
            raise TurnedAway(found)
        _once_each(request)
        return found

    return entered


def _once_each(request: Request) -> None:
    """A parameter that is given twice is refused: one of the two would be overlooked."""
    seen_before: set[str] = set()
    for name, _ in request.query_params.multi_items():
        if name in seen_before:
            words = "the path or the query has impossible values"
            raise Refused(Refusal(Code.INVALID, words, {shown(name): "is given twice"}))
        seen_before.add(name)


async def asked_of(
    door: Door,
    call: Call,
    scope: Scope,
    bounds: Bounds,
    decoder: msgspec.json.Decoder[T],
    *,
    narrowed: bool = True,
) -> tuple[Principal, T] | Reply:
    """Who asks, and what for; or the answer to give instead. The door is first, then the body."""
    principal = await door.enter(call, scope, narrowed=narrowed)
    if isinstance(principal, Reply):
        return principal
    asked = await call.asked(bounds, decoder)
    return refused(asked, call.correlation) if isinstance(asked, Refusal) else (principal, asked)


def own(principal: Principal, account: str) -> AccountId:
    """The account, when it is one of the principal's; any other does not exist for it."""
    if account not in principal.accounts:
        raise Refused(NO_SUCH_ACCOUNT)
    return AccountId(account)


def owned(principal: Principal, asked: str | None) -> tuple[AccountId, ...]:
    """The account asked for, or all of the principal's."""
    return tuple(sorted(principal.accounts)) if asked is None else (own(principal, asked),)


def seen(deps: Deps, principal: Principal) -> Views:
    """The read tables, of which the database itself shows this principal only its own."""
    return deps.views.seen_by(principal.tenant, principal.accounts)


def place_in(listing: str, cursor: str | None) -> str | None:
    """Where in the listing the cursor points; None where it begins."""
    if cursor is None:
        return None
    key = key_in(listing, cursor)
    if isinstance(key, Refusal):
        raise Refused(key)
    return key
