"""The official SDK gets Alpaca's own errors here: status, code and message."""

from collections.abc import Callable
from uuid import uuid4

import pytest
from alpaca.common.exceptions import APIError
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import OrderSide, TimeInForce
from alpaca.trading.requests import LimitOrderRequest, MarketOrderRequest, ReplaceOrderRequest

from ordergate.venue.server import Venue
from tests.venue_alpaca import floor
from tests.venue_alpaca.floor import ACME, Sdk


def order(
    name: str | None = None, qty: float = 1, price: float = 10.0, symbol: str = ACME
) -> LimitOrderRequest:
    return LimitOrderRequest(
        symbol=symbol,
        qty=qty,
        side=OrderSide.BUY,
        time_in_force=TimeInForce.DAY,
        limit_price=price,
        client_order_id=name,
    )


def error_of(call: Callable[[], object]) -> tuple[int | None, int, str]:
    with pytest.raises(APIError) as caught:
        call()
    return caught.value.status_code, caught.value.code, caught.value.message


def test_a_client_order_id_is_taken_for_ever(alice: Sdk) -> None:
    first = alice.submit_order(order("mine"))
    alice.cancel_order_by_id(first.id)
    assert error_of(lambda: alice.submit_order(order("mine"))) == (
        422,
        40010001,
        "client_order_id must be unique",
    )
    assert len(alice.get_orders()) == 0


def test_the_same_name_in_another_account_is_another_order(alice: Sdk, bob: Sdk) -> None:
    assert alice.submit_order(order("mine")).id != bob.submit_order(order("mine")).id


def test_what_cannot_be_paid_is_refused(alice: Sdk) -> None:
    assert error_of(lambda: alice.submit_order(order(qty=1_000_000))) == (
        403,
        40310000,
        "insufficient buying power",
    )


def test_an_unknown_order_is_not_found(alice: Sdk) -> None:
    unknown = str(uuid4())
    status, code, message = error_of(lambda: alice.get_order_by_id(unknown))
    assert (status, code) == (404, 40410000)
    assert unknown in message
    assert error_of(lambda: alice.cancel_order_by_id(unknown))[:2] == (404, 40410000)
    assert error_of(lambda: alice.get_order_by_client_id("nobody"))[:2] == (404, 40410000)
    replacing = ReplaceOrderRequest(qty=1)
    assert error_of(lambda: alice.replace_order_by_id(unknown, replacing))[:2] == (404, 40410000)


def test_the_order_of_another_account_is_not_found(alice: Sdk, bob: Sdk) -> None:
    theirs = bob.submit_order(order("theirs"))
    assert error_of(lambda: alice.get_order_by_id(theirs.id))[:2] == (404, 40410000)
    assert error_of(lambda: alice.cancel_order_by_id(theirs.id))[:2] == (404, 40410000)
    assert error_of(lambda: alice.get_order_by_client_id("theirs"))[:2] == (404, 40410000)


def test_a_finished_order_can_neither_be_canceled_nor_replaced(alice: Sdk) -> None:
    mine = alice.submit_order(order())
    alice.cancel_order_by_id(mine.id)
    assert error_of(lambda: alice.cancel_order_by_id(mine.id)) == (
        422,
        42210000,
        'order is already in "canceled" state',
    )
    replacing = ReplaceOrderRequest(qty=2)
    assert error_of(lambda: alice.replace_order_by_id(mine.id, replacing))[:2] == (422, 42210000)


def test_a_position_that_is_not_there_does_not_exist(alice: Sdk) -> None:
    assert error_of(lambda: alice.get_open_position(ACME)) == (404, 40410000, "position does not exist")
    assert error_of(lambda: alice.close_position(ACME))[:2] == (404, 40410000)
    assert error_of(lambda: alice.get_asset("NOSUCH"))[:2] == (404, 40410000)


def test_what_the_market_does_not_take_is_unprocessable(alice: Sdk) -> None:
    assert error_of(lambda: alice.submit_order(order(symbol="NOSUCH")))[:2] == (422, 42210000)
    assert error_of(lambda: alice.submit_order(order(price=10.001)))[:2] == (422, 42210000)
    assert error_of(lambda: alice.submit_order(order(qty=0.5)))[:2] == (422, 42210000)
    notional = MarketOrderRequest(
        symbol=ACME, notional=100, side=OrderSide.BUY, time_in_force=TimeInForce.DAY
    )
    assert error_of(lambda: alice.submit_order(notional))[:2] == (422, 40010001)


def test_wrong_keys_are_unauthorized(venue: Venue) -> None:
    client = TradingClient(floor.ALICE.key, floor.BOB.secret, url_override=venue.base_url)
    try:
        with pytest.raises(APIError) as caught:
            client.get_account()
    finally:
        client._session.close()
    assert caught.value.status_code == 401
    assert str(caught.value) == '{"message":"unauthorized."}'


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/v2/account", {"APCA-API-KEY-ID": b"AKALICE", "APCA-API-SECRET-KEY": b"\xff"}),
        ("/v2/account", {"Authorization": b"Bearer \xff"}),
        ("/_admin/accounts", {"Authorization": b"Bearer \xff"}),
    ],
)
def test_keys_that_are_no_text_are_wrong_keys(venue: Venue, path: str, shown: dict[str, bytes]) -> None:
    with floor.http(venue.base_url, None) as client:
        headers = [(name.encode(), value) for name, value in shown.items()]
        assert client.get(path, headers=headers).status_code == 401


def test_the_limit_is_counted_and_then_enforced() -> None:
    with floor.venue_on_a_thread(rate_limit=3) as venue, floor.http(venue.base_url) as client:
        answers = [client.get("/v2/account") for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert [answer.headers["X-RateLimit-Remaining"] for answer in answers] == ["2", "1", "0", "0"]
        assert {answer.headers["X-RateLimit-Limit"] for answer in answers} == {"3"}
        assert len({answer.headers["X-RateLimit-Reset"] for answer in answers}) == 1
        assert answers[3].json() == {"code": 42910000, "message": "rate limit exceeded"}
        with floor.http(venue.base_url, floor.BOB) as other:
            assert other.get("/v2/account").status_code == 200


def test_the_sdk_is_told_of_the_limit_when_its_own_retries_are_spent() -> None:
    with floor.venue_on_a_thread(rate_limit=1) as venue, floor.sdk(venue.base_url) as client:
        client._retry = 0
        client.get_account()
        assert error_of(client.get_account) == (429, 42910000, "rate limit exceeded")


def test_every_answer_has_a_request_id_of_its_own(venue: Venue) -> None:
    with floor.http(venue.base_url) as client:
        answers = [client.get("/v2/account"), client.get("/v2/nothing"), client.delete("/v2/orders")]
    with floor.http(venue.base_url, None) as stranger:
        answers.append(stranger.get("/v2/account"))
    assert [answer.status_code for answer in answers] == [200, 404, 207, 401]
    assert len({answer.headers["X-Request-ID"] for answer in answers}) == 4
