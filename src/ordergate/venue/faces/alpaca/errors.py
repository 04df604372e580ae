"""Every no of this face: the status, code and message Alpaca gives for it.

A refusal of the exchange is mapped here and nowhere else. The table is total: a refusal code
without a row is a type error.
"""

from typing import Final

from msgspec import Struct

from ordergate.venue.words import Refusal, RefusalCode


class Denial(Struct, frozen=True):
    """An answer that is not a yes. `code` is None where Alpaca's body has none."""

    status: int
    code: int | None
    message: str


UNAUTHORIZED: Final = Denial(401, None, "unauthorized.")
RATE_LIMITED: Final = Denial(429, 42910000, "rate limit exceeded")
MALFORMED: Final = Denial(400, 40010000, "request body format is invalid")
TOO_LARGE: Final = Denial(413, 41310000, "request body is too large")
NO_ENDPOINT: Final = Denial(404, 40410000, "endpoint not found.")
INTERNAL: Final = Denial(500, 50010000, "internal server error occurred")

_REFUSALS: Final[dict[RefusalCode, tuple[int, int]]] = {
    "duplicate_client_order_id": (422, 40010001),
    "not_found": (404, 40410000),
    "not_cancelable": (422, 42210000),
    "not_replaceable": (422, 42210000),
    "insufficient_buying_power": (403, 40310000),
    "invalid": (422, 42210000),
}
# The two messages clients are known to read.
_MESSAGES: Final[dict[RefusalCode, str]] = {
    "duplicate_client_order_id": "client_order_id must be unique",
    "insufficient_buying_power": "insufficient buying power",
}


def of_refusal(refusal: Refusal) -> Denial:
    status, code = _REFUSALS[refusal.code]
    return Denial(status, code, _MESSAGES.get(refusal.code, refusal.message))


def bad_field(message: str) -> Denial:
    """A value that does not parse or is not offered."""
    return Denial(422, 40010001, message)


def order_not_found(reference: str) -> Denial:
    return Denial(404, 40410000, f"order not found for {reference}")


def position_not_found() -> Denial:
    return Denial(404, 40410000, "position does not exist")


def asset_not_found(symbol: str) -> Denial:
    return Denial(404, 40410000, f"asset not found for {symbol}")
