"""What an idempotency key bought, and what the same key may buy again.

A key is unique within (environment, tenant, client, route). It never re-executes: while its
receipt exists it names the order it bought, and the receipt lives as long as the order.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final

import msgspec

from ordergate.core.ids import AccountId, Env, OrderId
from ordergate.core.refusals import Code, Refusal

_KEY: Final = re.compile(r"[A-Za-z0-9_-]{16,128}")


class Scope(msgspec.Struct, frozen=True, gc=False):
    """Where a key is unique."""

    env: Env
    tenant: str
    client_id: str
    route: str
    key: str

    def digest(self) -> int:
        """64 bits of SHA-256, to remember a million keys by; a match still has to be looked up."""
        whole = f"{self.env}\0{self.tenant}\0{self.client_id}\0{self.route}\0{self.key}"
        return int.from_bytes(hashlib.sha256(whole.encode()).digest()[:8], "big", signed=True)


class Receipt(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A key that was used: for which request (`fingerprint`), and what came of it.

    `order` is None where the request touched no single order (cancel all); `body` is the stored
    answer of such a request, and is dropped after seven days.
    """

    scope: Scope
    fingerprint: bytes
    account: AccountId
    order: OrderId | None
    status: int
    body: str | None
    at: datetime


def parse_key(header: str | None) -> str | Refusal:
    """The key in an `Idempotency-Key` header or a frame, bare or quoted (RFC 8941 string)."""
    if header is None or not header.strip():
        return Refusal(
            Code.IDEMPOTENCY_KEY_MISSING,
            "send an idempotency key: the header Idempotency-Key, or idempotency_key in a frame",
        )
    key = header.strip()
    if len(key) >= 2 and key[0] == key[-1] == '"':
        key = key[1:-1]
    if _KEY.fullmatch(key) is None:
        return Refusal(
            Code.IDEMPOTENCY_KEY_INVALID,
            "an idempotency key is 16 to 128 characters of A-Z, a-z, 0-9, _ and -",
        )
    return key


def fingerprint(method: str, route: str, account: str, fields: Mapping[str, str | None]) -> bytes:
    """SHA-256 over the request in canonical form (RFC 8785: sorted keys, no blanks)."""
    present = {name: value for name, value in fields.items() if value is not None}
    canonical = msgspec.json.encode([method, route, account, present], order="sorted")
    return hashlib.sha256(canonical).digest()


def judge(receipt: Receipt, asked: bytes) -> Receipt | Refusal:
    """A used key again: the receipt for the same request, a refusal for any other."""
    if receipt.fingerprint != asked:
        return Refusal(Code.IDEMPOTENCY_KEY_REUSED, "this Idempotency-Key was used for another request")
    return receipt
