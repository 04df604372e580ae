"""Who may send alerts to a hook, and which alert is the same one again. Pure.

An alert is proved by a signature (Standard Webhooks), or, for senders that cannot sign, by a passphrase
in it; in both cases it says when it was made, and one that is older or newer than the window is
refused. Whoever fails is told the same, whatever was wrong. An alert's name becomes the idempotency key
of its order: the same alert again buys nothing new, for as long as the order's receipt lives.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from ordergate.core.hooks.template import Template, text_at
from ordergate.core.ids import AccountId
from ordergate.core.networks import Network, is_within
from ordergate.core.refusals import Code, Refusal
from ordergate.core.webhook_signatures import is_signed

NAME: Final = "[a-z0-9][a-z0-9-]{0,31}"
MILLISECONDS_FROM: Final = 100_000_000_000
_MESSAGE_ID: Final = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
_SECONDS: Final = re.compile(r"[0-9]{1,11}")
_WHOLE: Final = re.compile(r"[0-9]{1,13}")

UNKNOWN_SENDER: Final = Refusal(Code.UNAUTHENTICATED, "no such hook, or the alert is not proved to be for it")


class Passphrase(msgspec.Struct, frozen=True, kw_only=True):
    """Where the passphrase and the time are in the alert; any of `secrets` is right.

    `id` is where the alert's own name is. Without one an alert is named by all that it says, so that two
    alerts that say the same are one.
    """

    field: str
    time: str
    id: str | None
    secrets: tuple[bytes, ...]

    def __repr__(self) -> str:
        return f"Passphrase({self.field!r})"


class Signed(msgspec.Struct, frozen=True, kw_only=True):
    """Signatures of Standard Webhooks by any of `secrets`."""

    secrets: tuple[bytes, ...]

    def __repr__(self) -> str:
        return "Signed()"


class Hook(msgspec.Struct, frozen=True, kw_only=True):
    """One sender's door to one account. Without `networks` it is open to every address.

    `owner` answers for it; None where nobody does.
    """

    name: str
    account: AccountId
    tenant: str
    proof: Signed | Passphrase
    template: Template
    owner: str | None = None
    networks: tuple[Network, ...] = ()
    window: timedelta = timedelta(seconds=300)

    def is_open_to(self, peer: str) -> bool:
        return not self.networks or is_within(peer, self.networks)


def named(
    hook: Hook, headers: Mapping[bytes, bytes], body: bytes, alert: Mapping[str, Any], now: datetime
) -> str | Refusal:
    """The alert's name, when it is proved to be for this hook and of now."""
    match hook.proof:
        case Signed(secrets=secrets):
            found = _signed(headers, body, secrets)
        case proof:
            found = _with_passphrase(alert, proof)
    if found is None:
        return UNKNOWN_SENDER
    name, at = found
    return name if abs(now - at) <= hook.window else UNKNOWN_SENDER


def key_of(hook: Hook, name: str) -> str:
    """The idempotency key of an alert's order."""
    whole = f"{hook.name}\0{name}"
    return f"hook-{hashlib.sha256(whole.encode()).hexdigest()}"


def _signed(
    headers: Mapping[bytes, bytes], body: bytes, secrets: Sequence[bytes]
) -> tuple[str, datetime] | None:
    name = headers.get(b"webhook-id", b"").decode("latin-1")
    at = headers.get(b"webhook-timestamp", b"").decode("latin-1")
    given = headers.get(b"webhook-signature", b"").decode("latin-1")
    if _SECONDS.fullmatch(at) is None or _MESSAGE_ID.fullmatch(name) is None:
        return None
    if not is_signed(name, int(at), body, given, secrets):
        return None
    return name, datetime.fromtimestamp(int(at), UTC)


def _with_passphrase(alert: Mapping[str, Any], proof: Passphrase) -> tuple[str, datetime] | None:
    said = (text_at(alert, proof.field) or "").encode()
    right = False
    for secret in proof.secrets:
        right |= hmac.compare_digest(said, secret)
    at = _moment(text_at(alert, proof.time) or "")
    if not right or at is None:
        return None
    if proof.id is None:
        rest = _without(alert, proof.field)
        return hashlib.sha256(msgspec.json.encode(rest, order="sorted")).hexdigest(), at
    name = text_at(alert, proof.id)
    return None if not name else (name, at)


def _without(alert: Mapping[str, Any], path: str) -> dict[str, Any]:
    """All that it says but the value at the end of the path."""
    name, _, rest = path.partition(".")
    kept = {other: value for other, value in alert.items() if other != name}
    return {**kept, name: _without(alert[name], rest)} if rest else kept


def _moment(text: str) -> datetime | None:
    """Seconds or milliseconds since the epoch, or RFC 3339 with its offset."""
    if _WHOLE.fullmatch(text) is not None:
        number = int(text)
        seconds = number / 1_000 if number >= MILLISECONDS_FROM else number
        return datetime.fromtimestamp(seconds, UTC)
    try:
        moment = datetime.fromisoformat(text)
        return None if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):  # the second for a moment that is outside all years in UTC
        return None
