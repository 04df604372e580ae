"""A hash of an account's open orders and positions, by which a client proves its own view.

Every open order and every position that is not zero is one item: SHA-256 over its JSON with sorted
keys and no blanks, the first 8 bytes as a big-endian number. The state's hash is the exclusive or of
all items, as 16 hexadecimal digits; of nothing it is 0000000000000000. An event changes at most two
items, so keeping up costs the same whatever the account holds. A renaming takes away the item of the
old name. Pure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from ordergate.core.orders.lifecycle import FINAL

_sorted: Final = msgspec.json.Encoder(order="sorted").encode


class _Parts(msgspec.Struct):
    """The state that an event's frame carries, left encoded; empty where it carries none."""

    kind: str = ""
    order: msgspec.Raw = msgspec.Raw(b"")
    position: msgspec.Raw = msgspec.Raw(b"")
    detail: msgspec.Raw = msgspec.Raw(b"")


class _OrderKeys(msgspec.Struct):
    id: str
    status: str


class _PositionKeys(msgspec.Struct):
    symbol: str
    quantity: str


class _Renamed(msgspec.Struct):
    was: str


_parts: Final = msgspec.json.Decoder(_Parts)
_order_keys: Final = msgspec.json.Decoder(_OrderKeys)
_position_keys: Final = msgspec.json.Decoder(_PositionKeys)
_renamed: Final = msgspec.json.Decoder(_Renamed)


def item_hash(view: bytes) -> int:
    """One item's share of the hash."""
    value: Any = msgspec.json.decode(view)
    return int.from_bytes(hashlib.sha256(_sorted(value)).digest()[:8])


class StateHash:
    """Frames are only remembered as they come; the latest of each order is hashed when asked."""

    def __init__(self, orders: Iterable[bytes], positions: Iterable[bytes]) -> None:
        self._items: dict[str, int] = {}
        self._total = 0
        self._frames: list[bytes] = []
        for view in orders:
            self._set_order(view)
        for view in positions:
            self._set_position(view)

    @property
    def waiting(self) -> int:
        """How many events came since the hash was last asked for."""
        return len(self._frames)

    def note(self, frame: bytes) -> None:
        self._frames.append(frame)

    def hexdigest(self) -> str:
        self._catch_up()
        return f"{self._total:016x}"

    def _catch_up(self) -> None:
        orders: dict[str, bytes] = {}
        positions: dict[str, bytes | None] = {}
        for frame in self._frames:
            parts = _parts.decode(frame)
            order, position = bytes(parts.order), bytes(parts.position)
            if order:
                orders[_order_keys.decode(order).id] = order
            if position:
                positions[_position_keys.decode(position).symbol] = position
            if parts.kind == "symbol_renamed":
                positions[_renamed.decode(parts.detail).was] = None
        self._frames.clear()
        for view in orders.values():
            self._set_order(view)
        for symbol, held in positions.items():
            if held is None:
                self._set(f"position {symbol}", None)
            else:
                self._set_position(held)

    def _set_order(self, view: bytes) -> None:
        keys = _order_keys.decode(view)
        self._set(f"order {keys.id}", None if keys.status in FINAL else view)

    def _set_position(self, view: bytes) -> None:
        keys = _position_keys.decode(view)
        self._set(f"position {keys.symbol}", None if keys.quantity == "0" else view)

    def _set(self, key: str, view: bytes | None) -> None:
        self._total ^= self._items.pop(key, 0)
        if view is not None:
            item = self._items[key] = item_hash(view)
            self._total ^= item
