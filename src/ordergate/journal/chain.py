"""The seal on every event, and the chain that the seals make per account.

    seal(n) = SHA-256(domain || seal(n-1) || record(n))

The record is every stored field in a form that can be read one way only: a fixed header of
numbers and lengths, then the texts. Changing, removing, inserting or reordering an event breaks
the chain at that place; cutting the tail breaks the agreement with the stream's head. Anyone
with the rows can check this without our code.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from struct import Struct
from typing import Final

DOMAIN: Final = b"ordergate/journal/event/v1"
SNAPSHOT_DOMAIN: Final = b"ordergate/journal/snapshot/v1"
GENESIS_DOMAIN: Final = b"ordergate/journal/stream/v1"

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

# seq, at in microseconds, version, then the lengths of account, kind, order id, correlation, body
# and frame; an absent order id has length -1.
_HEADER: Final = Struct(">qqiiiiiii")
_SNAPSHOT_HEADER: Final = Struct(">qiiq")  # seq, then the lengths of account, rules and body


def genesis(account: str) -> bytes:
    """The link before an account's first event, so that no stream can pass for another's."""
    return hashlib.sha256(GENESIS_DOMAIN + account.encode()).digest()


def seal(
    prior: bytes,
    *,
    account: str,
    seq: int,
    kind: str,
    version: int,
    order_id: str | None,
    at: datetime,
    correlation: str,
    body: bytes,
    frame: bytes,
) -> bytes:
    """The seal of one event after `prior`."""
    texts = (
        account.encode(),
        kind.encode(),
        b"" if order_id is None else order_id.encode(),
        correlation.encode(),
        body,
        frame,
    )
    since = at - _EPOCH
    header = _HEADER.pack(
        seq,
        (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds,
        version,
        len(texts[0]),
        len(texts[1]),
        -1 if order_id is None else len(texts[2]),
        len(texts[3]),
        len(body),
        len(frame),
    )
    return hashlib.sha256(b"".join((DOMAIN, prior, header, *texts))).digest()


def seal_snapshot(link: bytes, *, account: str, seq: int, rules: str, body: bytes) -> bytes:
    """The seal of what was folded up to an event, on that event's own seal: it fits no other past."""
    texts = (account.encode(), rules.encode())
    header = _SNAPSHOT_HEADER.pack(seq, len(texts[0]), len(texts[1]), len(body))
    return hashlib.sha256(b"".join((SNAPSHOT_DOMAIN, link, header, *texts, body))).digest()
