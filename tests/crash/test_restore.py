"""A gateway restored from an older backup: it asks its broker for everything since, and sends nothing.

What `docs/runbooks/restore.md` promises: after a restore every execution since the backup is booked,
every order that is still open is in the books, positions and cash are the broker's, and the broker has not
one order more than before.
"""

from __future__ import annotations

import asyncio
import subprocess
import time
from pathlib import Path
from typing import Final

import pytest

from ordergate.audit.folder import NEWEST
from ordergate.core.ids import Env, parse_cl_ord_id
from ordergate.venue.faces.admin import AccountLedger
from tests.crash.rounds import Rounds, rounds
from tests.crash.server import Server, server
from tests.e2e.books import Ours, ours
from tests.e2e.floor import repeatable
from tests.e2e.pacing import PACE

AGREE_S_MAX: Final = 60.0
COMMAND_S_MAX: Final = 120.0
PUBLISHED_S_MAX: Final = 60.0
OPEN: Final = frozenset({"new", "partially_filled", "accepted", "pending_new"})


async def until_published(folder: Path) -> None:
    """Until a checkpoint stands outside of the database, which a restore does not take back."""
    async with asyncio.timeout(PUBLISHED_S_MAX):
        while not (folder / "audit" / NEWEST).exists():
            await PACE.sleep(0.05)


@pytest.mark.timeout(300)
async def test_a_gateway_on_an_older_backup_finds_everything_since_and_sends_nothing(tmp_path: Path) -> None:
    with repeatable("restore") as seed:
        async with server(tmp_path) as postgres:
            address = tmp_path / "database-url"
            address.write_text(postgres.dsn, encoding="utf-8")
            gateway = {"database_url": {"file": str(address)}}
            async with rounds(tmp_path, seed, gateway=gateway) as at:
                async with at.one() as crowd:
                    await crowd.until_bought(30)
                backup = await dump(postgres, tmp_path)
                async with at.one() as crowd:
                    await crowd.until_bought(40)
                await at.leave()
                await at.it.tape(paused=True)
                before = await at.it.ledger()

                await until_published(tmp_path)
                at.it.kill()
                address.write_text(await restore(postgres, backup), encoding="utf-8")
                await at.it.command("audit", "go-on", "--reason", "a drill")
                await at.it.start()
                await at.it.until_ready()
                mine, after = await until_caught_up(at)

                assert [one.id for one in after.orders] == [one.id for one in before.orders], "sent again"
                known = {order["id"] for order in mine.orders}
                lost = at.orders - known
                assert lost, "the backup is older than the last orders"
                assert after.executions, "nothing was executed"
                await at.it.prove_journal()


async def until_caught_up(at: Rounds) -> tuple[Ours, AccountLedger]:
    """Until executions, open orders, positions and cash are the broker's."""
    give_up_at = time.monotonic() + AGREE_S_MAX
    while True:
        theirs, mine = await at.it.ledger(), await ours(at.rest)
        found = missing(mine, theirs)
        if not found:
            return mine, theirs
        assert time.monotonic() < give_up_at, "\n".join([*found[:30], at.it.log("gateway")])
        await PACE.sleep(0.2)


def missing(mine: Ours, theirs: AccountLedger) -> list[str]:
    """What the broker has and the books have not, or otherwise."""
    found = [f"an open break: {item}" for item in mine.breaks]
    booked = {one["exec_id"] for one in mine.executions}
    found += [f"execution {one.id} of {one.symbol}" for one in theirs.executions if one.id not in booked]
    shown = {order["broker_order_id"] for order in mine.orders} | {order["id"] for order in mine.orders}
    for order in theirs.orders:
        ours_id = parse_cl_ord_id(Env.PAPER, order.ticket.client_order_id)
        assert ours_id is not None
        if order.status in OPEN and not {order.id, ours_id[0]} & shown:
            found.append(f"open order {order.ticket.client_order_id}")
    unsettled = {"accepted", "unknown", "pending_cancel", "pending_replace"}
    found += [f"{order['id']} is {order['status']}" for order in mine.orders if order["status"] in unsettled]
    held = {one["symbol"]: one["quantity"] for one in mine.positions if one["quantity"] != "0"}
    there = {one.symbol: format(one.qty.normalize(), "f") for one in theirs.positions}
    if held != there:
        found.append(f"positions {held}, at the venue {there}")
    if abs(float(mine.cash) - float(theirs.account.cash)) >= 0.01:
        found.append(f"cash {mine.cash}, at the venue {theirs.account.cash}")
    return found


async def dump(postgres: Server, folder: Path) -> Path:
    """A backup, while the gateway goes on trading."""
    file = folder / "backup.dump"
    await run(postgres.program("pg_dump"), "--format=custom", f"--file={file}", postgres.dsn)
    return file


async def restore(postgres: Server, backup: Path) -> str:
    """The backup in a database of its own; its address."""
    dsn = await postgres.database("ordergate_restored")
    await run(postgres.program("pg_restore"), "--exit-on-error", f"--dbname={dsn}", str(backup))
    return dsn


async def run(program: Path, *words: str) -> None:
    def ran() -> subprocess.CompletedProcess[bytes]:
        return subprocess.run([str(program), *words], capture_output=True, timeout=COMMAND_S_MAX, check=False)

    ended = await asyncio.to_thread(ran)
    assert ended.returncode == 0, ended.stderr.decode(errors="replace")
