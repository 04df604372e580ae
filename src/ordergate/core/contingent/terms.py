"""The terms of a group of orders, and what is wrong with impossible ones.

A group is an ordinary list of orders to its broker: what makes it a group is only known here. Its
quantity is one for all legs, so that whatever one leg fills is taken from the others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final, NewType

import msgspec

from ordergate.core.ids import ENTROPY_BITS, AccountId, Env, OrderId, Symbol, is_order_id, order_id
from ordergate.core.money import ZERO
from ordergate.core.orders.terms import OrderType, Side, Terms, TimeInForce

GroupId = NewType("GroupId", str)


class GroupKind(StrEnum):
    BRACKET = "bracket"
    OCO = "oco"
    OTO = "oto"
    TRAILING_STOP = "trailing_stop"
    FLATTEN = "flatten"

    @property
    def has_entry(self) -> bool:
        """True when the legs wait for the fills of another order of the group."""
        return self in (GroupKind.BRACKET, GroupKind.OTO)


class Role(StrEnum):
    """What an order is to its group. `evening` undoes an overrun, `close` closes a position."""

    ENTRY = "entry"
    TAKE_PROFIT = "take_profit"
    STOP_LOSS = "stop_loss"
    THEN = "then"
    FIRST = "first"
    SECOND = "second"
    TRAIL = "trail"
    EVENING = "evening"
    CLOSE = "close"


ROLES: Final = {
    GroupKind.BRACKET: (Role.ENTRY, Role.TAKE_PROFIT, Role.STOP_LOSS),
    GroupKind.OCO: (Role.FIRST, Role.SECOND),
    GroupKind.OTO: (Role.ENTRY, Role.THEN),
    GroupKind.TRAILING_STOP: (Role.TRAIL,),
    GroupKind.FLATTEN: (),
}
EXITS: Final = frozenset({Role.TAKE_PROFIT, Role.STOP_LOSS, Role.THEN, Role.FIRST, Role.SECOND, Role.TRAIL})


class LegType(StrEnum):
    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"
    STOP_LIMIT = "stop_limit"
    TRAILING_STOP = "trailing_stop"

    @property
    def stops(self) -> bool:
        """True when the leg guards against a loss: it acts when the market moves against it."""
        return self in (LegType.STOP, LegType.STOP_LIMIT, LegType.TRAILING_STOP)


class Leg(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    role: Role
    side: Side
    type: LegType
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_amount: Decimal | None = None
    trail_percent: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    extended_hours: bool = False


class GroupTerms(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was asked for. Only a flatten has no quantity and no legs, and may be of all symbols."""

    account: AccountId
    kind: GroupKind
    symbol: Symbol | None = None
    quantity: Decimal = ZERO
    legs: tuple[Leg, ...] = ()
    strategy: str | None = None
    strategy_version: str | None = None
    user: str | None = None

    def leg(self, role: Role) -> Leg | None:
        return next((leg for leg in self.legs if leg.role is role), None)

    @property
    def exits(self) -> tuple[Leg, ...]:
        """The legs of which one may live at a time, the one that guards first."""
        found = [leg for leg in self.legs if leg.role in EXITS]
        return tuple(sorted(found, key=lambda leg: not leg.type.stops))


def group_id(env: Env, *, at_ms: int, entropy: int) -> GroupId:
    """`PG-` or `LG-` and 18 characters, as an order id has them: the two are never taken for each other."""
    made = order_id(env, at_ms=at_ms, entropy=entropy)
    return GroupId(f"{made[0]}G{made[1:]}")


def is_group_id(env: Env, text: str) -> bool:
    return text[1:2] == "G" and is_order_id(env, text[0] + text[2:])


def leg_order_id(group: GroupId, accepted_at: datetime, role: Role, symbol: Symbol, attempt: int) -> OrderId:
    """The order of one attempt at one leg: always the same, so that a step is never taken twice."""
    env = Env.PAPER if group[0] == Env.PAPER.letter else Env.LIVE
    digest = hashlib.sha256(f"{group}/{role}/{symbol}/{attempt}".encode()).digest()
    entropy = int.from_bytes(digest[: ENTROPY_BITS // 8], "big")
    return order_id(env, at_ms=int(accepted_at.timestamp() * 1000), entropy=entropy)


def entry_terms(terms: GroupTerms) -> Terms | None:
    """The order that the other legs wait for."""
    leg = terms.leg(Role.ENTRY)
    return None if leg is None else order_terms(terms, leg, terms.quantity, triggered=False)


def order_terms(terms: GroupTerms, leg: Leg, quantity: Decimal, *, triggered: bool) -> Terms:
    """The order that stands for the leg. One that the market has reached needs no stop any more."""
    if terms.symbol is None:
        raise ValueError("a leg is in a symbol")
    kind, stop = OrderType.MARKET, None
    if leg.type is LegType.LIMIT or (triggered and leg.type is LegType.STOP_LIMIT):
        kind = OrderType.LIMIT
    elif leg.type.stops and not triggered:
        kind, stop = OrderType(leg.type.value), leg.stop_price
    return Terms(
        account=terms.account,
        symbol=terms.symbol,
        side=leg.side,
        type=kind,
        quantity=quantity,
        limit_price=leg.limit_price if kind.needs_limit_price else None,
        stop_price=stop,
        time_in_force=leg.time_in_force,
        strategy=terms.strategy,
        strategy_version=terms.strategy_version,
        user=terms.user,
        extended_hours=leg.extended_hours,
    )


def closing_terms(terms: GroupTerms, symbol: Symbol, side: Side, quantity: Decimal) -> Terms:
    """An order at the market that takes back what should not be there."""
    return Terms(
        account=terms.account,
        symbol=symbol,
        side=side,
        type=OrderType.MARKET,
        quantity=quantity,
        time_in_force=TimeInForce.DAY,
        strategy=terms.strategy,
        strategy_version=terms.strategy_version,
        user=terms.user,
    )


def misfits(terms: GroupTerms) -> dict[str, str]:
    """What can never be accepted, by field; empty when the legs make a group."""
    roles = ROLES[terms.kind]
    if sorted(leg.role for leg in terms.legs) != sorted(roles):
        return {"legs": f"a {terms.kind} has these, once each: {', '.join(roles)}"}
    wrong = {name: said for leg in terms.legs for name, said in _wrong_leg(leg)}
    wrong |= dict(_wrong_together(terms))
    return wrong


def _wrong_leg(leg: Leg) -> Iterator[tuple[str, str]]:
    prices = (
        ("limit_price", leg.limit_price, leg.type in (LegType.LIMIT, LegType.STOP_LIMIT)),
        ("stop_price", leg.stop_price, leg.type in (LegType.STOP, LegType.STOP_LIMIT)),
    )
    for name, price, needed in prices:
        if needed and price is None:
            yield f"{leg.role}.{name}", f"is required for a {leg.type} leg"
        elif price is not None and not needed:
            yield f"{leg.role}.{name}", f"a {leg.type} leg has none"
        elif price is not None and price <= ZERO:
            yield f"{leg.role}.{name}", "must be more than zero"
    yield from _wrong_trail(leg)
    if leg.role is Role.ENTRY:
        if leg.type is LegType.TRAILING_STOP:
            yield "entry.type", "an entry does not trail"
        return
    if leg.time_in_force not in (TimeInForce.DAY, TimeInForce.GTC):
        yield f"{leg.role}.time_in_force", "must be day or gtc"
    if leg.extended_hours and leg.type is not LegType.LIMIT:
        yield f"{leg.role}.extended_hours", "only a limit trades in extended hours: a stop would be refused"


def _wrong_trail(leg: Leg) -> Iterator[tuple[str, str]]:
    given = [trail for trail in (leg.trail_amount, leg.trail_percent) if trail is not None]
    if leg.type is not LegType.TRAILING_STOP:
        if given:
            yield f"{leg.role}.trail_amount", f"a {leg.type} leg does not trail"
    elif len(given) != 1:
        yield f"{leg.role}.trail_amount", "give either trail_amount or trail_percent"
    elif given[0] <= ZERO or (leg.trail_percent is not None and leg.trail_percent >= 100):
        yield f"{leg.role}.trail_amount", "must be more than zero, and less than 100 percent"


def _wrong_together(terms: GroupTerms) -> Iterator[tuple[str, str]]:
    entry, exits = terms.leg(Role.ENTRY), terms.exits
    if terms.kind is not GroupKind.FLATTEN and terms.quantity <= ZERO:
        yield "quantity", "must be more than zero"
    if len({leg.side for leg in exits}) > 1:
        yield "legs", "the legs of which one rules out the other are on one side"
    elif entry is not None and any(leg.side is entry.side for leg in exits):
        yield "legs", "what follows the entry is on the other side"
    match terms.kind:
        case GroupKind.BRACKET | GroupKind.OCO:
            if len(exits) == 2 and (not exits[0].type.stops or exits[1].type is not LegType.LIMIT):
                yield "legs", "one leg is a limit, the other a stop, stop_limit or trailing_stop"
            yield from _wrong_order(exits)
            if (profit := terms.leg(Role.TAKE_PROFIT)) is not None and profit.type is not LegType.LIMIT:
                yield "take_profit.type", "must be limit"
        case GroupKind.OTO:
            if exits[0].type is LegType.MARKET:
                yield "then.type", "must be limit, stop, stop_limit or trailing_stop"
        case GroupKind.TRAILING_STOP:
            if exits[0].type is not LegType.TRAILING_STOP:
                yield "trail.type", "must be trailing_stop"
        case GroupKind.FLATTEN:
            return


def _wrong_order(exits: tuple[Leg, ...]) -> Iterator[tuple[str, str]]:
    """The market lies between the two prices, so selling has its limit above its stop."""
    stop, limit = exits[0].stop_price, exits[-1].limit_price
    if stop is None or limit is None:
        return
    sells = exits[0].side is Side.SELL
    if (sells and limit <= stop) or (not sells and limit >= stop):
        yield "legs", f"the limit must be {'above' if sells else 'below'} the stop"
