"""Sends each endpoint what it is to be told, again and again within bounds, and tells of what died.

An endpoint that hangs holds up nobody but itself. One that answers 410 is told nothing more in this
life of the process; what waits for it dies.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Final, Protocol

import msgspec

from ordergate.audit import webhooks
from ordergate.audit.outbound import Failed
from ordergate.ports.clock import Chance, Clock
from ordergate.ports.surveillance import Delivery, Surveillance
from ordergate.telemetry.log import logger

log = logger("alerting")

AT_ONCE_MAX: Final = 8
PAUSE_S: Final = 0.3


class Post(Protocol):
    async def __call__(self, url: str, body: bytes, headers: dict[str, str]) -> None: ...


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint's address, and who tells its secrets of now, the newest first."""

    name: str
    url: str
    secrets: Callable[[], tuple[bytes, ...]]

    def __repr__(self) -> str:
        return f"Target({self.name!r})"


class Alerting:
    def __init__(self, store: Surveillance, post: Post, clock: Clock, chance: Chance) -> None:
        self._store = store
        self._post = post
        self._clock = clock
        self._chance = chance
        self._gone: set[str] = set()

    def duties(self, targets: Sequence[Target]) -> dict[str, Callable[[], Awaitable[None]]]:
        """What the node keeps running: one for each endpoint."""
        return {f"alerts-{one.name}": self._following(one) for one in targets}

    def _following(self, target: Target) -> Callable[[], Awaitable[None]]:
        return lambda: self.follow(target)

    async def follow(self, target: Target) -> None:
        """Until cancelled. Raises JournalUnavailable."""
        while True:
            if await self.send_due(target) < AT_ONCE_MAX:
                await self._clock.sleep(PAUSE_S)

    async def send_due(self, target: Target) -> int:
        """Send what is due, some at once; how many there were. Where one fails the others still end first:
        what is under way would be sent again beside itself.
        """
        due = await self._store.due(target.name, self._clock.now(), AT_ONCE_MAX)
        sendings = (self._send(target, one) for one in due)
        for ended in await asyncio.gather(*sendings, return_exceptions=True):
            if ended is not None:
                raise ended
        return len(due)

    async def _send(self, target: Target, delivery: Delivery) -> None:
        notice = delivery.notice
        body = webhooks.body_of(notice)
        now = self._clock.now()
        headers = webhooks.headers_of(notice, body, target.secrets(), int(now.timestamp()))
        try:
            if target.name in self._gone:
                raise Failed("the endpoint wants no more", gone=True)
            await self._post(target.url, body, headers)
        except Failed as failed:
            if failed.gone:
                self._gone.add(target.name)
            await self._again(delivery, str(failed), gone=failed.gone)
            return
        await self._store.delivered(delivery, self._clock.now())

    async def _again(self, delivery: Delivery, why: str, *, gone: bool) -> None:
        fraction = self._chance.bits(16) / 65_536
        wait = None if gone else webhooks.wait_after(delivery.attempts + 1, fraction)
        again = None if wait is None else self._clock.now() + timedelta(seconds=wait)
        await self._store.failed(delivery, why, again)
        tell = log.error if again is None else log.warning
        notice = delivery.notice
        tell(
            "alert.dead" if again is None else "alert.not_taken",
            endpoint=delivery.endpoint, account=notice.account, seq=notice.seq, why=why,
        )  # fmt: skip
