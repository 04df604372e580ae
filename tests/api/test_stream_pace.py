"""Many accounts at once: together more than may wait for a client, and told at the client's pace."""

from __future__ import annotations

import asyncio
import json
from collections import Counter

import pytest

from ordergate.api.stream.channels import Channel
from ordergate.api.stream.frames import Resume
from ordergate.api.stream.hub import Hub, subscriber_of
from ordergate.api.stream.outbox import Outbox
from ordergate.api.stream.wire import payload_of
from ordergate.core.ids import AccountId
from ordergate.ports.views import EventRow
from tests.api.ledger import STREAM_ID, Ledger

ACCOUNTS = [AccountId(f"P-{number}") for number in range(30)]
MISSED = 10
CHANNELS = (Channel.ORDERS,)


class Reader:
    """A client behind a narrow line: whatever it takes fills the line, until that has arrived."""

    def __init__(self) -> None:
        self.is_behind = True
        self.heard: Counter[str] = Counter()
        self.outbox = Outbox(
            messages_max=100, bytes_max=4_000, wake=self._wake, is_behind=lambda: self.is_behind
        )

    def arrived(self) -> None:
        self.is_behind = False
        self._take()

    def _wake(self, now: bool) -> None:
        if not self.is_behind:
            self._take()

    def _take(self) -> None:
        taken = self.outbox.take()
        self.is_behind = bool(taken)
        self.heard.update(json.loads(payload_of(frame))["type"] for frame in taken)


def a_ledger() -> Ledger:
    ledger = Ledger(ACCOUNTS)
    for account in ACCOUNTS:
        frame = b'{"type":"event","filler":"%s"}' % (b"x" * 60)
        ledger.rows[account] = [
            EventRow(seq=seq, kind="order_accepted", frame=frame) for seq in range(1, MISSED + 2)
        ]
    return ledger


@pytest.mark.parametrize(
    ("resume", "told"),
    [
        (None, {"subscribed": 30, "reset": 30}),
        (Resume(STREAM_ID, 1), {"subscribed": 30, "event": 30 * MISSED}),
    ],
)
async def test_a_client_that_reads_is_told_the_past_of_all_its_accounts(
    resume: Resume | None, told: dict[str, int]
) -> None:
    ledger, reader = a_ledger(), Reader()
    hub = Hub(ledger)
    joining = [
        asyncio.create_task(
            hub.follow(
                account,
                subscriber_of(CHANNELS, reader.outbox),
                reader.outbox,
                seen=ledger,
                channels=CHANNELS,
                resume=resume,
                frame_id=None,
            )
        )
        for account in ACCOUNTS
    ]
    while not all(task.done() for task in joining):
        for _ in range(100):
            await asyncio.sleep(0)
        assert not reader.outbox.overflowed
        reader.arrived()
    reader.arrived()
    assert reader.heard == told
