"""A brokerage as the world sees it: the paper exchange, its clock, and what is wrong with it now.

The exchange's own ledger is the ground truth of a run. The gateway never sees it except through a line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Final

from ordergate.brokers.paper.exchange import Moved, PaperExchange
from ordergate.brokers.paper.fates import Call
from ordergate.brokers.paper.news import PaperNews
from ordergate.brokers.paper.orders import PaperOrder
from ordergate.core.ids import AccountId, Env, OrderId, Symbol, cl_ord_id, parse_cl_ord_id
from ordergate.core.instruments import Instrument
from ordergate.core.orders.events import CancelRequested
from ordergate.journal.tails import Linked
from ordergate.ports.broker import BrokerExecution, BrokerNews, DedupClass
from ordergate.simulation.doubles import Doubles
from ordergate.simulation.ground import START, Ground
from ordergate.simulation.manners import Manner
from ordergate.simulation.plan import Plan, Strike

_FILLS: Final = ("fill", "partial_fill")
_AMENDED: Final = ("busted", "corrected")
_FOR_THE_DOUBTFUL: Final = 0.6  # strikes of a smaller dose wait for an order that nobody was told of
_EVERY_THIRD: Final = 3
_HALF: Final = 0.5
_FREE: Final = Decimal(0)
_NAMES_MAX: Final = 4096

name_of = lru_cache(_NAMES_MAX)(cl_ord_id)
intent_of = lru_cache(_NAMES_MAX)(parse_cl_ord_id)
"""What an order is called at the broker, and the way back; a run asks the same names over and over."""


class Brokerage:
    """One account at one broker."""

    def __init__(
        self, ground: Ground, number: int, account: AccountId, instruments: Mapping[Symbol, Instrument]
    ) -> None:
        self.ground = ground
        self.weather = ground.weather
        self.witness = ground.witness
        self.setting = ground.plan.setting
        self.number = number
        self.account = account
        self.chance = ground.chance(f"brokerage {number}")
        self.in_flight: dict[str, int] = {}
        self.connecting = 0
        self.amended: set[str] = set()
        self.doubtful: set[str] = set()
        self.denied_falsely: set[str] = set()
        self.manners: dict[Call, Manner] = {}
        self.races = 0
        self.traded_s = 0.0
        self.renames = False
        self.chooses: Callable[[str], bool] = lambda subject: True
        self.answered_badly = ""
        self.held_s: float | None = 0.0
        self.listed_late: set[str] = set()
        self.placed_s: dict[str, float] = {}
        self.mass_cancel: dict[OrderId, str] = {}
        self.streams: dict[str, PaperNews] = {}
        self.doubles = Doubles(self.time)
        self._skew = _skew(ground.plan, number)
        self._skew_seen = False
        self._last = START - timedelta(days=1)
        self._hidden: dict[str, float | None] = {}
        self.exchange = PaperExchange(
            now=self.now,
            cash=Decimal(10_000_000),
            instruments=instruments,
            dedups=self.setting.dedup is DedupClass.A,
        )
        self.exchange.subscribe(self._moved)
        self.weather.on("B24", self._rename)
        for fault in ("B10", "B16", "B20", "N1"):
            self.weather.on(fault, self._cut, self._restore)

    def now(self) -> datetime:
        """The broker's clock: no two things happen at the same time."""
        now = self.ground.now() + self._skew
        self._last = max(now, self._last + timedelta(microseconds=1))
        return self._last

    def time(self) -> float:
        return self.ground.loop.time()

    def later(self, seconds: float, call: Callable[[], object]) -> None:
        self.ground.later(seconds, call)

    def strike(self, fault: str, *, above: float = 0.0) -> Strike | None:
        return self.weather.strike(fault, self.number, above=above)

    def spell(self, fault: str) -> Strike | None:
        return self.weather.spell(fault, self.number)

    def trip_s(self) -> float:
        """How long a message is on its way now."""
        way_s = self.setting.broker_latency_s * self.chance.uniform(0.5, 1.5)
        return way_s + self.ground.clog_s(f"broker {self.number}")

    def attach(self, gateway: str, stream: PaperNews) -> None:
        """A gateway has a stream of its own."""
        self.streams[gateway] = stream
        if self.line_is_down:
            stream.cut("refused")

    def detach(self, gateway: str) -> None:
        stream = self.streams.pop(gateway, None)
        if stream is not None:
            stream.forsake()

    @property
    def line_is_down(self) -> bool:
        closed = any(self.spell(fault) is not None for fault in ("B10", "B16", "B20"))
        return closed or self.partition == "both"

    @property
    def partition(self) -> str | None:
        """How the broker is cut off: `both` ways, or only the calls `out` or the answers `back`."""
        spell = self.spell("N1")
        if spell is None or spell.dose < 0.35:
            return None  # it is the database that is cut off
        return "both" if spell.dose < 0.6 else ("out" if spell.dose < 0.8 else "back")

    def hides(self, order: PaperOrder) -> bool:
        """B6: an order that questions do not find for a while, within what the broker admits to.

        Most strikes wait for one that nobody was told of.
        """
        if order.id not in self._hidden:
            least = 0.0 if order.cl_ord_id in self.doubtful else _FOR_THE_DOUBTFUL
            strike = self.strike("B6", above=least) if self.setting.visibility_lag_s else None
            if strike is None:
                self._hidden[order.id] = None
            else:
                self.hide(order, strike.dose)
        hidden_until = self._hidden[order.id]
        if hidden_until is None or self.time() >= hidden_until:
            return False
        if not self.weather.healed:
            self.weather.seen("B6", order.cl_ord_id)
        return True

    def hide(self, order: PaperOrder, dose: float) -> None:
        """Let no question find it for so much of the time that the broker admits to."""
        self._hidden[order.id] = self.time() + self.setting.visibility_lag_s * dose

    def is_listed_late(self, one: BrokerExecution) -> bool:
        """B18: every third execution is listed behind younger ones, as long as the list lags."""
        lags = self.spell("B18") is not None and int(one.cursor) % _EVERY_THIRD == self.number
        return lags or one.cursor in self.listed_late

    @contextmanager
    def minding_manners(self, call: Call, subject: str) -> Iterator[Manner | None]:
        """How this call is answered, where that was chosen; what is told meanwhile is told accordingly."""
        manner = self.manners.pop(call, None) if self.chooses(subject) else None
        if manner is None:
            yield None
            return
        self.answered_badly, self.held_s = subject, manner.held_s
        if manner.is_false:
            self.denied_falsely.add(subject)
        yield manner
        self.held_s = 0.0
        order = self.order_of(subject)
        if order is not None and manner.hidden:
            self.hide(order, 1.0)

    def note_mass_cancel(self, linked: Linked) -> None:
        """Cancels that were asked for in one unit belong together."""
        entries = linked.unit.entries
        asked = [entry.order_id for entry in entries if isinstance(entry.event, CancelRequested)]
        if len(asked) > 1:
            for order_id in asked:
                if order_id is not None:
                    self.mass_cancel[order_id] = entries[0].correlation

    def fill_some(self, order: PaperOrder | None, share: float = 1.0, *, fee: Decimal = _FREE) -> bool:
        """The market trades some of the order at its own price."""
        if order is None or not order.is_open or order.leaves_qty <= 0:
            return False
        now = self.exchange.order(order.id)
        if now is None or not now.is_open:
            return False
        quantity = max(Decimal(1), (now.leaves_qty * Decimal(str(share))).to_integral_value())
        price = now.terms.limit_price or self.price(now.terms.symbol)
        self.exchange.fill(now.id, min(quantity, now.leaves_qty), price, fee=fee)
        return True

    def price(self, symbol: Symbol) -> Decimal:
        return self.exchange.price_of(symbol) or Decimal(100)

    def order_of(self, subject: str) -> PaperOrder | None:
        """The order of that name; of two (B25) the one that is ours."""
        ours = self.doubles.ours_of(subject)
        return self.exchange.by_client_id(subject) if ours is None else self.exchange.order(ours)

    def is_double(self, order: PaperOrder) -> bool:
        """Whether it has the name of one of ours and is not that one."""
        return self.doubles.ours_of(order.cl_ord_id) not in (None, order.id)

    def heard_on_stream(self, gateway: str, news: BrokerNews) -> None:
        """A report has come over the whole line to a gateway; what comes to a cut one is lost."""
        stream = self.streams.get(gateway)
        if stream is not None and stream.is_up:
            self.doubles.tell(gateway, news)

    def exchange_open(self, subject: str) -> bool:
        order = self.order_of(subject)
        return order is not None and order.is_open

    def share_that_beats_it(self) -> float | None:
        """How much of an order trades before the replace that is just arriving; None when nothing does."""
        if self.races:
            self.races -= 1
            return _HALF
        strike = self.strike("B13")
        return None if strike is None else strike.dose

    def replaced_by(self, subject: str) -> PaperOrder | None:
        """The open order that a replacement called `subject` would replace."""
        parsed = intent_of(Env.PAPER, subject)
        if parsed is None:
            return None
        for version in range(parsed[1] - 1, 0, -1):
            order = self.order_of(name_of(parsed[0], version))
            if order is not None and order.is_open:
                return order
        return None

    def note_clock(self) -> None:
        """B21: a report leaves with a time that is not the world's; once per run is enough to say."""
        if self._skew and not self._skew_seen:
            self._skew_seen = True
            self.weather.seen("B21", str(self._skew))

    def _moved(self, moved: Moved) -> None:
        if moved.word in _FILLS and self.line_is_down:
            self.weather.seen("B10" if self.spell("B10") else "B16" if self.spell("B16") else "N1", "a fill")
        self.placed_s.setdefault(moved.order.id, self.time())
        if moved.execution is not None:
            self.traded_s = self.time()
        if moved.word in _AMENDED:
            self.amended.add(moved.order.id)
        self.witness.moved(self.account, moved)

    def _cut(self, strike: Strike) -> None:
        if strike.account != self.number or not self.line_is_down:
            return
        for stream in self.streams.values():
            stream.cut(strike.fault)
        if strike.fault == "B10":
            self.later(strike.lasts / 2, self._fill_untold)
        elif self.streams:
            self.weather.seen(strike.fault, "the stream was closed")

    def _rename(self, strike: Strike) -> None:
        """B24: what it tells has another name for an instrument, from now on and for good."""
        self.renames = self.renames or strike.account == self.number

    def _fill_untold(self) -> None:
        """A fill that the stream misses: none when the line was healed meanwhile."""
        if not self.line_is_down:
            return
        open_orders = [order for order in self.exchange.orders() if order.is_open]
        if open_orders:
            self.fill_some(self.chance.choice(open_orders), 0.5)

    def _restore(self, strike: Strike) -> None:
        self.reconnect()

    def reconnect(self) -> None:
        if not self.line_is_down:
            for stream in self.streams.values():
                stream.restore()


def _skew(plan: Plan, number: int) -> timedelta:
    """B21: a broker's clock may be ten minutes off, either way."""
    for strike in plan.strikes:
        if strike.fault == "B21" and strike.account == number:
            return timedelta(seconds=round(1200 * strike.dose - 600, 3))
    return timedelta(0)


def order_of(env: Env, subject: str) -> OrderId | None:
    """The order that a client order id belongs to, if it is one of ours."""
    parsed = intent_of(env, subject)
    return None if parsed is None else parsed[0]
