"""One run: a plan in, what happened out.

A safety phase, in which everything may go wrong and nothing may be violated; then nothing goes wrong
any more, and within 120 seconds both sides must say the same.
"""

from __future__ import annotations

import gc
import warnings
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from itertools import chain
from typing import Final

import msgspec

from ordergate.core.ids import AccountId
from ordergate.core.risk.limits import Limits, limits_of
from ordergate.engine.accounts.snapshots import SnapshotPace
from ordergate.journal.tails import Linked
from ordergate.ports.broker import DedupClass
from ordergate.ports.market_data import Quote
from ordergate.simulation.audit import Known
from ordergate.simulation.brokerage import Brokerage
from ordergate.simulation.clients import Client
from ordergate.simulation.clock import WallClock
from ordergate.simulation.crowd import Crowd
from ordergate.simulation.database import Server
from ordergate.simulation.epilogue import CALM_S, Epilogue
from ordergate.simulation.gateway import Gateway
from ordergate.simulation.ground import START, Ground
from ordergate.simulation.invariants.groups import unsettled
from ordergate.simulation.invariants.sight import Sight
from ordergate.simulation.invariants.table import checkers_of
from ordergate.simulation.invariants.venue import differences, untold
from ordergate.simulation.listing import ACCOUNTS, INSTRUMENTS
from ordergate.simulation.loop import Spinning
from ordergate.simulation.market import Market
from ordergate.simulation.mishaps import Mishaps
from ordergate.simulation.officer import Officer
from ordergate.simulation.operators import Operators
from ordergate.simulation.plan import Plan, Setting
from ordergate.simulation.reader import Reader
from ordergate.simulation.trader import Trader
from ordergate.simulation.witness import Violation

HEAL_S_MAX: Final = 120.0
_TICK_S: Final = 1.0
_SETTLED_TICKS: Final = 3
_PRICE_S: Final = 1.0
_TRADES_ON_S_MAX: Final = 10.0
_READ_ANEW_S: Final = 5.0
"""How long two whole reconciliations take at a broker that is slow to answer."""
_READ_S: Final = 0.01
_READS_MAX: Final = 100
_RESTS_MAX: Final = 10


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What one run came to."""

    seed: int
    orders: int
    events: int
    healed_s: float
    hits: dict[str, int]
    violations: tuple[Violation, ...]
    digest: str
    trace: tuple[str, ...] = ()


class Town:
    """Everything of one run, put together."""

    def __init__(
        self, plan: Plan, *, keep_trace: bool = False, snapshots: SnapshotPace | None = None
    ) -> None:
        """The usual pace of snapshots is too slow for a run to see one."""
        self.snapshots = snapshots
        self.ground = Ground(plan, keep_trace=keep_trace)
        self.server = Server(self.ground)
        self.server.on_commit = self._committed
        self.limits = limits_in(plan.setting)
        self.clock = WallClock(self.ground)
        self.brokerages = [
            Brokerage(self.ground, number, account, INSTRUMENTS) for number, account in enumerate(ACCOUNTS)
        ]
        self.market = Market(self.ground, self.brokerages, INSTRUMENTS)
        self.gateways: list[Gateway] = []
        self.traders = self._traders()
        self.readers = self._readers()
        self.crowd = Crowd(self.ground, self.server, ACCOUNTS, lambda: self.serving)
        self.officer = Officer(self.ground, ACCOUNTS, lambda: self.serving, self.traders)
        self.mishaps = Mishaps(self)
        self.operators = Operators(self)
        self.sight = Sight(
            self.ground,
            self.clock,
            self.server,
            self.brokerages,
            gateways=lambda: self.gateways,
            traders=self.traders,
            followers=self.crowd.lasting,
        )
        for brokerage in self.brokerages:
            brokerage.chooses = self._is_alone
        self.ground.witness.bring(checkers_of(self.sight))

    @property
    def serving(self) -> Gateway | None:
        """Where clients connect: to the one that is ready, or else to one that is there."""
        there = [one for one in reversed(self.gateways) if one.serves]
        return next((one for one in there if one.answers and not one.recovering), there[0] if there else None)

    def breaks(self, account: AccountId) -> Mapping[str, str]:
        """The open ones, by id, with the nature of each."""
        return self.sight.audit.account(account).breaks

    def questions(self, account: AccountId) -> list[Known]:
        """The orders of which nobody has shown whether the broker has them."""
        orders = self.sight.audit.account(account).orders.values()
        return [one for one in orders if one.is_in_question]

    def start_gateway(self) -> Gateway:
        gateway = Gateway(
            self.ground,
            len(self.gateways) + 1,
            self.server,
            self.brokerages,
            self.clock,
            instruments=INSTRUMENTS,
            limits=self.limits,
            on_death=self.mishaps.died,
            snapshots=self.snapshots,
        )
        self.gateways.append(gateway)
        gateway.start()
        return gateway

    def run(self) -> None:
        self.ground.weather.begin()
        self.market.begin(
            lambda: [key for key, one in self.sight.audit.accounts.items() if one.opened_s is not None]
        )
        self.start_gateway()
        self._tell_prices()
        for trader in self.traders:
            trader.begin()
        for reader in self.readers:
            reader.begin()
        self.crowd.begin()
        self.ground.loop.create_task(self.officer.work(), context=self.ground.world)
        self._safety()
        if not self.ground.witness.violations:
            self.healed_s = self._heal()
            self._calm()
        if not self._spins and self.healed_s:
            self._come_to_rest()
            self.ground.witness.ended()

    healed_s = 0.0
    _spins = False

    def _safety(self) -> None:
        until = self.ground.plan.setting.trading_s
        while self.ground.loop.time() < until and not self.ground.witness.violations:
            self._tick()

    def _heal(self) -> float:
        """Nothing goes wrong any more; how long it took until nothing differed."""
        begun = self.ground.loop.time()
        for trader in self.traders:
            trader.close()
        self.market.close()
        self.mishaps.heal()
        self.operators.heal()
        self.ground.trace.note("phase", "heal")
        self._settle(begun + HEAL_S_MAX)
        return self.ground.loop.time() - begun

    def _settle(self, until: float) -> bool:
        """Wait until nothing has differed for a while."""
        settled = 0
        while settled < _SETTLED_TICKS and self.ground.loop.time() < until and not self._is_lost():
            self._tick()
            settled = settled + 1 if self._is_settled() else 0
        return settled >= _SETTLED_TICKS

    def _is_lost(self) -> bool:
        """Nothing that comes later could make it right."""
        return self._spins or bool(self.ground.witness.violations)

    def _calm(self) -> None:
        """Now the stream alone must be enough: what it tells is in the journal before anybody asks."""
        if self.ground.witness.violations or not self._is_settled():
            return
        self.ground.trace.note("phase", "calm")
        epilogue = Epilogue(self)
        epilogue.begin()
        until = self.ground.loop.time() + CALM_S + self.ground.plan.setting.news_lag_s
        while (self.ground.loop.time() < until or self._trades_on(until)) and not self._spins:
            self._tick()
        for what in untold(self.sight):
            self.ground.witness.say("I23", f"told in a calm and not in the journal: {what}")
        epilogue.cut()
        self._settle(until + HEAL_S_MAX)
        if not self.ground.witness.violations and self._is_settled() and epilogue.stop():
            self._settle(self.ground.loop.time() + HEAL_S_MAX)

    def _is_alone(self, subject: str) -> bool:
        """A group's order is answered in no chosen manner: it may trade at once, and that is to be told."""
        order, _ = self.sight.order_of(subject)
        return order is None or self.sight.audit.bundles.of(order.id) is None

    def _trades_on(self, until: float) -> bool:
        """A group may trade at the end of a calm, and the news of that still be on its way.

        What a broker tells before it answers, with no name for it but its own, is kept back: the next
        reconciliation reads it, or the one after where it came while that was under way.
        """
        setting, now = self.ground.plan.setting, self.ground.loop.time()
        keeps_back = setting.dedup is DedupClass.C
        if not (setting.grouped or keeps_back) or now >= until + _TRADES_ON_S_MAX:
            return False
        told_s = setting.news_lag_s + CALM_S / 2 + (_READ_ANEW_S if keeps_back else 0.0)
        return any(now - one.traded_s < told_s for one in self.brokerages)

    def _let_followers_read(self) -> None:
        """What was told a moment ago is still on its way to the stream clients."""
        for _ in range(_READS_MAX):
            if not any(one.is_behind for one in self.crowd.lasting):
                return
            self.ground.loop.run_until(self.ground.loop.time() + _READ_S)

    def _come_to_rest(self) -> None:
        """Everything is read and signed for at one moment: a group that was refused tries again by itself."""
        for _ in range(_RESTS_MAX):
            self._let_followers_read()
            self._sign_for_all()
            if self._is_settled() and self.server.notary.signed_for_all:
                return
            if not self._settle(self.ground.loop.time() + HEAL_S_MAX):
                return

    def _sign_for_all(self) -> None:
        if self.serving is not None:
            self.serving.run(self.serving.sign)
            self.ground.loop.run_until(self.ground.loop.time() + _READ_S)

    def _is_settled(self) -> bool:
        quiet = all(trader.is_quiet for trader in self.traders) and self.operators.is_over
        serving = self.serving
        if not quiet or serving is None or serving.recovering:
            return False
        return next(chain(differences(self.sight), unsettled(self.sight)), None) is None

    def _tick(self) -> None:
        try:
            self.ground.loop.run_until(self.ground.loop.time() + _TICK_S)
        except Spinning as spinning:
            self.ground.witness.say("I21", str(spinning))
            self._spins = True
            return
        self.mishaps.mind_the_fenced()
        self.operators.mind_the_doubtful()
        self.ground.witness.ticked()

    def _committed(self, linked: Linked) -> None:
        by = self.server.owners.get(linked.unit.account, "")
        self.sight.audit.fold(linked, self.ground.loop.time(), by)
        for brokerage in self.brokerages:
            if brokerage.account == linked.unit.account:
                brokerage.note_mass_cancel(linked)
        self.ground.witness.committed(linked, by)

    def _tell_prices(self) -> None:
        for gateway in self.gateways:
            if gateway.serves:
                for symbol, price in self.market.prices.items():
                    tick = INSTRUMENTS[symbol].tick
                    gateway.take_price(
                        Quote(
                            symbol=symbol,
                            bid=price - tick,
                            bid_size=Decimal(10),
                            ask=price + tick,
                            ask_size=Decimal(10),
                            at=self.clock.now(),
                        )
                    )
        self.ground.later(_PRICE_S, self._tell_prices)

    def _traders(self) -> list[Trader]:
        traders = [
            Trader(
                self.ground,
                Client(self.ground, f"trader-{number}", account, lambda: self.serving),
                self.market,
                instruments=INSTRUMENTS,
                number=number,
            )
            for number, account in enumerate(ACCOUNTS)
        ]
        traders[0].other, traders[1].other = traders[1], traders[0]
        return traders

    def _readers(self) -> list[Reader]:
        return [
            Reader(self.ground, mine.client, number=number, others=other.latest)
            for number, (mine, other) in enumerate(zip(self.traders, reversed(self.traders), strict=True))
        ]

    def end(self) -> None:
        """Nothing of it has any effect any more."""
        for gateway in self.gateways:
            gateway.alive = False
        self.ground.loop.bury()

    def result(self) -> Result:
        return Result(
            seed=self.ground.plan.seed,
            orders=sum(len(one.orders) for one in self.sight.audit.accounts.values()),
            events=sum(len(one.events) for one in self.server.store.books.values()),
            healed_s=self.healed_s,
            hits=dict(sorted(self.ground.weather.hits.items())),
            violations=tuple(self.ground.witness.violations),
            digest=self.ground.trace.digest,
            trace=tuple(self.ground.trace.lines),
        )


def run(plan: Plan, *, keep_trace: bool = False, snapshots: SnapshotPace | None = None) -> Result:
    """Run a plan from beginning to end."""
    was_enabled = gc.isenabled()
    gc.disable()  # what a collection would end, it must not end in the middle of a run
    gc.freeze()  # and afterwards only what the run has left is looked at
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a process that was ended leaves coroutines behind
            town = Town(plan, keep_trace=keep_trace, snapshots=snapshots)
            town.run()
            result = town.result()
            town.end()
            del town
            gc.collect()
    finally:
        gc.unfreeze()
        if was_enabled:
            gc.enable()
    return result


def limits_in(setting: Setting) -> Limits:
    """What the settings of a run say, before anybody changes it."""
    most = "12" if setting.tight_limits else "30" if setting.governed else "200"
    each = {
        "max_order_quantity": "100",
        "max_order_notional": "100000000",
        "max_long": most,
        "max_short": most,
        "collar_percent": "10",
        "initial_margin": "1",
    }
    kept = {"hours": "session", "outside_session": "queue"} if setting.sessions else {}
    return limits_of(
        {
            **kept,
            "version": 1,
            "enabled": True,
            "max_open_orders": 8 if setting.tight_limits else 1000,
            "max_open_notional": "1000000000",
            "message_windows": [[100000, 1]],
            "order_types": ["market", "limit", "stop", "stop_limit"],
            "sides": ["buy", "sell"],
            "times_in_force": ["day", "gtc", "ioc", "fok"],
            "duplicate_window_s": "0",
            "reference_price_max_age_s": "86400",
            "buying_power_max_age_s": "86400",
            "instruments": dict.fromkeys(INSTRUMENTS, each),
        }
    )


def clock_at(town: Town) -> str:
    """The time of the run, for people."""
    return (START + timedelta(seconds=town.ground.loop.time())).isoformat()
