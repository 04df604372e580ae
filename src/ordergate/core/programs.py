"""Keys of programs as values: what one may be used for, what makes it wider, and what nobody may give.

Secrets are not here, nor their hashes; of a key that a program has published there is the public half. What
bounds nothing (no instruments, no networks) is the widest, not the narrowest.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from ipaddress import ip_network
from typing import Any, Final

import msgspec

from ordergate.core import two_persons
from ordergate.core.access import OF_ACCESS, KeyBounds, Principal, Scope, Sender
from ordergate.core.ids import AccountId, Env, Symbol
from ordergate.core.money import text
from ordergate.core.networks import Network
from ordergate.core.refusals import Code, Refusal

OVERLAP_S_MAX: Final = 86_400
"""How long a secret that was replaced may serve on."""

APPROVING: Final = frozenset(kind.approves for kind in two_persons.KINDS.values())
"""Whoever makes a program with one of these alone could be two persons by it."""

UNBOUNDED: Final = KeyBounds()
NO_ACCOUNT: Final = Refusal(Code.NOT_FOUND, "there is no such account")


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """A client's key. It proves itself with a secret, or with one of `keys` (a JWK set as JSON).

    `old_secret_until`, seconds since the epoch: a secret that was replaced serves until then.
    """

    client_id: str
    tenant: str
    scopes: frozenset[Scope]
    accounts: frozenset[AccountId]
    bounds: KeyBounds | None = None
    sender: Sender = Sender.ANY
    enabled: bool = True
    keys: str | None = None
    has_secret: bool = False
    old_secret_until: int | None = None

    @property
    def reach(self) -> KeyBounds:
        return self.bounds or UNBOUNDED


def takes_two(env: Env, program: Program) -> bool:
    """Whether another person has to agree to such a key."""
    return env is Env.LIVE or not program.scopes.isdisjoint(APPROVING)


def widenings(standing: Program, wanted: Program) -> tuple[str, ...]:
    """In words, each way in which the key would reach further than it does; none when it only narrows."""
    found = [f"scope {scope}" for scope in sorted(wanted.scopes - standing.scopes)]
    found += [f"account {account}" for account in sorted(wanted.accounts - standing.accounts)]
    found += loosenings(standing.reach, wanted.reach)
    if standing.sender not in (Sender.ANY, wanted.sender):
        found.append("tokens bound otherwise")
    if wanted.enabled and not standing.enabled:
        found.append("enabled again")
    return tuple(found)


def loosenings(standing: KeyBounds, wanted: KeyBounds) -> Iterator[str]:
    """The bounds of which the wanted ones hold less back."""
    if _is_looser(standing.instruments, wanted.instruments):
        yield "instruments"
    if _is_looser(standing.strategies, wanted.strategies):
        yield "strategies"
    if _is_over(standing.notional_max, wanted.notional_max):
        yield "value of an order"
    inside = bool(wanted.networks) and all(_lies_in(standing, one) for one in wanted.networks)
    if standing.networks and not inside:
        yield "networks"
    if _is_over(standing.expires_at, wanted.expires_at):
        yield "end"
    if standing.signed_requests and not wanted.signed_requests:
        yield "signatures"


def beyond(principal: Principal, program: Program) -> Refusal | None:
    """Why this principal may not give, or take over, such a key: nobody gives more than they have."""
    if not program.accounts <= principal.accounts:
        return NO_ACCOUNT
    for scope in sorted(program.scopes):
        everywhere = scope in OF_ACCESS or not program.accounts
        held = all(principal.may_on(scope, account) for account in program.accounts)
        if not principal.may(scope) or not (everywhere or held):
            return Refusal(Code.FORBIDDEN, f"nobody gives more than they have: {scope} is not yours to give")
    further = tuple(loosenings(principal.bounds or UNBOUNDED, program.reach))
    if further:
        what = ", ".join(further)
        return Refusal(Code.FORBIDDEN, f"nobody gives more than they have: your own key is bounded in {what}")
    return None


def plain(program: Program) -> dict[str, Any]:
    """As it is journalled when it waits for another person, and shown to them."""
    reach = program.reach
    return {
        "client_id": program.client_id,
        "tenant": program.tenant,
        "scopes": sorted(program.scopes),
        "accounts": sorted(program.accounts),
        "instruments": sorted(reach.instruments),
        "strategies": sorted(reach.strategies),
        "max_notional": None if reach.notional_max is None else text(reach.notional_max),
        "networks": [str(network) for network in reach.networks],
        "expires_at": reach.expires_at,
        "signed_requests": reach.signed_requests,
        "sender": program.sender.value,
        "enabled": program.enabled,
        "keys": program.keys,
        "has_secret": program.has_secret,
    }


def of_plain(told: dict[str, Any]) -> Program:
    """What `plain` told."""
    notional = told["max_notional"]
    return Program(
        client_id=told["client_id"],
        tenant=told["tenant"],
        scopes=frozenset(map(Scope, told["scopes"])),
        accounts=frozenset(map(AccountId, told["accounts"])),
        bounds=bounds_of(
            instruments=map(Symbol, told["instruments"]),
            strategies=told["strategies"],
            notional_max=None if notional is None else Decimal(notional),
            networks=tuple(map(ip_network, told["networks"])),
            expires_at=told["expires_at"],
            signed_requests=told.get("signed_requests", False),
        ),
        sender=Sender(told["sender"]),
        enabled=told["enabled"],
        keys=told["keys"],
        has_secret=told["has_secret"],
    )


def bounds_of(
    *,
    instruments: Iterator[Symbol] | Collection[Symbol],
    strategies: Collection[str],
    notional_max: Decimal | None,
    networks: tuple[Network, ...],
    expires_at: int | None,
    signed_requests: bool,
) -> KeyBounds | None:
    """None where nothing is bounded."""
    bounds = KeyBounds(
        instruments=frozenset(instruments),
        strategies=frozenset(strategies),
        notional_max=notional_max,
        networks=networks,
        expires_at=expires_at,
        signed_requests=signed_requests,
    )
    return None if bounds == UNBOUNDED else bounds


def moment(seconds: int | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _is_looser(standing: frozenset[Any], wanted: frozenset[Any]) -> bool:
    return bool(standing) and not (wanted and wanted <= standing)


def _is_over(standing: Any, wanted: Any) -> bool:
    return standing is not None and (wanted is None or wanted > standing)


def _lies_in(bounds: KeyBounds, network: Network) -> bool:
    return any(
        network.version == one.version and network.subnet_of(one)  # type: ignore[arg-type]  # of one version
        for one in bounds.networks
    )
