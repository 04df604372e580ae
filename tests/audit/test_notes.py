"""Notes and checkpoints as C2SP writes them."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ordergate.audit import notes
from ordergate.audit.notes import Checkpoint, Malformed
from tests.audit import vectors
from verifier import ordergate_verifier as verifier

ORIGIN = "example.com/log"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()


def note(size: int = 7, root: bytes = bytes(32)) -> str:
    text = Checkpoint(ORIGIN, size, root).text()
    return notes.signed(text, ORIGIN, PUBLIC, KEY.sign(text.encode()))


def test_the_published_note_is_read_and_holds() -> None:
    name, public = notes.parse_verifier_key(vectors.NOTE_KEY)
    assert notes.verifier_key(name, public) == vectors.NOTE_KEY
    parsed = notes.parse_note(vectors.NOTE)
    assert [(one[0], one[1]) for one in parsed.signatures] == [(name, notes.key_id(name, public))]
    key = verifier.parse_key(vectors.NOTE_KEY)
    assert verifier.open_note(vectors.NOTE, key) == parsed.text
    with pytest.raises(verifier.Broken, match="does not hold"):
        verifier.open_note(vectors.NOTE.replace("answer", "anger"), key)


def test_a_checkpoint_is_three_lines_and_a_signature() -> None:
    lines = note().split("\n")
    assert lines[:4] == [ORIGIN, "7", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", ""]
    assert lines[4].startswith(f"— {ORIGIN} ")
    assert lines[5:] == [""]
    assert notes.parse_checkpoint(notes.parse_note(note()).text) == Checkpoint(ORIGIN, 7, bytes(32))
    key = verifier.parse_key(notes.verifier_key(ORIGIN, PUBLIC))
    assert verifier.open_checkpoint(note(), key) == (ORIGIN, 7, bytes(32), None)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no signature\n",
        "a\n1\nAA==\n",
        f"{ORIGIN}\n07\n{'A' * 43}=\n",
        f"{ORIGIN}\n7\n{'A' * 42}\n",
        "\n7\n\n",
    ],
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        notes.parse_checkpoint(text)


@pytest.mark.parametrize(
    "text",
    ["", "text\n", "text\n\n- name AAAAAAAA\n", "text\n\n— name !\n", "text\n\n— name AAAA"],
)
def test_what_is_no_note_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        notes.parse_note(text)


def test_another_key_s_signature_is_not_this_key_s() -> None:
    other = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    key = verifier.parse_key(notes.verifier_key(ORIGIN, other))
    with pytest.raises(verifier.Broken, match="not signed by the key"):
        verifier.open_checkpoint(note(), key)
