"""What happens to an account, chosen by a number, and an audience that hears of it late.

Never judges what clients make of it.
"""

from __future__ import annotations

from collections import deque

from ordergate.api.stream.hub import Hub
from ordergate.core.accounts.events import BreakOpened, PositionAdjusted
from ordergate.core.ids import AccountId
from ordergate.core.orders import events as e
from ordergate.core.orders.terms import OrderType, Side, Terms, TimeInForce
from tests.api.ledger import ACCOUNT, ES, Ledger


class Market:
    """Things that happen to one account, chosen by a number."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    def happen(self, choice: int) -> None:
        orders = [order for order in self.ledger.orders_by_id.values() if not order.is_final]
        if not orders or choice % 5 == 0:
            self._accept(choice)
        elif choice % 5 == 1:
            self.ledger.fill(orders[choice % len(orders)].id, "1", "4800.25")
        elif choice % 5 == 2:
            at = self.ledger.now()
            order = orders[choice % len(orders)]
            self.ledger.happen(e.OrderCanceled(order_id=order.id, at=at, evidence="twin"))
        elif choice % 5 == 3:
            self._break(choice)
        else:
            self._adjust()

    def _accept(self, choice: int) -> None:
        terms = Terms(
            account=ACCOUNT,
            symbol=ES.symbol,
            side=Side.SELL if choice % 2 else Side.BUY,
            type=OrderType.MARKET,
            quantity=ES.lot * (1 + choice % 3),
            time_in_force=TimeInForce.DAY,
        )
        order = self.ledger.new_order_id()
        at = self.ledger.now()
        self.ledger.happen(e.OrderAccepted(order_id=order, at=at, terms=terms, actor="a", config_hash="c"))

    def _break(self, choice: int) -> None:
        at = self.ledger.now()
        opened = BreakOpened(
            account=ACCOUNT,
            at=at,
            break_id=f"b{choice}",
            nature="cash",
            severity="warning",
            subject="USD",
            ours="1",
            theirs="2",
        )
        self.ledger.account_event(opened)

    def _adjust(self) -> None:
        at = self.ledger.now()
        adjusted = PositionAdjusted(
            account=ACCOUNT, at=at, symbol=ES.symbol, quantity=ES.lot, price=ES.tick, why="twin"
        )
        self.ledger.account_event(adjusted)


class Later:
    """An audience that is told some time after the commit; what is committed can be read already."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.waiting: deque[tuple[AccountId, int, str, bytes]] = deque()

    def tell(self, account: AccountId, seq: int, kind: str, frame: bytes) -> None:
        self.waiting.append((account, seq, kind, frame))

    def tell_price(self, price: object) -> None: ...

    def pass_on(self, events: int) -> None:
        for _ in range(min(events, len(self.waiting))):
            self.hub.tell(*self.waiting.popleft())
