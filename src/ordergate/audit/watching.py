"""Hears every committed event, and keeps what others must be told of: the drop copy and the alerts (R29).

Nothing waits for it. What it heard is kept within a second; what it did not hear, because the process
died or the database was away, is read from the journal from where it left off. Nothing is told twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from enum import StrEnum
from typing import Final

import msgspec

from ordergate.core.faults import JournalCorrupt
from ordergate.core.ids import AccountId
from ordergate.ports.audience import Audience
from ordergate.ports.audit import AuditLog
from ordergate.ports.clock import Clock
from ordergate.ports.journal import Journal
from ordergate.ports.market_data import Quote, Trade
from ordergate.ports.surveillance import Notice, Surveillance
from ordergate.telemetry.log import logger

log = logger("surveillance")

HEARD_MAX: Final = 10_000
PAUSE_S: Final = 0.2
BATCH_MAX: Final = 500
A_DAY_S: Final = 86_400.0


class Stream(StrEnum):
    ALERTS = "alerts"
    DROP_COPY = "drop_copy"


class Retention(msgspec.Struct, frozen=True, kw_only=True):
    """How long messages are kept that an endpoint has taken, and that none would take."""

    taken: timedelta = timedelta(days=30)
    dead: timedelta = timedelta(days=365)


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Who is told: of which streams, and of which accounts; of all where there are none."""

    name: str
    streams: frozenset[Stream]
    accounts: frozenset[AccountId] = frozenset()


COPIED: Final = frozenset(
    {
        "order_partially_filled",
        "order_filled",
        "execution_busted",
        "execution_corrected",
        "execution_duplicated",
        "position_adjusted",
        "cash_adjusted",
        "kill_engaged",
        "kill_released",
        "kill_flatten_asked",
        "kill_flatten_confirmed",
    }
)
ALERTING: Final = frozenset(
    {
        "order_denied",
        "replace_denied",
        "group_denied",
        "order_quarantined",
        "alarm_raised",
        "break_opened",
        "break_reopened",
        "kill_engaged",
        "kill_released",
        "kill_flatten_asked",
        "kill_flatten_confirmed",
        "dead_man_expired",
        "loss_limit_reached",
        "use_refused",
        "order_resolved",
        "break_resolved",
        "break_cancel_asked",
        "identity_changed",
    }
)
HOUSE: Final = ("CONTROL", "LIMITS", "AUDIT")
"""Streams that are no account's: whoever is told of anything is told of these."""
# Whatever is called so changes what risk allows: it is copied, and alerts.
POLICY: Final = ("limit", "override", "change")


def streams_of(kind: str) -> frozenset[Stream]:
    """To which streams an event of the kind belongs."""
    if kind.startswith(POLICY):
        return frozenset(Stream)
    found = {Stream.DROP_COPY} if kind in COPIED else set()
    return frozenset(found | ({Stream.ALERTS} if kind in ALERTING else set()))


class Watching:
    """An audience that passes everything on to another, and keeps what it heard."""

    def __init__(
        self,
        audience: Audience,
        *,
        journal: Journal,
        audit_log: AuditLog,
        store: Surveillance,
        endpoints: Sequence[Endpoint],
        clock: Clock,
        retention: Retention | None = None,
    ) -> None:
        self._retention = retention or Retention()
        self._audience = audience
        self._journal = journal
        self._log = audit_log
        self._store = store
        self._endpoints = tuple(endpoints)
        self._clock = clock
        self._heard: list[Notice] = []
        self._heads: dict[AccountId, int] = {}
        self._missed = False
        self.kept = asyncio.Event()

    def tell(self, account: AccountId, seq: int, kind: str, frame: bytes) -> None:
        self._audience.tell(account, seq, kind, frame)
        self._heads[account] = seq
        if streams_of(kind):
            if len(self._heard) >= HEARD_MAX:
                self._missed = True  # the journal has it
                return
            self._heard.append(Notice(account=account, seq=seq, kind=kind, frame=frame))

    def tell_price(self, price: Quote | Trade) -> None:
        self._audience.tell_price(price)

    async def run(self) -> None:
        """Keep what is heard, until cancelled. Raises Fault."""
        await self.catch_up()
        while True:
            if self._missed:
                await self.catch_up()
            await self.flush()
            await self._clock.sleep(PAUSE_S)

    async def keep_house(self) -> None:
        """Once a day, drop messages that are old enough, until cancelled. Raises Fault."""
        while True:
            now = self._clock.now()
            dropped = await self._store.forget(now - self._retention.taken, now - self._retention.dead)
            log.info("messages.dropped", taken=dropped.taken, dead=dropped.dead)
            await self._clock.sleep(A_DAY_S)

    async def catch_up(self) -> None:
        """Read what was not heard. At the first start ever the past is left alone."""
        self._heard.clear()
        self._missed = False
        heads = dict(await self._log.heads())
        cursors = await self._store.cursors()
        if not cursors:
            await self._keep(heads, [])
            return
        for account, head in heads.items():
            await self._read_on(account, cursors.get(account, 0), head)

    async def _read_on(self, account: AccountId, seq: int, head: int) -> None:
        """What cannot be read stops its own account, and silences no other."""
        found: list[Notice] = []
        try:
            async for stored in self._journal.read(account, after=seq, upto=head):
                kind, seq = str(type(stored.event).__struct_config__.tag), stored.seq
                if streams_of(kind):
                    found.append(Notice(account=account, seq=seq, kind=kind, frame=stored.frame))
                if len(found) >= BATCH_MAX:
                    await self._keep({account: seq}, found)
                    found = []
        except JournalCorrupt as corrupt:
            log.critical("surveillance.unreadable", account=account, upto=seq, why=str(corrupt))
            head = seq
        await self._keep({account: head}, found)

    async def flush(self) -> None:
        """Keep what was heard so far."""
        if not self._heard:
            return
        heard, self._heard = self._heard[:BATCH_MAX], self._heard[BATCH_MAX:]
        cursors = {one.account: one.seq for one in heard}
        if not self._heard:
            cursors = {account: self._heads[account] for account in cursors}
        await self._keep(cursors, heard)

    async def _keep(self, cursors: Mapping[AccountId, int], notices: Sequence[Notice]) -> None:
        copies = [one for one in notices if Stream.DROP_COPY in streams_of(one.kind)]
        deliveries = [
            (endpoint.name, one)
            for one in notices
            for endpoint in self._endpoints
            if endpoint.streams & streams_of(one.kind)
            and (not endpoint.accounts or one.account in endpoint.accounts or one.account[2:] in HOUSE)
        ]
        await self._store.keep(cursors, copies, deliveries, self._clock.now())
        if deliveries:
            self.kept.set()
