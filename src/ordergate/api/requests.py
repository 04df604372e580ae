"""What a client may send in a body, and its exact meaning.

Amounts are decimal strings. What can never be accepted, whatever the market, the account or the limits
say, is refused here with the field's name; everything else is for the gate to judge.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Final

import msgspec

from ordergate.api.json_bodies import Judged, decode
from ordergate.core.accounts.breaks import Action
from ordergate.core.ids import AccountId, Symbol
from ordergate.core.money import ZERO, NotAnAmount, amount
from ordergate.core.orders.events import Resolution
from ordergate.core.orders.terms import OrderType, Side, Terms, TimeInForce
from ordergate.core.refusals import Code, Refusal

# Each is the inside of a pattern: whole strings only, here and in the OpenAPI document.
ACCOUNT_ID: Final = "[PL]-[0-9A-Za-z]{1,24}"
ORDER_ID: Final = "[PL]-[0-9A-HJKMNP-TV-Z]{18}"
SYMBOL: Final = "[A-Z0-9][A-Z0-9./_-]{0,31}"
BREAK_ID: Final = "(?:brk-[0-9a-f]{12}-[0-9a-f]{8}|[0-9a-f]{16})"
LABEL: Final = "[A-Za-z0-9_.:-]{1,64}"
AMOUNT: Final = "-?(?:0|[1-9][0-9]{0,17})(?:\\.[0-9]{1,9})?"
REVISION_DIGITS_MAX: Final = 9

_AMOUNT_WORDS: Final = 'a decimal string of at most 18 digits, such as "4800.25", and not a JSON number'

AccountIdText = Annotated[
    str, msgspec.Meta(pattern=rf"\A{ACCOUNT_ID}\Z", description='an account id, such as "P-DEMO"')
]
OrderIdText = Annotated[str, msgspec.Meta(pattern=rf"\A{ORDER_ID}\Z", description="an order id")]
SymbolText = Annotated[str, msgspec.Meta(pattern=rf"\A{SYMBOL}\Z", description='a symbol, such as "ESM4"')]
Label = Annotated[
    str,
    msgspec.Meta(pattern=rf"\A{LABEL}\Z", description="1 to 64 characters of A-Z, a-z, 0-9 and _ . : -"),
]
Revision = Annotated[
    int, msgspec.Meta(ge=1, lt=10**REVISION_DIGITS_MAX, description="a whole number, an order's revision")
]
AmountText = Annotated[str, msgspec.Meta(max_length=20, description=_AMOUNT_WORDS)]
Reason = Annotated[
    str, msgspec.Meta(min_length=1, max_length=500, description="a sentence of 1 to 500 characters")
]
Note = Annotated[str, msgspec.Meta(max_length=500, description="a sentence of at most 500 characters")]
Grade = Annotated[
    str,
    msgspec.Meta(
        pattern=r"\A(?:reduce_only|block_new|cancel_all)\Z",
        description='"reduce_only", "block_new" or "cancel_all"',
    ),
]
LEVELS: Final = "order|strategy|user|account|instrument|broker|tenant|environment|global"
KillLevel = Annotated[
    str,
    msgspec.Meta(pattern=rf"\A(?:{LEVELS})\Z", description=f"one of {LEVELS.replace('|', ', ')}"),
]
KillTarget = Annotated[
    str, msgspec.Meta(min_length=1, max_length=128, description="1 to 128 characters; none for global")
]


BrokerOrderId = Annotated[
    str, msgspec.Meta(min_length=1, max_length=128, description="the broker's own id of an order")
]


class OrderFields(Judged, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An order as it is asked for: by REST, by a `place` frame, or for a preview."""

    account_id: AccountIdText
    symbol: SymbolText
    side: Side
    type: OrderType
    quantity: AmountText
    limit_price: AmountText | None = None
    stop_price: AmountText | None = None
    time_in_force: TimeInForce = TimeInForce.DAY
    client_order_id: Label | None = None
    extended_hours: bool = False
    strategy: Label | None = None
    strategy_version: Label | None = None
    user: Label | None = None
    venue: Label | None = None

    @classmethod
    def impossible(cls, given: Mapping[str, Any]) -> dict[str, str]:
        wrong = impossible_amounts(given)
        kind = given.get("type")
        if kind in _ORDER_TYPES:
            _check_prices(OrderType(kind), given.get("limit_price"), given.get("stop_price"), wrong)
        return wrong


class ReplaceFields(Judged, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change about an order. `quantity` is the new total, what is filled included."""

    quantity: AmountText | None = None
    limit_price: AmountText | None = None
    stop_price: AmountText | None = None

    @classmethod
    def impossible(cls, given: Mapping[str, Any]) -> dict[str, str]:
        return impossible_amounts(given)


class ResolveOrderFields(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"resolution": "as"}
):
    """What became of an order in question, by a person's word, and why."""

    resolution: Resolution
    reason: Reason
    broker_order_id: BrokerOrderId | None = None
    cum_qty: AmountText | None = None
    avg_px: AmountText | None = None


class EngageFields(msgspec.Struct, frozen=True, gc=False, kw_only=True, forbid_unknown_fields=True):
    """Engage the kill switch: new orders are blocked, or all open ones are canceled as well."""

    grade: Grade = "block_new"
    reason: Reason
    level: KillLevel = "global"
    target: KillTarget | None = None


class ReleaseFields(msgspec.Struct, frozen=True, gc=False, kw_only=True, forbid_unknown_fields=True):
    """Release a stop, or ask for the flatten of what is held under it: which one, and why."""

    reason: Reason
    level: KillLevel = "global"
    target: KillTarget | None = None


class DeadManFields(msgspec.Struct, frozen=True, gc=False, kw_only=True, forbid_unknown_fields=True):
    """Arm or refresh a dead man's switch. What becomes of GTC orders has to be said."""

    gtc: Annotated[str, msgspec.Meta(pattern=r"\A(?:cancel|keep)\Z", description='"cancel" or "keep"')]
    timeout_s: Annotated[
        int, msgspec.Meta(ge=5, le=3_600, description="a whole number of seconds, 5 to 3600")
    ] = 60
    session: Label = "default"


class AssignFields(msgspec.Struct, frozen=True, gc=False, kw_only=True, forbid_unknown_fields=True):
    """Who looks after a break from now on."""

    owner: Label
    note: Note = ""


class ResolveFields(msgspec.Struct, frozen=True, gc=False, kw_only=True, forbid_unknown_fields=True):
    """Settle a break by one of its allowed actions."""

    action: Action
    reason: Reason


class RunFields(msgspec.Struct, frozen=True, gc=False, kw_only=True, forbid_unknown_fields=True):
    """Ask for a reconciliation of an account now."""

    account_id: AccountIdText


class OrderResolution(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A resolution's exact values."""

    resolution: Resolution
    reason: str
    broker_order_id: str | None
    cum_qty: Decimal | None
    avg_px: Decimal | None


class Changes(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A replacement's exact values; None leaves things as they are."""

    quantity: Decimal | None
    limit_price: Decimal | None
    stop_price: Decimal | None


_ORDER_TYPES: Final = tuple(OrderType)
_resolve_decoder: Final = msgspec.json.Decoder(ResolveOrderFields)
_order_decoder: Final = msgspec.json.Decoder(OrderFields)
_replace_decoder: Final = msgspec.json.Decoder(ReplaceFields)


def terms_in(body: bytes) -> Terms | Refusal:
    asked = decode(body, _order_decoder)
    return asked if isinstance(asked, Refusal) else terms_of(asked)


def changes_in(body: bytes) -> Changes | Refusal:
    asked = decode(body, _replace_decoder)
    if isinstance(asked, Refusal):
        return asked
    return changes_of(asked.quantity, asked.limit_price, asked.stop_price)


def resolution_in(body: bytes) -> OrderResolution | Refusal:
    asked = decode(body, _resolve_decoder)
    if isinstance(asked, Refusal):
        return asked
    wrong: dict[str, str] = {}
    cum_qty = amount_in("cum_qty", asked.cum_qty, wrong)
    avg_px = amount_in("avg_px", asked.avg_px, wrong)
    if wrong:
        return Refusal(Code.INVALID, "the resolution has fields with impossible values", wrong)
    return OrderResolution(
        resolution=asked.resolution,
        reason=asked.reason,
        broker_order_id=asked.broker_order_id,
        cum_qty=cum_qty,
        avg_px=avg_px,
    )


def terms_of(asked: OrderFields) -> Terms | Refusal:
    """The order's exact terms, its prices present exactly where its type has them."""
    wrong: dict[str, str] = {}
    quantity = amount_in("quantity", asked.quantity, wrong)
    limit_price = amount_in("limit_price", asked.limit_price, wrong)
    stop_price = amount_in("stop_price", asked.stop_price, wrong)
    if quantity is not None and quantity <= ZERO:
        wrong["quantity"] = "must be more than zero"
    _check_prices(asked.type, asked.limit_price, asked.stop_price, wrong)
    if wrong or quantity is None:
        return Refusal(Code.INVALID, "the order has fields with impossible values", wrong)
    return Terms(
        account=AccountId(asked.account_id),
        symbol=Symbol(asked.symbol),
        side=asked.side,
        type=asked.type,
        quantity=quantity,
        limit_price=limit_price,
        stop_price=stop_price,
        time_in_force=asked.time_in_force,
        client_order_id=asked.client_order_id,
        strategy=asked.strategy,
        strategy_version=asked.strategy_version,
        user=asked.user,
        extended_hours=asked.extended_hours,
        venue=asked.venue,
    )


def changes_of(quantity: str | None, limit_price: str | None, stop_price: str | None) -> Changes | Refusal:
    wrong: dict[str, str] = {}
    changes = Changes(
        quantity=amount_in("quantity", quantity, wrong),
        limit_price=amount_in("limit_price", limit_price, wrong),
        stop_price=amount_in("stop_price", stop_price, wrong),
    )
    if changes.quantity is not None and changes.quantity <= ZERO:
        wrong["quantity"] = "must be more than zero"
    if wrong:
        return Refusal(Code.INVALID, "the replacement has fields with impossible values", wrong)
    if quantity is None and limit_price is None and stop_price is None:
        return Refusal(Code.INVALID, "give at least one of quantity, limit_price and stop_price")
    return changes


def impossible_amounts(given: Mapping[str, Any]) -> dict[str, str]:
    """What is wrong with the amounts that are texts; of any other type the shape speaks."""
    wrong: dict[str, str] = {}
    for name in ("quantity", "limit_price", "stop_price"):
        value = given.get(name)
        exact = amount_in(name, value, wrong) if isinstance(value, str) else None
        if name == "quantity" and exact is not None and exact <= ZERO:
            wrong[name] = "must be more than zero"
    return wrong


def amount_in(name: str, value: str | None, wrong: dict[str, str]) -> Decimal | None:
    """The exact amount; None where there is none, or where `wrong` now says what is wrong with it."""
    if value is None:
        return None
    try:
        return amount(value)
    except NotAnAmount:
        wrong[name] = f"must be {_AMOUNT_WORDS}"
        return None


def _check_prices(
    kind: OrderType, limit_price: str | None, stop_price: str | None, wrong: dict[str, str]
) -> None:
    """Prices are there exactly where the order's type has them."""
    _check_presence("limit_price", limit_price, kind, kind.needs_limit_price, wrong)
    _check_presence("stop_price", stop_price, kind, kind.needs_stop_price, wrong)


def _check_presence(
    name: str, value: str | None, kind: OrderType, needed: bool, wrong: dict[str, str]
) -> None:
    if needed and value is None:
        wrong[name] = f"is required for a {kind} order"
    elif value is not None and not needed:
        wrong[name] = f"a {kind} order has none"
