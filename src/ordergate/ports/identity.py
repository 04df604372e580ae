"""Who is behind a token."""

from __future__ import annotations

from typing import Protocol

from ordergate.core.access import Principal
from ordergate.core.refusals import Refusal


class Identity(Protocol):
    def known(self, token: str) -> Principal | None:
        """The principal of a token that was verified before and still stands; never blocks."""
        ...

    async def authenticate(self, token: str) -> Principal | Refusal:
        """Verify a bearer token: signature, issuer, audience, times, revocation."""
        ...

    def still_valid(self, principal: Principal) -> bool:
        """False once the token expired or was revoked; cheap enough for every frame."""
        ...
