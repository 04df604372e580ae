"""I11, I22: the controls beside the plain limits, and who may loosen any of them.

Held against the journal's own figures. Where a control depends on a price, the most favourable one that the
run's market can have is taken: what is not allowed even then was never allowed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Final, NamedTuple

from ordergate.core.ids import AccountId, Symbol
from ordergate.core.orders import events as e
from ordergate.core.orders.terms import OrderType, Side
from ordergate.core.risk.policy import LimitRuleRemoved, LimitRuleSet
from ordergate.core.risk.reasons import Reason
from ordergate.journal.tails import Linked
from ordergate.simulation.audit import ZERO, Account, Known
from ordergate.simulation.governance import HARD_TO_BORROW, Bounds
from ordergate.simulation.invariants.before_sending import SightedChecker
from ordergate.simulation.invariants.sight import Sight
from ordergate.simulation.listing import FIRST_PRICE, INSTRUMENTS
from ordergate.simulation.witness import Answered

Approval = e.OrderAccepted | e.ReplaceRequested

_LOW, _HIGH = Decimal("0.95"), Decimal("1.05")
_WORTH_MAX: Final = Decimal(10_500_000)  # accounts begin with ten million, and hold little


class WithinControls(SightedChecker):
    """I11: what was approved, every control that was in force allows."""

    id = "I11"

    def committed(self, linked: Linked, by: str) -> None:
        entries = linked.unit.entries
        for entry in entries:
            event = entry.event
            order = self.sight.audit.order(entry.order_id)
            if order is None or not isinstance(event, Approval) or len(entries) > 1:
                continue
            version = self.sight.audit.governance.named(order.account, event.config_hash)
            if version is None:
                continue
            account = self.sight.audit.account(order.account)
            if self.sight.audit.bundles.of(order.id) is not None and not opens(account, order, event):
                continue  # no limit of exposure keeps a group from growing the exit of what it holds
            for what in _broken(account, order, event, version.bounds):
                self.violated(f"{order.id} was approved: {what}")


class TwoPersons(SightedChecker):
    """I22: what allows an account more than before was approved by another person than who asked."""

    id = "I22"

    def __init__(self, sight: Sight, say: Callable[[str, str], None]) -> None:
        super().__init__(sight, say)
        self._seen: dict[AccountId, int] = {}

    def committed(self, linked: Linked, by: str) -> None:
        for account, versions in self.sight.audit.governance.versions.items():
            if self._seen.get(account, 0) == len(versions):
                continue
            self._seen[account] = len(versions)
            if len(versions) > 1 and versions[-1].bounds.is_looser_than(versions[-2].bounds):
                self._approved(linked, account)

    def _approved(self, linked: Linked, account: AccountId) -> None:
        for entry in linked.unit.entries:
            event = entry.event
            if not isinstance(event, LimitRuleSet | LimitRuleRemoved):
                continue
            second = event.approved_by
            if second is None or second.subject == event.by.subject or second.client == event.by.client:
                self.violated(f"{event.by.subject} alone allowed {account} more than before")

    def answered(self, answered: Answered) -> None:
        if answered.verb == "limits-alone" and not answered.refused:
            self.violated(f"{answered.client} alone approved a change of {answered.about}")


def opens(account: Account, order: Known, event: Approval) -> bool:
    """Whether it could make a position larger, however what is open beside it fills."""
    side = order.terms.side
    others = sum(
        (one.worst_leaves for one in _open(account, order.terms.symbol, side) if one.id != order.id), ZERO
    )
    wanted = event.quantity - order.cum if isinstance(event, e.ReplaceRequested) else order.terms.quantity
    return others + wanted > -side.sign * account.positions.get(order.terms.symbol, ZERO)


def _open(account: Account, symbol: Symbol, side: Side) -> list[Known]:
    orders = account.orders.values()
    return [one for one in orders if one.is_open and (one.terms.symbol, one.terms.side) == (symbol, side)]


def _broken(account: Account, order: Known, event: Approval, bounds: Bounds) -> Iterator[str]:
    terms, is_opening = order.terms, opens(account, order, event)
    if terms.side not in bounds.sides[terms.symbol]:
        yield f"a {terms.side} of {terms.symbol} is not permitted"
    if terms.type not in bounds.types[terms.symbol]:
        yield f"a {terms.type} order in {terms.symbol} is not permitted"
    why = bounds.restricted.get(terms.symbol)
    if why is not None and (why != HARD_TO_BORROW or (terms.side is Side.SELL and is_opening)):
        yield f"{terms.symbol} is {why}"
    if bounds.self_match and (own := _meets(account, order)) is not None:
        yield f"it could meet {own.id} of the same account"
    if bounds.daily_loss is not None and is_opening:
        yield from _after_losses(account, order, event, bounds.daily_loss)
    if isinstance(event, e.OrderAccepted) or event.quantity > order.quantity:
        yield from _over_exposed(account, order, bounds)


def _meets(account: Account, order: Known) -> Known | None:
    """The own order that it could trade with as soon as it arrives; a stop waits, and meets none."""
    terms = order.terms
    if terms.stop_price is not None:
        return None
    for own in _open(account, terms.symbol, Side.SELL if terms.side is Side.BUY else Side.BUY):
        rests_at = own.terms.limit_price
        if own.terms.type is not OrderType.LIMIT or rests_at is None:
            continue
        if terms.limit_price is None or terms.side.sign * (terms.limit_price - rests_at) >= 0:
            return own
    return None


def _after_losses(account: Account, order: Known, event: Approval, most: Decimal) -> Iterator[str]:
    lock = account.locks.get(Reason.DAILY_LOSS)
    if lock is not None and most <= lock.limit:
        yield f"the day's loss of {lock.limit} was reached at {lock.at}"
    price = event.reference_price if isinstance(event, e.OrderAccepted) else None
    if price is None or account.is_adjusted:
        return
    profit = -account.fees
    for symbol, flow in account.flows.items():
        held = account.positions.get(symbol, ZERO)
        at = price if symbol == order.terms.symbol else _price(symbol, _HIGH if held > 0 else _LOW)
        profit += (flow + held * at) * INSTRUMENTS[symbol].multiplier
    if -profit >= most:
        yield f"{-profit} was lost on the day, {most} may be"


class _Share(NamedTuple):
    """What a symbol is exposed to at the very least, if every buy filled, and if every sell did."""

    gross: Decimal
    up: Decimal
    down: Decimal


def _over_exposed(account: Account, order: Known, bounds: Bounds) -> Iterator[str]:
    symbol, side = order.terms.symbol, order.terms.side
    shares = {one: _share(account, one) for one in INSTRUMENTS}
    if _lots(account, symbol) > _lots(account, symbol, without=order):
        gross, here = sum((one.gross for one in shares.values()), ZERO), shares[symbol].gross
        if bounds.gross is not None and gross > bounds.gross:
            yield f"a gross exposure of {gross} or more is possible, {bounds.gross} is allowed"
        percent = bounds.percent.get(symbol)
        if percent is not None and here * 100 > percent * _WORTH_MAX:
            yield f"an exposure of {here} or more in {symbol} is possible, {percent} % are allowed"
    net = sum((one.up if side is Side.BUY else one.down for one in shares.values()), ZERO)
    if bounds.net is not None and net > bounds.net:
        yield f"a net exposure of {net} or more is possible, {bounds.net} is allowed"


def _lots(account: Account, symbol: Symbol, *, without: Known | None = None) -> Decimal:
    """The largest position that is possible; `without` leaves out what one order adds last."""
    held, bought, sold = _possible(account, symbol)
    if without is not None:
        stood = max(without.quantity - without.cum, ZERO) if without.pending is not None else ZERO
        added = without.worst_leaves - stood
        bought, sold = (bought - added, sold) if without.terms.side is Side.BUY else (bought, sold - added)
    return max(abs(held), abs(held + bought), abs(held - sold))


def _possible(account: Account, symbol: Symbol) -> tuple[Decimal, Decimal, Decimal]:
    bought, sold = (sum((one.worst_leaves for one in _open(account, symbol, side)), ZERO) for side in Side)
    return account.positions.get(symbol, ZERO), bought, sold


def _share(account: Account, symbol: Symbol) -> _Share:
    held, bought, sold = _possible(account, symbol)
    low = _price(symbol, _LOW) * INSTRUMENTS[symbol].multiplier
    high = _price(symbol, _HIGH) * INSTRUMENTS[symbol].multiplier
    least, most = (held * low, held * high) if held > 0 else (held * high, held * low)
    up, down = least + bought * low, sold * low - most
    return _Share(max(abs(held) * low, up, down), up, down)


def _price(symbol: Symbol, of_the_first: Decimal) -> Decimal:
    return FIRST_PRICE[symbol] * of_the_first
