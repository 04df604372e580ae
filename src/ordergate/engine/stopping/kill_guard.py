"""Which stop an order falls under, asked twice: when it is judged, and last of all before it leaves.

Knows what an order is to the kill switch: its account's broker and tenant, its user, its strategy. What
may only make a position smaller is worked out from the books as they are now. Changes nothing.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final, assert_never

from ordergate.core.contingent.group import Group
from ordergate.core.ids import Env, OrderId, Symbol
from ordergate.core.money import ZERO
from ordergate.core.orders.order import Order, Replacement
from ordergate.core.orders.terms import Side
from ordergate.core.risk.trading_state import Grade, Level, Place, Stop, Subject
from ordergate.engine.accounts.lanes import Seat
from ordergate.engine.stopping.kill_switch import KillSwitch

HEAR_AGAIN_S_MAX: Final = 3.0


class KillGuard:
    def __init__(self, env: Env, kill_switch: KillSwitch) -> None:
        self._env = env
        self._kill_switch = kill_switch

    def stop(
        self,
        seat: Seat,
        symbol: Symbol | None,
        *,
        user: str | None,
        strategy: str | None,
        order: OrderId | None = None,
        closing: bool = False,
    ) -> Stop | None:
        """The hardest stop over all levels, or None. `closing`: the gateway itself closes a position."""
        if self._kill_switch.is_clear:
            return None  # as for nearly every order
        found = self._kill_switch.stop(
            Subject(
                account=seat.lane.account,
                names=() if symbol is None else seat.lane.books.names_of(symbol),
                broker=seat.login,
                tenant=seat.tenant,
                environment=self._env,
                user=user,
                strategy=strategy,
                order=order,
            )
        )
        return found.for_closing() if found is not None and closing else found

    async def until_heard(self) -> None:
        """Give a node that slept, or whose database did, the time to hear what is stopped by now."""
        if self._kill_switch.deaf is not None:
            await self._kill_switch.until_heard(HEAR_AGAIN_S_MAX)

    def forbids(self, seat: Seat, order: Order, asked: Replacement | None = None) -> bool:
        """True when an order that was approved, or its replacement, may not leave any more."""
        if self._kill_switch.is_clear:
            return False
        stop = self.stop_of(seat, order)
        if stop is None:
            return False
        return stop.grade is not Grade.REDUCE_ONLY or not _still_reduces(seat, order, asked)

    def stop_of(self, seat: Seat, order: Order) -> Stop | None:
        terms = order.terms
        return self.stop(
            seat,
            terms.symbol,
            user=order.actor,
            strategy=terms.strategy,
            order=order.id,
            closing=closes(seat, order.id),
        )


def is_order_of(place: Place, env: Env, seat: Seat, order: Order) -> bool:
    """Whether a stop at this place is one of the order; asked of every open order of every account."""
    level, target = place
    match level:
        case Level.ORDER:
            return order.id == target
        case Level.STRATEGY:
            return order.terms.strategy == target
        case Level.USER:
            return order.actor == target
        case Level.INSTRUMENT:
            return target in seat.lane.books.names_of(order.terms.symbol)
        case Level.ACCOUNT | Level.BROKER | Level.TENANT | Level.ENVIRONMENT | Level.GLOBAL:
            return is_account_of(place, env, seat)
        case _:
            assert_never(level)


def is_group_of(place: Place, env: Env, seat: Seat, group: Group) -> bool:
    """The same of a group. That of one order leaves its group alone."""
    level, target = place
    match level:
        case Level.ORDER:
            return False
        case Level.STRATEGY:
            return group.terms.strategy == target
        case Level.USER:
            return group.actor == target
        case Level.INSTRUMENT:
            symbol = group.terms.symbol
            return symbol is not None and target in seat.lane.books.names_of(symbol)
        case Level.ACCOUNT | Level.BROKER | Level.TENANT | Level.ENVIRONMENT | Level.GLOBAL:
            return is_account_of(place, env, seat)
        case _:
            assert_never(level)


def is_account_of(place: Place, env: Env, seat: Seat) -> bool:
    """Whether a stop at this place is one of the whole account."""
    level, target = place
    of_account = {
        Level.ACCOUNT: str(seat.lane.account),
        Level.BROKER: seat.login,
        Level.TENANT: seat.tenant,
        Level.ENVIRONMENT: env.value,
    }
    return level is Level.GLOBAL or of_account.get(level) == target


def closes(seat: Seat, order_id: OrderId) -> bool:
    """True of an order by which a flatten closes what is held."""
    return seat.lane.books.groups.closes(order_id)


def _still_reduces(seat: Seat, order: Order, asked: Replacement | None) -> bool:
    """The position is at least what is open on its side, this order among it."""
    books = seat.lane.books
    if books.account is None:
        return False
    symbol, side = books.present_name(order.terms.symbol), order.terms.side
    opened, own = books.exposure.of(symbol), books.exposure.held(order.id)
    position = books.account.position(symbol).quantity
    open_quantity: Decimal = opened.sell_quantity if side is Side.SELL else opened.buy_quantity
    held = position if side is Side.SELL else -position
    others = open_quantity - (ZERO if own is None else own.quantity)
    leaves = order.leaves_qty if asked is None else max(order.leaves_qty, asked.quantity - order.cum_qty)
    return leaves <= held - others
