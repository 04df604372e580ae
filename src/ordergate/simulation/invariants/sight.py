"""What checkers may look at: the journal's store, the audit of it, the venues, and the run's settings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from ordergate.core.ids import AccountId, OrderId
from ordergate.core.ids import Env as Environment
from ordergate.simulation.audit import Audit, Known
from ordergate.simulation.brokerage import Brokerage, intent_of
from ordergate.simulation.database import Server
from ordergate.simulation.followers import Follower
from ordergate.simulation.gateway import Gateway
from ordergate.simulation.ground import Ground
from ordergate.simulation.trader import Trader


class Sight:
    def __init__(
        self,
        ground: Ground,
        server: Server,
        brokerages: Sequence[Brokerage],
        *,
        gateways: Callable[[], Sequence[Gateway]],
        traders: Sequence[Trader],
        followers: Sequence[Follower],
    ) -> None:
        self.ground = ground
        self.server = server
        self.brokerages = {one.account: one for one in brokerages}
        self.gateways = gateways
        self.traders = traders
        self.followers = followers
        self.audit = Audit()
        self.sends: Counter[str] = Counter()

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
