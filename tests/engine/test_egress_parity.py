"""The last look at closes and replacements (R20), and at approvals that have no hash."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from ordergate.core.contingent.events import GroupAccepted, LegReleased
from ordergate.core.contingent.terms import GroupId, GroupKind, GroupTerms, Role, closing_terms
from ordergate.core.faults import JournalUnavailable
from ordergate.core.ids import OrderId, Paper, Symbol
from ordergate.core.orders.content import content_hash
from ordergate.core.orders.events import OrderAccepted, ReplaceRequested
from ordergate.core.orders.lifecycle import Status
from ordergate.core.orders.order import Order, Replacement, as_replaced
from ordergate.core.orders.terms import Side
from ordergate.core.refusals import Refusal
from ordergate.engine.accounts.lanes import Seat
from ordergate.engine.wire.egress import Egress, Withheld
from ordergate.journal.memory import MemoryJournal
from ordergate.ports.broker import Acknowledged, Outcome, no_veto
from ordergate.ports.journal import Stored
from tests.engine.settling import natures
from tests.engine.stage import ACCOUNT, ES, TRADER, Stage
from tests.engine.test_egress import FLIPS, change_terms

_replace = msgspec.structs.replace

ELSEWHERE = {name: fields for name, fields in FLIPS.items() if {*fields}.isdisjoint({"quantity"})}


@pytest.mark.parametrize("fields", ELSEWHERE.values(), ids=ELSEWHERE)
async def test_a_replacement_is_held_against_every_term_that_the_order_began_with(
    fields: dict[str, Any],
) -> None:
    """Changed before risk was asked about the replacement: its hash approves of the change."""
    if {*fields} <= {"limit_price", "stop_price"}:
        fields = {**fields, "user": "another"}
    async with Stage() as stage:
        order_id = await stage.accepted()
        await stage.until(lambda: stage.status(order_id) == "working")
        order = stage.lane.books.order(order_id)
        assert order is not None
        changed = _replace(order, terms=_replace(order.terms, **fields))
        asked = _asked(Decimal(2))
        becomes = as_replaced(changed.terms, asked)
        egress = Egress(stage.journal)
        _approve(egress, changed, asked, content_hash(order_id, 2, becomes))
        await egress.prepare(stage.seat, order_id, replacing=True)
        assert isinstance(await egress.replace(stage.seat, changed, asked, no_veto), Withheld)


async def test_a_replacement_without_a_hash_is_not_sent() -> None:
    async with Stage() as stage:
        order_id = await stage.accepted()
        await stage.until(lambda: stage.status(order_id) == "working")
        order = stage.lane.books.order(order_id)
        assert order is not None
        asked, egress = _asked(Decimal(2)), Egress(stage.journal)
        _approve(egress, order, asked, "")
        await egress.prepare(stage.seat, order_id, replacing=True)
        assert isinstance(await egress.replace(stage.seat, order, asked, no_veto), Withheld)
        _approve(egress, order, asked, content_hash(order_id, 2, as_replaced(order.terms, asked)))
        assert isinstance(await egress.replace(stage.seat, order, asked, no_veto), Acknowledged)


@pytest.mark.parametrize("replacing", [False, True], ids=["placed", "replaced"])
@pytest.mark.parametrize("version", [1, 2])
async def test_only_what_is_older_than_the_hash_is_sent_without_one(version: int, replacing: bool) -> None:
    async with Stage() as stage:
        order_id = await stage.accepted()
        await stage.until(lambda: stage.status(order_id) == "working")
        order = stage.lane.books.order(order_id)
        assert order is not None
        asked = _asked(Decimal(2))
        egress = Egress(_Older(stage.journal, version, _requested(order, asked, "")))  # type: ignore[arg-type]  # reads
        await egress.prepare(stage.seat, order_id, replacing=replacing)
        if replacing:
            sent = await egress.replace(stage.seat, order, asked, no_veto)
        else:
            egress._of(order_id).permits = True
            sent = await egress.place(stage.seat, order, no_veto)
        assert isinstance(sent, Acknowledged if version == 1 else Withheld)


class _Older:
    """A journal in which the order's approvals are of this version, and have no hash."""

    def __init__(self, journal: MemoryJournal[Paper], version: int, requested: ReplaceRequested) -> None:
        self._journal = journal
        self._version = version
        self._requested = requested

    async def history(self, order_id: OrderId) -> list[Stored]:
        found = await self._journal.history(order_id)
        accepted = found[0]
        assert isinstance(accepted.event, OrderAccepted)
        unhashed = _replace(accepted.event, content_hash="")
        return [
            _replace(accepted, version=self._version, event=unhashed),
            _replace(accepted, version=self._version, event=self._requested),
        ]


def _asked(quantity: Decimal) -> Replacement:
    return Replacement(version=2, quantity=quantity, limit_price=Decimal(4701), stop_price=None)


def _requested(order: Order, asked: Replacement, content: str) -> ReplaceRequested:
    return ReplaceRequested(
        order_id=order.id,
        at=order.accepted_at,
        version=asked.version,
        quantity=asked.quantity,
        limit_price=asked.limit_price,
        stop_price=asked.stop_price,
        actor="trader",
        config_hash="c",
        content_hash=content,
    )


def _approve(egress: Egress, order: Order, asked: Replacement, content: str) -> None:
    event = _requested(order, asked, content)
    egress.committed(event, msgspec.json.encode(event))


async def test_a_replacement_that_cannot_be_compared_is_refused_and_may_be_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with Stage() as stage:
        order_id = await stage.accepted()
        await stage.until(lambda: stage.status(order_id) == "working")

        async def away(order: OrderId) -> list[Stored]:
            raise JournalUnavailable("the database is away")

        with monkeypatch.context() as patch:
            patch.setattr(stage.journal, "history", away)
            await _replaced(stage, order_id)
            await stage.until(lambda: "replace_rejected" in stage.listener.kinds)
        assert stage.status(order_id) == "working"
        assert next(stage.exchange.orders()).terms.quantity == 1
        await _replaced(stage, order_id)
        await stage.until(lambda: "order_replaced" in stage.listener.kinds)
        assert stage.lane.books.order(order_id).terms.quantity == 2  # type: ignore[union-attr]  # it is held


async def test_a_replacement_is_held_against_its_approval_also_where_the_lane_stops_just_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The break waits for the books to be folded anew: in those that are distrusted it would be lost."""
    compares = Egress.replace

    async def stopped_by_then(egress: Egress, seat: Seat, *what: Any) -> Outcome | Withheld:
        outcome = await compares(egress, seat, *what)
        seat.lane.stop(JournalUnavailable("the connection is gone"))
        return outcome

    async with Stage() as stage:
        order_id = await stage.accepted()
        await stage.until(lambda: stage.status(order_id) == "working")
        stage.listener.on("replace_requested", lambda: change_terms(stage, order_id, strategy="another"))
        monkeypatch.setattr(Egress, "replace", stopped_by_then)
        await _replaced(stage, order_id)
        await stage.until(lambda: "replace_rejected" in stage.listener.kinds)
        assert natures(stage) == ["egress"]
        assert {"break_opened", "alarm_raised"} <= {*stage.listener.kinds}
        assert next(stage.exchange.orders()).terms.quantity == 1


async def _replaced(stage: Stage, order_id: OrderId) -> None:
    answer = await stage.gate.replace(
        TRADER,
        order_id,
        quantity=Decimal(2),
        limit_price=Decimal(4701),
        stop_price=None,
        key=stage.key(),
        correlation="test",
    )
    assert not isinstance(answer, Refusal)


CLOSES: dict[str, dict[str, Any]] = {
    "more than is held": {"quantity": Decimal(6)},
    "the same side": {"side": Side.BUY},
    "another symbol": {"symbol": Symbol("NQH4")},
}


@pytest.mark.parametrize("fields", CLOSES.values(), ids=CLOSES)
async def test_a_close_leaves_for_what_is_held_and_no_more(fields: dict[str, Any]) -> None:
    """As if the flatten itself had decided so: approved, committed, and still more than it may be."""
    async with Stage() as stage:
        withheld = await _closing(stage, fields, held=5)
        assert isinstance(withheld, Withheld)
        assert withheld.approved.startswith("a close within ESH4")


async def test_a_close_leaves_for_less_than_what_is_held() -> None:
    async with Stage() as stage:
        assert isinstance(await _closing(stage, {"quantity": Decimal(4)}, held=5), Acknowledged)


@pytest.mark.parametrize("second", [2, 3])
async def test_two_closes_do_not_turn_a_position_over_together(second: int) -> None:
    async with Stage() as stage:
        await _closing(stage, {"quantity": Decimal(3)}, held=5, leaves=False)
        sent = await _closing(stage, {"quantity": Decimal(second)}, number=1)
        assert isinstance(sent, Acknowledged if second == 2 else Withheld)


async def test_nothing_closes_what_is_not_held() -> None:
    async with Stage() as stage:
        assert isinstance(await _closing(stage, {}, held=0), Withheld)


async def _closing(
    stage: Stage, fields: dict[str, Any], *, held: int | None = None, number: int = 0, leaves: bool = True
) -> Outcome | Withheld | None:
    """What becomes of one closing order of a flatten of ES, as it was decided and committed."""
    if held:
        await stage.accepted(side=Side.BUY, quantity=held, limit="4800")
        await stage.until(lambda: stage.held(ES) == held)
    flatten = GroupTerms(account=ACCOUNT, kind=GroupKind.FLATTEN, symbol=ES)
    group_id, now = GroupId("PG-0000000000000000ZZ"), stage.clock.now()
    terms = _replace(closing_terms(flatten, ES, Side.SELL, Decimal(5)), **fields)
    order_id = OrderId(f"P-0000000000000000Z{number}")
    order = Order(id=order_id, terms=terms, status=Status.ACCEPTED, accepted_at=now, updated_at=now)
    events: list[Any] = [
        GroupAccepted(account=ACCOUNT, at=now, group_id=group_id, terms=flatten, actor="t", config_hash="c"),
        LegReleased(
            account=ACCOUNT,
            at=now,
            group_id=group_id,
            role=Role.CLOSE,
            order_id=order_id,
            symbol=terms.symbol,
            side=terms.side,
            quantity=terms.quantity,
        ),
        OrderAccepted(
            order_id=order_id,
            at=now,
            terms=terms,
            actor="t",
            config_hash="c",
            content_hash=content_hash(order_id, 1, terms),
        ),
    ]
    books, egress = stage.lane.books.groups, Egress(stage.journal)
    for event in events:
        if not isinstance(event, OrderAccepted) and (number == 0 or isinstance(event, LegReleased)):
            books.fold(event)
        egress.committed(event, msgspec.json.encode(event))
    books.saw(order)
    if not leaves:
        return None
    await egress.prepare(stage.seat, order_id)
    return await egress.place(stage.seat, order, no_veto)
