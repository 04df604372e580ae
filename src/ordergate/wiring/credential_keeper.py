"""Keeps every adapter with the credentials it should use, for as long as it may use them.

Looks once a second: what was switched in the database, and what was replaced in a file or in AWS, is used
from then on; what nothing uses any more is said to be drained. A stored credential is unsealed every time;
where that is not possible, because the key service is away, openings end within five minutes of its last word
and everything ends within the hour after, so that what is open can still be canceled.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final, Generic

from ordergate.brokers.alpaca import access
from ordergate.brokers.alpaca.client import Lease
from ordergate.core.ids import E
from ordergate.ports.keys import KeysRefused, KeysUnavailable
from ordergate.security.clients import StoreUnavailable
from ordergate.security.credentials.desk import CredentialDesk
from ordergate.security.credentials.refreshing import Refresher
from ordergate.security.credentials.slots import Credential, State
from ordergate.telemetry.log import logger
from ordergate.wiring.brokerages import Brokerages, credentials_of, named_in
from ordergate.wiring.settings import BrokerSettings, CannotStart
from ordergate.wiring.system import SystemClock

LOOK_S: Final = 1.0
LEASE_S: Final = 15.0
CANCELS_S: Final = 3_600.0
READ_AGAIN_LOOKS: Final = 5

log = logger("credentials")


class CredentialKeeper(Generic[E]):
    """One per gateway. `first` before the adapters are made, `run` for as long as they work."""

    def __init__(
        self,
        env: E,
        brokers: Mapping[str, BrokerSettings],
        desk: CredentialDesk,
        refresher: Refresher,
        clock: SystemClock,
    ) -> None:
        self._env: E = env
        self._brokers = brokers
        self._desk = desk
        self._refresher = refresher
        self._clock = clock
        self._using: dict[str, str] = {}
        self._named: dict[str, access.Keys[E]] = {}
        self._looks = 0

    async def first(self) -> dict[str, access.Credentials[E]]:
        """What every login begins with. Raises CannotStart, StoreUnavailable and the faults of keys."""
        found: dict[str, access.Credentials[E]] = {}
        for login, its in self._brokers.items():
            if not its.stored:
                found[login] = self._named[login] = await asyncio.to_thread(named_in, self._env, its)
                continue
            row = (await self._desk.slots(login)).in_use
            if row is None:
                raise CannotStart(
                    f"nothing lets the gateway in at {login} yet: run `ordergate credentials begin {login}`"
                )
            found[login] = credentials_of(self._env, await self._desk.open(row))
            self._using[login] = row.row_id
        return found

    async def run(self, brokerages: Brokerages[E]) -> None:
        """Until cancelled."""
        while True:
            await self.look(brokerages)
            await self._clock.sleep(LOOK_S)

    async def look(self, brokerages: Brokerages[E]) -> None:
        self._looks += 1
        try:
            rows = await self._desk.listed()
        except StoreUnavailable as fault:
            log.warning("credentials.stale", why=str(fault))
            rows = None
        for login, its in self._brokers.items():
            if its.stored and rows is not None:
                await self._follow(login, [row for row in rows if row.broker == login], brokerages)
            elif not its.stored and its.reloads and self._looks % READ_AGAIN_LOOKS == 0:
                await self._read_again(login, its, brokerages)

    async def _follow(self, login: str, rows: list[Credential], brokerages: Brokerages[E]) -> None:
        in_use = next((row for row in rows if row.state is State.ACTIVE), None)
        if in_use is None:
            log.error("credentials.none_in_use", login=login)
            now = self._clock.monotonic()
            brokerages.lease(login, Lease(opens_until=now, ends=now + CANCELS_S))
            return
        try:
            if await self._refresher.look(in_use):
                return  # the next look finds the fresh one
            document = await self._desk.open(in_use)
        except StoreUnavailable as fault:
            log.warning("credentials.stale", why=str(fault))
            return
        except (KeysUnavailable, KeysRefused) as fault:
            log.error("credentials.sealed", login=login, why=str(fault))
            return  # the lease ends by itself
        now = self._clock.monotonic()
        brokerages.lease(login, Lease(opens_until=now + LEASE_S, ends=now + LEASE_S + CANCELS_S))
        brokerages.use(login, credentials_of(self._env, document))
        if self._using.get(login) != in_use.row_id:
            self._using[login] = in_use.row_id
            log.info("credentials.in_use", login=login, row=in_use.row_id)
            return  # whether the old one is let go of is asked the next time
        leaving = next((row for row in rows if row.state is State.DRAINING), None)
        if leaving is not None and not brokerages.earlier_in_use(login):
            await self._drained(login, leaving)

    async def _drained(self, login: str, leaving: Credential) -> None:
        try:
            if await self._desk.let_go(leaving):
                log.info("credentials.drained", login=login, row=leaving.row_id)
        except StoreUnavailable as fault:
            log.warning("credentials.stale", why=str(fault))

    async def _read_again(self, login: str, its: BrokerSettings, brokerages: Brokerages[E]) -> None:
        """A file that is being replaced, or a service that is away, changes nothing."""
        try:
            found = await asyncio.to_thread(named_in, self._env, its)
        except CannotStart as cannot:
            log.warning("credentials.unreadable", login=login, why=str(cannot))
            return
        if found != self._named.get(login):
            self._named[login] = found
            brokerages.use(login, found)
            log.info("credentials.in_use", login=login, row="replaced where the settings point")
