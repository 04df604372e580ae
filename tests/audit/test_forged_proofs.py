"""A proof of one record proves no other: not even one whose bytes somebody hid in a record of the log."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from ordergate.audit import notes
from ordergate.audit.notes import Checkpoint
from ordergate.audit.tree import leaf_hash
from tests.audit.logs import KEY, ORIGIN, VERIFIER_KEY
from verifier import ordergate_verifier as verifier

PRIOR: Final = verifier.genesis("P-alice")
# Every byte of its numbers is one of ASCII, so that they can stand in a text.
NEVER_HAPPENED: Final = {
    "account": "P-alice",
    "seq": 7,
    "kind": "order_filled",
    "version": 1,
    "order_id": "P-order",
    "at": 0x0006_4000_0000_0000,
    "correlation": "news",
    "body": '{"type":"order_filled"}',
    "frame": "{}",
}


def hashed(record: dict[str, Any]) -> bytes:
    """What the seal of a record is over, without the domain and the seal before it."""
    names = ("account", "kind", "order_id", "correlation", "body", "frame")
    texts = [record[name].encode() for name in names]
    header = verifier.HEADER.pack(record["seq"], record["at"], record["version"], *map(len, texts))
    return b"".join([header, *texts])


async def proof(sealed: bytes, record: dict[str, Any], prior: bytes) -> str:
    """In a log of one record, signed as it should be."""
    text = Checkpoint(ORIGIN, 1, leaf_hash(sealed)).text()
    head = notes.signed(text, ORIGIN, KEY.public, await KEY.sign(text.encode()))
    return notes.proof_text(json.dumps({**record, "prior": prior.hex()}).encode(), 0, [], head)


async def test_a_record_hidden_in_another_is_not_in_the_log() -> None:
    hidden = hashed(NEVER_HAPPENED)
    logged = {**NEVER_HAPPENED, "seq": 1, "kind": "order_denied", "frame": "{}" + hidden.decode()}
    before = PRIOR + hashed(logged).removesuffix(hidden)
    sealed = verifier.seal(PRIOR, logged)
    assert sealed == verifier.seal(before, NEVER_HAPPENED)

    key = verifier.parse_key(VERIFIER_KEY)
    assert verifier.verify_proof(await proof(sealed, logged, PRIOR), key)["kind"] == "order_denied"
    with pytest.raises(verifier.Broken, match="prior is not a seal"):
        verifier.verify_proof(await proof(sealed, NEVER_HAPPENED, before), key)
