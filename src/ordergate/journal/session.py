"""The writer's one connection, and the fence that makes it the only one.

The session holds an advisory lock for as long as it lives, so whoever gets the lock next knows
that this session has ended and that its last statement was decided, one way or the other. That is
what turns a lost COMMIT answer into a question with an answer (docs/adr/0009). The connection
must be direct or session-pooled: a transaction pooler would share the session.

A wait for a synchronous standby that was ended early is answered like any good commit, with a warning
beside it. Whoever hears that knows no more than whoever hears nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final

import asyncpg
import msgspec
from asyncpg.prepared_stmt import PreparedStatement

from ordergate.core.faults import AppendConflict, Fault, JournalUnavailable, KeyTaken, StaleEpoch
from ordergate.core.ids import AccountId
from ordergate.journal import batch as columns
from ordergate.journal import chain, sqlfiles
from ordergate.journal.tails import Linked
from ordergate.ports.journal import Taken
from ordergate.telemetry import failpoints
from ordergate.telemetry.log import logger

log = logger("journal")

FENCE: Final = (0x4F47, 1)  # "OG", the journal's writer; advisory locks are per database

NOT_ADVANCED: Final = "OG001"
UNIQUE_VIOLATION: Final = "23505"
KEYS: Final = {"receipt_pkey": "the idempotency key", "order_view_client": "the client order id"}
TRY_AGAIN: Final = frozenset({"40001", "40P01", "57014"})  # serialization, deadlock, canceled by hand
READ_ONLY: Final = "25006"
UNWRITABLE: Final = "22000"  # a data fault that we saw ourselves
# Where in the server it is said, whatever its language; the words are for one that hides its source.
STANDBY_WAIT: Final = "SyncRepWaitForLSN"
STANDBY_WORDS: Final = "synchronous replication"

_POLL_S: Final = 0.05
_SQL: Final = sqlfiles.statements("writer")
_JOURNAL_SQL: Final = sqlfiles.statements("journal")

_SERVER_SETTINGS: Final = {
    "application_name": "ordergate journal writer",
    "synchronous_commit": "on",
    "jit": "off",
    "plan_cache_mode": "force_generic_plan",
    # A gateway whose machine is gone must not hold the fence for two hours.
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
}

# What a broken wire, an ended backend or a stopping server look like from here.
WIRE_FAULTS: Final = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)


def said(error: BaseException) -> str:
    """What an exception says; its name when it says nothing.

    What is wrong with an address is not repeated: where its password was not escaped it is a part of that.
    """
    if isinstance(error, asyncpg.ClientConfigurationError) or (
        isinstance(error, ValueError) and not isinstance(error, WIRE_FAULTS)
    ):
        return "its address cannot be read: escape what is special in its password, as / is %2F"
    return str(error) or type(error).__name__


def is_fatal(error: asyncpg.PostgresError) -> bool:
    """Whether the session ended with it. What never left this process has no severity at all."""
    gone = isinstance(error, asyncpg.PostgresConnectionError)
    return gone or getattr(error, "severity_en", None) in ("FATAL", "PANIC")


class FenceHeld(JournalUnavailable):
    """Another gateway process writes this journal; this one must not."""


class Lost(Exception):
    """The answer did not come. What was asked may or may not have happened."""


class Refused(Exception):
    """PostgreSQL said no and undid the statement: definitely nothing was written."""

    def __init__(self, sqlstate: str, constraint: str | None, message: str) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate
        self.constraint = constraint


class Backend(msgspec.Struct, frozen=True):
    """A server process: its id is used again by others, its start is not."""

    pid: int
    started: datetime
    application: str


class Session:
    """One life of the writer's connection, from fence to loss."""

    def __init__(
        self,
        connection: asyncpg.Connection,
        backend: Backend,
        append: PreparedStatement,
        statement_s_max: float,
    ) -> None:
        self.backend = backend
        self._connection = connection
        self._append = append
        self._statement_s_max = statement_s_max
        self._unreplicated: str | None = None
        connection.add_log_listener(self._heard)

    @property
    def closed(self) -> bool:
        return self._connection.is_closed()

    async def append(self, batch: Sequence[Linked]) -> None:
        """Commit the batch. Raises Refused (nothing written) or Lost (unknown)."""
        try:
            arguments = columns.parameters(batch)
        except columns.Unwritable as error:
            raise Refused(UNWRITABLE, None, str(error)) from error
        failpoints.reach_soon("C2")
        await self._ask(self._append.fetch(*arguments))

    async def take(self, account: AccountId) -> tuple[Taken, bytes]:
        """Raise the account's epoch; where its stream stands, and its last seal."""
        asked = self._connection.fetchrow(_SQL["take_account"], account, chain.genesis(account))
        row = await self._ask(asked)
        last_hash = row["last_hash"]
        taken = Taken(epoch=row["epoch"], head=row["head"], stream_id=row["stream_id"], last_hash=last_hash)
        return taken, last_hash

    async def is_written(self, linked: Linked) -> bool | None:
        """Whether the unit is in the journal; None when it leaves nothing that could tell."""
        if linked.sealed:
            found = await self._ask(
                self._connection.fetchval(_SQL["hash_at"], linked.unit.account, linked.head)
            )
            return bool(found == linked.last_hash)
        receipt = linked.unit.receipt
        if receipt is None:
            return None
        scope = receipt.scope
        row = await self._ask(
            self._connection.fetchrow(
                _JOURNAL_SQL["receipt"], scope.env, scope.tenant, scope.client_id, scope.route, scope.key
            )
        )
        return row is not None and (row["fingerprint"], row["at"]) == (receipt.fingerprint, receipt.at)

    async def prove_replicated(self) -> None:
        """What was committed before is where it has to be: with the synchronous standby, if there is one.

        A commit that is waited for is behind everything before it. Raises Lost.
        """
        try:
            await self._ask(self._connection.execute(_SQL["mark"]))
        except Refused as refused:
            raise Lost(str(refused)) from refused

    async def why(self, linked: Linked, refused: Refused) -> Fault:
        """The fault behind a refusal of this one unit."""
        if refused.sqlstate == UNIQUE_VIOLATION and refused.constraint in KEYS:
            return KeyTaken(f"{KEYS[refused.constraint]} is already used")
        if refused.sqlstate not in (NOT_ADVANCED, UNIQUE_VIOLATION):
            return JournalUnavailable(f"PostgreSQL refused the unit ({refused.sqlstate}): {refused}")
        unit = linked.unit
        row = await self._ask(self._connection.fetchrow(_SQL["account_stands"], unit.account))
        if row is None or row["epoch"] != unit.epoch:
            return StaleEpoch(f"{unit.account} was taken by another owner")
        return AppendConflict(f"{unit.account} stands at {row['head']}, not at {unit.expected}")

    def on_end(self, call: Callable[[], None]) -> None:
        """Call when the connection has ended, however that came."""
        self._connection.add_termination_listener(lambda _: call())

    async def close(self) -> None:
        """Say goodbye, which gives the fence back at once."""
        try:
            await self._connection.close(timeout=self._statement_s_max)
        except WIRE_FAULTS:
            self.abort()

    def abort(self) -> None:
        """Leave without a word. The server may not notice at once; the next session sees to it."""
        self._connection.terminate()

    async def _ask(self, answer: Any) -> Any:
        try:
            async with asyncio.timeout(self._statement_s_max):
                told = await answer
        except asyncpg.PostgresError as error:
            if self.closed or is_fatal(error):
                raise Lost(str(error)) from error
            constraint = getattr(error, "constraint_name", None)
            raise Refused(error.sqlstate or "", constraint, str(error)) from error
        except (asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError) as error:
            raise Lost(said(error)) from error
        if self._unreplicated is not None:
            raise Lost(self._unreplicated)
        return told

    def _heard(self, _: object, message: asyncpg.PostgresLogMessage) -> None:
        """Told before the answer that it belongs to."""
        if _is_of_standby(message):
            self._unreplicated = str(message.message)
            log.error("journal.unreplicated", why=self._unreplicated)


def _is_of_standby(message: asyncpg.PostgresLogMessage) -> bool:
    if message.severity_en not in (None, "WARNING"):
        return False
    return message.server_source_function == STANDBY_WAIT or STANDBY_WORDS in str(message.message)


async def connect(dsn: str, *, timeout_s: float) -> asyncpg.Connection:
    """A connection that commits durably. Raises JournalUnavailable."""
    try:
        return await asyncpg.connect(dsn, timeout=timeout_s, server_settings=_SERVER_SETTINGS)
    except (*WIRE_FAULTS, ValueError) as error:
        raise JournalUnavailable(f"PostgreSQL cannot be reached: {said(error)}") from error


async def open_session(
    dsn: str, *, previous: Backend | None, fence_s_max: float, statement_s_max: float
) -> Session:
    """Connect, get the fence, prepare. `previous` is the session before, which must end first.

    Raises FenceHeld when another gateway holds the fence, JournalUnavailable otherwise.
    """
    connection = await connect(dsn, timeout_s=statement_s_max)
    try:
        async with asyncio.timeout(fence_s_max + 2 * statement_s_max):
            await _get_fence(connection, previous, fence_s_max)
            failpoints.reach("C17")
            backend = Backend(*(await connection.fetchrow(_SQL["own_backend"]) or ()))
            append = await connection.prepare(_SQL["append_batch"])
    except FenceHeld:
        connection.terminate()
        raise
    except WIRE_FAULTS as error:
        connection.terminate()
        raise JournalUnavailable(f"PostgreSQL was lost while opening the journal: {error}") from error
    except BaseException:
        connection.terminate()
        raise
    return Session(connection, backend, append, statement_s_max)


async def _get_fence(connection: asyncpg.Connection, previous: Backend | None, wait_s_max: float) -> None:
    deadline = asyncio.get_running_loop().time() + wait_s_max
    while not await connection.fetchval(_SQL["try_fence"], *FENCE):
        row = await connection.fetchrow(_SQL["fence_holder"], *FENCE)
        holder = None if row is None else Backend(*row)
        if holder is not None and holder == previous:
            await connection.execute(_SQL["end_backend"], holder.pid, holder.started)
        elif holder is not None and asyncio.get_running_loop().time() > deadline:
            raise FenceHeld(
                f"another gateway writes this journal (PostgreSQL process {holder.pid}, "
                f"{holder.application}, since {holder.started:%Y-%m-%d %H:%M:%S} UTC): "
                "stop it, or give this one a database of its own"
            )
        await asyncio.sleep(_POLL_S)
