"""The key that signs checkpoints stays with its owner, and is not any other key."""

import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ordergate.core.ids import Env
from ordergate.security.keys import notes
from ordergate.security.keys.local import KeysRefused


async def test_the_key_is_made_once_and_found_again(tmp_path: Path) -> None:
    made = notes.load_or_create(tmp_path / "keys", Env.PAPER)
    found = notes.load(tmp_path / "keys", Env.PAPER)
    assert found.public == made.public
    Ed25519PublicKey.from_public_bytes(made.public).verify(await found.sign(b"text"), b"text")
    assert stat.S_IMODE((tmp_path / "keys" / notes.FILE).stat().st_mode) == 0o600


def test_a_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    notes.load_or_create(tmp_path, Env.PAPER)
    (tmp_path / notes.FILE).chmod(0o640)
    with pytest.raises(KeysRefused, match="chmod 600"):
        notes.load_or_create(tmp_path, Env.PAPER)


def test_live_and_the_other_environment_s_key_are_refused(tmp_path: Path) -> None:
    notes.load_or_create(tmp_path, Env.PAPER)
    with pytest.raises(KeysRefused):
        notes.load_or_create(tmp_path, Env.LIVE)
    file = tmp_path / notes.FILE
    file.write_text(file.read_text(encoding="utf-8").replace("paper", "live"), encoding="utf-8")
    with pytest.raises(KeysRefused, match="not of paper"):
        notes.load(tmp_path, Env.PAPER)


def test_a_broken_file_is_never_replaced(tmp_path: Path) -> None:
    notes.load_or_create(tmp_path, Env.PAPER)
    (tmp_path / notes.FILE).write_text("{}", encoding="utf-8")
    with pytest.raises(KeysRefused, match="put the right one back"):
        notes.load_or_create(tmp_path, Env.PAPER)


def test_a_key_does_not_print_itself(tmp_path: Path) -> None:
    assert repr(notes.load_or_create(tmp_path, Env.PAPER)) == "LocalNoteKey"
