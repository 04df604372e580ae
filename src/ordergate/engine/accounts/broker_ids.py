"""Which order each id is of that a broker ever gave one, also long after memory let the order go.

For brokers that know no client order ids: what they tell carries nothing else. A digest of eight bytes
stands for each id, the same in every process, so that they can be written down. Never forgets one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Final

from ordergate.core.faults import InvariantBroken
from ordergate.core.ids import OrderId

_DIGEST_BYTES: Final = 8
_ORDER_BYTES: Final = 20
_ENTRY_BYTES: Final = _DIGEST_BYTES + _ORDER_BYTES


class BrokerIds:
    def __init__(self, packed: bytes = b"") -> None:
        """`packed` is what `pack` said. Raises ValueError where it cannot be."""
        if len(packed) % _ENTRY_BYTES:
            raise ValueError(f"{len(packed)} bytes are not whole entries")
        self._packed = bytearray(packed)
        self._orders = dict(_entries(packed))

    def __len__(self) -> int:
        return len(self._orders)

    def add(self, broker_order_id: str, order_id: OrderId) -> None:
        """The broker called the order so. Where it gives an id out twice the latest order has it.

        Raises InvariantBroken.
        """
        digest, written = _digest(broker_order_id), order_id.encode()
        if len(written) != _ORDER_BYTES:
            raise InvariantBroken(f"{order_id} is no order id")
        number = int.from_bytes(digest, "little")
        if self._orders.get(number) != order_id:
            self._orders[number] = order_id
            self._packed += digest + written

    def order_of(self, broker_order_id: str) -> OrderId | None:
        return self._orders.get(int.from_bytes(_digest(broker_order_id), "little"))

    def pack(self) -> bytes:
        """All entries in the order in which they came."""
        return bytes(self._packed)


def _entries(packed: bytes) -> Iterator[tuple[int, OrderId]]:
    for first in range(0, len(packed), _ENTRY_BYTES):
        digest = packed[first : first + _DIGEST_BYTES]
        order_id = packed[first + _DIGEST_BYTES : first + _ENTRY_BYTES]
        yield int.from_bytes(digest, "little"), OrderId(order_id.decode())


def _digest(broker_order_id: str) -> bytes:
    return hashlib.blake2b(broker_order_id.encode(), digest_size=_DIGEST_BYTES).digest()
