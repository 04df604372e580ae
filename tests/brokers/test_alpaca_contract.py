"""What the adapter asks is what Alpaca's published document allows, to the letter."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from ordergate.brokers.alpaca.client import AlpacaBroker
from ordergate.core.ids import Paper
from ordergate.core.orders.order import Replacement
from ordergate.core.orders.terms import OrderType, Side, TimeInForce
from ordergate.ports.broker import no_veto
from tests.brokers import alpaca_documents as documents
from tests.brokers.alpaca_account import broker_of
from tests.brokers.sockets import ByteServer, Exchange, says
from tests.brokers.world import HandClock, our_id, terms
from tests.venue_alpaca.contract import Document


class Published:
    """Alpaca's document, read strictly: no field, no parameter and no path that is not in it."""

    def __init__(self, path: Path) -> None:
        self._text = json.loads(path.read_text())
        self._schemas = Document(self._text, closed=True)

    def check(self, asked: Exchange) -> None:
        url = urlsplit(asked.path)
        item = self._item(url.path)
        operation = item[asked.method.lower()]
        declared = {
            found["name"]: self._schemas.schema(found["schema"])
            for parameter in [*item.get("parameters", []), *operation.get("parameters", [])]
            if (found := self._schemas.resolve(parameter))["in"] == "query"
        }
        for name, value in parse_qsl(url.query):
            read: Any = int(value) if declared[name].get("type") == "integer" else value
            self._schemas.check_schema(declared[name], read, f"{asked.path} ?{name}")
        if asked.body:
            content = operation["requestBody"]["content"]["application/json"]
            self._schemas.check(content["schema"], asked.json, asked.path)

    def _item(self, path: str) -> dict[str, Any]:
        parts = path.split("/")
        for template, item in self._text["paths"].items():
            steps = template.split("/")
            if len(steps) == len(parts) and all(
                step.startswith("{") or step == part for step, part in zip(steps, parts, strict=True)
            ):
                found: dict[str, Any] = item
                return found
        raise AssertionError(f"{path} is not in the document")


@pytest.fixture
def published(shared_dir: Path) -> Published:
    return Published(shared_dir / "reference" / "specs" / "alpaca" / "trading-api.json")


@pytest.fixture
async def proven(server: ByteServer, clock: HandClock) -> AsyncIterator[AlpacaBroker[Paper]]:
    broker = broker_of(server.url, clock, replace_keeps_fills=True, requests_per_minute=10_000)
    yield broker
    await broker.close()


async def test_every_order_it_places_is_in_the_document(
    published: Published, server: ByteServer, proven: AlpacaBroker[Paper]
) -> None:
    server.play(says(200, documents.order(our_id(1))))
    for kind in OrderType:
        for force in TimeInForce:
            for side in Side:
                order = terms(
                    type=kind,
                    side=side,
                    time_in_force=force,
                    quantity=Decimal("0.000000001"),
                    limit_price=Decimal("999999999.5") if kind.needs_limit_price else None,
                    stop_price=Decimal("1E+3") if kind.needs_stop_price else None,
                    extended_hours=kind is OrderType.LIMIT,
                )
                await proven.place(our_id(1), order, no_veto)
    assert len(server.seen) == 32
    for asked in server.seen:
        published.check(asked)


async def test_everything_else_it_asks_is_in_the_document(
    published: Published, server: ByteServer, proven: AlpacaBroker[Paper]
) -> None:
    held = says(200, documents.order(our_id(1), id="61e69015-8549-4bfd-b9c3-01e75843f47d"))
    page = says(200, [documents.fill(n) for n in range(100)])
    orders = says(200, [documents.order("label", id=f"id-{n}") for n in range(500)])
    server.play(
        held, held, says(204),
        held, says(200, documents.order(our_id(1, 2))),
        orders, says(200, []),
        page, says(200, []),
        says(200, []), says(200, documents.account()),
    )  # fmt: skip
    await proven.find(our_id(1))
    await proven.cancel(our_id(1), None)
    change = Replacement(
        version=2, quantity=Decimal(12), limit_price=Decimal("9.5"), stop_price=Decimal("9.75")
    )
    await proven.replace(documents.BROKER_ID, our_id(1, 2), terms(), change, no_veto)
    await proven.open_orders()
    assert len([it async for it in proven.executions(after=None)]) == 100
    await proven.positions()
    await proven.account()
    assert len(server.seen) == 11
    for asked in server.seen:
        published.check(asked)
