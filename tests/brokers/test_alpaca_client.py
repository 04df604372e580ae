"""What the adapter concludes from each of Alpaca's answers, over a real socket."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from ordergate.brokers._shared.lines import HttpLimits
from ordergate.brokers.alpaca.access import Bearer, Keys
from ordergate.brokers.alpaca.client import AlpacaSettings, Lease
from ordergate.core.ids import Env
from ordergate.core.orders.order import Replacement
from ordergate.ports.broker import (
    Acknowledged,
    BrokerUnavailable,
    DedupClass,
    Outcome,
    Rejected,
    Unknown,
    Unsent,
    no_veto,
)
from ordergate.telemetry.secret import Secret
from tests.brokers import alpaca_documents as documents
from tests.brokers.alpaca_account import ABSENT, Alpaca, broker_of
from tests.brokers.sockets import Act, ByteServer, free_port, hangs, raw, resets, says, then_cuts
from tests.brokers.test_http import UNCLEAR
from tests.brokers.world import HandClock, our_id, terms

USED = says(422, documents.error("client_order_id must be unique"))
NO_CONTENT = raw(b"HTTP/1.1 204 No Content\r\n\r\n")
BIGGER = Replacement(version=2, quantity=Decimal(12), limit_price=Decimal(10), stop_price=None)
DEARER = Replacement(version=2, quantity=Decimal(10), limit_price=Decimal(11), stop_price=None)


async def place(broker: Alpaca) -> Outcome:
    return await broker.place(our_id(1), terms(), no_veto)


def test_the_unproven_claims_are_not_made(clock: HandClock) -> None:
    capabilities = broker_of("http://127.0.0.1:1", clock).capabilities
    assert capabilities.dedup is DedupClass.A
    assert not capabilities.resend_is_safe
    assert not AlpacaSettings().replace_keeps_fills


# -- place


async def test_a_yes_that_names_our_order_is_an_acknowledgement(server: ByteServer, broker: Alpaca) -> None:
    server.play(says(200, documents.order(our_id(1), status="accepted")))
    outcome = await place(broker)
    assert isinstance(outcome, Acknowledged)
    assert outcome.broker_order_id == documents.BROKER_ID
    asked = server.seen[0]
    assert (asked.method, asked.path) == ("POST", "/v2/orders")
    assert asked.headers["apca-api-key-id"] == "PKTEST"
    assert asked.headers["apca-api-secret-key"] == "very-secret"
    assert asked.headers["content-type"] == "application/json"
    assert asked.json["client_order_id"] == our_id(1)


async def test_a_bearer_token_is_the_other_way_in(server: ByteServer, clock: HandClock) -> None:
    server.play(says(200, documents.order(our_id(1))))
    alpaca = broker_of(server.url, clock, Bearer(Env.PAPER, Secret("token")))
    await place(alpaca)
    await alpaca.close()
    assert server.seen[0].headers["authorization"] == "Bearer token"
    assert "apca-api-key-id" not in server.seen[0].headers


async def test_other_credentials_are_used_from_the_next_request_on(
    server: ByteServer, broker: Alpaca
) -> None:
    server.play(hangs)
    under_way = asyncio.create_task(place(broker))
    await server.reached(1)
    broker.use(Keys(Env.PAPER, Secret("PKNEXT"), Secret("next-secret")))
    assert broker.earlier_in_use, "the first request is under way still"

    server.play(says(200, documents.order(our_id(2))))
    assert isinstance(await broker.place(our_id(2), terms(), no_veto), Acknowledged)
    assert [asked.headers["apca-api-key-id"] for asked in server.seen] == ["PKTEST", "PKNEXT"]
    assert server.seen[1].headers["apca-api-secret-key"] == "next-secret"
    under_way.cancel()
    await asyncio.gather(under_way, return_exceptions=True)
    assert not broker.earlier_in_use


async def test_credentials_that_are_not_leased_any_more_open_nothing_and_then_cancel_nothing(
    server: ByteServer, broker: Alpaca, clock: HandClock
) -> None:
    now = clock.monotonic()
    broker.lease(Lease(opens_until=now, ends=now + 100))
    assert isinstance(await place(broker), Unsent)
    assert isinstance(await broker.replace("id", our_id(1), terms(), BIGGER, no_veto), Unsent)
    server.play(NO_CONTENT)
    assert isinstance(await broker.cancel(our_id(1), documents.BROKER_ID), Acknowledged)

    broker.lease(Lease(opens_until=now, ends=now))
    assert isinstance(await broker.cancel(our_id(1), documents.BROKER_ID), Unsent)
    with pytest.raises(BrokerUnavailable):
        await broker.account()
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"id": None},
        {"id": ""},
        {"client_order_id": our_id(2)},
        {"client_order_id": None},
        {"status": "on_holiday"},
        {"qty": 10},
    ],
)
async def test_a_yes_that_does_not_name_our_order_is_unknown(
    server: ByteServer, broker: Alpaca, changes: dict[str, Any]
) -> None:
    server.play(says(200, documents.order(our_id(1)) | changes))
    assert isinstance(await place(broker), Unknown)
    assert len(server.seen) == 1


async def test_a_yes_of_another_shape_is_unknown(server: ByteServer, broker: Alpaca) -> None:
    server.play(says(200, []))
    assert isinstance(await place(broker), Unknown)


async def test_an_order_refused_at_once_is_rejected(server: ByteServer, broker: Alpaca) -> None:
    server.play(says(200, documents.order(our_id(1), status="rejected")))
    assert isinstance(await place(broker), Rejected)


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (403, "insufficient buying power"),
        (422, "invalid symbol"),
        (401, "unauthorized."),
        (403, "forbidden."),
        (400, "request body format is invalid"),
        (404, "endpoint not found."),
    ],
)
async def test_a_no_in_the_brokers_words_is_a_no(
    server: ByteServer, broker: Alpaca, status: int, message: str
) -> None:
    server.play(says(status, documents.error(message, None)))
    assert await place(broker) == Rejected(f"{status} {message}")


@pytest.mark.parametrize("body", [{}, {"error": "no"}, [], {"message": 1}])
async def test_a_no_in_other_words_is_unknown(server: ByteServer, broker: Alpaca, body: Any) -> None:
    """A proxy on the way may have passed the order on."""
    server.play(says(403, body))
    assert isinstance(await place(broker), Unknown)


@pytest.mark.parametrize("name", UNCLEAR)
async def test_an_unclear_answer_leaves_the_order_unknown(
    server: ByteServer, broker: Alpaca, name: str
) -> None:
    server.play(UNCLEAR[name])
    assert isinstance(await place(broker), Unknown)
    assert len(server.seen) == 1


async def test_silence_leaves_the_order_unknown(server: ByteServer, clock: HandClock) -> None:
    server.play(hangs)
    alpaca = broker_of(server.url, clock, http=HttpLimits(connect_s=1.0, total_s=1.0))
    assert isinstance(await place(alpaca), Unknown)
    await alpaca.close()


async def test_a_broker_that_is_not_there_was_sent_nothing(clock: HandClock) -> None:
    alpaca = broker_of(f"http://127.0.0.1:{free_port()}", clock)
    assert isinstance(await place(alpaca), Unsent)
    await alpaca.close()


@pytest.mark.parametrize(("headers", "waits"), [({"Retry_After": "7"}, 7.0), ({}, 1.0)])
async def test_a_throttled_order_was_not_taken(
    server: ByteServer, broker: Alpaca, headers: dict[str, str], waits: float
) -> None:
    server.play(says(429, documents.error("rate limit exceeded"), **headers))
    assert await place(broker) == Unsent("the broker's rate limit", waits)


# -- an id that was used before


async def test_a_used_id_means_that_the_order_is_there(server: ByteServer, broker: Alpaca) -> None:
    server.play(USED, says(200, documents.order(our_id(1), status="filled")))
    outcome = await place(broker)
    assert isinstance(outcome, Acknowledged)
    assert outcome.broker_order_id == documents.BROKER_ID
    assert server.paths() == [
        "POST /v2/orders",
        f"GET /v2/orders:by_client_order_id?client_order_id={our_id(1)}",
    ]


async def test_a_used_id_of_a_refused_order_is_a_no(server: ByteServer, broker: Alpaca) -> None:
    server.play(USED, says(200, documents.order(our_id(1), status="rejected")))
    assert isinstance(await place(broker), Rejected)


@pytest.mark.parametrize(
    "lookup", [ABSENT, resets, says(500, {}), says(200, documents.order(our_id(2))), says(200, {})]
)
async def test_a_used_id_that_cannot_be_looked_up_is_unknown(
    server: ByteServer, broker: Alpaca, lookup: Act
) -> None:
    server.play(USED, lookup)
    assert isinstance(await place(broker), Unknown)


# -- cancel


async def test_a_cancel_is_acknowledged_by_no_content(server: ByteServer, broker: Alpaca) -> None:
    server.play(NO_CONTENT)
    assert await broker.cancel(our_id(1), documents.BROKER_ID) == Acknowledged(documents.BROKER_ID)
    assert server.paths() == [f"DELETE /v2/orders/{documents.BROKER_ID}"]


@pytest.mark.parametrize(
    ("status", "message"), [(422, "order is not cancelable"), (404, "order not found for x")]
)
async def test_a_cancel_that_cannot_be_is_refused(
    server: ByteServer, broker: Alpaca, status: int, message: str
) -> None:
    server.play(says(status, documents.error(message)))
    assert await broker.cancel(our_id(1), documents.BROKER_ID) == Rejected(f"{status} {message}")


async def test_a_cancel_without_the_brokers_id_looks_it_up(server: ByteServer, broker: Alpaca) -> None:
    server.play(says(200, documents.order(our_id(1))), NO_CONTENT)
    assert await broker.cancel(our_id(1), None) == Acknowledged(documents.BROKER_ID)
    assert server.paths()[1] == f"DELETE /v2/orders/{documents.BROKER_ID}"


async def test_a_cancel_needs_nothing_of_what_the_order_replaced(server: ByteServer, broker: Alpaca) -> None:
    server.play(says(200, documents.order(our_id(1, 2), id="new", replaces="old")), NO_CONTENT)
    assert await broker.cancel(our_id(1, 2), None) == Acknowledged("new")
    assert server.paths()[1:] == ["DELETE /v2/orders/new"]


async def test_a_cancel_of_an_order_that_is_not_there_is_refused(server: ByteServer, broker: Alpaca) -> None:
    server.play(ABSENT)
    assert isinstance(await broker.cancel(our_id(1), None), Rejected)


async def test_a_cancel_whose_lookup_fails_was_not_sent(server: ByteServer, broker: Alpaca) -> None:
    server.play(says(500, {}))
    assert isinstance(await broker.cancel(our_id(1), None), Unsent)
    assert len(server.seen) == 1


@pytest.mark.parametrize("act", [resets, says(500, {}), then_cuts(raw(b"HTTP/1.1 20"))])
async def test_a_cancel_without_a_clear_answer_is_unknown(
    server: ByteServer, broker: Alpaca, act: Act
) -> None:
    server.play(act)
    assert isinstance(await broker.cancel(our_id(1), documents.BROKER_ID), Unknown)


async def test_orders_leave_room_for_cancels(server: ByteServer, clock: HandClock) -> None:
    alpaca = broker_of(server.url, clock, requests_per_minute=10)
    server.play(*(says(200, documents.order(our_id(1))) for _ in range(8)), NO_CONTENT)
    outcomes = [await place(alpaca) for _ in range(9)]
    assert [type(outcome) for outcome in outcomes] == [Acknowledged] * 8 + [Unsent]
    assert isinstance(await alpaca.cancel(our_id(1), documents.BROKER_ID), Acknowledged)
    await alpaca.close()


async def test_questions_leave_room_for_orders(server: ByteServer, clock: HandClock) -> None:
    alpaca = broker_of(server.url, clock, requests_per_minute=10, query_wait_s_max=0)
    server.play(*(says(200, []) for _ in range(6)), *(says(200, documents.order(our_id(1))) for _ in "ab"))
    for _ in range(6):
        await alpaca.positions()
    with pytest.raises(BrokerUnavailable):
        await alpaca.positions()
    assert [type(await place(alpaca)) for _ in "ab"] == [Acknowledged] * 2
    await alpaca.close()


# -- replace


async def test_a_new_price_is_sent_under_the_new_id(server: ByteServer, clock: HandClock) -> None:
    alpaca = broker_of(server.url, clock, replace_keeps_fills=True)
    server.play(says(200, documents.order(our_id(1, 2), id="new", replaces=documents.BROKER_ID)))
    outcome = await alpaca.replace(documents.BROKER_ID, our_id(1, 2), terms(), DEARER, no_veto)
    await alpaca.close()
    assert isinstance(outcome, Acknowledged)
    assert outcome.broker_order_id == "new"
    assert server.paths() == [f"PATCH /v2/orders/{documents.BROKER_ID}"]
    assert server.seen[0].json == {"client_order_id": our_id(1, 2), "limit_price": "11"}


async def test_a_new_quantity_is_a_change_of_what_the_broker_holds(
    server: ByteServer, clock: HandClock
) -> None:
    alpaca = broker_of(server.url, clock, replace_keeps_fills=True)
    held = documents.order(our_id(1, 2), qty="6", filled_qty="1", replaces="before")
    server.play(says(200, held), says(200, documents.order(our_id(1, 3), id="new")))
    await alpaca.replace(documents.BROKER_ID, our_id(1, 3), terms(), BIGGER, no_veto)
    await alpaca.close()
    assert server.seen[1].json == {"client_order_id": our_id(1, 3), "qty": "8"}


async def test_a_partly_filled_order_is_not_replaced_until_that_is_proven_safe(
    server: ByteServer, broker: Alpaca
) -> None:
    """A broker that counts anew after a replacement would buy the filled part again."""
    server.play(says(200, documents.order(our_id(1), filled_qty="1", status="partially_filled")))
    left: list[str] = []
    outcome = await broker.replace(
        documents.BROKER_ID, our_id(1, 2), terms(), DEARER, lambda: left.append("it leaves")
    )
    assert isinstance(outcome, Rejected)
    assert (len(server.seen), left) == (1, [])


async def test_an_unfilled_order_may_be_replaced(server: ByteServer, broker: Alpaca) -> None:
    server.play(says(200, documents.order(our_id(1))), says(200, documents.order(our_id(1, 2), id="new")))
    assert isinstance(
        await broker.replace(documents.BROKER_ID, our_id(1, 2), terms(), DEARER, no_veto), Acknowledged
    )


@pytest.mark.parametrize(
    ("acts", "outcome"),
    [
        ((ABSENT,), Rejected),
        ((says(500, {}),), Unsent),
        ((says(200, documents.order(our_id(1))), says(422, documents.error("order is not open"))), Rejected),
        ((says(200, documents.order(our_id(1))), resets), Unknown),
        ((says(200, documents.order(our_id(1))), says(200, documents.order(our_id(1)))), Unknown),
        (
            (says(200, documents.order(our_id(1))), USED, says(200, documents.order(our_id(1, 2)))),
            Acknowledged,
        ),
    ],
    ids=["absent", "no lookup", "refused", "cut", "another order", "id used before"],
)
async def test_a_replacement_has_an_outcome_too(
    server: ByteServer, broker: Alpaca, acts: tuple[Act, ...], outcome: type[Outcome]
) -> None:
    server.play(*acts)
    assert isinstance(
        await broker.replace(documents.BROKER_ID, our_id(1, 2), terms(), DEARER, no_veto), outcome
    )


async def test_a_brokers_id_cannot_reach_another_path(server: ByteServer, broker: Alpaca) -> None:
    server.play(NO_CONTENT)
    await broker.cancel(our_id(1), "../account?x=1#y")
    assert server.paths() == ["DELETE /v2/orders/..%2Faccount%3Fx%3D1%23y"]
