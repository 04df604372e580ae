"""Which credentials the adapters use, for how long, and what happens where nothing can be unsealed."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from ordergate.brokers.alpaca.access import Credentials, Keys
from ordergate.brokers.alpaca.client import Lease
from ordergate.core.ids import Env, Paper
from ordergate.ports.keys import KeysUnavailable
from ordergate.security.clients import StoreUnavailable
from ordergate.security.credentials.documents import ApiKeys
from ordergate.security.credentials.slots import Credential, Slots, State
from ordergate.security.sealing.data_keys import TTL_S
from ordergate.telemetry.secret import Secret
from ordergate.wiring.credential_keeper import CANCELS_S, LEASE_S, READ_AGAIN_LOOKS, CredentialKeeper
from ordergate.wiring.settings import BrokerSettings, CannotStart, SecretSource
from tests.security.world import SetClock

NOW = datetime(2026, 1, 5, tzinfo=UTC)


def row(name: str, state: State) -> Credential:
    return Credential(
        env=Env.PAPER, row_id=name, broker="venue", tenant="t", account="P-ONE", kind="api_keys", state=state,
        sealed=None, created_at=NOW, changed_at=NOW,
    )  # fmt: skip


class Desk:
    """Rows in memory, and a switch for each of the two that can be away."""

    def __init__(self) -> None:
        self.rows = [row("one", State.ACTIVE)]
        self.sealed = self.lost = False
        self.drained: list[str] = []

    async def slots(self, broker: str) -> Slots:
        return Slots(next((one for one in self.rows if one.state is State.ACTIVE), None))

    async def listed(self) -> list[Credential]:
        if self.lost:
            raise StoreUnavailable("away")
        return self.rows

    async def open(self, row: Credential) -> ApiKeys:
        if self.sealed:
            raise KeysUnavailable("away")
        return ApiKeys(Secret(row.row_id), Secret("s"))

    async def let_go(self, row: Credential) -> bool:
        self.drained.append(row.row_id)
        return True


class Fresh:
    """Nothing runs out."""

    async def look(self, row: Credential) -> bool:
        return False


class Adapters:
    def __init__(self) -> None:
        self.used: list[str] = []
        self.leases: list[Lease] = []
        self.earlier = False

    def use(self, login: str, credentials: Credentials[Paper]) -> None:
        assert isinstance(credentials, Keys)
        self.used.append(credentials.key_id.reveal())

    def lease(self, login: str, lease: Lease) -> None:
        self.leases.append(lease)

    def earlier_in_use(self, login: str) -> bool:
        return self.earlier


class Kept:
    def __init__(self, brokers: dict[str, BrokerSettings]) -> None:
        self.desk, self.adapters, self.clock = Desk(), Adapters(), SetClock()
        self.keeper = CredentialKeeper(
            Env.PAPER, brokers, cast(Any, self.desk), cast(Any, Fresh()), cast(Any, self.clock)
        )

    async def look(self, times: int = 1) -> None:
        for _ in range(times):
            await self.keeper.look(cast(Any, self.adapters))


STORED = {"venue": BrokerSettings()}


async def test_a_switch_is_followed_and_the_old_one_is_let_go_of_when_nothing_uses_it() -> None:
    kept = Kept(STORED)
    first = await kept.keeper.first()
    assert first["venue"] == Keys(Env.PAPER, Secret("one"), Secret("s"))
    kept.desk.rows = [row("one", State.DRAINING), row("two", State.ACTIVE)]
    kept.adapters.earlier = True

    await kept.look(3)
    assert kept.adapters.used[0] == "two"
    assert kept.desk.drained == []
    kept.adapters.earlier = False
    await kept.look()
    assert kept.desk.drained == ["one"]


async def test_sec_3_without_keys_openings_end_in_five_minutes_and_cancels_an_hour_later() -> None:
    kept = Kept(STORED)
    await kept.keeper.first()
    await kept.look()
    kept.desk.sealed = True
    before = len(kept.adapters.leases)
    await kept.look(5)

    assert len(kept.adapters.leases) == before
    lease = kept.adapters.leases[-1]
    assert lease.opens_until - kept.clock.monotonic() == LEASE_S
    assert TTL_S + LEASE_S <= 300
    assert lease.ends - lease.opens_until == CANCELS_S


async def test_a_database_that_is_away_changes_nothing_and_the_lease_ends_by_itself() -> None:
    kept = Kept(STORED)
    await kept.keeper.first()
    kept.desk.lost = True
    await kept.look(3)
    assert (kept.adapters.used, kept.adapters.leases) == ([], [])


async def test_a_login_with_nothing_stored_does_not_start() -> None:
    kept = Kept(STORED)
    kept.desk.rows = [row("one", State.VERIFIED)]
    with pytest.raises(CannotStart, match="credentials begin venue"):
        await kept.keeper.first()


async def test_a_file_that_is_replaced_is_read_again_without_a_restart(tmp_path: Path) -> None:
    key, secret = tmp_path / "key", tmp_path / "secret"
    key.write_text("one\n")
    secret.write_text("s\n")
    login = BrokerSettings(key=SecretSource(file=key), secret=SecretSource(file=secret))
    kept = Kept({"venue": login})
    assert (await kept.keeper.first())["venue"] == Keys(Env.PAPER, Secret("one"), Secret("s"))

    await kept.look(READ_AGAIN_LOOKS)
    assert kept.adapters.used == []
    key.unlink()
    await kept.look(READ_AGAIN_LOOKS)
    key.write_text("two\n")
    await kept.look(READ_AGAIN_LOOKS)
    assert kept.adapters.used == ["two"]


def test_a_login_has_both_or_neither() -> None:
    with pytest.raises(ValueError, match="both"):
        BrokerSettings(key=SecretSource(environment="KEY"))
    assert not BrokerSettings(
        key=SecretSource(environment="KEY"), secret=SecretSource(environment="S")
    ).reloads
