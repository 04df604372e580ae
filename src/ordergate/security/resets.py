"""A new password, the reset that stands for one that was lost, and the promise of whoever keeps both.

A reset is started by somebody else, who chooses nothing: its code serves in the place of the password, once,
where the new one is chosen, and the second factor is asked beside it.
"""

from __future__ import annotations

import hmac
from typing import Final, Protocol

import msgspec

RESET_S: Final = 30 * 60


class Reset(msgspec.Struct, frozen=True, kw_only=True):
    """Of one person; the code itself is not kept."""

    user_id: str
    code_hash: str
    expires_at: int

    def serves(self, code_hash: str, now: int) -> bool:
        return hmac.compare_digest(self.code_hash, code_hash) and now < self.expires_at


class NewPassword(msgspec.Struct, frozen=True, kw_only=True):
    """In the place of the one with `old_hash`; with `reset`, the hash of its code, by that."""

    user_id: str
    old_hash: str
    new_hash: str
    reset: str | None = None
    ends_logins: bool = True


class PasswordStore(Protocol):
    """Every method raises StoreUnavailable. The changes are atomic, whoever else makes one."""

    async def put_reset(self, reset: Reset) -> bool:
        """Let this code serve, and none from before. False where its owner could not show who they are.

        That is somebody who is not there, is kept out, or has no second factor. Another password, whoever
        gave it, is the end of a reset.
        """
        ...

    async def reset_of(self, user_id: str) -> Reset | None: ...

    async def change_password(self, new: NewPassword, now: int) -> int | None:
        """How many logins ended with it; None where the old one, or the reset, does not serve any more."""
        ...
