"""The controls that look at the whole account: positions, funds, and everything open.

Each asks what would be true if everything still open, and this order, filled. A replacement
counts the worst of old and new, because either may be the one that lives; one that makes
nothing worse passes, even where a limit has since been tightened.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final, NamedTuple

import msgspec

from ordergate.core.accounts.positions import Position
from ordergate.core.ids import Symbol
from ordergate.core.instruments import Instrument
from ordergate.core.money import ZERO, text
from ordergate.core.orders.events import FailedControl
from ordergate.core.orders.terms import Side
from ordergate.core.risk.checks import over
from ordergate.core.risk.exposure import Held, OpenInterest, held_by, held_by_new
from ordergate.core.risk.fx import Rate
from ordergate.core.risk.limits import Limits
from ordergate.core.risk.reasons import Reason
from ordergate.core.risk.view import (
    Booked,
    BuyingPower,
    InputMissing,
    Proposal,
    RiskView,
    cash_in,
    cheap,
    dear,
    instrument_limits_in,
    limits_in,
    rate_in,
    reference_in,
)

_HUNDRED: Final = Decimal(100)
_NOTHING: Final = Held(Symbol(""), Side.BUY, ZERO, ZERO)


class Needs(NamedTuple):
    """Funds that one symbol ties up: by the position itself, and on top of it by what is open."""

    position: Decimal
    orders: Decimal


def refuse_large_position(proposal: Proposal, view: RiskView) -> FailedControl | None:
    """R11. Position, everything open on the order's side, and this."""
    limits = instrument_limits_in(view)
    added = would_hold(proposal, view).quantity - holds(proposal, view).quantity
    if proposal.standing is not None and added <= ZERO:
        return None
    position = view.account.position(view.instrument.symbol).quantity
    open_now = view.exposure.of(view.instrument.symbol)
    if proposal.terms.side is Side.BUY:
        side, limit, opened = "long", limits.max_long, open_now.buy_quantity
        projected = position + opened + added
    else:
        side, limit, opened = "short", limits.max_short, open_now.sell_quantity
        projected = opened + added - position
    if projected <= limit:
        return None
    inputs = {"position": text(position), "open": text(opened), "added": text(added)}
    return over("R11", Reason.POSITION, f"the {side} position", projected, limit, inputs=inputs)


def refuse_without_funds(proposal: Proposal, view: RiskView) -> FailedControl | None:
    """R13. The smaller of our own funds and the broker's figure, less everything reserved.

    Without a fresh figure of the broker our own funds count, and only part of them; an old
    figure can still make them fewer, so that a broker's silence never allows more.
    """
    limits, instrument = limits_in(view), view.instrument
    rate = rate_in(view, instrument.currency)
    reference_in(view)
    position = view.account.position(instrument.symbol)
    before = view.exposure.of(instrument.symbol)
    after = with_proposal(proposal, view)
    needs = needs_of(position, after, instrument, limits, rate)
    if needs.orders <= needs_of(position, before, instrument, limits, rate).orders:
        return None
    elsewhere = _needs_elsewhere(view, limits, instrument.symbol)
    cash = cash_in(view)
    own = cash + _open_loss(view) - needs.position - elsewhere.position
    reserved = needs.orders + elsewhere.orders
    funds, source = _funds(view, limits, own)
    if reserved <= funds:
        return None
    inputs = {"own": text(own), "source": source, "cash": text(cash)}
    what = "what open orders and this need"
    return over("R13", Reason.BUYING_POWER, what, reserved, funds, inputs=inputs)


def funds_and_reserved(seen: Booked, limits: Limits) -> tuple[Decimal, Decimal]:
    """What there is to trade with, and what everything open needs of it. Raises InputMissing."""
    needs = _needs_elsewhere(seen, limits, None)
    funds, _ = _funds(seen, limits, cash_in(seen) + _open_loss(seen) - needs.position)
    return funds, needs.orders


def _open_loss(view: Booked) -> Decimal:
    """What open futures have lost and no cash shows yet. What they have gained is not there to be spent."""
    return ZERO if view.valuation is None else min(view.valuation.own.open_profit, ZERO)


def _funds(view: Booked, limits: Limits, own: Decimal) -> tuple[Decimal, str]:
    figure = view.buying_power
    if figure is not None and abs(view.now - figure.at) <= limits.buying_power_max_age:
        return min(own, _theirs(view, figure)), "own and broker"
    kept = own - own * limits.buying_power_haircut_percent / _HUNDRED if own > ZERO else own
    return kept if figure is None else min(kept, _theirs(view, figure)), "own less haircut"


def _theirs(view: Booked, figure: BuyingPower) -> Decimal:
    return cheap(figure.amount, rate_in(view, view.account.currency))


def _needs_elsewhere(view: Booked, limits: Limits, here: Symbol | None) -> Needs:
    """What every symbol but this one with a position or an open order ties up."""
    if view.exposure.has_unpriced:
        raise InputMissing(Reason.UNPRICED_EXPOSURE, "an open order has no known value")
    for_positions = for_orders = ZERO
    rates: dict[str, Rate | None] = {}
    account, exposure = view.account, view.exposure
    for symbol in {*account.positions, *exposure.symbols()} - {here}:
        position, open_now = account.position(symbol), exposure.of(symbol)
        if position.quantity == ZERO and open_now.orders == 0:
            continue
        instrument = exposure.instruments.get(symbol)
        if instrument is None:
            raise InputMissing(Reason.UNPRICED_EXPOSURE, f"what {symbol} ties up is not known")
        currency = instrument.currency
        if currency not in rates:
            rates[currency] = rate_in(view, currency)
        needs = needs_of(position, open_now, instrument, limits, rates[currency])
        for_positions += needs.position
        for_orders += needs.orders
    return Needs(for_positions, for_orders)


def needs_of(
    position: Position,
    opened: OpenInterest,
    instrument: Instrument,
    limits: Limits,
    rate: Rate | None = None,
) -> Needs:
    """A future needs its margin; a security needs its price, unless it closes what is there.

    What is held needs the maintenance margin, where there is one; what would be added, the initial, and so
    does all of what a position would be turned over into, less what it no longer needs itself.
    """
    if instrument.moves_cash_on_trade:
        native = _needs_of_security(position, opened, instrument)
        return native if rate is None else Needs(rate.dear(native.position), rate.dear(native.orders))
    its = limits.instruments.get(instrument.symbol)
    if its is None or its.initial_margin is None:
        raise InputMissing(Reason.NO_INITIAL_MARGIN, f"{instrument.symbol} has no initial margin")
    initial, held = its.initial_margin, abs(position.quantity)
    kept = initial if its.maintenance_margin is None else its.maintenance_margin
    added, closing = opened.buy_quantity, opened.sell_quantity
    if position.quantity < ZERO:
        added, closing = closing, added
    turned_over = initial * max(closing - held, ZERO) - min(kept, initial) * held
    return Needs(kept * held, max(initial * added, turned_over))


def _needs_of_security(position: Position, opened: OpenInterest, instrument: Instrument) -> Needs:
    """Buying pays the price; so does selling what is not there, once more than its proceeds.

    Orders that only close a position need nothing. As soon as one side could turn the
    position over, all of that side counts: which of its orders fill first is not known.
    """
    quantity = position.quantity
    for_position = for_orders = ZERO
    if quantity < ZERO:
        for_position = -2 * position.cost * instrument.multiplier
    if opened.buy_quantity > max(-quantity, ZERO):
        for_orders += opened.buy_value
    if opened.sell_quantity > max(quantity, ZERO):
        for_orders += opened.sell_value
    return Needs(for_position, for_orders)


def refuse_many_open_orders(proposal: Proposal, view: RiskView) -> FailedControl | None:
    """R14. The number of open orders, and the value of all of them: the account's, and the instrument's."""
    limits, opened = limits_in(view), view.exposure.of(view.instrument.symbol)
    its = limits.instruments.get(view.instrument.symbol)
    rate = rate_in(view, view.instrument.currency)
    reference_in(view)
    if proposal.standing is None:
        failed = _too_many(view.exposure.count, limits.max_open_orders, "")
        if failed is None and its is not None and its.max_open_orders is not None:
            failed = _too_many(opened.orders, its.max_open_orders, f" in {view.instrument.symbol}")
        if failed is not None:
            return failed
    if view.exposure.has_unpriced:
        raise InputMissing(Reason.UNPRICED_EXPOSURE, "an open order has no known value")
    added = _value(would_hold(proposal, view)) - _value(holds(proposal, view))
    if proposal.standing is not None and added <= ZERO:
        return None
    added = dear(added, rate)
    failed = _too_much(open_value(view), added, limits.max_open_notional, "")
    if failed is None and its is not None and its.max_open_notional is not None:
        value = dear(opened.buy_value + opened.sell_value, rate)
        failed = _too_much(value, added, its.max_open_notional, f" in {view.instrument.symbol}")
    return failed


def open_value(seen: Booked) -> Decimal:
    """What everything open is worth. Raises InputMissing."""
    values = seen.exposure.values
    if len(values) == 1 and seen.fx is None:
        ((currency, value),) = values.items()
        return dear(value, rate_in(seen, currency))
    return sum((dear(value, rate_in(seen, currency)) for currency, value in values.items()), ZERO)


def _too_many(count: int, most: int, where: str) -> FailedControl | None:
    if count + 1 <= most:
        return None
    what = f"the number of open orders{where}"
    return over("R14", Reason.OPEN_ORDERS, what, Decimal(count + 1), Decimal(most))


def _too_much(value: Decimal, added: Decimal, most: Decimal, where: str) -> FailedControl | None:
    if value + added <= most:
        return None
    inputs = {"open": text(value), "added": text(added)}
    what = f"the value of open orders{where}"
    return over("R14", Reason.OPEN_NOTIONAL, what, value + added, most, inputs=inputs)


def with_proposal(proposal: Proposal, view: RiskView) -> OpenInterest:
    """What would be open in the symbol with what is proposed."""
    kept: tuple[RiskView, OpenInterest] | None = proposal.__dict__.get("opened")
    if kept is not None and kept[0] is view:
        return kept[1]
    after, now = would_hold(proposal, view), holds(proposal, view)
    quantity, value = after.quantity - now.quantity, _value(after) - _value(now)
    opened = view.exposure.of(view.instrument.symbol).plus(proposal.terms.side, quantity, value, 0)
    proposal.__dict__["opened"] = (view, opened)
    return opened


def would_hold(proposal: Proposal, view: RiskView) -> Held:
    """What the order would be reserved at, the unanswered replace included."""
    kept: tuple[RiskView, Held] | None = proposal.__dict__.get("would_hold")
    if kept is not None and kept[0] is view:
        return kept[1]
    held = _worked_out(proposal, view)
    proposal.__dict__["would_hold"] = (view, held)
    return held


def _worked_out(proposal: Proposal, view: RiskView) -> Held:
    standing = proposal.standing
    if standing is not None:
        changed = msgspec.structs.replace(standing, replacement=proposal.asked)
        return held_by(changed, view.instrument)
    reference = None if view.reference is None else view.reference.price
    return held_by_new(proposal.terms, reference, view.instrument)


def holds(proposal: Proposal, view: RiskView) -> Held:
    """What the standing order is reserved at now; nothing for a new order."""
    if proposal.standing is None:
        return _NOTHING
    return view.exposure.held(proposal.standing.id) or _NOTHING


def _value(held: Held) -> Decimal:
    if held.value is None:
        raise InputMissing(Reason.UNPRICED_EXPOSURE, f"the order in {held.symbol} has no known value")
    return held.value
