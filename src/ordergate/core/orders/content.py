"""The hash of what an order says: what risk approved, the journal keeps and the sender compares.

Over the order's id, its version and every term, written in one way, so that an order cannot change by
a digit between its approval and the wire without becoming another hash. A term that is left out is
left out of the text, so that a term which a later release adds changes no hash of before.
"""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from ordergate.core.ids import OrderId
from ordergate.core.orders.terms import Terms

DOMAIN: Final = b"ordergate/order/content/v1"

EGRESS_PARITY: Final = "egress-parity"
"""Why an order or a replacement was not sent that is not what was approved."""

_encode: Final = msgspec.json.Encoder(decimal_format="string").encode


def content_hash(order: OrderId, version: int, terms: Terms) -> str:
    """SHA-256, in hexadecimal, of the terms that one version of an order is sent with."""
    said = b"%b\n%b\n%d\n%b" % (DOMAIN, order.encode(), version, _encode(terms))
    return hashlib.sha256(said).hexdigest()
