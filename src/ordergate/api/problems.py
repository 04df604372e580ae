"""How a refusal is told: one table from code to HTTP status, and one JSON shape (RFC 9457).

The same object answers a REST request and a command on the stream. It never carries internals:
what a client may know is the code, a sentence, the fields that are wrong, and the correlation id
under which the log knows the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from ordergate.core.orders.events import FailedControl
from ordergate.core.refusals import Code, Refusal

MEDIA_TYPE: Final = "application/problem+json"

STATUS: Final[Mapping[Code, int]] = {
    Code.MALFORMED: 400,
    Code.INVALID: 400,
    Code.UNKNOWN_FIELD: 400,
    Code.TOO_LARGE: 413,
    Code.UNSUPPORTED_MEDIA_TYPE: 415,
    Code.METHOD_NOT_ALLOWED: 405,
    Code.UNAUTHENTICATED: 401,
    Code.PROOF_INVALID: 401,
    Code.PROOF_NONCE: 401,
    Code.SIGNATURE_REQUIRED: 401,
    Code.SIGNATURE_INVALID: 401,
    Code.FORBIDDEN: 403,
    Code.NOT_FOUND: 404,
    Code.RATE_LIMITED: 429,
    Code.KEY_INSTRUMENT: 403,
    Code.KEY_STRATEGY: 403,
    Code.KEY_NOTIONAL: 403,
    Code.KEY_NETWORK: 403,
    Code.STRATEGY_UNKNOWN: 403,
    Code.STRATEGY_DISABLED: 403,
    Code.COOL_DOWN: 403,
    Code.IDEMPOTENCY_KEY_MISSING: 400,
    Code.IDEMPOTENCY_KEY_INVALID: 400,
    Code.IDEMPOTENCY_KEY_REUSED: 422,
    Code.IDEMPOTENCY_KEY_IN_USE: 409,
    Code.IDEMPOTENCY_KEY_CONSUMED: 409,
    Code.DUPLICATE_CLIENT_ORDER_ID: 409,
    Code.RISK_DENIED: 422,
    Code.ORDER_FINAL: 409,
    Code.ORDER_PENDING: 409,
    Code.ORDER_UNKNOWN: 409,
    Code.ORDER_NOT_UNKNOWN: 409,
    Code.ORDER_PROVEN: 409,
    Code.NOTHING_TO_CHANGE: 409,
    Code.UNKNOWN_INSTRUMENT: 422,
    Code.NO_PRICE: 404,
    Code.BREAK_SETTLED: 409,
    Code.BREAK_CHANGED: 409,
    Code.ACTION_NOT_ALLOWED: 409,
    Code.SAME_PERSON: 403,
    Code.CHANGE_SETTLED: 409,
    Code.CHANGE_OUTDATED: 412,
    Code.PRECONDITION_REQUIRED: 428,
    Code.STEP_UP_REQUIRED: 401,
    Code.CLIENT_EXISTS: 409,
    Code.KEY_REQUIRED: 409,
    Code.CREDENTIAL_STATE: 409,
    Code.CREDENTIAL_REFUSED: 409,
    Code.NOT_READY: 503,
    Code.DEADLINE: 503,
    Code.AUDIT_UNAVAILABLE: 503,
    Code.UNAVAILABLE: 503,
    Code.INTERNAL: 500,
}

# After these the very same request may succeed in a moment; `retry_after_s` and Retry-After say so.
PASSING: Final = frozenset(
    {
        Code.RATE_LIMITED,
        Code.IDEMPOTENCY_KEY_IN_USE,
        Code.NOT_READY,
        Code.DEADLINE,
        Code.AUDIT_UNAVAILABLE,
        Code.UNAVAILABLE,
    }
)
MOMENT_S: Final = 1
"""How long that is, where nobody knows."""


class FieldError(msgspec.Struct, frozen=True):
    """What is wrong with one field of the request."""

    field: str
    message: str


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """RFC 9457's members, and ours. Members that do not apply are left out.

    `order`, or `group`, is as it stands after a denial by risk, already encoded. `link` is the path of what a
    consumed key bought. `retry_after_s` is in how many seconds the very same request may succeed.
    """

    type: str
    title: str
    status: int
    code: Code
    detail: str
    correlation_id: str
    errors: tuple[FieldError, ...] = ()
    failed_controls: tuple[FailedControl, ...] = ()
    order_id: str | None = None
    order: msgspec.Raw | None = None
    group_id: str | None = None
    group: msgspec.Raw | None = None
    link: str | None = None
    retry_after_s: int | None = None


def retry_after_s(refusal: Refusal) -> int | None:
    """In how many seconds to ask again; None where asking again is of no use."""
    if refusal.retry_after_s is not None:
        return refusal.retry_after_s
    return MOMENT_S if refusal.code in PASSING else None


def problem(refusal: Refusal, correlation: str) -> Problem:
    if refusal.code is Code.IDEMPOTENCY_KEY_CONSUMED:
        return _consumed(refusal, correlation)
    return _problem(refusal, correlation)


def _problem(refusal: Refusal, correlation: str) -> Problem:
    code = refusal.code
    return Problem(
        type=f"/problems/{code.value}",
        title=code.meaning,
        status=STATUS[code],
        code=code,
        detail=refusal.detail,
        correlation_id=correlation,
        errors=tuple(FieldError(name, message) for name, message in refusal.fields.items()),
        retry_after_s=retry_after_s(refusal),
    )


def _consumed(refusal: Refusal, correlation: str) -> Problem:
    """What the key bought is named, so that it can be asked for."""
    order, group = refusal.fields.get("order_id"), refusal.fields.get("group_id")
    told = _problem(Refusal(refusal.code, refusal.detail), correlation)
    if order is not None:
        return msgspec.structs.replace(told, order_id=order, link=f"/v1/orders/{order}")
    if group is not None:
        return msgspec.structs.replace(told, group_id=group, link=f"/v1/order-groups/{group}")
    return told


def denial(failed: Sequence[FailedControl], order_id: str, order: bytes, correlation: str) -> Problem:
    """Risk said no: every control that failed, with its numbers, and the order as journalled."""
    told = _denial(failed, correlation)
    return msgspec.structs.replace(told, order_id=order_id, order=msgspec.Raw(order))


def group_denial(failed: Sequence[FailedControl], group_id: str, group: bytes, correlation: str) -> Problem:
    """Risk said no to a group of orders; each control says which leg it is about."""
    told = _denial(failed, correlation)
    return msgspec.structs.replace(told, group_id=group_id, group=msgspec.Raw(group))


def _denial(failed: Sequence[FailedControl], correlation: str) -> Problem:
    names = ", ".join(dict.fromkeys(control.control for control in failed))
    return Problem(
        type=f"/problems/{Code.RISK_DENIED.value}",
        title=Code.RISK_DENIED.meaning,
        status=STATUS[Code.RISK_DENIED],
        code=Code.RISK_DENIED,
        detail=f"denied by {names}",
        correlation_id=correlation,
        failed_controls=tuple(failed),
    )


_encoder: Final = msgspec.json.Encoder()


def encode(told: Problem) -> bytes:
    return _encoder.encode(told)
