"""Who is at the other end of a stream: what its logins come to, and whether it may stay.

A proof in a frame is one for the request that opened the stream: a GET of its path.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from starlette.types import Scope

from ordergate.api.bearer import Bearer, shown_in
from ordergate.api.edge import peer_of
from ordergate.api.exchange import HEADERS_KEY
from ordergate.api.stream.actions import Login
from ordergate.api.stream.tickets import Tickets
from ordergate.core.access import Principal
from ordergate.core.key_bounds import refuse_address
from ordergate.core.refusals import Refusal

Admit = Callable[[Principal], Refusal | None]


class Guest:
    """`principal` is who was admitted first; every later login must be of the same client."""

    def __init__(
        self, bearer: Bearer, tickets: Tickets, scope: Scope, admit: Admit, principal: Principal | None
    ) -> None:
        self.principal = principal
        self._bearer = bearer
        self._tickets = tickets
        self._admit = admit
        self._peer = peer_of(scope)
        self._shown = shown_in(scope, dpop=False)
        origin: bytes | None = scope[HEADERS_KEY].get(b"origin")
        self._origin = None if origin is None else origin.decode("latin-1")

    async def log_in(self, action: Login) -> Principal | Refusal:
        found = await self._found(action)
        if isinstance(found, Refusal) or self.principal is not None:
            return found
        no = self._admit(found)
        if no is None:
            self.principal = found
        return no or found

    def nonce(self) -> str:
        return self._bearer.nonce()

    async def _found(self, action: Login) -> Principal | Refusal:
        if action.token is None:
            redeemed = self._tickets.redeem(action.ticket or "", self._origin)
            if isinstance(redeemed, Refusal):
                return redeemed
            return refuse_address(redeemed.bounds, self._peer) or redeemed
        with_proof = action.dpop is not None
        shown = msgspec.structs.replace(self._shown, dpop=with_proof, proof=action.dpop)
        return (None if with_proof else self._bearer.known_from(action.token, self._peer)) or (
            await self._bearer.of_token(action.token, self._peer, shown)
        )
