"""The ten barriers between paper and live, each with the way to take it out of the code that is running.

What is taken out is the product's own check, where it stands; nothing else changes. The tests' own guard is
the tenth.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import pytest
from yarl import URL

from ordergate.brokers.alpaca import access
from ordergate.core.access import Principal, Scope
from ordergate.core.ids import AccountId
from ordergate.core.risk import checks
from ordergate.engine import node
from ordergate.engine.accounts import lanes
from ordergate.engine.accounts.lanes import Lanes, Seat
from ordergate.engine.reconciling import account_sync
from ordergate.engine.wire import egress
from ordergate.journal import postgres
from ordergate.security import bearer, senders
from ordergate.security.bearer import Bearer
from ordergate.security.sealing.envelope import About, Envelope, Sealed
from ordergate.security.verify import take_apart
from ordergate.telemetry.secret import Secret
from ordergate.wiring import declaration, settings
from tests.fixtures.guarded import loopback

Remove = Callable[[pytest.MonkeyPatch], None]

SEALED: Final[dict[bytes, Secret]] = {}
"""What a broken seal would let out, by its nonce."""


def _nothing(*_: object, **__: object) -> None:
    return None


def _yes(*_: object) -> bool:
    return True


def no_types(patch: pytest.MonkeyPatch) -> None:
    """1: a part of one environment does not fit a node of another, where they are put together."""
    patch.setattr(node, "require_one_environment", _nothing)


def no_process(patch: pytest.MonkeyPatch) -> None:
    """2: a signed file says which environment a process is."""
    patch.setattr(declaration, "check", _nothing)


def no_token(patch: pytest.MonkeyPatch) -> None:
    """3: issuer, keys, audience, claims, sender and accounts of a token are its environment's."""

    async def believed(self: Bearer, token: str) -> Any:
        read = take_apart(token)
        claims = read.claims
        principal = Principal(
            env=self._profile.env,
            tenant=claims["tenant"],
            client_id=claims["client_id"],
            subject=claims["sub"],
            scopes=frozenset(Scope(scope) for scope in claims["scope"].split()),
            accounts=frozenset(AccountId(account) for account in claims["acct"]),
            expires_at=claims["exp"],
            token_id=claims["jti"],
            auth_time=claims["iat"],
        )
        return self._standing(token, principal, read.kid)

    patch.setattr(bearer.Bearer, "_verify", believed)
    patch.setattr(bearer.Bearer, "_narrowed", lambda self, said: said)
    patch.setattr(senders.Senders, "check", lambda *_: None)


def no_data(patch: pytest.MonkeyPatch) -> None:
    """4: a database belongs to one environment, for ever."""
    patch.setattr(postgres, "require_own", _nothing)
    patch.setattr(postgres, "_check_durable", _nothing)


def no_crypto(patch: pytest.MonkeyPatch) -> None:
    """5: keys, and what is sealed with them, are of one environment."""

    async def opened(self: Envelope, sealed: Sealed, about: About) -> Secret:
        return SEALED[sealed.nonce]

    patch.setattr(Envelope, "open", opened)


def no_egress(patch: pytest.MonkeyPatch) -> None:
    """6: the environment decides which hosts there are."""
    patch.setattr(access, "_elsewhere", lambda url, hosts: URL(url))


def no_identity(patch: pytest.MonkeyPatch) -> None:
    """7: the account that a session is really logged in to is the registered one."""
    patch.setattr(account_sync, "require_expected", _nothing)


def no_names(patch: pytest.MonkeyPatch) -> None:
    """8: the environment is in every id: as if `P-TEST` and `L-TEST` were both just `TEST`."""

    def get(self: Lanes, account: AccountId) -> Seat | None:
        return next((seat for name, seat in self._seats.items() if name[2:] == account[2:]), None)

    patch.setattr(lanes.Lanes, "get", get)
    patch.setattr(egress, "_environment", _nothing)
    patch.setattr(bearer, "is_account_id", _yes)
    patch.setattr(settings, "is_account_id", _yes)


def no_human(patch: pytest.MonkeyPatch) -> None:
    """9: in live two persons enable an account, for a while."""
    patch.setattr(checks, "_not_enabled_by_now", _nothing)


def no_guard(patch: pytest.MonkeyPatch) -> None:
    """10: tests reach no other machine."""
    patch.setattr(loopback, "check", _nothing)


BARRIERS: Final[Mapping[int, Remove]] = {
    1: no_types,
    2: no_process,
    3: no_token,
    4: no_data,
    5: no_crypto,
    6: no_egress,
    7: no_identity,
    8: no_names,
    9: no_human,
    10: no_guard,
}


def keep(sealed: Sealed, secret: Secret) -> Sealed:
    """Remember what it says, for when no seal holds."""
    SEALED[sealed.nonce] = secret
    return sealed
