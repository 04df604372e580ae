"""What each checker is for: a mistake that it alone would find is planted, and it finds it."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from ordergate.audit.tree import Frontier
from ordergate.brokers.paper.broker import PaperBroker
from ordergate.brokers.paper.exchange import PaperExchange
from ordergate.brokers.paper.orders import PaperOrder
from ordergate.core.accounts import views
from ordergate.core.accounts.account import Account
from ordergate.core.accounts.positions import Position
from ordergate.core.ids import AccountId, ClOrdId, OrderId, Paper
from ordergate.core.instruments import Instrument
from ordergate.core.orders.terms import Terms
from ordergate.core.risk.trading_state import KillEngaged
from ordergate.engine.accounts.alarms import Alarms
from ordergate.engine.stopping.kill_switch import KillSwitch
from ordergate.journal.memory_views import MemoryViews
from ordergate.ports.broker import DedupClass, Outcome, Veto
from ordergate.ports.views import OrderQuery, Page
from ordergate.simulation.invariants.causality import ReadsWhatWasHeard
from ordergate.simulation.invariants.histories import Linearizable
from ordergate.simulation.plan import Plan, draw
from ordergate.simulation.town import run
from ordergate.simulation.witness import Checker


def _calm(dedup: DedupClass, *, resends: bool = False) -> Plan:
    """The first world of such a broker, without faults."""
    plans = (draw(seed, ()) for seed in range(1, 100))
    wanted = (dedup, resends)
    return next(one for one in plans if (one.setting.dedup, one.setting.resend_is_safe) == wanted)


def _found(plan: Plan) -> set[str]:
    return {one.invariant for one in run(plan).violations}


@pytest.mark.parametrize(
    "plan", [_calm(DedupClass.A, resends=True), _calm(DedupClass.A), _calm(DedupClass.B), _calm(DedupClass.C)]
)
def test_an_order_is_sent_no_oftener_than_was_written_down(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    once = PaperBroker.place

    async def twice(self: PaperBroker[Paper], name: ClOrdId, terms: Terms, veto: Veto) -> Outcome:
        outcome = await once(self, name, terms, veto)
        await once(self, name, terms, veto)
        return outcome

    assert _found(plan) == set()
    monkeypatch.setattr(PaperBroker, "place", twice)
    assert "I10" in _found(plan)


def test_a_replacement_reaches_the_venue_as_it_was_approved(monkeypatch: pytest.MonkeyPatch) -> None:
    as_asked = PaperBroker.replace

    async def more(self: PaperBroker[Paper], order: str, name: ClOrdId, terms: Terms, *asked: Any) -> Outcome:
        larger = msgspec.structs.replace(asked[0], quantity=asked[0].quantity + 1)
        return await as_asked(self, order, name, terms, larger, asked[1])

    monkeypatch.setattr(PaperBroker, "replace", more)
    assert {"I2", "I10"} <= _found(_calm(DedupClass.A))


def test_somebody_is_told_of_an_order_that_stays_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    doubtful = draw(1)
    assert _found(doubtful) == set()
    monkeypatch.setattr(Alarms, "sound", lambda *_: False)
    assert "I6" in _found(doubtful)


def _doubled() -> Plan:
    """A world in which a broker makes two orders of a call, and nothing else goes wrong."""
    plans = (draw(seed, ("B25",)) for seed in range(1, 500))
    return next(one for one in plans if one.strikes and one.setting.dedup is DedupClass.B)


def test_somebody_is_told_of_two_orders_of_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    doubled = run(_doubled())
    assert (doubled.violations, doubled.hits.get("B25", 0) > 0) == ((), True)
    monkeypatch.setattr(Alarms, "sound", lambda *_: False)
    assert "I3" in _found(_doubled())


def test_nobody_but_the_broker_may_make_two_orders_of_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    submit = PaperExchange.submit

    def twice(self: PaperExchange, name: str, *asked: Any) -> PaperOrder | str:
        submit(self, name, *asked)
        return submit(self, name, *asked)

    monkeypatch.setattr(PaperExchange, "submit", twice)
    assert "I3" in _found(_calm(DedupClass.B))


def test_a_position_is_the_sum_of_its_executions_at_every_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong figure that is right again in the end is a wrong figure all the same."""
    truly = views.position_view
    wrong = iter([Decimal(1)])

    def shown(account: Account, position: Position, instrument: Instrument) -> views.PositionView:
        more = position.quantity + next(wrong, Decimal(0))
        return truly(account, msgspec.structs.replace(position, quantity=more), instrument)

    monkeypatch.setattr(views, "position_view", shown)
    assert _found(_calm(DedupClass.A)) == {"I9"}


def test_a_stop_is_in_the_record_once(monkeypatch: pytest.MonkeyPatch) -> None:
    once = KillSwitch.engage

    async def twice(self: KillSwitch, event: KillEngaged, correlation: str) -> None:
        await once(self, event, correlation)
        await once(self, event, correlation)

    plan = next(one for one in (draw(seed, ()) for seed in range(1, 100)) if one.setting.governed)
    assert _found(plan) == set()
    monkeypatch.setattr(KillSwitch, "engage", twice)
    assert _found(plan) == {"I19"}


def test_a_checkpoint_is_of_every_record(monkeypatch: pytest.MonkeyPatch) -> None:
    add = Frontier.add

    def another(self: Frontier, data: bytes) -> None:
        add(self, data[::-1] if self.size == 40 else data)

    monkeypatch.setattr(Frontier, "add", another)
    assert _found(_calm(DedupClass.A)) == {"I19"}


def _kept_from_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks for one order is shown it as it was when it was first asked for."""
    fresh, kept = MemoryViews.order, dict[object, bytes | None]()

    async def stale(self: MemoryViews, order: OrderId, accounts: Sequence[AccountId]) -> bytes | None:
        return kept.setdefault((order, *accounts), await fresh(self, order, accounts))

    monkeypatch.setattr(MemoryViews, "order", stale)


def test_a_row_that_is_not_fresh_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    _kept_from_the_first(monkeypatch)
    assert _found(_calm(DedupClass.A)) == {"I14", "I25"}


def test_what_was_shown_once_is_held_against_what_is_read_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where no moment of the journal is asked about: somebody has been shown more."""
    _kept_from_the_first(monkeypatch)
    monkeypatch.setattr(Linearizable, "read", Checker.read)
    assert _found(_calm(DedupClass.A)) == {"I14"}


def test_what_was_answered_with_a_yes_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hidden(self: MemoryViews, order: OrderId, accounts: Sequence[AccountId]) -> bytes | None:
        return None

    monkeypatch.setattr(MemoryViews, "order", hidden)
    assert _found(_calm(DedupClass.A)) == {"I14"}


def test_a_list_is_of_one_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of its orders was so in that time, but not all of them at once."""
    whole = MemoryViews.orders

    async def torn(self: MemoryViews, query: OrderQuery) -> Page:
        page = await whole(self, query)
        return Page(page.bodies[:-1], page.next) if query.open and len(page.bodies) > 1 else page

    monkeypatch.setattr(MemoryViews, "orders", torn)
    monkeypatch.setattr(ReadsWhatWasHeard, "read", Checker.read)
    assert _found(_calm(DedupClass.A)) == {"I25"}


def test_nobody_is_shown_the_order_of_another_tenant(monkeypatch: pytest.MonkeyPatch) -> None:
    async def anybodys(self: MemoryViews, order: OrderId, accounts: Sequence[AccountId]) -> bytes | None:
        everything = (books.orders.get(order) for books in self._journal.books.values())
        return next((row.body for row in everything if row is not None), None)

    monkeypatch.setattr(MemoryViews, "seen_by", lambda self, *who: self)
    monkeypatch.setattr(MemoryViews, "order", anybodys)
    assert _found(_calm(DedupClass.A)) == {"I18"}
