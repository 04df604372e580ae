"""Every fault of a request, one by one: what the client sees, and what the exchange did all the same."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from alpaca.trading.enums import OrderSide, TimeInForce
from alpaca.trading.requests import LimitOrderRequest

from ordergate.venue.server import Venue
from tests.venue_alpaca import floor
from tests.venue_alpaca.floor import ACME, Sdk, limit_order
from tests.venue_alpaca.striking import ask_for, names_at_venue, struck


@contextmanager
def place(http: httpx.Client, name: str) -> Iterator[httpx.Response]:
    yield http.post("/v2/orders", json=limit_order(name))


def test_there_are_no_faults_and_no_admin_face_without_a_token() -> None:
    with floor.venue_on_a_thread(admin_token="") as venue, floor.admin(venue.base_url) as admin:
        for path in ("/faults", "/ledger/alice", "/tape"):
            assert admin.get(path).status_code in (401, 404)
            assert "orders" not in admin.get(path).text


def test_the_admin_face_wants_its_token(venue: Venue, http: httpx.Client) -> None:
    assert http.get("/_admin/faults").status_code == 401
    stranger = httpx.get(venue.base_url + "/_admin/ledger/alice", headers={"Authorization": "Bearer guess"})
    assert stranger.status_code == 401


def test_delay_answers_late_and_truly(http: httpx.Client, admin: httpx.Client) -> None:
    ask_for(admin, "delay", "place", seconds=0.3)
    with place(http, "late") as answer:
        assert answer.elapsed.total_seconds() >= 0.3
        assert answer.json()["client_order_id"] == "late"


def test_a_timeout_before_accepting_leaves_no_order(http: httpx.Client, admin: httpx.Client) -> None:
    ask_for(admin, "timeout_before", "place", seconds=0.05)
    with pytest.raises(httpx.RemoteProtocolError):
        http.post("/v2/orders", json=limit_order("lost"))
    assert names_at_venue(admin) == []


def test_a_timeout_after_accepting_leaves_an_order_nobody_was_told_of(
    http: httpx.Client, admin: httpx.Client
) -> None:
    ask_for(admin, "timeout_after", "place", seconds=0.05)
    with pytest.raises(httpx.RemoteProtocolError):
        http.post("/v2/orders", json=limit_order("kept"))
    assert names_at_venue(admin) == ["kept"]
    assert http.post("/v2/orders", json=limit_order("kept")).status_code == 422


def test_a_client_that_gives_up_first_does_not_undo_the_order(venue: Venue, admin: httpx.Client) -> None:
    ask_for(admin, "timeout_after", "place", seconds=60)
    with floor.http(venue.base_url) as hasty, pytest.raises(httpx.ReadTimeout):
        hasty.post("/v2/orders", json=limit_order("kept"), timeout=2.0)  # in which the order does arrive
    assert names_at_venue(admin) == ["kept"]


@pytest.mark.parametrize("retry_after", [None, 7])
def test_rate_limited_is_429_and_places_nothing(
    http: httpx.Client, admin: httpx.Client, retry_after: int | None
) -> None:
    ask_for(admin, "rate_limited", "place", **({} if retry_after is None else {"retry_after": retry_after}))
    with place(http, "refused") as answer:
        assert answer.status_code == 429
        assert answer.headers.get("Retry-After") == (None if retry_after is None else str(retry_after))
        assert answer.json()["code"] == 42910000
    assert names_at_venue(admin) == []


@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize(("kind", "left"), [("error_before", []), ("error_after", ["tried"])])
def test_a_server_error_says_nothing_about_the_order(
    http: httpx.Client, admin: httpx.Client, kind: str, left: list[str], status: int
) -> None:
    ask_for(admin, kind, "place", status=status)
    with place(http, "tried") as answer:
        assert answer.status_code == status
        assert "id" not in answer.json()
    assert names_at_venue(admin) == left


def test_a_truncated_answer_ends_in_the_middle(http: httpx.Client, admin: httpx.Client) -> None:
    ask_for(admin, "truncated", "place")
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete"):
        http.post("/v2/orders", json=limit_order("cut"))
    assert names_at_venue(admin) == ["cut"]


def test_a_malformed_answer_is_whole_but_not_json(http: httpx.Client, admin: httpx.Client) -> None:
    ask_for(admin, "malformed", "place")
    with place(http, "garbled") as answer:
        assert answer.status_code == 200
        with pytest.raises(json.JSONDecodeError):
            answer.json()
    assert names_at_venue(admin) == ["garbled"]


def test_an_answer_without_id_is_otherwise_whole(http: httpx.Client, admin: httpx.Client) -> None:
    ask_for(admin, "no_id", "place")
    with place(http, "nameless") as answer:
        assert answer.status_code == 200
        assert "id" not in answer.json()
        assert answer.json()["client_order_id"] == "nameless"


@pytest.mark.parametrize("kind", ["truncated", "malformed", "timeout_after", "error_after"])
def test_an_unclear_answer_to_a_cancel_leaves_a_canceled_order(
    http: httpx.Client, admin: httpx.Client, kind: str
) -> None:
    order = http.post("/v2/orders", json=limit_order("going")).json()
    ask_for(admin, kind, "cancel", seconds=0.05)
    try:
        assert http.delete(f"/v2/orders/{order['id']}").status_code != 204
    except httpx.RemoteProtocolError:
        assert kind in ("truncated", "timeout_after")
    assert http.get(f"/v2/orders/{order['id']}").json()["status"] == "canceled"


def test_an_order_may_be_invisible_for_a_while(http: httpx.Client, admin: httpx.Client) -> None:
    with place(http, "shy"):
        pass
    ask_for(admin, "not_found", "query", count=2)
    asked = {"client_order_id": "shy"}
    answers = [http.get("/v2/orders:by_client_order_id", params=asked).status_code for _ in range(3)]
    assert answers == [404, 404, 200]


@pytest.mark.parametrize(
    ("scope", "hit"),
    [
        ("place", [500, 200, 204, 200]),
        ("replace", [200, 500, 204, 200]),
        ("cancel", [200, 200, 500, 200]),
        ("query", [200, 200, 204, 500]),
        ("request", [500, 500, 500, 500]),
    ],
)
def test_a_fault_strikes_its_own_route_only(
    http: httpx.Client, admin: httpx.Client, scope: str, hit: list[int]
) -> None:
    rule = ask_for(admin, "error_after", scope, count=None)
    placed = http.post("/v2/orders", json=limit_order("a"))
    admin_orders = admin.get("/ledger/alice").json()["orders"]
    first = admin_orders[0]["id"]
    replaced = http.patch(f"/v2/orders/{first}", json={"qty": "5"})
    second = admin.get("/ledger/alice").json()["orders"][1]["id"]
    canceled = http.delete(f"/v2/orders/{second}")
    shown = http.get(f"/v2/orders/{second}")
    assert [answer.status_code for answer in (placed, replaced, canceled, shown)] == hit
    assert admin.delete(f"/faults/{rule}").json() == []
    assert admin.delete(f"/faults/{rule}").status_code == 404


def test_skip_count_and_account_choose_the_victims(venue: Venue, admin: httpx.Client) -> None:
    ask_for(admin, "error_before", "place", skip=1, count=2, account="alice")
    with floor.http(venue.base_url) as alice, floor.http(venue.base_url, floor.BOB) as bob:
        mine = [alice.post("/v2/orders", json=limit_order(f"a{n}")).status_code for n in range(4)]
        theirs = [bob.post("/v2/orders", json=limit_order(f"b{n}")).status_code for n in range(4)]
    assert (mine, theirs) == ([200, 500, 500, 200], [200, 200, 200, 200])
    assert struck(admin) == [2]


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "drop", "scope": "place"},
        {"kind": "malformed", "scope": "stream"},
        {"kind": "explode", "scope": "place"},
        {"kind": "delay", "scope": "place", "probability": 2},
        {"kind": "error_after", "scope": "place", "status": 404},
        {"kind": "delay", "scope": "place", "colour": "red"},
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(admin: httpx.Client, fault: dict[str, Any]) -> None:
    assert admin.post("/faults", json=fault).status_code == 422
    assert admin.get("/faults").json() == []


def test_the_sdk_retries_a_429_by_itself_and_the_order_is_placed_once(
    alice: Sdk, admin: httpx.Client
) -> None:
    ask_for(admin, "rate_limited", "place")
    alice._retry_wait = 0
    alice.submit_order(
        LimitOrderRequest(
            symbol=ACME,
            qty=1,
            side=OrderSide.BUY,
            time_in_force=TimeInForce.DAY,
            limit_price=9.0,
            client_order_id="once",
        )
    )
    assert names_at_venue(admin) == ["once"]


def test_a_held_request_does_not_keep_the_venue_from_stopping() -> None:
    with ThreadPoolExecutor(1) as beside:
        with floor.venue_on_a_thread() as venue, floor.admin(venue.base_url) as admin:
            ask_for(admin, "timeout_before", "place", seconds=300)
            waiting = beside.submit(placed_alone, venue.base_url)
            assert any(struck(admin) == [1] for _ in range(10_000))
        with pytest.raises(httpx.TransportError):
            waiting.result(timeout=20)


def placed_alone(base_url: str) -> None:
    with floor.http(base_url) as client:
        client.post("/v2/orders", json=limit_order("held"))
