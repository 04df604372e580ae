"""What a gateway says of itself: its document, and the page from it, once somebody asks.

Making them takes as long as half of a start, and no start waits for a reader. It is done in a thread, so that
orders are taken meanwhile, and once; both are bytes from then on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import cached_property
from typing import Any

import msgspec

from ordergate.api.docs_page import POLICY, docs_page
from ordergate.api.exchange import Call, Reply


class Description:
    """One for all listeners of a gateway."""

    def __init__(self, write: Callable[[], dict[str, Any]]) -> None:
        self._write = write
        self._turn = asyncio.Lock()

    @cached_property
    def document(self) -> dict[str, Any]:
        """The OpenAPI document."""
        return self._write()

    @cached_property
    def _replies(self) -> tuple[Reply, Reply]:
        page_headers = [(b"content-security-policy", POLICY.encode())]
        return (
            Reply(200, msgspec.json.encode(self.document)),
            Reply(200, docs_page(self.document), page_headers, b"text/html; charset=utf-8"),
        )

    async def as_json(self, _: Call) -> Reply:
        """For programs."""
        return (await self._made())[0]

    async def as_page(self, _: Call) -> Reply:
        """For people."""
        return (await self._made())[1]

    async def _made(self) -> tuple[Reply, Reply]:
        async with self._turn:
            return await asyncio.to_thread(lambda: self._replies)
