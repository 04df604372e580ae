"""What a client may say about keys of programs, and what it comes to."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from ipaddress import ip_network
from typing import Annotated, Any, Final

import msgspec

from ordergate.api.json_bodies import Judged
from ordergate.api.requests import AccountIdText, AmountText, Label, Reason, SymbolText, amount_in
from ordergate.core.access import Scope, Sender
from ordergate.core.ids import AccountId, Symbol
from ordergate.core.money import ZERO, amount
from ordergate.core.programs import OVERLAP_S_MAX, Program, bounds_of
from ordergate.core.refusals import Code, Refusal
from ordergate.core.tenancy import NAME

ENTRIES_MAX: Final = 500
_OVERLAP_WORDS: Final = f"a whole number of seconds, 0 to {OVERLAP_S_MAX}"

ClientIdText = Annotated[
    str, msgspec.Meta(pattern=rf"\A{NAME}\Z", description="1 to 64 letters, digits and . _ -")
]
Accounts = Annotated[tuple[AccountIdText, ...], msgspec.Meta(max_length=ENTRIES_MAX)]
Symbols = Annotated[tuple[SymbolText, ...], msgspec.Meta(max_length=ENTRIES_MAX)]
Labels = Annotated[tuple[Label, ...], msgspec.Meta(max_length=ENTRIES_MAX)]
Moment = Annotated[datetime, msgspec.Meta(tz=True, description="a time with its zone, as of RFC 3339")]
Networks = Annotated[tuple[str, ...], msgspec.Meta(max_length=ENTRIES_MAX)]


class BoundsFields(Judged, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that a program may do, as a whole; what is left out bounds nothing, but for scopes and accounts."""

    scopes: tuple[Scope, ...]
    accounts: Accounts
    instruments: Symbols = ()
    strategies: Labels = ()
    max_notional: AmountText | None = None
    networks: Networks = ()
    expires_at: Moment | None = None
    signed_requests: bool = False
    sender: Sender = Sender.ANY
    reason: Reason

    @classmethod
    def impossible(cls, given: Mapping[str, Any]) -> dict[str, str]:
        return _impossible(given)


class ProgramFields(BoundsFields, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new program. With `keys`, a JWK set, it proves itself by signing; else it gets a secret."""

    client_id: ClientIdText
    keys: dict[str, Any] | None = None


class RotateFields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """For how long the secret that is replaced serves on."""

    overlap_s: Annotated[int, msgspec.Meta(ge=0, le=OVERLAP_S_MAX, description=_OVERLAP_WORDS)]
    reason: Reason


class PublishFields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys, a JWK set, that the program proves itself with from now on."""

    keys: dict[str, Any]
    reason: Reason


bounds_decoder: Final = msgspec.json.Decoder(BoundsFields)
program_decoder: Final = msgspec.json.Decoder(ProgramFields)
rotate_decoder: Final = msgspec.json.Decoder(RotateFields)
publish_decoder: Final = msgspec.json.Decoder(PublishFields)


def program_of(
    asked: BoundsFields, client_id: str, tenant: str, keys: dict[str, Any] | None = None
) -> Program | Refusal:
    """Always of the asker's own tenant: no field could name another."""
    wrong = _impossible({"max_notional": asked.max_notional, "networks": list(asked.networks)})
    if wrong:
        return Refusal(Code.INVALID, "a bound makes no sense", wrong)
    expires = asked.expires_at
    bounds = bounds_of(
        instruments=tuple(map(Symbol, asked.instruments)),
        strategies=asked.strategies,
        notional_max=None if asked.max_notional is None else amount(asked.max_notional),
        networks=tuple(map(ip_network, asked.networks)),
        expires_at=None if expires is None else int(expires.timestamp()),
        signed_requests=asked.signed_requests,
    )
    return Program(
        client_id=client_id,
        tenant=tenant,
        scopes=frozenset(asked.scopes),
        accounts=frozenset(map(AccountId, asked.accounts)),
        bounds=bounds,
        sender=asked.sender,
        keys=None if keys is None else keys_text(keys),
    )


def keys_text(keys: dict[str, Any]) -> str:
    """A JWK set as it is stored."""
    return msgspec.json.encode(keys).decode()


def _impossible(given: Mapping[str, Any]) -> dict[str, str]:
    wrong: dict[str, str] = {}
    most, networks = given.get("max_notional"), given.get("networks")
    exact = amount_in("max_notional", most, wrong) if isinstance(most, str) else None
    if exact is not None and exact < ZERO:
        wrong["max_notional"] = "must not be less than zero"
    if isinstance(networks, list) and not all(map(_is_network, networks)):
        wrong["networks"] = "must be networks, such as 10.0.0.0/8, without bits of a host"
    return wrong


def _is_network(said: object) -> bool:
    try:
        return isinstance(said, str) and bool(ip_network(said))
    except ValueError:
        return False
