"""What the key of a program may be used for, judged before risk: which instruments, for how much, from where.

A bound that cannot be judged is a no. What only takes orders back is never bounded.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from ordergate.core.access import KeyBounds, Principal, Scope
from ordergate.core.ids import Symbol
from ordergate.core.instruments import Instrument
from ordergate.core.money import text
from ordergate.core.networks import is_within
from ordergate.core.refusals import Code, Refusal


def refuse_scope(principal: Principal, scope: Scope) -> Refusal | None:
    """A scope that it lacks, and orders in a request that is not signed where it should be."""
    if not principal.may(scope):
        return Refusal(Code.FORBIDDEN, f"the token lacks the scope {scope}")
    return UNSIGNED if scope is Scope.ORDERS_WRITE and must_sign(principal) else None


def must_sign(principal: Principal) -> bool:
    """Whether its orders count only in signed requests, and this is none."""
    return principal.bounds is not None and principal.bounds.signed_requests and not principal.signed


def refuse_use(bounds: KeyBounds | None, symbol: Symbol | None, strategy: str | None) -> Refusal | None:
    """Of an instrument, or of all of them, by a strategy."""
    if bounds is None:
        return None
    return refuse_instrument(bounds, symbol) or refuse_strategy_of_key(bounds, strategy)


def refuse_instrument(bounds: KeyBounds, symbol: Symbol | None) -> Refusal | None:
    if bounds.instruments and symbol not in bounds.instruments:
        return Refusal(Code.KEY_INSTRUMENT, f"the key is not for {symbol or 'every instrument'}")
    return None


def refuse_strategy_of_key(bounds: KeyBounds, strategy: str | None) -> Refusal | None:
    if bounds.strategies and strategy not in bounds.strategies:
        return Refusal(Code.KEY_STRATEGY, f"the key is not for {strategy or 'orders without a strategy'}")
    return None


def refuse_value(
    bounds: KeyBounds | None,
    instrument: Instrument,
    quantity: Decimal,
    prices: Iterable[Decimal | None],
) -> Refusal | None:
    """Of an order of this quantity, at the dearest of its prices and the market's."""
    if bounds is None or bounds.notional_max is None:
        return None
    known = [price for price in prices if price is not None and price.is_finite() and price > 0]
    if not known:
        return Refusal(Code.KEY_NOTIONAL, f"no price of {instrument.symbol} is known to value it by")
    value = quantity * max(known) * instrument.multiplier
    if value <= bounds.notional_max:
        return None
    limit = text(bounds.notional_max)
    return Refusal(Code.KEY_NOTIONAL, f"the key is for orders of up to {limit}; this is {text(value)}")


def refuse_flatten(bounds: KeyBounds | None, symbol: Symbol | None) -> Refusal | None:
    """Closing whatever is held may be worth anything, in any instrument."""
    if bounds is not None and bounds.notional_max is not None:
        return Refusal(Code.KEY_NOTIONAL, "a key that is bounded in value does not flatten; it may cancel")
    return refuse_use(bounds, symbol, None) if bounds is not None and bounds.instruments else None


def refuse_address(bounds: KeyBounds | None, peer: str) -> Refusal | None:
    """Of a connection from this address."""
    if bounds is None or not bounds.networks:
        return None
    return None if is_within(peer, bounds.networks) else _ELSEWHERE


UNSIGNED = Refusal(Code.SIGNATURE_REQUIRED, "this client's orders come in requests that it signs (RFC 9421)")
_ELSEWHERE = Refusal(Code.KEY_NETWORK, "the key is not for the address that this comes from")
