"""The in-memory twin of what others are told."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

import msgspec

from ordergate.core.faults import JournalUnavailable
from ordergate.core.ids import AccountId
from ordergate.ports.surveillance import Copy, Delivery, Forgotten, Notice


class _Sent(msgspec.Struct):
    notice: Notice
    next_at: datetime
    state: str = "waiting"
    attempts: int = 0
    why: str | None = None
    settled_at: datetime | None = None


class MemorySurveillance:
    """Keeps the promises of `ports.surveillance`: Surveillance and Copies. Set `away` and nothing is kept."""

    def __init__(self) -> None:
        self.seen: dict[AccountId, int] = {}
        self.kept: list[Copy] = []
        self.sent: dict[tuple[str, AccountId, int], _Sent] = {}
        self.away = False

    async def cursors(self) -> Mapping[AccountId, int]:
        self._reach()
        return dict(self.seen)

    async def keep(
        self,
        cursors: Mapping[AccountId, int],
        copies: Sequence[Notice],
        deliveries: Sequence[tuple[str, Notice]],
        now: datetime,
    ) -> None:
        self._reach()
        known = {(one.notice.account, one.notice.seq) for one in self.kept}
        for one in copies:
            if (one.account, one.seq) not in known:
                self.kept.append(Copy(number=len(self.kept) + 1, at=now, notice=one))
        for endpoint, one in deliveries:
            self.sent.setdefault((endpoint, one.account, one.seq), _Sent(one, now))
        for account, seq in cursors.items():
            self.seen[account] = max(seq, self.seen.get(account, 0))

    async def due(self, endpoint: str, now: datetime, most: int) -> Sequence[Delivery]:
        self._reach()
        due = [
            Delivery(endpoint=endpoint, notice=one.notice, attempts=one.attempts)
            for (name, _, _), one in self.sent.items()
            if name == endpoint and one.state == "waiting" and one.next_at <= now
        ]
        return due[:most]

    async def delivered(self, delivery: Delivery, now: datetime) -> None:
        one = self._of(delivery)
        one.state, one.attempts, one.settled_at = "delivered", one.attempts + 1, now

    async def failed(self, delivery: Delivery, why: str, again_at: datetime | None) -> None:
        one = self._of(delivery)
        one.attempts, one.why = one.attempts + 1, why
        if again_at is None:
            one.state, one.settled_at = "dead", one.next_at
        else:
            one.next_at = again_at

    async def forget(self, taken_before: datetime, dead_before: datetime) -> Forgotten:
        self._reach()
        found = {"delivered": taken_before, "dead": dead_before}
        old = {
            key: one.state
            for key, one in self.sent.items()
            if one.state in found and one.settled_at and one.settled_at < found[one.state]
        }
        for key in old:
            del self.sent[key]
        states = list(old.values())
        return Forgotten(states.count("delivered"), states.count("dead"))

    async def copies(self, after: int, most: int) -> Sequence[Copy]:
        self._reach()
        return [one for one in self.kept if one.number > after][:most]

    def seen_by(self, tenant: str, accounts: Collection[AccountId]) -> MemorySurveillance:
        """The twin has no second fence."""
        return self

    async def copies_of(self, accounts: Sequence[AccountId], after: int, most: int) -> Sequence[Copy]:
        self._reach()
        return [one for one in self.kept if one.number > after and one.notice.account in accounts][:most]

    async def last_number(self) -> int:
        self._reach()
        return len(self.kept)

    def _of(self, delivery: Delivery) -> _Sent:
        self._reach()
        return self.sent[delivery.endpoint, delivery.notice.account, delivery.notice.seq]

    def _reach(self) -> None:
        if self.away:
            raise JournalUnavailable("away")
