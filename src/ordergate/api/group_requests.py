"""What a client may send about groups of orders, and its exact meaning."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Final

import msgspec

from ordergate.api.json_bodies import decode
from ordergate.api.requests import AccountIdText, AmountText, Label, SymbolText, amount_in
from ordergate.core.contingent.terms import GroupKind, GroupTerms, Leg, LegType, Role, misfits
from ordergate.core.ids import AccountId, Symbol
from ordergate.core.orders.terms import Side, TimeInForce
from ordergate.core.refusals import Code, Refusal

# The inside of a pattern, as those of `requests`.
GROUP_ID: Final = "[PL]G-[0-9A-HJKMNP-TV-Z]{18}"

GroupIdText = Annotated[str, msgspec.Meta(pattern=rf"\A{GROUP_ID}\Z", description="a group's id")]


class PlacedKind(StrEnum):
    """The groups that are placed with legs; a flatten has a route of its own."""

    BRACKET = "bracket"
    OCO = "oco"
    OTO = "oto"
    TRAILING_STOP = "trailing_stop"


class PlacedRole(StrEnum):
    """What a leg is to its group: a bracket has an entry, a take_profit and a stop_loss, an oto an entry and
    what comes `then`, an oco a first and a second, a trailing_stop one leg, `trail`."""

    ENTRY = "entry"
    TAKE_PROFIT = "take_profit"
    STOP_LOSS = "stop_loss"
    THEN = "then"
    FIRST = "first"
    SECOND = "second"
    TRAIL = "trail"


class LegFields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One leg of a group; its symbol and quantity are the group's."""

    role: PlacedRole
    side: Side
    type: LegType
    limit_price: AmountText | None = None
    stop_price: AmountText | None = None
    trail_amount: AmountText | None = None
    trail_percent: AmountText | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    extended_hours: bool = False


class GroupFields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A group as it is asked for: by REST, or by a `place_group` frame."""

    account_id: AccountIdText
    type: PlacedKind
    symbol: SymbolText
    quantity: AmountText
    legs: tuple[LegFields, ...]
    strategy: Label | None = None
    strategy_version: Label | None = None
    user: Label | None = None


class FlattenFields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to flatten: everything in the account, or in one symbol."""

    symbol: SymbolText | None = None


_group_decoder: Final = msgspec.json.Decoder(GroupFields)
_flatten_decoder: Final = msgspec.json.Decoder(FlattenFields)


def group_in(body: bytes) -> GroupTerms | Refusal:
    asked = decode(body, _group_decoder)
    return asked if isinstance(asked, Refusal) else group_of(asked)


def flatten_in(body: bytes) -> Symbol | Refusal | None:
    """The symbol that is meant; None for all of them."""
    asked = decode(body, _flatten_decoder)
    if isinstance(asked, Refusal):
        return asked
    return None if asked.symbol is None else Symbol(asked.symbol)


def group_of(asked: GroupFields) -> GroupTerms | Refusal:
    """The group's exact terms, its legs the ones that its type has."""
    wrong: dict[str, str] = {}
    quantity = amount_in("quantity", asked.quantity, wrong)
    legs = tuple(_leg_of(leg, wrong) for leg in asked.legs)
    if wrong or quantity is None:
        return Refusal(Code.INVALID, "the group has fields with impossible values", wrong)
    terms = GroupTerms(
        account=AccountId(asked.account_id),
        kind=GroupKind(asked.type),
        symbol=Symbol(asked.symbol),
        quantity=quantity,
        legs=legs,
        strategy=asked.strategy,
        strategy_version=asked.strategy_version,
        user=asked.user,
    )
    if wrong := misfits(terms):
        return Refusal(Code.INVALID, "the legs do not make a group", wrong)
    return terms


def _leg_of(leg: LegFields, wrong: dict[str, str]) -> Leg:
    def exact(name: str, value: str | None) -> Decimal | None:
        return amount_in(f"{leg.role}.{name}", value, wrong)

    return Leg(
        role=Role(leg.role),
        side=leg.side,
        type=leg.type,
        limit_price=exact("limit_price", leg.limit_price),
        stop_price=exact("stop_price", leg.stop_price),
        trail_amount=exact("trail_amount", leg.trail_amount),
        trail_percent=exact("trail_percent", leg.trail_percent),
        time_in_force=leg.time_in_force,
        extended_hours=leg.extended_hours,
    )
