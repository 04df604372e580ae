"""A passkey of a person's, and the promise of whoever keeps them.

What is kept is a public key; it lets nobody in. A passkey that came to be doubted is never trusted again.
"""

from __future__ import annotations

import re
from typing import Final, Protocol

import msgspec

from ordergate.security.persons import GrantStore, Person
from ordergate.security.resets import PasswordStore

OF_ONE_MAX: Final = 10
PUBLIC_KEY_BYTES_MAX: Final = 1_024

CREDENTIAL_BYTES_MAX: Final = 1_023
HANDLE_BYTES_MAX: Final = 64

_LABEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,31}")
_CREDENTIAL: Final = re.compile(r"[A-Za-z0-9_-]{1,1364}")


class Passkey(msgspec.Struct, frozen=True, kw_only=True):
    """`credential_id` is base64url; `label` is what its owner calls it; `user_handle` names the owner to
    the authenticator, and nobody elsewhere. `backed_up` ones are copied between their owner's devices.
    """

    credential_id: str
    user_id: str
    label: str
    user_handle: bytes
    public_key: bytes
    sign_count: int
    backed_up: bool
    made_at: int
    used_at: int | None = None
    suspect: bool = False


class PasskeyStore(Protocol):
    """Every method raises StoreUnavailable. The changes are atomic, whoever else makes one."""

    async def put_passkey(self, passkey: Passkey) -> bool:
        """Add it. False where it is known, its owner has one of that label, or too many, or is not there.

        ValueError where no passkey looks like that.
        """
        ...

    async def passkey(self, credential_id: str) -> Passkey | None: ...

    async def passkeys_of(self, user_id: str) -> tuple[Passkey, ...]:
        """By label."""
        ...

    async def use_passkey(self, credential_id: str, sign_count: int, now: int) -> bool:
        """Count a proven use; False where it is gone, was doubted, or is from now on.

        It is doubted when its counter has not grown: somebody else has a copy.
        """
        ...

    async def drop_passkey(self, user_id: str, label: str) -> bool:
        """False where there was none."""
        ...


class PeopleStore(GrantStore, PasskeyStore, PasswordStore, Protocol):
    """Whoever keeps people keeps what they log in with, too."""

    async def replace_person(self, person: Person, *, ends_logins: bool, now: int) -> None:
        """As `put_person`, with no passkey left, nor any live grant if that is said: all of it or nothing."""
        ...


def check_passkey(passkey: Passkey) -> None:
    """ValueError when a passkey cannot look like that."""
    if not is_label(passkey.label):
        raise ValueError("a label is 1 to 32 letters, digits, spaces, dots, underscores and hyphens")
    if _CREDENTIAL.fullmatch(passkey.credential_id) is None:
        raise ValueError(f"a credential's id is 1 to {CREDENTIAL_BYTES_MAX} bytes, as base64url")
    if not 0 < len(passkey.user_handle) <= HANDLE_BYTES_MAX:
        raise ValueError(f"a user handle is 1 to {HANDLE_BYTES_MAX} bytes")
    if not 0 < len(passkey.public_key) <= PUBLIC_KEY_BYTES_MAX:
        raise ValueError(f"a public key is 1 to {PUBLIC_KEY_BYTES_MAX} bytes")
    if not 0 <= passkey.sign_count < 1 << 32:
        raise ValueError("a counter has 32 bits")


def is_label(text: str) -> bool:
    return _LABEL.fullmatch(text) is not None
