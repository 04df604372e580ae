"""Order events as records: complete, exact, and the same as Parquet and as CSV."""

from __future__ import annotations

import csv
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import msgspec
import pyarrow.parquet as pq
import pytest

from ordergate.audit.group_records import RECORDED
from ordergate.audit.order_records import COLUMNS, OrderRecords, Origin
from ordergate.brokers.paper import fates
from ordergate.core.orders.events import OrderEvent
from ordergate.core.orders.terms import OrderType, Side, Terms, TimeInForce
from ordergate.core.risk.limits import ADJUSTABLE, mapping_of
from ordergate.core.risk.view import MarketHours
from ordergate.engine.stopping.trips import TripPolicy
from ordergate.journal.memory_store import stored
from ordergate.wiring import exports
from tests.engine import test_egress as egress
from tests.engine import test_overrides as overrides
from tests.engine.groups import bracket, has_ended, placed
from tests.engine.stage import ACCOUNT, ES, LIMITS, START, TRADER, Stage

LIMITS_OF_ES = cast("dict[str, dict[str, object]]", mapping_of(LIMITS)["instruments"])["ESH4"]
ORIGIN = Origin(tenant="test", environment="paper", account=ACCOUNT, firm="LEI", capacity="AOTC")


def rows_of(stage: Stage) -> list[dict[str, Any]]:
    records = OrderRecords(ORIGIN)
    made = [records.add(stored(*event)) for event in stage.journal.books[ACCOUNT].events]
    return [row for row in made if row is not None]


@pytest.fixture
async def day() -> AsyncIterator[Stage]:
    """An order that fills in two parts and is replaced between them, a denied one, and a bracket."""
    async with Stage() as stage:
        order = await stage.accepted(quantity=3, client_order_id="label")
        await stage.until(lambda: stage.status(order) == "working")
        stage.exchange.fill(next(stage.exchange.orders()).id, Decimal(1), Decimal("4699.75"))
        await stage.until(lambda: stage.held(stage.lane.books.order(order).terms.symbol) == 1)  # type: ignore[union-attr]  # it is held
        await stage.gate.replace(
            TRADER,
            order,
            quantity=Decimal(4),
            limit_price=Decimal(4701),
            stop_price=None,
            key=stage.key(),
            correlation="test",
        )
        await stage.until(lambda: stage.status(order) == "working")
        await stage.place(quantity=1_000_000)
        await placed(stage, bracket(2, entry="4790"))
        await stage.gate.cancel(TRADER, order, key=stage.key(), correlation="test")
        await stage.until(lambda: stage.status(order) == "canceled")
        yield stage


async def test_every_event_of_every_order_is_a_record_in_order(day: Stage) -> None:
    rows = rows_of(day)
    events = [stored(*one) for one in day.journal.books[ACCOUNT].events]
    expected = [one.seq for one in events if isinstance(one.event, (OrderEvent, *RECORDED))]
    assert [row["event_seq"] for row in rows] == expected
    assert all(set(row) == {name for name, _, _ in COLUMNS} for row in rows)
    kinds = [row["event_type"] for row in rows]
    for kind in (
        "order_accepted",
        "order_partially_filled",
        "replace_requested",
        "order_replaced",
        "order_denied",
        "group_accepted",
    ):
        assert kind in kinds


async def test_a_record_says_who_what_when_and_why(day: Stage) -> None:
    rows = rows_of(day)
    first = rows[0]
    assert (first["actor"], first["account"], first["firm"], first["capacity"]) == (
        "trader",
        ACCOUNT,
        "LEI",
        "AOTC",
    )
    assert (first["symbol"], first["side"], first["quantity"]) == ("ESH4", Side.BUY, Decimal(3))
    assert (first["limit_price"], first["client_order_id"]) == (Decimal(4700), "label")
    assert first["limits_hash"]
    assert len(first["content_hash"]) == 64
    assert first["venue"]
    fill = next(row for row in rows if row["event_type"] == "order_partially_filled")
    assert (fill["last_quantity"], fill["last_price"]) == (Decimal(1), Decimal("4699.75"))
    assert (fill["leaves_quantity"], fill["cumulative_quantity"]) == (Decimal(2), Decimal(1))
    assert fill["execution_id"]
    asked = next(row for row in rows if row["event_type"] == "replace_requested")
    assert (asked["version"], asked["quantity"], asked["limit_price"]) == (2, Decimal(4), Decimal(4701))
    denied = next(row for row in rows if row["event_type"] == "order_denied")
    assert "R06" in denied["reject_reason"]
    assert {row["parent_id"] for row in rows if row["parent_id"]} == set(day.lane.books.groups.active)


async def test_a_record_has_every_time_of_an_order_and_what_it_was_judged_by(day: Stage) -> None:
    rows = rows_of(day)
    first = rows[0]
    assert first["event_type"] == "order_accepted"
    assert START <= first["received_time"] <= first["decided_time"] == first["accepted_time"]
    assert first["decision_us"] == 0  # the stage's clock stands still
    assert first["monotonic_us"] >= 0
    assert (first["reference_price"], first["reference_source"]) == (Decimal(4800), "quote")
    assert first["reference_time"] == START
    assert (first["position"], first["open_buys"], first["open_sells"]) == (0, 0, 0)
    left = next(row for row in rows if row["sent_time"])
    assert first["decided_time"] <= left["committed_time"] <= left["sent_time"] <= left["event_time"]
    assert left["sent_request"] == "place"
    for asks, proves, request in (
        ("replace_requested", "order_replaced", "replace"),
        ("cancel_requested", "order_canceled", "cancel"),
    ):
        requested = next(row for row in rows if row["event_type"] == asks)
        proof = next(row for row in rows if row["event_type"] == proves)
        assert proof["sent_request"] == request
        assert requested["event_time"] <= proof["committed_time"] <= proof["sent_time"] <= proof["event_time"]
    assert all((row["sent_time"] is None) == (row["sent_request"] is None) for row in rows)
    asked = next(row for row in rows if row["event_type"] == "replace_requested")
    assert (asked["position"], asked["open_buys"]) == (Decimal(1), Decimal(2))
    denied = next(row for row in rows if row["event_type"] == "order_denied")
    assert (denied["reference_price"], denied["position"]) == (Decimal(4800), Decimal(1))
    assert denied["decided_time"] == denied["event_time"]


async def test_an_order_for_the_day_says_until_when_and_how_far_the_clock_was_off() -> None:
    closes = START + timedelta(hours=5)
    limits = {"hours": "session"}
    hours = MarketHours(is_open=True, until=closes)
    policy = TripPolicy(clock_every_s=10)
    async with Stage(limits=limits, hours=lambda *_: hours, offset=_Off(), trips=policy) as stage:
        for _ in range(3):
            await stage.clock.move(1)
        terms = Terms(
            account=ACCOUNT,
            symbol=ES,
            side=Side.BUY,
            type=OrderType.LIMIT,
            quantity=Decimal(1),
            limit_price=Decimal(4700),
            time_in_force=TimeInForce.DAY,
        )
        await stage.gate.place(TRADER, terms, key=stage.key(), correlation="test")
        (row,) = (row for row in rows_of(stage) if row["event_type"] == "order_accepted")
        assert (row["expiry_time"], row["clock_offset_us"]) == (closes, -1250)


async def test_a_replacement_that_left_without_an_answer_is_a_record_of_its_own_under_its_own_id() -> None:
    script = fates.Script()
    script.add(fates.Call.REPLACE, fates.LostCall())
    async with Stage(fate=script) as stage:
        order = await stage.accepted()
        await stage.until(lambda: stage.status(order) == "working")
        await stage.gate.replace(
            TRADER, order, quantity=Decimal(2), limit_price=Decimal(4700), stop_price=None,
            key=stage.key(), correlation="test",
        )  # fmt: skip
        await stage.until(lambda: any(row["event_type"] == "replace_rejected" for row in rows_of(stage)))
        rows = {row["event_type"]: row for row in rows_of(stage)}
        sent, rejected = rows["order_sent"], rows["replace_rejected"]
        assert (sent["sent_request"], sent["version"]) == ("replace", 2)
        assert sent["cl_ord_id"] == rejected["cl_ord_id"] != rows["order_accepted"]["cl_ord_id"]
        assert rejected["sent_time"] is None
        assert rejected["unsent"] is False
        assert sent["unsent"] is None


async def test_a_replacement_that_never_left_says_so() -> None:
    async with Stage() as stage:
        await egress.replaced_otherwise(stage)
        (rejected,) = (row for row in rows_of(stage) if row["event_type"] == "replace_rejected")
        assert (rejected["unsent"], rejected["reject_reason"]) == (True, "egress-parity")


class _Off:
    async def offset_ms(self) -> float:
        return -1.25


async def test_a_group_is_the_parent_that_its_orders_name() -> None:
    async with Stage() as stage:
        group = await placed(stage, bracket(2, entry="4790"))
        await stage.until(lambda: any(row["parent_id"] for row in rows_of(stage)))
        rows = rows_of(stage)
        (parent,) = (row for row in rows if row["event_type"] == "group_accepted")
        assert parent["order_id"] == group
        assert {row["parent_id"] for row in rows if row["event_type"] == "order_accepted"} == {group}
        assert (parent["group_kind"], parent["symbol"], parent["quantity"]) == ("bracket", "ESH4", Decimal(2))
        assert (parent["actor"], parent["account"]) == ("trader", ACCOUNT)
        assert parent["decided_time"] == parent["accepted_time"] == parent["event_time"]
        assert parent["limits_hash"]
        assert parent["venue"]
        legs = msgspec.json.decode(parent["legs"])
        assert [leg["role"] for leg in legs] == ["entry", "take_profit", "stop_loss"]
        assert legs[0] == {
            "role": "entry", "side": "buy", "type": "limit", "limit_price": "4790",
        }  # fmt: skip


async def test_a_group_that_risk_refused_is_a_record_with_what_it_would_have_been() -> None:
    async with Stage() as stage:
        await stage.node.groups.place(TRADER, bracket(101), key=stage.key(), correlation="test")
        (row,) = rows_of(stage)
        assert (row["event_type"], row["quantity"]) == ("group_denied", Decimal(101))
        assert row["reject_reason"] == "R06 order-quantity"
        assert row["decided_time"] == row["final_time"] == row["event_time"]
        assert len(msgspec.json.decode(row["legs"])) == 3


async def test_a_group_that_is_canceled_says_by_whom_and_how_it_ended() -> None:
    async with Stage() as stage:
        group = await placed(stage, bracket(2, entry="4790"))
        await stage.node.groups.cancel(TRADER, group, key=stage.key(), correlation="test")
        await stage.until(lambda: has_ended(stage, group))
        rows = {row["event_type"]: row for row in rows_of(stage) if row["order_id"] == group}
        assert list(rows) == ["group_accepted", "group_cancel_requested", "group_ended"]
        assert rows["group_cancel_requested"]["actor"] == "trader"
        ended = rows["group_ended"]
        assert (ended["end_reason"], ended["final_time"]) == ("canceled", ended["event_time"])
        assert (ended["group_kind"], ended["quantity"]) == ("bracket", Decimal(2))
        assert ended["accepted_time"] == rows["group_accepted"]["event_time"]


async def test_a_flatten_has_neither_a_quantity_nor_legs() -> None:
    async with Stage() as stage:
        await stage.node.groups.flatten(TRADER, ACCOUNT, key=stage.key(), correlation="test")
        row = rows_of(stage)[0]
        assert (row["group_kind"], row["quantity"], row["legs"]) == ("flatten", None, None)


async def test_a_quantity_that_was_replaced_stands_beside_the_first(day: Stage) -> None:
    told = {
        row["event_type"]: (row["original_quantity"], row["quantity"], row["displayed_quantity"])
        for row in rows_of(day)
        if row["client_order_id"] == "label"
    }
    assert told["order_accepted"] == (Decimal(3), Decimal(3), Decimal(3))
    assert told["replace_requested"] == told["order_replaced"] == (Decimal(3), Decimal(4), Decimal(4))
    assert told["order_canceled"] == (Decimal(3), Decimal(4), Decimal(4))


async def test_a_market_order_that_left_as_a_limit_says_so_in_each_of_its_records() -> None:
    its = {**LIMITS_OF_ES, "market_to_limit_percent": "1"}
    async with Stage(limits={"instruments": {"ESH4": its}}) as stage:
        order = await stage.accepted(limit=None)
        await stage.until(lambda: stage.status(order) == "filled")
        rows = rows_of(stage)
        assert {row["converted_from"] for row in rows} == {"market"}
        assert {row["order_type"] for row in rows} == {"limit"}


async def test_what_only_its_shadow_let_pass_is_in_the_record_of_the_decision() -> None:
    async with Stage(limits={"shadow": ["R06"]}) as stage:
        await stage.accepted(quantity=101)
        accepted, *others = rows_of(stage)
        assert accepted["noted_controls"] == "R06 order-quantity"
        assert {row["noted_controls"] for row in others} <= {None}
        assert accepted["lifted_controls"] is None


async def test_what_an_override_lifted_is_in_the_record_of_the_order_that_it_let_pass() -> None:
    async with Stage(limits={"soft": sorted(ADJUSTABLE)}) as stage:
        change = await overrides.granted(stage, "R06")
        assert await overrides.placed(stage) == []
        row = rows_of(stage)[0]
        assert (row["event_type"], row["override_id"]) == ("order_accepted", change.id)
        assert row["lifted_controls"] == "R06 order-quantity"


async def test_every_record_says_the_currency_and_an_orders_whether_it_goes_beyond_the_session(
    day: Stage,
) -> None:
    rows = rows_of(day)
    assert {row["currency"] for row in rows} == {"USD"}
    assert {row["extended_hours"] for row in rows if row["side"]} == {False}


def test_every_column_has_its_place_in_the_documentation() -> None:
    page = (Path(__file__).parents[2] / "docs" / "audit.md").read_text(encoding="utf-8")
    table = page.partition("### The columns")[2].partition("### ")[0]
    told = [cell.strip(" `") for line in table.splitlines() for cell in line.split("|")[1:2]]
    assert told[2:] == [name for name, _, _ in COLUMNS]


async def test_parquet_and_csv_say_the_same(day: Stage, tmp_path: Path) -> None:
    rows = rows_of(day)
    exports.write_parquet(tmp_path / "a.parquet", rows)
    exports.write_csv(tmp_path / "a.csv", rows)
    table = pq.read_table(tmp_path / "a.parquet")
    assert table.schema.names == [name for name, _, _ in COLUMNS]
    assert table.schema.field("limit_price").metadata == {b"asked_by": b"RTS 24 art. 9"}
    back = table.to_pylist()
    assert back == rows
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        told = list(reader)
    assert reader.fieldnames == table.schema.names
    assert len(told) == len(rows)
    assert told[0]["limit_price"] == "4700"
    assert told[0]["event_time"] == "2026-01-05T15:00:00.000000Z" or told[0]["event_time"].endswith("Z")
    assert [one["event_type"] for one in told] == [row["event_type"] for row in rows]
    assert all(one["fee"] == "" for one in told if "fill" not in one["event_type"])


def test_no_spreadsheet_takes_a_text_for_a_formula(tmp_path: Path) -> None:
    row = dict.fromkeys(name for name, _, _ in COLUMNS) | {
        "client_order_id": "=cmd|' /C calc'!A0",
        "event_time": datetime(2026, 1, 5, tzinfo=UTC),
    }
    exports.write_csv(tmp_path / "a.csv", [row])
    assert "'=cmd" in (tmp_path / "a.csv").read_text(encoding="utf-8")
