"""Private keys stay with their owner, and each environment has its own."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from joserfc.jwk import ECKey

from ordergate.core.ids import Env
from ordergate.ports.keys import KeysRefused, Purpose
from ordergate.security.keys.local import FILES, open_keys
from ordergate.security.keys.notes import KeptNoteKeys
from ordergate.security.keys.software import SoftwareKeys
from ordergate.security.signing import published_key
from ordergate.security.verify import verify_key

NOW = 1_750_000_000
FILE = FILES[Purpose.TOKENS]


def keys_in(folder: Path, env: Env = Env.PAPER) -> SoftwareKeys:
    return open_keys(folder, env, lambda: NOW)


async def test_only_the_owner_can_read_the_files(tmp_path: Path) -> None:
    keys = keys_in(tmp_path / "keys")
    for purpose in Purpose:
        await keys.rotate(purpose)

    files = sorted((tmp_path / "keys").iterdir())
    assert [file.name for file in files] == sorted(FILES.values())
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


async def test_a_rotation_that_cannot_be_saved_has_not_happened(tmp_path: Path) -> None:
    keys = keys_in(tmp_path / "keys")
    await keys.rotate(Purpose.TOKENS)
    before = await keys.describe(Purpose.TOKENS)
    (tmp_path / "keys" / f"{FILE}.new").mkdir()

    with pytest.raises((KeysRefused, OSError)):
        await keys.rotate(Purpose.TOKENS)
    assert await keys.describe(Purpose.TOKENS) == before


async def test_what_another_process_rotated_is_found_without_a_restart(tmp_path: Path) -> None:
    here, there = keys_in(tmp_path), keys_in(tmp_path)
    for number in (1, 2, 3):
        made = await (here if number % 2 else there).rotate(Purpose.TOKENS)
        assert made.version == number
    assert await here.describe(Purpose.TOKENS) == await there.describe(Purpose.TOKENS)
    assert len(await there.sign(Purpose.TOKENS, 3, b"x")) == 64


def test_live_keys_are_never_in_a_file(tmp_path: Path) -> None:
    with pytest.raises(KeysRefused, match="paper"):
        keys_in(tmp_path, Env.LIVE)
    with pytest.raises(KeysRefused, match="paper"):
        SoftwareKeys(Env.LIVE, lambda: NOW)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o777])
async def test_a_file_that_others_can_read_is_refused_with_the_remedy(tmp_path: Path, mode: int) -> None:
    await keys_in(tmp_path).rotate(Purpose.TOKENS)
    (tmp_path / FILE).chmod(mode)

    with pytest.raises(KeysRefused, match="chmod 600"):
        keys_in(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "null",
        '{"env": "paper", "keys": []}',
        '{"env": "paper", "keys": [{}]}',
        '{"env": "paper", "keys": [{"version": 1, "created_at": 1, "enabled": true, "secret": "00"}]}',
    ],
)
def test_a_file_that_is_no_key_file_is_refused_and_kept(tmp_path: Path, content: str) -> None:
    file = written(tmp_path, FILE, content)

    with pytest.raises(KeysRefused, match="put the right one back"):
        keys_in(tmp_path)
    assert file.read_text() == content


@pytest.mark.parametrize("purpose", Purpose)
async def test_a_file_of_the_other_environment_is_refused(tmp_path: Path, purpose: Purpose) -> None:
    await keys_in(tmp_path).rotate(purpose)
    file = tmp_path / FILES[purpose]
    file.write_text(file.read_text().replace('"paper"', '"live"'))

    with pytest.raises(KeysRefused, match="live environment"):
        keys_in(tmp_path)


async def test_a_link_to_somewhere_else_is_not_followed(tmp_path: Path) -> None:
    await keys_in(tmp_path / "real").rotate(Purpose.TOKENS)
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / FILE).symlink_to(tmp_path / "real" / FILE)

    with pytest.raises(KeysRefused, match="symbolic links"):
        keys_in(tmp_path / "linked")


async def test_the_files_of_the_first_releases_are_understood(tmp_path: Path) -> None:
    audit, old, new = Ed25519PrivateKey.generate(), jwk(), jwk()
    written(tmp_path, "audit-key.json", {"env": "paper", "ed25519": audit.private_bytes_raw().hex()})
    rows = [
        {"created_at": NOW + 5, "retires_at": None, "jwk": new.as_dict(private=True)},
        {"created_at": NOW, "retires_at": NOW + 100, "jwk": old.as_dict(private=True)},
    ]
    written(tmp_path, FILE, {"env": "paper", "keys": rows})

    keys = keys_in(tmp_path)

    assert (await KeptNoteKeys(keys).versions())[0].public == audit.public_key().public_bytes_raw()
    found = await keys.describe(Purpose.TOKENS)
    assert [(one.version, one.created_at) for one in found] == [(2, NOW + 5), (1, NOW)]
    assert [published_key(one, None).kid for one in found] == [new.thumbprint(), old.thumbprint()]
    assert (await keys.rotate(Purpose.TOKENS)).version == 3
    assert len(await keys_in(tmp_path).describe(Purpose.TOKENS)) == 3


def test_an_old_file_with_only_public_keys_is_refused(tmp_path: Path) -> None:
    row = {"created_at": NOW, "retires_at": None, "jwk": jwk().as_dict(private=False)}
    written(tmp_path, FILE, {"env": "paper", "keys": [row]})

    with pytest.raises(KeysRefused, match="not a key file"):
        keys_in(tmp_path)


async def test_a_key_shows_nothing_private(tmp_path: Path) -> None:
    keys = keys_in(tmp_path)
    version = await keys.rotate(Purpose.TOKENS)
    secret = json.loads((tmp_path / FILE).read_text())["keys"][0]["secret"]

    for shown in (keys, keys._rings, version, published_key(version, None)):
        assert secret not in repr(shown)
        assert repr(bytes.fromhex(secret)) not in repr(shown)


async def test_the_audit_has_a_key_of_its_own_made_once(tmp_path: Path) -> None:
    keys = keys_in(tmp_path)
    with pytest.raises(KeysRefused, match="no key for the audit"):
        await KeptNoteKeys(keys).versions()
    (made,) = await (await KeptNoteKeys(keys).made()).versions()

    (found,) = await (await KeptNoteKeys(keys_in(tmp_path)).made()).versions()

    assert found.public == made.public
    Ed25519PublicKey.from_public_bytes(made.public).verify(await found.sign(b"text"), b"text")


def written(folder: Path, name: str, content: Any) -> Path:
    file = folder / name
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    file.chmod(0o600)
    return file


def jwk() -> ECKey:
    return ECKey.generate_key("P-256", private=True)


@pytest.mark.parametrize(
    "foreign",
    [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "a", "alg": "HS256"},
        {"kty": "EC", "crv": "P-384", "x": "AA", "y": "AA", "kid": "a"},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": "a"},
        {"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "a"},
        {"kty": "EC"},
        {"kid": "a"},
        {"kty": ["EC"], "kid": "a"} | {"kty": "nonsense"},
    ],
)
def test_a_key_of_a_kind_we_do_not_trust_verifies_nothing(foreign: dict[str, str]) -> None:
    assert verify_key(foreign) is None


def test_a_published_private_key_is_not_taken() -> None:
    key = jwk()
    kid = key.thumbprint()

    assert verify_key({**key.as_dict(private=True), "kid": kid}) is None
    assert verify_key({**key.as_dict(private=False), "kid": kid, "use": "enc"}) is None
    assert verify_key({**key.as_dict(private=False), "kid": kid, "alg": "ES384"}) is None
    assert verify_key({**key.as_dict(private=False), "kid": kid}) is not None
