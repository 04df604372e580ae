"""What checkers may look at: the journal's store, the audit of it, the venues, and the run's settings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

from ordergate.core.ids import AccountId, OrderId
from ordergate.core.ids import Env as Environment
from ordergate.simulation.audit import Audit, Known
from ordergate.simulation.brokerage import Brokerage, intent_of
from ordergate.simulation.clock import WallClock
from ordergate.simulation.database import Server
from ordergate.simulation.followers import Follower
from ordergate.simulation.gateway import Gateway
from ordergate.simulation.ground import Ground
from ordergate.simulation.trader import Trader


class Sight:
    def __init__(
        self,
        ground: Ground,
        clock: WallClock,
        server: Server,
        brokerages: Sequence[Brokerage],
        *,
        gateways: Callable[[], Sequence[Gateway]],
        traders: Sequence[Trader],
        followers: Sequence[Follower],
    ) -> None:
        self.ground = ground
        self.clock = clock
        self.server = server
        self.brokerages = {one.account: one for one in brokerages}
        self.gateways = gateways
        self.traders = traders
        self.followers = followers
        self.audit = Audit()
        self.sends: Counter[str] = Counter()
        for one in brokerages:
            one.doubles.ours = partial(self._ours, one.account)

    def time(self) -> float:
        return self.ground.loop.time()

    def order_of(self, subject: str) -> tuple[Known | None, int]:
        """The journal's order behind a client order id, and the version it names."""
        parsed = intent_of(Environment.PAPER, subject)
        if parsed is None:
            return None, 0
        return self.audit.order(parsed[0]), parsed[1]

    def brokerage(self, account: AccountId) -> Brokerage:
        return self.brokerages[account]

    def order_id_of(self, subject: str) -> OrderId | None:
        parsed = intent_of(Environment.PAPER, subject)
        return None if parsed is None else parsed[0]

    def _ours(self, account: AccountId, subject: str, both: tuple[str, str]) -> str:
        """Of two orders of one name (B25) the one that the journal has for ours, or not for another.

        Of an order that was refused before the journal had any id of it, it is the one that is over.
        """
        order, _ = self.order_of(subject)
        known = [one for one in both if order is not None and one in order.broker_ids]
        strange = [one for one in both if self.audit.of_broker(account, one) is not None]
        over = [] if order is None or order.is_open else [one for one in both if self._is_over(account, one)]
        return next((one for one in (*known, *over, *both) if one not in strange), both[0])

    def _is_over(self, account: AccountId, broker_order_id: str) -> bool:
        theirs = self.brokerages[account].exchange.order(broker_order_id)
        return theirs is not None and not theirs.is_open
