"""What leaves is what was approved, or it does not leave (R20)."""

from __future__ import annotations

import ast
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest

import ordergate
from ordergate.brokers.paper import fates
from ordergate.core.accounts.breaks import Action
from ordergate.core.contingent.events import LegReleased
from ordergate.core.contingent.terms import GroupId, Role
from ordergate.core.ids import AccountId, Env, OrderId, Symbol
from ordergate.core.orders.events import DispatchStarted, OrderDenied
from ordergate.core.orders.lifecycle import Status
from ordergate.core.orders.order import Order
from ordergate.core.orders.terms import OrderType, Side, TimeInForce
from ordergate.core.refusals import Refusal
from ordergate.engine.answering.answers import Answer
from ordergate.engine.wire.egress import Egress, Withheld
from ordergate.journal.postgres import PostgresJournal
from ordergate.ports.broker import Acknowledged, no_veto
from ordergate.ports.journal import Unit
from tests.engine.groups import bracket, group, oco, placed
from tests.engine.stage import ACCOUNT, ES, TRADER, Stage, let_run

_replace = msgspec.structs.replace

# One field of an order, changed in memory between the commit and the wire.
FLIPS: dict[str, dict[str, Any]] = {
    "side": {"side": Side.SELL},
    "quantity": {"quantity": Decimal(2)},
    "a digit more": {"quantity": Decimal("1.0000001")},
    "limit price": {"limit_price": Decimal("4700.25")},
    "no limit price": {"limit_price": None},
    "stop price": {"stop_price": Decimal(4690)},
    "type": {"type": OrderType.MARKET},
    "symbol": {"symbol": Symbol("NQH4")},
    "time in force": {"time_in_force": TimeInForce.DAY},
    "hours": {"extended_hours": True},
    "account": {"account": AccountId("P-OTHER")},
    "strategy": {"strategy": "another"},
}


def change(stage: Stage, order_id: OrderId, **fields: Any) -> None:
    """Change an order in the lane's memory, as a defect or an intruder would."""
    order = stage.lane.books.order(order_id)
    assert order is not None
    stage.lane.books._open[order_id] = _replace(order, **fields)


def change_terms(stage: Stage, order_id: OrderId, **fields: Any) -> None:
    order = stage.lane.books.order(order_id)
    assert order is not None
    change(stage, order_id, terms=_replace(order.terms, **fields))


async def replaced_otherwise(stage: Stage) -> None:
    """A replacement whose order has other terms by the time it would leave: it is kept back."""
    order = await stage.accepted()
    await stage.until(lambda: stage.status(order) == "working")
    stage.listener.on("replace_requested", lambda: change_terms(stage, order, strategy="another"))
    await stage.gate.replace(
        TRADER, order, quantity=Decimal(2), limit_price=Decimal(4700), stop_price=None,
        key=stage.key(), correlation="test",
    )  # fmt: skip
    await stage.until(lambda: "replace_rejected" in stage.listener.kinds)


def newest(stage: Stage) -> OrderId:
    return next(reversed(stage.lane.books._open))


def natures(stage: Stage) -> list[str]:
    account = stage.lane.books.account
    assert account is not None
    return [one.nature for one in account.breaks.values() if one.is_open]


@pytest.mark.parametrize("fields", FLIPS.values(), ids=FLIPS)
async def test_an_order_that_changed_after_its_approval_is_not_sent(fields: dict[str, Any]) -> None:
    async with Stage() as stage:
        stage.listener.on("order_accepted", lambda: change_terms(stage, newest(stage), **fields))
        answer = await stage.place()
        assert isinstance(answer, Answer)
        await stage.until(lambda: stage.status(answer.order_id) == "rejected")
        assert stage.placed_at_exchange() == 0
        assert natures(stage) == ["egress"]
        assert stage.listener.frames_of("order_rejected")[-1]["detail"]["reason"] == "egress-parity"
        raised = stage.listener.frames_of("alarm_raised")[-1]["detail"]
        assert raised["nature"] == "egress_withheld"
        assert raised["facts"]["approved"] != raised["facts"]["leaving"]


async def test_the_account_opens_nothing_more_until_a_person_has_looked() -> None:
    async with Stage() as stage:
        stage.listener.on("order_accepted", lambda: change_terms(stage, newest(stage), quantity=Decimal(9)))
        await stage.place()
        await stage.until(lambda: natures(stage) == ["egress"])
        stage.listener.on("order_accepted", lambda: None)
        answer = await stage.place()
        assert isinstance(answer, Answer)
        assert [one.control for one in answer.failed] == ["R25"]
        account = stage.lane.books.account
        assert account is not None
        (found,) = account.breaks
        resolved = await stage.node.breaks.resolve(
            TRADER, found, action=Action.DISMISS, reason="a drill", key=stage.key(), correlation="test"
        )
        assert not isinstance(resolved, Refusal)
        assert natures(stage) == []
        order = await stage.accepted()
        await stage.until(lambda: stage.status(order) == "working")


async def test_a_second_send_of_one_approval_is_not_made() -> None:
    async with Stage() as stage:
        order_id = await stage.accepted()
        await stage.until(lambda: stage.status(order_id) == "working")
        order = stage.lane.books.order(order_id)
        assert order is not None
        egress = Egress(stage.journal)
        await egress.prepare(stage.seat, order_id)
        assert isinstance(await egress.place(stage.seat, order, no_veto), Withheld)
        egress.committed(
            DispatchStarted(order_id=order_id, at=order.accepted_at, cl_ord_id=order.cl_ord_id), b""
        )
        assert isinstance(await egress.place(stage.seat, order, no_veto), Acknowledged)
        assert isinstance(await egress.place(stage.seat, order, no_veto), Withheld)


async def test_what_certainly_did_not_leave_may_be_sent_under_the_same_approval() -> None:
    script = fates.Script()
    script.add(fates.Call.PLACE, fates.NotSent())
    async with Stage(fate=script) as stage:
        order = await stage.accepted()
        await stage.until(lambda: stage.status(order) == "working")
        assert stage.placed_at_exchange() == 1


async def test_an_order_of_which_the_journal_knows_nothing_is_not_sent() -> None:
    async with Stage() as stage:
        order_id = await stage.accepted()
        await stage.until(lambda: stage.status(order_id) == "working")
        order = stage.lane.books.order(order_id)
        assert order is not None
        stranger = _replace(order, id=OrderId("P-0000000000000000ZZ"))
        egress = Egress(stage.journal)
        await egress.prepare(stage.seat, stranger.id)
        withheld = await egress.place(stage.seat, stranger, no_veto)
        assert isinstance(withheld, Withheld)
        assert withheld.approved == "nothing"


async def test_an_order_of_the_other_environment_is_not_sent() -> None:
    async with Stage() as stage:
        order_id = await stage.accepted()
        order = stage.lane.books.order(order_id)
        assert order is not None
        egress = Egress(stage.journal)
        live = _replace(order, id=OrderId("L" + order_id[1:]))
        await egress.prepare(stage.seat, live.id)
        assert isinstance(await egress.place(stage.seat, live, no_veto), Withheld)


@pytest.mark.parametrize(
    "fields",
    [{"quantity": Decimal(3)}, {"limit_price": Decimal(4702)}, {"stop_price": Decimal(1)}, {"version": 3}],
    ids=str,
)
async def test_a_replacement_that_changed_after_its_approval_is_not_sent(fields: dict[str, Any]) -> None:
    async with Stage() as stage:
        order_id = await stage.accepted()
        await stage.until(lambda: stage.status(order_id) == "working")

        def flip() -> None:
            order = stage.lane.books.order(order_id)
            assert order is not None
            assert order.replacement is not None
            change(stage, order_id, replacement=_replace(order.replacement, **fields))

        stage.listener.on("replace_requested", flip)
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
        await stage.until(lambda: natures(stage) == ["egress"])
        at_exchange = next(stage.exchange.orders())
        assert (at_exchange.terms.quantity, at_exchange.terms.limit_price) == (Decimal(1), Decimal(4700))


async def test_a_part_of_a_group_is_not_sent_for_more_than_the_whole() -> None:
    async with Stage() as stage:
        group_id = await placed(stage, oco(4))
        await stage.until(lambda: stage.placed_at_exchange() == 1)
        first = group(stage, group_id).released[0]
        order = stage.lane.books.order(first.order_id)
        assert order is not None
        # As if the group had released another leg although the first lives on.
        other = _sibling(stage, group_id, order)
        egress = Egress(stage.journal)
        await egress.prepare(stage.seat, order.id)
        held = egress._of(order.id)
        held.permits = True
        withheld = await egress.place(stage.seat, order, no_veto)
        assert isinstance(withheld, Withheld), other
        assert withheld.approved.startswith("4 in all")


async def test_a_part_of_a_group_that_a_late_fill_left_no_room_for_is_not_sent_and_no_break() -> None:
    await _is_overtaken(lambda one: _replace(one, status=Status.CANCELED, cum_qty=Decimal(1)))


async def test_a_part_of_a_group_is_no_break_where_another_came_back_to_life_since_it_was_approved() -> None:
    """The execution that had completed the other was taken back."""
    await _is_overtaken(
        lambda one: _replace(
            one,
            status=Status.WORKING,
            cum_qty=Decimal(2),
            acknowledged_at=one.accepted_at - timedelta(seconds=1),
            updated_at=one.accepted_at + timedelta(seconds=1),
        )
    )


async def _is_overtaken(change_other: Callable[[Order], Order]) -> None:
    """Another order of the group changes while one that was approved is about to leave."""
    async with Stage() as stage:

        def overtake() -> None:
            order = stage.lane.books.order(newest(stage))
            found = next(iter(stage.lane.books.groups.active.values()))
            assert order is not None
            other = _sibling(stage, found.id, order)
            stage.lane.books.groups.orders[other.id] = change_other(other)

        stage.listener.on("order_accepted", overtake)
        group_id = await placed(stage, oco(4))
        first = group(stage, group_id).released[0].order_id
        await stage.until(lambda: stage.status(first) == "rejected")
        assert stage.listener.frames_of("order_rejected")[-1]["detail"]["reason"] == "overtaken"
        assert stage.placed_at_exchange() == 0
        assert natures(stage) == []


def _sibling(stage: Stage, group_id: GroupId, order: Order) -> Order:
    books = stage.lane.books.groups
    other = _replace(order, id=OrderId("P-0000000000000000ZZ"))
    found = group(stage, group_id)
    released = _replace(found.released[0], order_id=other.id, role=Role.SECOND)
    books.active[group_id] = _replace(found, released=(*found.released, released))
    books.orders[other.id] = other
    return other


async def test_a_group_and_its_parts_leave_as_they_were_approved() -> None:
    async with Stage() as stage:
        group_id = await placed(stage, bracket(4, entry="4790"))
        await stage.until(lambda: stage.placed_at_exchange() == 1)
        entry = next(stage.exchange.orders())
        stage.exchange.fill(entry.id, Decimal(4), Decimal(4790))
        await stage.until(lambda: stage.placed_at_exchange() == 2)
        assert natures(stage) == []
        assert {one.role for one in group(stage, group_id).released} == {Role.ENTRY, Role.STOP_LOSS}


async def test_nothing_is_kept_of_orders_that_nobody_speaks_of() -> None:
    async with Stage() as stage:
        orders = [await stage.accepted() for _ in range(20)]
        await stage.until(lambda: all(stage.status(one) == "working" for one in orders))
        await let_run()
        egress = stage.node._dispatcher._egress
        assert egress.held == 0
        leg = OrderId("P-0000000000000000ZZ")
        released = LegReleased(
            account=ACCOUNT,
            at=stage.clock.now(),
            group_id=GroupId("PG-0000000000000000ZZ"),
            role=Role.FIRST,
            order_id=leg,
            symbol=ES,
            side=Side.SELL,
            quantity=Decimal(1),
        )
        egress.committed(released, msgspec.json.encode(released))
        assert egress.held == 1
        denied = OrderDenied(
            order_id=leg,
            at=stage.clock.now(),
            terms=stage.lane.books.order(orders[0]).terms,  # type: ignore[union-attr]  # it is held
            actor="group",
            config_hash="c",
            failed=(),
        )
        egress.committed(denied, b"")
        assert egress.held == 0


ROW_FLIPS = {
    "quantity": """body = replace(body, '"quantity":"1"', '"quantity":"2"')""",
    "price": "body = replace(body, '4700', '4701')",
    "side": "body = replace(body, 'buy', 'sell')",
    "symbol": "body = replace(body, 'ESH4', 'NQH4')",
    "type": "body = replace(body, 'limit\"', 'market\"')",
    "account": "body = replace(body, 'P-TEST', 'P-REST')",
    "who asked": "body = replace(body, 'trader', 'boss')",
    "the limits": 'body = replace(body, \'"config_hash":"\', \'"config_hash":"0\')',
    "the hash of the content": 'body = replace(body, \'"content_hash":"\', \'"content_hash":"0\')',
    "the frame": "frame = replace(frame, 'buy', 'sell')",
    "kind": "kind = 'order_adopted'",
    "version": "version = 1",
    "time": "at = at + interval '1 second'",
    "correlation": "correlation = 'another'",
    "the seal": "hash = sha256(hash)",
    "the order": "order_id = 'P-0000000000000000ZZ'",
}


@pytest.mark.parametrize("flip", [None, *ROW_FLIPS.values()], ids=["nothing", *ROW_FLIPS])
async def test_one_flipped_field_in_the_database_and_the_order_is_not_sent_again(
    flip: str | None, database: str
) -> None:
    journal = await PostgresJournal.connect(database, Env.PAPER)
    try:
        async with Stage() as stage:
            order_id = await stage.accepted()
            await stage.until(lambda: stage.status(order_id) == "working")
            order = stage.lane.books.order(order_id)
            assert order is not None
            taken = await journal.take(ACCOUNT)
            entries = tuple(entry for entry, _ in stage.journal.books[ACCOUNT].events)
            await journal.append(Unit(account=ACCOUNT, epoch=taken.epoch, expected=0, entries=entries))
            if flip is not None:
                await _alter(database, f"update event set {flip} where kind = 'order_accepted'")
            egress = Egress(journal)
            await egress.prepare(stage.seat, order_id)
            egress._of(order_id).permits = True
            sent = await egress.place(stage.seat, order, no_veto)
            assert isinstance(sent, Acknowledged if flip is None else Withheld)
    finally:
        await journal.close()


async def _alter(database: str, statement: str) -> None:
    connection = await asyncpg.connect(database)
    try:
        await connection.execute("alter table event disable trigger event_is_append_only")
        assert await connection.execute(statement) == "UPDATE 1"
    finally:
        await connection.close()


def test_nobody_else_places_or_replaces_at_a_broker() -> None:
    """The last look is of use only where there is no way around it."""
    found = set()
    for file in (Path(ordergate.__file__).parent / "engine").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Attribute)
                and node.attr in ("place", "replace")
                and isinstance(node.value, ast.Attribute)
                and node.value.attr in ("broker", "_broker")
            ):
                found.add(file.name)
    assert found == {"egress.py", "renamed.py"}  # the latter is a broker to those who ask it
