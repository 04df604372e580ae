"""Mistakes with what clients read: rows that are not committed, not fresh, or not found."""

# ruff: noqa: E501 - the code that is replaced keeps its own lines

from __future__ import annotations

from typing import Final

from tools.teeth.mutation import Mutation

_VIEWS: Final = "journal/memory_views.py"

MUTATIONS: Final = (
    Mutation(
        id="stale-row-shown",
        what="an order is shown as it was when it was first asked for",
        file=_VIEWS,
        find=(
            "    async def order(self, order: OrderId, accounts: Sequence[AccountId]) -> bytes | None:\n"
            "        for account in accounts:\n"
            "            books = self._journal.books.get(account)\n"
            "            if books is not None and order in books.orders:\n"
            "                return books.orders[order].body"
        ),
        put=(
            "    async def order(self, order: OrderId, accounts: Sequence[AccountId], kept: dict[str, bytes] = {}) -> bytes | None:\n"
            "        for account in accounts:\n"
            "            books = self._journal.books.get(account)\n"
            "            if books is not None and order in books.orders:\n"
            "                return kept.setdefault(order, books.orders[order].body)"
        ),
    ),
    Mutation(
        id="row-shown-before-its-commit",
        what="rows are shown of a unit that the database then refuses",
        file="journal/memory_store.py",
        find="        used = ahead.setdefault(unit.account, _Ahead(len(books.events)))\n",
        put=(
            "        used = ahead.setdefault(unit.account, _Ahead(len(books.events)))\n"
            "        books.orders.update({row.id: row for row in unit.orders})\n"
        ),
    ),
    Mutation(
        id="ended-order-not-found",
        what="an order that is over is not found by its client's own name for it",
        file=_VIEWS,
        find="        and (query.client_order_id is None or row.client_order_id == query.client_order_id)",
        put="        and (query.client_order_id is None or (row.open and row.client_order_id == query.client_order_id))",
    ),
    Mutation(
        id="asked-order-not-listed-open",
        what="an open order of which something is asked is not listed among those that are open",
        file=_VIEWS,
        find="        and (query.open is None or row.open == query.open)",
        put='        and (query.open is None or (row.status == "working") == query.open)',
    ),
)
