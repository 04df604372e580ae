"""The exchange as participants meet it: tickets in, orders and executions out."""

from decimal import Decimal

import pytest

from ordergate.venue.words import Refusal, VenueOrder
from tests.venue.listings import NOON
from tests.venue.pit import LATER, Pit, exact


def test_an_order_rests_is_filled_in_parts_and_is_done(pit: Pit) -> None:
    order = pit.submit("ann", "buy 10 AAPL 190.00")
    assert order.status == "new"
    pit.submit("bob", "sell 4 AAPL 190.00")
    assert pit.now(order).status == "partially_filled"
    pit.submit("bob", "sell 6 AAPL 189.00")
    done = pit.now(order)
    assert done.status == "filled"
    assert (done.filled_qty, done.filled_avg_price, done.leaves_qty) == exact(10, 190, 0)
    assert pit.words("ann") == ["new", "partial_fill", "fill"]


def test_an_order_that_trades_at_once_comes_back_filled(pit: Pit) -> None:
    pit.submit("bob", "sell 4 AAPL 190.00")
    assert pit.submit("ann", "buy 4 AAPL 191.00").status == "filled"


def test_executions_add_up_and_say_the_position_they_leave(pit: Pit) -> None:
    pit.submit("bob", "sell 4 AAPL 190.00")
    pit.submit("bob", "sell 4 AAPL 190.01")
    pit.submit("ann", "buy 6 AAPL 190.01")
    mine = pit.exchange.executions("ann")
    assert [(it.qty, it.price, it.cum_qty, it.leaves_qty, it.position_qty) for it in mine] == [
        exact(4, "190.00", 4, 2, 4),
        exact(2, "190.01", 6, 0, 6),
    ]
    assert [it.position_qty for it in pit.exchange.executions("bob")] == [-4, -6]
    assert len({it.id for it in mine}) == 2


def test_a_used_client_order_id_is_refused_for_ever(pit: Pit) -> None:
    order = pit.submit("ann", "buy 1 AAPL 190.00", client_order_id="mine")
    pit.exchange.cancel("ann", order.id, NOON)
    assert pit.refused("ann", "buy 1 AAPL 190.00", client_order_id="mine") == "duplicate_client_order_id"
    assert pit.submit("bob", "buy 1 AAPL 190.00", client_order_id="mine").status == "new"
    assert pit.exchange.order_by_client_id("ann", "mine") == pit.now(order)


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("buy 1 MSFT 1.00", {}),
        ("buy 0 AAPL 190.00", {}),
        ("buy -1 AAPL 190.00", {}),
        ("buy 1.5 AAPL 190.00", {}),
        ("buy 1 AAPL 190.001", {}),
        ("buy 1 AAPL 0", {}),
        ("buy NaN AAPL 190.00", {}),
        ("buy 1 AAPL Infinity", {}),
        ("buy 1e30 AAPL 190.00", {}),
        ("buy 1 AAPL", {"type": "limit"}),
        ("buy 1 AAPL 190.00", {"type": "market"}),
        ("buy 1 AAPL", {"type": "stop"}),
        ("buy 1 AAPL 190.00", {"type": "stop_limit"}),
        ("buy 1 AAPL 190.00", {"stop_price": Decimal(190)}),
        ("buy 1 AAPL", {"type": "stop", "stop_price": Decimal(190), "time_in_force": "ioc"}),
        ("buy 1 AAPL 190.00", {"client_order_id": ""}),
        ("buy 1 AAPL 190.00", {"client_order_id": "x" * 129}),
    ],
)
def test_a_ticket_that_makes_no_sense_is_refused_and_leaves_no_trace(
    pit: Pit, text: str, fields: dict[str, object]
) -> None:
    assert pit.refused("ann", text, **fields) == "invalid"
    assert pit.exchange.orders("ann") == []
    assert pit.heard == []


def test_an_account_nobody_opened_cannot_trade(pit: Pit) -> None:
    assert pit.refused("eve", "buy 1 AAPL 190.00") == "not_found"


def test_a_market_order_nobody_answers_is_canceled(pit: Pit) -> None:
    assert pit.submit("ann", "buy 1 AAPL").status == "canceled"
    assert pit.words("ann") == ["new", "canceled"]


def test_an_immediate_order_trades_what_it_can_and_a_fill_or_kill_order_all_or_nothing(pit: Pit) -> None:
    pit.submit("bob", "sell 4 AAPL 190.00")
    killed = pit.submit("ann", "buy 5 AAPL 190.00", time_in_force="fok")
    assert (killed.status, killed.filled_qty) == ("canceled", Decimal(0))
    partly = pit.submit("ann", "buy 5 AAPL 190.00", time_in_force="ioc")
    assert (partly.status, partly.filled_qty) == ("canceled", Decimal(4))


def test_a_stop_becomes_a_market_order_when_a_trade_reaches_it(pit: Pit) -> None:
    stop = pit.submit("ann", "sell 2 AAPL", type="stop", stop_price=Decimal(189))
    pit.submit("bob", "buy 5 AAPL 189.00")
    assert pit.now(stop).triggered_at is None
    pit.submit("bob", "sell 1 AAPL 189.00")
    done = pit.now(stop)
    assert (done.status, done.filled_qty, done.triggered_at) == ("filled", Decimal(2), NOON)


# -- cancel and replace


def test_a_canceled_order_is_out_of_the_book(pit: Pit) -> None:
    order = pit.submit("ann", "buy 10 AAPL 190.00")
    canceled = pit.exchange.cancel("ann", order.id, LATER)
    assert isinstance(canceled, VenueOrder)
    assert (canceled.status, canceled.canceled_at) == ("canceled", LATER)
    assert pit.submit("bob", "sell 1 AAPL 190.00").status == "new"


def test_an_order_is_canceled_once_and_only_by_its_owner(pit: Pit) -> None:
    order = pit.submit("ann", "buy 10 AAPL 190.00")
    assert pit.exchange.cancel("bob", order.id, NOON) == Refusal(
        "not_found", f"order not found for {order.id}"
    )
    pit.exchange.cancel("ann", order.id, NOON)
    again = pit.exchange.cancel("ann", order.id, NOON)
    assert again == Refusal("not_cancelable", 'order is already in "canceled" state')


def test_cancel_all_cancels_the_stops_too_and_nobody_elses(pit: Pit) -> None:
    pit.submit("ann", "buy 10 AAPL 190.00")
    pit.submit("ann", "sell 2 AAPL", type="stop", stop_price=Decimal(180))
    other = pit.submit("bob", "buy 1 AAPL 180.00")
    assert [order.status for order in pit.exchange.cancel_all("ann", NOON)] == ["canceled", "canceled"]
    assert pit.exchange.open_orders("ann") == []
    assert pit.now(other).status == "new"


def test_a_replaced_order_gives_way_to_one_with_a_new_id(pit: Pit) -> None:
    old = pit.submit("ann", "buy 10 AAPL 190.00")
    new = pit.replace(old, limit_price=Decimal(191), client_order_id="next")
    assert isinstance(new, VenueOrder)
    assert (new.replaces, new.status, new.ticket.limit_price) == (old.id, "new", Decimal(191))
    gone = pit.now(old)
    assert (gone.status, gone.replaced_by, gone.replaced_at) == ("replaced", new.id, LATER)
    assert pit.words("ann") == ["new", "replaced", "new"]


def test_what_was_filled_before_a_replace_counts_against_the_new_quantity(pit: Pit) -> None:
    old = pit.submit("ann", "buy 10 AAPL 190.00")
    pit.submit("bob", "sell 4 AAPL 190.00")
    new = pit.replace(old, qty=Decimal(12))
    assert isinstance(new, VenueOrder)
    assert (new.ticket.qty, new.filled_qty, pit.now(old).filled_qty) == exact(8, 0, 4)
    assert pit.replace(new, qty=Decimal(0)) == Refusal(
        "invalid", "qty must be greater than the filled quantity of 0"
    )


def test_a_smaller_quantity_keeps_the_place_and_a_larger_one_loses_it(pit: Pit) -> None:
    mine = pit.submit("ann", "buy 10 AAPL 190.00")
    his = pit.submit("bob", "buy 10 AAPL 190.00")
    kept = pit.replace(mine, qty=Decimal(5))
    pit.exchange.open_account("eve", Decimal(1_000_000), NOON)
    pit.submit("eve", "sell 1 AAPL 190.00")
    assert isinstance(kept, VenueOrder)
    assert pit.now(kept).filled_qty == 1
    lost = pit.replace(pit.now(kept), qty=Decimal(20))
    pit.submit("eve", "sell 1 AAPL 190.00")
    assert isinstance(lost, VenueOrder)
    assert (pit.now(lost).filled_qty, pit.now(his).filled_qty) == exact(0, 1)


def test_a_refused_replace_changes_nothing(pit: Pit) -> None:
    order = pit.submit("ann", "buy 10 AAPL 190.00")
    other = pit.submit("ann", "buy 1 AAPL 180.00", client_order_id="taken")
    for fields, code in (
        ({"limit_price": Decimal("190.001")}, "invalid"),
        ({"stop_price": Decimal(190)}, "invalid"),
        ({"client_order_id": "taken"}, "duplicate_client_order_id"),
        ({"qty": Decimal(10_000_000)}, "insufficient_buying_power"),
    ):
        refusal = pit.replace(order, **fields)
        assert isinstance(refusal, Refusal)
        assert refusal.code == code
    assert pit.now(order) == order
    pit.exchange.cancel("ann", other.id, NOON)
    final = pit.replace(other, qty=Decimal(2))
    assert isinstance(final, Refusal)
    assert final.code == "not_replaceable"


def test_a_replace_may_trade_at_once(pit: Pit) -> None:
    order = pit.submit("ann", "buy 3 AAPL 189.00")
    pit.submit("bob", "sell 5 AAPL 190.00")
    new = pit.replace(order, limit_price=Decimal(190))
    assert isinstance(new, VenueOrder)
    assert new.status == "filled"


def test_the_session_ends_for_day_orders_only(pit: Pit) -> None:
    day = pit.submit("ann", "buy 1 AAPL 190.00")
    good = pit.submit("ann", "buy 1 AAPL 190.00", time_in_force="gtc")
    elsewhere = pit.submit("ann", "buy 1 ESH4 4800.00")
    assert pit.exchange.end_session("AAPL", LATER) == 1
    assert (pit.now(day).status, pit.now(day).expired_at) == ("expired", LATER)
    assert pit.now(good).status == "new"
    assert pit.exchange.end_session(None, LATER) == 1
    assert pit.now(elsewhere).status == "expired"


def test_no_two_executions_happen_at_the_same_moment() -> None:
    pit = Pit()
    pit.submit("bob", "sell 1 AAPL 190.00")
    pit.submit("bob", "sell 1 AAPL 190.01")
    pit.submit("ann", "buy 2 AAPL 190.01")
    moments = [one.at for account in ("ann", "bob") for one in pit.exchange.executions(account)]
    assert len(set(moments)) == len(moments) == 4
    in_order = sorted(
        (one for account in ("ann", "bob") for one in pit.exchange.executions(account)),
        key=lambda one: one.at,
    )
    assert [one.seq for one in in_order] == [1, 2, 3, 4]
