"""The closed set of ways to say no.

A refusal is an expected answer: a value with a stable code that a program can act on, and a
sentence for a person. Codes are never reused or renamed. The documentation's table of
refusals is written from this module.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Code(StrEnum):
    """Stable codes. The text beside each is what it means, for the documentation."""

    meaning: str

    def __new__(cls, value: str, meaning: str) -> Code:
        member = str.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member

    # The request itself
    MALFORMED = "malformed", "The body is not well-formed JSON of the documented shape."
    INVALID = "invalid", "A field has a value that can never be accepted."
    UNKNOWN_FIELD = "unknown-field", "The body has a field that is not in the schema."
    TOO_LARGE = "too-large", "The body, a frame or a page is over its bound."
    UNSUPPORTED_MEDIA_TYPE = "unsupported-media-type", "The body must be application/json."
    METHOD_NOT_ALLOWED = "method-not-allowed", "The route does not have this method."
    # Who is asking
    UNAUTHENTICATED = "unauthenticated", "No valid access token came with the request."
    PROOF_INVALID = "invalid-dpop-proof", "The token is bound to a key, and the proof of it does not hold."
    PROOF_NONCE = "use-dpop-nonce", "The proof must contain the nonce of the header DPoP-Nonce."
    SIGNATURE_REQUIRED = "signature-required", "The client signs its requests, and this one is not signed."
    SIGNATURE_INVALID = "signature-invalid", "The request's signature does not hold, or was used before."
    FORBIDDEN = "forbidden", "The token lacks the scope that the route needs."
    NOT_FOUND = "not-found", "There is no such thing, or it is not visible to this client."
    RATE_LIMITED = "rate-limited", "Too many requests; Retry-After says when to try again."
    KEY_INSTRUMENT = "key-instrument", "The program's key is not for this instrument."
    KEY_STRATEGY = "key-strategy", "The program's key is not for this strategy."
    KEY_NOTIONAL = "key-notional", "The order is worth more than the program's key is for."
    KEY_NETWORK = "key-network", "The program's key is not for the address that the request came from."
    STRATEGY_UNKNOWN = "strategy-unknown", "The tenant has registered strategies, and this is none of them."
    STRATEGY_DISABLED = "strategy-disabled", "The strategy may not trade."
    COOL_DOWN = "cool-down", "Whoever loosened a limit places nothing for 15 minutes."
    # Idempotency
    IDEMPOTENCY_KEY_MISSING = "idempotency-key-missing", "A mutating request needs a key."
    IDEMPOTENCY_KEY_INVALID = (
        "idempotency-key-invalid",
        "A key is 16 to 128 characters of A-Z, a-z, 0-9, _ and -.",
    )
    IDEMPOTENCY_KEY_REUSED = "idempotency-key-reused", "The key was used for another request."
    IDEMPOTENCY_KEY_IN_USE = "idempotency-key-in-use", "The first request is still under way."
    IDEMPOTENCY_KEY_CONSUMED = "idempotency-key-consumed", "The stored answer has been dropped."
    # Orders
    DUPLICATE_CLIENT_ORDER_ID = "duplicate-client-order-id", "The account has used this id."
    RISK_DENIED = "risk-denied", "At least one risk control failed; the answer lists each."
    ORDER_FINAL = "order-final", "The order has reached a terminal status."
    ORDER_PENDING = "order-pending", "An earlier request on the order has not been answered."
    ORDER_UNKNOWN = "order-unknown", "Whether the broker has the order is not yet known."
    ORDER_NOT_UNKNOWN = "order-not-unknown", "What became of the order is no question for a person."
    ORDER_PROVEN = "order-proven", "The broker shows the order; its word counts and nobody else's."
    NOTHING_TO_CHANGE = "nothing-to-change", "The replacement equals the order as it is."
    UNKNOWN_INSTRUMENT = "unknown-instrument", "The symbol is not listed here."
    NO_PRICE = "no-price", "The instrument is listed, and neither a quote nor a trade of it is known."
    # Breaks
    BREAK_SETTLED = "break-settled", "The break has been healed or resolved already."
    BREAK_CHANGED = "break-changed", "The sides differ in another way by now; look again."
    ACTION_NOT_ALLOWED = "action-not-allowed", "A break of this nature has no such action."
    # What needs two persons, and limits
    SAME_PERSON = "same-person", "Who proposed a change may not approve it."
    CHANGE_SETTLED = "change-settled", "The change has been approved or rejected, or has expired."
    CHANGE_OUTDATED = "change-outdated", "What was to be changed is another by now; look again."
    PRECONDITION_REQUIRED = "precondition-required", "Say with If-Match or If-None-Match what you saw."
    STEP_UP_REQUIRED = "step-up-required", "The login is too old for this; log in again."
    # Keys of programs
    CLIENT_EXISTS = "client-exists", "There is a client of that name already."
    KEY_REQUIRED = "key-required", "The program must prove itself with a key that it has published."
    # Credentials at brokers
    CREDENTIAL_STATE = "credential-state", "The credential is not in a state from which that is possible."
    CREDENTIAL_REFUSED = (
        "credential-refused",
        "The broker does not take the credential, or it opens another account.",
    )
    # The system
    NOT_READY = "not-ready", "The account is being recovered; try again shortly."
    DEADLINE = "deadline", "The body took too long to arrive; nothing was accepted."
    AUDIT_UNAVAILABLE = (
        "audit-unavailable",
        "What happens cannot be proved now, so nothing new is taken; cancels pass.",
    )
    UNAVAILABLE = "unavailable", "A part that the request needs is not available."
    INTERNAL = "internal", "A defect on our side. The correlation id finds it in the log."


class Refusal(msgspec.Struct, frozen=True, gc=False):
    """An expected no. `fields` maps a field's name to what is wrong with it.

    `retry_after_s` is after how many seconds it is worth asking again, where that is known.
    """

    code: Code
    detail: str
    fields: dict[str, str] = {}
    retry_after_s: int | None = None
