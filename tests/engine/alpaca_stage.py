"""The engine over the real Alpaca adapter's questions, answered in Alpaca's words by an account in memory."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import msgspec

from ordergate.brokers._shared.http import Answer, HttpClient
from ordergate.brokers._shared.rate import Need
from ordergate.brokers.alpaca.queries import Queries
from ordergate.brokers.paper.broker import PaperBroker
from ordergate.core.ids import Env, Paper
from tests.brokers import alpaca_documents as documents
from tests.brokers.alpaca_documents import Document
from tests.engine.stage import ACCOUNT, ES

_OVER = ("filled", "canceled", "expired", "rejected", "replaced")
_ABSENT = documents.error("order not found for x", 40410000)


class AlpacaAccount:
    """What Alpaca has of the account: orders and fills, oldest first. A fill is all that moves a position."""

    def __init__(self) -> None:
        self.orders: list[Document] = []
        self.fills: list[Document] = []

    def order(self, name: str, **changes: Any) -> Document:
        """Placed in Alpaca's own app."""
        one = documents.order(name, id=f"id-of-{name}", symbol=ES, **changes)
        self.orders.append(one)
        return one

    def fill(self, order: Document, qty: int, *, side: str = "buy", done: bool = False) -> None:
        number = len(self.fills) + 1
        told = documents.fill(number, order_id=order["id"], symbol=ES, side=side, qty=str(qty), price="4700")
        self.fills.append(told)
        order["filled_qty"] = str(Decimal(order["filled_qty"]) + qty)
        order["status"] = "filled" if done else "partially_filled"

    def held(self) -> Decimal:
        signs = {"buy": 1, "sell": -1}
        return sum((signs[one["side"]] * Decimal(one["qty"]) for one in self.fills), Decimal(0))

    async def ask(self, method: str, path: str, *, need: Need = Need.ORDER) -> Answer:
        url = urlsplit(path)
        asked = {key: values[0] for key, values in parse_qs(url.query).items()}
        status, body = self._answer(url.path, asked)
        return Answer(status, msgspec.json.encode(body), None)

    def _answer(self, path: str, asked: dict[str, str]) -> tuple[int, Any]:
        match path:
            case "/v2/account":
                return 200, documents.account(cash="1000000")
            case "/v2/positions":
                held = self.held()
                side = "long" if held > 0 else "short"
                return 200, [documents.position(ES, str(held), side)] if held else []
            case "/v2/account/activities/FILL":
                return 200, [one for one in self.fills if one["id"] > asked.get("page_token", "")]
            case "/v2/orders":
                is_open = asked["status"] == "open"
                return 200, [one for one in self.orders if not is_open or one["status"] not in _OVER]
            case "/v2/orders:by_client_order_id":
                return self._one("client_order_id", asked["client_order_id"])
            case _:
                return self._one("id", path.removeprefix("/v2/orders/"))

    def _one(self, field: str, value: str) -> tuple[int, Any]:
        found = [one for one in self.orders if one[field] == value]
        return (200, found[0]) if found else (404, _ABSENT)


class AlpacaAsked(PaperBroker[Paper]):
    """Questions go to the Alpaca account; the twin behind it keeps the stream up, and says nothing on it."""

    alpaca: AlpacaAccount

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        http = cast("HttpClient", self.alpaca)
        asked = Queries(http, Env.PAPER, ACCOUNT, clock=named["clock"], wait_s_max=1)
        for question in ("find", "open_orders", "recent_orders", "executions", "positions", "account"):
            setattr(self, question, getattr(asked, question))
