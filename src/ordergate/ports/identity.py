"""Who is behind a token, and whether its sender may use it."""

from __future__ import annotations

from typing import Protocol

import msgspec

from ordergate.core.access import Principal
from ordergate.core.refusals import Refusal


class Shown(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """How a token was presented, and what came with it to prove that its sender may use it.

    `method` and `path` are those of the request, `proof` is the header of RFC 9449, and `certificate` the
    SHA-256 thumbprint (base64url) of the certificate that the connection's other end has proven. `origin` is
    the public address of the listener that it came to, where that is not the gateway's own.
    """

    dpop: bool = False
    method: str = ""
    path: str = ""
    proof: str | None = None
    certificate: str | None = None
    origin: str | None = None


class Whole(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A request as it arrived: every header in its order, `target` as it was asked for, with its query."""

    method: str
    target: str
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    correlation: str
    origin: str | None = None


class Signatures(Protocol):
    async def refuse(self, principal: Principal, whole: Whole) -> Refusal | None:
        """Why this is no request that the principal's client has signed; None is recorded, and holds once."""
        ...


class Identity(Protocol):
    def known(self, token: str) -> Principal | None:
        """The principal of a token that was verified before, still stands, and serves whoever has it.

        Never blocks.
        """
        ...

    def known_bound(self, token: str, shown: Shown) -> Principal | Refusal | None:
        """The same of a token that is bound to its sender, with all checks of that; never blocks.

        None for a token that was not verified before.
        """
        ...

    async def authenticate(self, token: str, shown: Shown) -> Principal | Refusal:
        """Verify a token: signature, issuer, audience, times, revocation, and its sender's proof."""
        ...

    def still_valid(self, principal: Principal) -> bool:
        """False once the token expired or was revoked; cheap enough for every frame."""
        ...

    def stepped_up(self, principal: Principal) -> bool:
        """Whether the login behind the token is young and strong enough for what is privileged."""
        ...

    def admitted(self, sender: Principal, owner: str | None, peer: str) -> Principal | None:
        """A sender without a token, at this address, with the bounds of whoever answers for it.

        None unless both may do now what it is for.
        """
        ...

    def nonce(self) -> str:
        """What the next proof must contain (RFC 9449, 8)."""
        ...
