"""What is retired by age, and what the database itself never lets go."""

from __future__ import annotations

from datetime import UTC, datetime

import asyncpg
import pytest

from ordergate.journal.surveillance import PostgresSurveillance
from ordergate.ports.surveillance import Notice
from ordergate.wiring.settings import CannotStart, Settings, parse
from ordergate.wiring.surveillance import retention_of
from tests.journal.making import ALICE

AT = datetime(2026, 1, 5, 15, tzinfo=UTC)
FOR_EVER = ("event", "audit_range", "audit_checkpoint", "drop_copy", "kill_flag", "shared_stop")


@pytest.mark.parametrize("table", FOR_EVER)
@pytest.mark.parametrize("statement", ["delete from {}", "truncate {} cascade"])
async def test_no_statement_deletes_a_record(database: str, table: str, statement: str) -> None:
    connection = await asyncpg.connect(database)
    try:
        with pytest.raises(asyncpg.PostgresError, match=r"never deleted|never changed"):
            await connection.execute(statement.format(table))
    finally:
        await connection.close()


async def test_the_drop_copy_is_never_changed(database: str) -> None:
    store = await PostgresSurveillance.connect(database)
    await store.keep({}, [Notice(account=ALICE, seq=1, kind="order_filled", frame=b"{}")], [], AT)
    await store.close()
    connection = await asyncpg.connect(database)
    try:
        with pytest.raises(asyncpg.PostgresError, match="never deleted"):
            await connection.execute("update drop_copy set frame = 'x'")
    finally:
        await connection.close()


def with_audit(**audit: object) -> Settings:
    plain = {
        "environment": "paper",
        "data_dir": "data",
        "instruments": [],
        "brokers": {},
        "accounts": {},
        "audit": audit,
    }
    return parse(plain, "test")


def test_ages_come_from_the_settings_and_have_a_least() -> None:
    retention = retention_of(with_audit(messages_kept_days=7, dead_letters_kept_days=90))
    assert (retention.taken.days, retention.dead.days) == (7, 90)
    assert (retention_of(with_audit()).taken.days, retention_of(with_audit()).dead.days) == (30, 365)
    for wrong in ({"messages_kept_days": 0}, {"dead_letters_kept_days": 29}):
        with pytest.raises(CannotStart):
            with_audit(**wrong)
