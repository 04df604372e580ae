"""Messages as Standard Webhooks: what is sent, how it is signed, and when it is sent again. Pure.

A message's id is the event's account and number, so that whoever gets it twice knows. The raw body is
signed with every secret of the endpoint, so that a secret can be replaced without a gap.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from ordergate.core.webhook_signatures import signature
from ordergate.ports.surveillance import Notice

PAYLOAD_BYTES_MAX: Final = 20_000

# Seconds after each failed attempt; after the last the message is a dead letter.
RETRIES_S: Final = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
JITTER: Final = 0.1


class _Message(msgspec.Struct, frozen=True):
    """`data` is the event as the stream shows it; only its place where it is too large."""

    type: str
    timestamp: str
    data: msgspec.Raw


def message_id(notice: Notice) -> str:
    return f"msg_{notice.account}_{notice.seq}"


def body_of(notice: Notice) -> bytes:
    at = msgspec.json.decode(notice.frame).get("at", "")
    body = msgspec.json.encode(_Message(notice.kind, at, msgspec.Raw(notice.frame)))
    if len(body) < PAYLOAD_BYTES_MAX:
        return body
    place = {"account_id": notice.account, "seq": notice.seq, "kind": notice.kind, "truncated": True}
    return msgspec.json.encode(_Message(notice.kind, at, msgspec.Raw(msgspec.json.encode(place))))


def headers_of(notice: Notice, body: bytes, secrets: Sequence[bytes], now_s: int) -> dict[str, str]:
    made = [signature(message_id(notice), now_s, body, secret) for secret in secrets]
    return {
        "content-type": "application/json",
        "webhook-id": message_id(notice),
        "webhook-timestamp": str(now_s),
        "webhook-signature": " ".join(made),
    }


def wait_after(failures: int, chance: float) -> float | None:
    """Seconds until the next attempt; None when there is none. `chance` is between 0 and 1."""
    if failures > len(RETRIES_S):
        return None
    wait = RETRIES_S[failures - 1]
    return wait * (1 + JITTER * (2 * chance - 1))
