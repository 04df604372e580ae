"""Puts the audit together: the journal as a log, the folder of checkpoints, the key that signs them.

And writes down what the process is: started with which limits, and which powerful tokens it gave out.
"""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import msgspec

import ordergate
from ordergate.audit.checkpointer import Checkpointer, Pace
from ordergate.audit.folder import FolderSink
from ordergate.core.access import Principal
from ordergate.core.faults import Fault
from ordergate.core.privileged import SCOPES, GatewayStarted, GatewayStopped, RequestSigned, TokenIssued
from ordergate.core.risk.limits import config_hash
from ordergate.engine.desks.privileged import PrivilegedRecord
from ordergate.journal.audit_log import PostgresAuditLog
from ordergate.ports.keys import Keys
from ordergate.security.keys import notes as note_keys
from ordergate.security.signed_requests import Held
from ordergate.telemetry.log import logger
from ordergate.wiring.build import build
from ordergate.wiring.settings import Settings
from ordergate.wiring.system import SystemClock

log = logger("audit")

SIGN_OFF_S_MAX: Final = 5.0


def folder_of(settings: Settings) -> Path:
    """Where checkpoints are published."""
    return settings.audit.folder or settings.data_dir / "audit"


async def checkpointer(
    settings: Settings, dsn: str, keys: Keys, clock: SystemClock, stack: AsyncExitStack
) -> Checkpointer:
    """The background part that signs; the node runs it. Raises Fault."""
    log = await PostgresAuditLog.connect(dsn)
    stack.push_async_callback(log.close)
    return Checkpointer(
        settings.log_origin,
        audit_log=log,
        sink=FolderSink(folder_of(settings)),
        keys=await note_keys.KeptNoteKeys(keys).made(),
        clock=clock,
        pace=Pace(every_s=settings.audit.every_s, records=settings.audit.records),
    )


async def begin(
    settings: Settings,
    record: PrivilegedRecord,
    signing: Checkpointer,
    clock: SystemClock,
    stack: AsyncExitStack,
) -> None:
    """The process is in the record before it serves, and its end is signed for. Raises Fault."""
    whole = msgspec.json.encode(settings, enc_hook=str)
    started = GatewayStarted(
        at=clock.now(),
        version=ordergate.__version__,
        build=build(),
        environment=settings.environment.value,
        settings_hash=hashlib.sha256(whole).hexdigest(),
        limits={account: config_hash(its.parsed_limits()) for account, its in settings.accounts.items()},
    )
    await record.record(started, "start")
    stack.push_async_callback(_end, record, signing, clock)


async def note_token(record: PrivilegedRecord, clock: SystemClock, principal: Principal) -> None:
    """A token with power. Raises Fault."""
    event = TokenIssued(
        at=clock.now(),
        token_id=principal.token_id,
        client_id=principal.client_id,
        tenant=principal.tenant,
        scopes=tuple(sorted(principal.scopes & SCOPES)),
        accounts=tuple(sorted(principal.accounts)),
        expires_at=principal.expires_at,
    )
    await record.record(event, f"token-{principal.token_id}")


async def note_signed(record: PrivilegedRecord, clock: SystemClock, held: Held, correlation: str) -> None:
    """A signed request. Raises Fault."""
    await record.record(RequestSigned(at=clock.now(), **msgspec.structs.asdict(held)), correlation)


async def _end(record: PrivilegedRecord, signing: Checkpointer, clock: SystemClock) -> None:
    """Whoever could not write that it ended may not be the one who signs."""
    try:
        await record.record(GatewayStopped(at=clock.now(), version=ordergate.__version__), "stop")
    except Fault as fault:
        log.warning("privileged.unrecorded", kind="gateway_stopped", why=str(fault))
        return
    try:
        async with asyncio.timeout(SIGN_OFF_S_MAX):
            await signing.sign_off()
    except (Fault, OSError) as fault:
        log.warning("audit.unsigned_at_end", why=f"{type(fault).__name__}: {fault}")
