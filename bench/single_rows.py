"""The yardstick for durable writing: pgbench, one small row per transaction, on the gateway's own server."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import asyncpg

from ordergate.journal.embedded import EmbeddedPostgres
from ordergate.journal.embedded_user import run


async def pgbench(server: EmbeddedPostgres, dsn: str, clients: int, seconds: float) -> float:
    """Transactions a second of one row of 300 bytes each, prepared."""
    connection = await asyncpg.connect(dsn)
    await connection.execute("create table if not exists single_row (id bigserial primary key, body text)")
    await connection.close()
    command = [str(server.programs / "pgbench"), "-n", "-M", "prepared", "-f", str(_script_in(server.folder))]
    command += ["-c", str(clients), "-j", "2", "-T", str(max(1, int(seconds))), dsn]
    environment = {"LC_ALL": "C"}
    said = await asyncio.to_thread(run, server.user, command, timeout_s=seconds + 30, environment=environment)
    found = re.search(r"tps = ([0-9.]+)", said[1])
    if found is None:
        raise RuntimeError(said[1])
    return float(found[1])


def _script_in(folder: Path) -> Path:
    """One small row per transaction, where the server's user can read it."""
    script = folder / "single_row.sql"
    script.write_text("insert into single_row (body) values (repeat('x', 300));\n", encoding="utf-8")
    script.chmod(0o644)
    return script
