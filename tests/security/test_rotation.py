"""Wrapping keys are rotated row by row; passwords and webhooks' secrets with no moment in between."""

import asyncio
import base64
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import msgspec
import pytest

from ordergate.core.access import Scope
from ordergate.core.ids import Env
from ordergate.ports.keys import KeysRefused, KeysUnavailable, Purpose
from ordergate.security.clients import Client, StoreUnavailable
from ordergate.security.postgres import connected
from ordergate.security.scram import ITERATIONS, verifier
from ordergate.security.sealing.envelope import Sealed
from ordergate.security.sealing.rewrapping import Several, rewrap
from ordergate.telemetry.metrics import Metrics
from ordergate.telemetry.secret import Secret
from ordergate.wiring import secret_ages, secret_rotation
from ordergate.wiring.gateway import migrate_all
from ordergate.wiring.settings import CannotStart, Settings, parse
from ordergate.wiring.system import SystemClock
from tests.security.test_credentials import Office, done, office, pair  # noqa: F401 - a fixture

HASH = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$aGFzaA"
NAMES = ("one", "two", "three")


async def filled(office: Office) -> None:  # noqa: F811 - the fixture
    """Three sealed rows: one in use, one that drains, one that follows."""
    for name in NAMES:
        office.opens[f"key-{name}"] = "house"
    done(await office.desk.begin("venue", pair("one")))
    for name in NAMES[1:2]:
        done(await office.desk.add("venue", pair(name)))
        done(await office.desk.verify("venue"))
        done(await office.desk.switch("venue"))
    done(await office.desk.add("venue", pair("three")))


async def versions(office: Office) -> list[int]:  # noqa: F811 - the fixture
    rows = await office.store.sealed_rows()
    return sorted(row.sealed.wrapped.version for row in rows if row.sealed is not None)


async def test_sec_4_a_rewrap_that_was_interrupted_is_gone_on_with(office: Office) -> None:  # noqa: F811
    await filled(office)
    await office.keys.rotate(Purpose.SECRETS)
    envelope = office.desk._envelope

    changed = {row.row_id: row.changed_at for row in await office.store.sealed_rows()}
    first = await rewrap(office.keys, envelope, office.store, at_most=2)
    assert (first.done, first.left, first.disabled) == (2, 1, ())
    assert await versions(office) == [1, 2, 2]
    second = await rewrap(office.keys, envelope, office.store)
    assert (second.done, second.left, second.disabled) == (1, 0, (1,))
    third = await rewrap(office.keys, envelope, office.store)
    assert (third.done, third.left, third.disabled) == (0, 0, ())

    envelope.forget()
    for row in await office.store.sealed_rows():
        assert (await office.desk.open(row)).kind == "api_keys"
        assert row.changed_at == changed[row.row_id], "the same secret, wrapped anew"
    with pytest.raises(KeysRefused):
        await office.keys.disable(Purpose.SECRETS, 2)


async def test_sec_4_two_at_once_and_a_service_that_goes_away_lose_nothing(
    office: Office,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await filled(office)
    await office.keys.rotate(Purpose.SECRETS)
    envelope, true, calls = office.desk._envelope, office.keys.rewrap, 0

    async def sometimes(*asked: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeysUnavailable("away")
        return await true(*asked)

    monkeypatch.setattr(office.keys, "rewrap", sometimes)
    with pytest.raises(KeysUnavailable):
        await rewrap(office.keys, envelope, office.store)
    assert await versions(office) == [1, 1, 2]
    both = await asyncio.gather(*(rewrap(office.keys, envelope, office.store) for _ in range(2)))
    assert await versions(office) == [2, 2, 2]
    assert sum(one.done for one in both) == 2
    envelope.forget()
    for row in await office.store.sealed_rows():
        assert (await office.desk.open(row)).kind == "api_keys"


def test_a_verifier_is_postgresql_s_own(database: str) -> None:
    """The server takes it as such, and not as a password that it would hash again."""
    salt = bytes(range(16))
    made = verifier(Secret("canary-password"), salt)
    assert made.startswith(f"SCRAM-SHA-256${ITERATIONS}:{base64.b64encode(salt).decode()}$")
    # RFC 7677's example, up to what the server keeps.
    example = verifier(Secret("pencil"), base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ=="))
    assert example == (
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
        "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
    )
    for bad in ("ü", "a\nb"):
        with pytest.raises(ValueError, match="ASCII"):
            verifier(Secret(bad), salt)


async def test_a_database_password_is_replaced_and_the_statement_never_has_it(
    database: str, tmp_path: Path
) -> None:
    await migrate_all(database)
    role = "rotating"
    address = with_role(database, role, tmp_path / "pass")
    await execute(database, f"create role {role} superuser login password 'before'")
    try:
        (tmp_path / "pass").write_text("*:*:*:*:before\n", encoding="utf-8")
        (tmp_path / "pass").chmod(0o600)
        (tmp_path / "address").write_text(address, encoding="utf-8")
        settings = settings_of(tmp_path, database_url={"file": str(tmp_path / "address")})

        file = await asyncio.to_thread(secret_rotation.database_password, settings)

        said = (tmp_path / "pass").read_text(encoding="utf-8")
        assert file == tmp_path / "pass"
        assert "before" not in said
        assert not (tmp_path / "pass.next").exists()
        assert (tmp_path / "pass").stat().st_mode & 0o077 == 0
        kept = await fetchval(database, f"select rolpassword from pg_authid where rolname = '{role}'")
        salt = base64.b64decode(kept.split(":")[1].split("$")[0])
        assert kept == verifier(Secret(said.strip().rpartition(":")[2]), salt)
    finally:
        await execute(database, f"drop role {role}")


@pytest.mark.parametrize("address", ["postgresql://x@127.0.0.1/y", None])
def test_a_password_that_is_in_no_file_is_not_rotated(tmp_path: Path, address: str | None) -> None:
    more: dict[str, Any] = {}
    if address is not None:
        (tmp_path / "address").write_text(address, encoding="utf-8")
        more["database_url"] = {"file": str(tmp_path / "address")}
    with pytest.raises(CannotStart, match=r"passfile|embedded"):
        secret_rotation.database_password(settings_of(tmp_path, **more))


def test_a_webhook_s_new_secret_signs_beside_the_one_before(tmp_path: Path) -> None:
    files = [tmp_path / "now", tmp_path / "before"]
    for file in files:
        file.write_text("whsec_" + base64.b64encode(b"f" * 32).decode(), encoding="utf-8")
        file.chmod(0o600)
    first = files[0].read_text(encoding="utf-8")
    sources = [{"file": str(one)} for one in files]
    endpoint = {"name": "risk", "url": "https://risk.example", "secrets": sources}
    settings = settings_of(tmp_path, surveillance=[endpoint])

    made = secret_rotation.webhook(settings, "risk")

    assert files[0].read_text(encoding="utf-8") == made.reveal() != first
    assert files[1].read_text(encoding="utf-8") == first
    with pytest.raises(CannotStart, match="no endpoint"):
        secret_rotation.webhook(settings, "nobody")


def test_every_secret_in_a_file_has_an_age(tmp_path: Path) -> None:
    broker = {"key": {"file": "/k"}, "secret": {"file": "/s"}}
    (tmp_path / "address").write_text("postgresql://x:word@127.0.0.1/y", encoding="utf-8")
    order = {"symbol": "AAPL", "side": "buy", "type": "market", "quantity": "1"}
    signed = [{"file": "/now"}, {"file": "/before"}]
    settings = settings_of(
        tmp_path,
        brokers={"venue": broker},
        accounts={"P-ONE": {"broker": "venue"}},
        hooks={"trend": {"account": "P-ONE", "order": order, "signed": signed}},
        database_url={"file": str(tmp_path / "address")},
        keys={"kind": "pkcs11", "module": "/m.so", "token": "t", "pin": {"file": "/pin"}},
        tls={"certificate": "/c.pem", "key": "/k.pem"},
    )
    assert secret_ages.files_of(settings) == {
        "broker venue": Path("/s"),
        "database": tmp_path / "address",
        "hook trend": Path("/now"),
        "module pin": Path("/pin"),
        "tls key": Path("/k.pem"),
    }


@pytest.mark.parametrize("place", ["file", "environment"])
def test_the_age_of_a_database_s_password_is_that_of_the_passfile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """Which a rotation replaces; the address stays, in a file or in a variable."""
    address = "postgresql://x@127.0.0.1/y?passfile=/run/secrets/pass"
    (tmp_path / "address").write_text(address, encoding="utf-8")
    monkeypatch.setenv("ADDRESS", address)
    source = {"file": str(tmp_path / "address")} if place == "file" else {"environment": "ADDRESS"}
    shared = {"shared_database_url": source}
    settings = settings_of(tmp_path, database_url=source, kill_switch=shared)
    passfile = Path("/run/secrets/pass")
    assert secret_ages.files_of(settings) == {"database": passfile, "shared database": passfile}


def test_the_age_of_a_password_in_a_variable_is_not_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADDRESS", "postgresql://x:word@127.0.0.1/y")
    assert secret_ages.files_of(settings_of(tmp_path, database_url={"environment": "ADDRESS"})) == {}


async def test_ages_are_told_as_metrics(office: Office, tmp_path: Path) -> None:  # noqa: F811
    await filled(office)
    metrics = Metrics()
    async with connected(Env.PAPER, office.dsn) as identity:
        ages = secret_ages.SecretAges(
            settings_of(tmp_path), office.keys, office.store, identity, metrics, clock=SystemClock()
        )
        await ages.look()
    told = metrics.exposition().decode()
    assert 'ordergate_secret_age_seconds{secret="key secrets"}' in told
    assert 'ordergate_secret_age_seconds{secret="broker venue"}' in told
    assert "canary" not in told


async def test_the_age_of_a_client_s_secret_is_its_own_and_no_other_change_resets_it(
    office: Office,  # noqa: F811
    tmp_path: Path,
) -> None:
    metrics = Metrics()
    async with connected(Env.PAPER, office.dsn) as identity:
        ages = secret_ages.SecretAges(
            settings_of(tmp_path), office.keys, office.store, identity, metrics, clock=SystemClock()
        )
        for name in ("old", "young", "gone"):
            await identity.put_client(client(name))
        await execute(office.dsn, "update oauth_client set secret_since = now() - interval '90 days'")
        await identity.put_client(client("old", scopes=frozenset({Scope.ORDERS_READ})))
        await identity.put_client(client("young", secret_hash=f"{HASH}2"))
        await ages.look()
        assert age(metrics, "client old") == pytest.approx(90 * 24 * 3_600, abs=60)
        assert age(metrics, "client young") == pytest.approx(0, abs=60)
        assert age(metrics, "client gone") is not None

        await identity.put_client(client("gone", enabled=False))
        await ages.look()
        assert age(metrics, "client gone") is None
        assert age(metrics, "clients") is None


async def test_the_ages_of_only_so_many_clients_are_told_and_they_are_the_oldest(
    office: Office,  # noqa: F811
) -> None:
    async with connected(Env.PAPER, office.dsn) as identity:
        for name in ("first", "second", "third"):
            await identity.put_client(client(name))
        assert list(await identity.client_secrets_since(2)) == ["first", "second"]


async def test_while_the_database_is_away_what_was_known_grows_older(
    office: Office,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    metrics = Metrics()
    async with connected(Env.PAPER, office.dsn) as identity:
        await identity.put_client(client("bot"))
        ages = secret_ages.SecretAges(
            settings_of(tmp_path), office.keys, office.store, identity, metrics, clock=SystemClock()
        )
        await ages.look()
        before = age(metrics, "client bot")

        async def away(most: int) -> Any:
            raise StoreUnavailable("away")

        monkeypatch.setattr(identity, "client_secrets_since", away)
        await ages.look()
    after = age(metrics, "client bot")
    assert before is not None
    assert after is not None
    assert after > before


async def test_many_rows_are_rewrapped_without_reading_all_of_them_for_each(
    office: Office,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await filled(office)
    await office.keys.rotate(Purpose.SECRETS)
    true, reads = office.store.sealed_rows, 0

    async def counted() -> Any:
        nonlocal reads
        reads += 1
        return await true()

    class Empty:
        async def sealed_rows(self) -> list[Any]:
            return []

        async def reseal(self, row_id: str, before: Sealed, after: Sealed) -> bool:
            return False

    monkeypatch.setattr(office.store, "sealed_rows", counted)
    done = await rewrap(office.keys, office.desk._envelope, Several((Empty(), office.store)))
    assert (done.done, done.left) == (3, 0)
    assert reads == 2, "once before, and once to see what is left"


def client(name: str, **changes: Any) -> Client:
    made = Client(client_id=name, tenant="acme", secret_hash=HASH, scopes=frozenset(), accounts=frozenset())
    return msgspec.structs.replace(made, **changes)


def age(metrics: Metrics, secret: str) -> float | None:
    return metrics.registry.get_sample_value("ordergate_secret_age_seconds", {"secret": secret})


def settings_of(folder: Path, **more: Any) -> Settings:
    plain = {
        "environment": "paper",
        "data_dir": str(folder),
        "instruments": [],
        "brokers": {},
        "accounts": {},
        **more,
    }
    return parse(plain, "test")


def with_role(dsn: str, role: str, passfile: Path) -> str:
    parts = urlsplit(dsn)
    host = parts.netloc.rpartition("@")[2]
    query = "&".join(filter(None, (parts.query, f"passfile={passfile}")))
    return urlunsplit((parts.scheme, f"{role}@{host}", parts.path, query, ""))


async def execute(dsn: str, said: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute(said)
    await connection.close()


async def fetchval(dsn: str, said: str) -> Any:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(said)
    finally:
        await connection.close()
