"""Another cipher is chosen: what is stored goes over to it, and goes on to serve meanwhile."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import asyncpg
import msgspec
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ordergate.core.access import Scope
from ordergate.core.ids import Env
from ordergate.security.people.totp import SECRET_BYTES, Totp
from ordergate.security.sealing.ciphers import NONCE_BYTES, Cipher
from ordergate.security.sealing.envelope import Envelope
from ordergate.security.sealing.rewrapping import rewrap
from ordergate.telemetry.secret import Secret
from ordergate.wiring import key_rotation, people
from ordergate.wiring.gateway import migrate_all
from ordergate.wiring.settings import CannotStart, Settings, parse
from tests.security.test_credentials import Office, office  # noqa: F401 - a fixture
from tests.security.test_factor_key import code_of
from tests.security.test_rotation import filled

KEY = bytes(range(32))
NOW = 1_750_000_000
PASSWORD = Secret("a horse that has no battery")


def serves(totp: Totp, sealed: bytes, told: Secret) -> bool:
    return totp.step_of("alice", sealed, code_of(told, NOW), NOW) is not None


@pytest.mark.parametrize("cipher", Cipher)
def test_a_second_factor_serves_whichever_cipher_sealed_it(cipher: Cipher) -> None:
    sealed, told = Totp(Env.PAPER, KEY, cipher).fresh("alice")
    for chosen in Cipher:
        assert serves(Totp(Env.PAPER, KEY, chosen), sealed, told)


@pytest.mark.parametrize("cipher", Cipher)
def test_a_second_factor_is_sealed_anew_once(cipher: Cipher) -> None:
    (other,) = set(Cipher) - {cipher}
    before, told = Totp(Env.PAPER, KEY, other).fresh("alice")
    totp = Totp(Env.PAPER, KEY, cipher)

    after = totp.renewed("alice", before)

    assert after is not None
    assert serves(totp, after, told)
    assert (totp.is_current(before), totp.is_current(after)) == (False, True)
    assert totp.renewed("bob", before) is None, "of somebody else nothing opens"


def test_a_second_factor_from_before_there_was_a_mark_serves_and_is_marked() -> None:
    secret, nonce = bytes(range(SECRET_BYTES)), bytes(NONCE_BYTES)
    before = nonce + AESGCM(KEY).encrypt(nonce, secret, b"ordergate totp paper alice")
    told = Secret("otpauth://totp/x?secret=AAAQEAYEAUDAOCAJBIFQYDIOB4IBCEQT")
    totp = Totp(Env.PAPER, KEY)
    assert serves(totp, before, told)
    assert not totp.is_current(before)

    after = totp.renewed("alice", before)

    assert after is not None
    assert serves(totp, after, told)
    assert totp.is_current(after)


def test_no_mark_but_those_of_ciphers_is_read() -> None:
    totp = Totp(Env.PAPER, KEY)
    sealed, told = totp.fresh("alice")
    for mark in range(256):
        if mark != sealed[0]:
            assert not serves(totp, bytes([mark]) + sealed[1:], told)


async def test_every_credential_goes_over_to_the_cipher_of_now(office: Office) -> None:  # noqa: F811
    await filled(office)
    chosen = Envelope(office.keys, lambda: 0.0, Cipher.CHACHA20_POLY1305)

    first = await rewrap(office.keys, chosen, office.store, at_most=2)
    assert (first.done, first.left) == (2, 1)
    second = await rewrap(office.keys, chosen, office.store)
    assert (second.done, second.left) == (1, 0)

    rows = [row.sealed for row in await office.store.sealed_rows() if row.sealed is not None]
    assert [sealed.algorithm for sealed in rows] == [Cipher.CHACHA20_POLY1305.value] * 3
    for row in await office.store.sealed_rows():
        assert (await office.desk.open(row)).kind == "api_keys", "the old envelope reads on"


async def test_a_row_that_does_not_open_keeps_no_other_back_and_is_named(office: Office) -> None:  # noqa: F811
    await filled(office)
    rows = [row for row in await office.store.sealed_rows() if row.sealed is not None]
    assert rows[0].sealed is not None
    spoiled = msgspec.structs.replace(rows[0].sealed, ciphertext=b"altered")
    assert await office.store.reseal(rows[0].row_id, rows[0].sealed, spoiled)
    chosen = Envelope(office.keys, lambda: 0.0, Cipher.CHACHA20_POLY1305)

    told = await rewrap(office.keys, chosen, office.store)

    assert (told.done, told.left, told.refused, told.disabled) == (2, 1, (rows[0].row_id,), ())


async def test_a_second_factor_that_does_not_open_is_counted(tmp_path: Path, database: str) -> None:
    await migrate_all(database)
    await asyncio.to_thread(add, settings_of(tmp_path, database, Cipher.AES_256_GCM), "alice")
    await fetch(database, "update person set totp = totp || '\\x00'::bytea")

    told = await asyncio.to_thread(
        key_rotation.rewrap, settings_of(tmp_path, database, Cipher.CHACHA20_POLY1305)
    )

    assert (told.factors, told.left) == (0, 1)


async def test_keys_rewrap_takes_the_key_of_factors_and_every_factor_along(
    database: str, tmp_path: Path
) -> None:
    await migrate_all(database)
    told = await asyncio.to_thread(add, settings_of(tmp_path, database, Cipher.AES_256_GCM), "alice")
    await asyncio.to_thread(add, settings_of(tmp_path, database, Cipher.CHACHA20_POLY1305), "bob")
    chosen = settings_of(tmp_path, database, Cipher.CHACHA20_POLY1305)

    done = await asyncio.to_thread(key_rotation.rewrap, chosen)
    again = await asyncio.to_thread(key_rotation.rewrap, chosen)

    assert (done.done, done.left, done.factors) == (1, 0, 1)
    assert (again.done, again.left, again.factors) == (0, 0, 0)
    secret = parse_qs(urlsplit(told.reveal()).query)["secret"][0]
    factors = await fetch(database, "select user_id, totp from person")
    assert {row["user_id"]: row["totp"][:1] for row in factors} == {"alice": b"\x02", "bob": b"\x02"}
    assert secret.encode() not in b"".join(row["totp"] for row in factors)
    (noted,) = await fetch(
        database,
        "select facts from identity_change where what = 'person' and operation = 'update'",
    )
    assert "sealed anew" in noted["facts"]
    assert '"password": "kept"' in noted["facts"]


def test_a_cipher_that_there_is_not_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(CannotStart, match="DES"):
        settings_of(tmp_path, "", "DES")


def add(settings: Settings, name: str) -> Secret:
    told = people.add(
        settings,
        name,
        PASSWORD,
        scopes=[Scope.ORDERS_READ],
        accounts=[],
        second_factor=True,
        replace=False,
    )
    assert told is not None
    return told


def settings_of(folder: Path, database: str, cipher: str) -> Settings:
    (folder / "address").write_text(database, encoding="utf-8")
    plain: dict[str, Any] = {
        "environment": "paper",
        "data_dir": str(folder),
        "database_url": {"file": str(folder / "address")},
        "instruments": [],
        "brokers": {},
        "accounts": {},
        "keys": {"kind": "file", "cipher": cipher},
    }
    return parse(plain, "test")


async def fetch(dsn: str, said: str) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(dsn)
    try:
        return list(await connection.fetch(said))
    finally:
        await connection.close()
