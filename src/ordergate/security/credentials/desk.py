"""Adds, verifies, switches, drains and revokes what lets the gateway in at a broker.

The order of steps is the safety: a credential is tried at the broker, and must open the very account that is
registered, before anything depends on it; the one before stays valid until nothing uses it; only then is it
destroyed. Every step can be repeated. A secret is seen here only on its way into the seal or to the broker.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Final

import msgspec

from ordergate.core.ids import Env
from ordergate.core.refusals import Code, Refusal
from ordergate.ports.broker import BrokerUnavailable
from ordergate.ports.clock import Chance, Clock
from ordergate.ports.keys import KeysRefused
from ordergate.security.credentials.documents import Document, OAuthTokens, read, written
from ordergate.security.credentials.slots import (
    REVOCABLE,
    Credential,
    Slots,
    State,
    slots_of,
)
from ordergate.security.credentials.store import CredentialStore
from ordergate.security.sealing.envelope import Envelope
from ordergate.telemetry import log

DRAIN_S_MAX: Final = 30.0
LOOK_S: Final = 0.5

_log = log.logger("security")

Probe = Callable[[str, Document], Awaitable[str]]
"""Log in at the broker of this login and tell which account it opens. Raises BrokerUnavailable."""


class LoginInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What the settings say of a login: whose it is, and which account at the broker it must open."""

    tenant: str
    accounts: tuple[str, ...]
    fingerprint: str | None = None


class CredentialDesk:
    """One for each process that may do this; the store decides between two at once."""

    def __init__(
        self,
        env: Env,
        store: CredentialStore,
        envelope: Envelope,
        logins: Mapping[str, LoginInfo],
        *,
        probe: Probe,
        clock: Clock,
        chance: Chance,
    ) -> None:
        self._env = env
        self._store = store
        self._envelope = envelope
        self._logins = logins
        self._probe = probe
        self._clock = clock
        self._chance = chance

    async def listed(self) -> list[Credential]:
        """Every credential that is not revoked."""
        return await self._store.rows()

    async def add(self, broker: str, document: Document) -> Credential | Refusal:
        """Seal it. Nothing uses it yet. Raises KeysUnavailable and KeysRefused."""
        login = self._logins.get(broker)
        if login is None:
            return _unknown(broker)
        now = self._clock.now()
        row = Credential(
            env=self._env,
            row_id=f"{self._chance.bits(128):032x}",
            broker=broker,
            tenant=login.tenant,
            account=login.accounts[0],
            kind=document.kind,
            state=State.ADDED,
            sealed=None,
            expires_at=_moment(document.expires_at),
            created_at=now,
            changed_at=now,
        )
        sealed = await self._envelope.seal(written(document), row.about())
        row = msgspec.structs.replace(row, sealed=sealed)
        if not await self._store.add(row):
            return Refusal(Code.CREDENTIAL_STATE, f"{broker} has one that follows already: revoke it first")
        _log.info("credential.added", broker=broker, row=row.row_id, credential_kind=row.kind)
        return row

    async def verify(self, broker: str) -> Credential | Refusal:
        """Try it at the broker: it must open the account that is registered, or that the one in use opens."""
        slots = await self.slots(broker)
        row = slots.following
        if row is None:
            return _nothing(broker, "to verify: add one first")
        refused = await self._tried(row, slots)
        if isinstance(refused, Refusal):
            return refused
        if not await self._store.move(row.row_id, row.state, State.VERIFIED, refused):
            return _overtaken(broker)
        _log.info("credential.verified", broker=broker, row=row.row_id)
        return msgspec.structs.replace(row, state=State.VERIFIED, fingerprint=refused)

    async def switch(self, broker: str) -> Credential | Refusal:
        """Use it from now on, after one more try. The one in use drains."""
        slots = await self.slots(broker)
        row = slots.following
        if row is None or row.state is not State.VERIFIED:
            return _nothing(broker, "to switch to: add and verify one first")
        if slots.leaving is not None:
            return Refusal(Code.CREDENTIAL_STATE, f"{broker} has one that leaves still: revoke it first")
        refused = await self._tried(row, slots)
        if isinstance(refused, Refusal):
            return refused
        if not await self._store.switch(row):
            return _overtaken(broker)
        _log.info("credential.switched", broker=broker, row=row.row_id)
        return msgspec.structs.replace(row, state=State.ACTIVE)

    async def drain(self, broker: str, wait_s: float = DRAIN_S_MAX) -> Credential | Refusal:
        """Wait until the gateway that uses it says that nothing does any more."""
        until = self._clock.monotonic() + wait_s
        while True:
            leaving = (await self.slots(broker)).leaving
            if leaving is None:
                return _nothing(broker, "that drains")
            if leaving.state is State.DRAINED:
                return leaving
            if self._clock.monotonic() >= until:
                return Refusal(Code.CREDENTIAL_STATE, f"no gateway has let go of {broker}'s old one yet")
            await self._clock.sleep(LOOK_S)

    async def revoke(self, broker: str) -> Credential | Refusal:
        """Destroy the one that has left; where none has, the one that follows."""
        slots = await self.slots(broker)
        row = slots.leaving or slots.following
        if row is None:
            return _nothing(broker, "to revoke")
        if row.state not in REVOCABLE:
            return Refusal(Code.CREDENTIAL_STATE, f"{broker}'s old one may still be in use: drain it first")
        if not await self._store.revoke(row.row_id, row.state):
            return _overtaken(broker)
        _log.info("credential.revoked", broker=broker, row=row.row_id)
        return msgspec.structs.replace(row, state=State.REVOKED, sealed=None)

    async def begin(self, broker: str, document: Document) -> Credential | Refusal:
        """A login's first: added, verified and used."""
        return await self._steps(broker, lambda: self.add(broker, document), self.verify, self.switch)

    async def rotate(self, broker: str, document: Document) -> Credential | Refusal:
        """The whole way. It stops at the first step that is refused, and can be gone on with from there."""
        return await self._steps(
            broker, lambda: self.add(broker, document), self.verify, self.switch, self.drain, self.revoke
        )

    async def _steps(
        self,
        broker: str,
        first: Callable[[], Awaitable[Credential | Refusal]],
        *others: Callable[[str], Awaitable[Credential | Refusal]],
    ) -> Credential | Refusal:
        done = await first()
        for step in others:
            if isinstance(done, Refusal):
                return done
            done = await step(broker)
        return done

    async def unlink(
        self, broker: str, take_back: Callable[[OAuthTokens], Awaitable[None]]
    ) -> Credential | Refusal:
        """A user's grant is taken back at the broker first, in use or not, and then destroyed here."""
        slots = await self.slots(broker)
        row = slots.in_use or slots.following
        document = None if row is None else await self.open(row)
        if row is None or not isinstance(document, OAuthTokens):
            return _nothing(broker, "that a user has granted")
        await take_back(document)
        if not await self._store.revoke(row.row_id, row.state):
            return _overtaken(broker)
        _log.info("credential.unlinked", broker=broker, row=row.row_id)
        return msgspec.structs.replace(row, state=State.REVOKED, sealed=None)

    async def let_go(self, row: Credential) -> bool:
        """Said by the gateway that used it: nothing does any more. False where that was known."""
        return await self._store.move(row.row_id, State.DRAINING, State.DRAINED)

    async def slots(self, broker: str) -> Slots:
        return slots_of(await self._store.rows(broker), broker)

    async def open(self, row: Credential) -> Document:
        """What it says. Raises KeysRefused where it is not this login's, and KeysUnavailable."""
        login = self._logins.get(row.broker)
        if login is None or row.sealed is None or row.account not in login.accounts:
            raise KeysRefused(f"the credential of {row.broker} belongs to something else")
        return read(row.kind, await self._envelope.open(row.sealed, row.about()))

    async def _tried(self, row: Credential, slots: Slots) -> str | Refusal:
        """Which account it opens."""
        expected = self._logins[row.broker].fingerprint
        if expected is None and slots.in_use is not None:
            expected = slots.in_use.fingerprint
        try:
            found = await self._probe(row.broker, await self.open(row))
        except BrokerUnavailable as fault:
            return Refusal(Code.CREDENTIAL_REFUSED, f"the broker did not let it in: {fault}")
        except KeysRefused as fault:
            return Refusal(Code.CREDENTIAL_REFUSED, str(fault))
        if expected is not None and found != expected:
            return Refusal(Code.CREDENTIAL_REFUSED, f"it opens the account {found!r}, not {expected!r}")
        return found


def _moment(epoch: int | None) -> datetime | None:
    return None if epoch is None else datetime.fromtimestamp(epoch, UTC)


def _unknown(broker: str) -> Refusal:
    return Refusal(Code.NOT_FOUND, f"the settings name no broker {broker!r} with stored credentials")


def _nothing(broker: str, what: str) -> Refusal:
    return Refusal(Code.CREDENTIAL_STATE, f"{broker} has nothing {what}")


def _overtaken(broker: str) -> Refusal:
    return Refusal(Code.CREDENTIAL_STATE, f"{broker}'s credentials were changed meanwhile: look again")
