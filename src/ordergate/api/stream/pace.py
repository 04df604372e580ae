"""How fast one stream's client may go: so many frames on the connection, and the quotas it shares with REST.

Frames are counted before they are read. What takes something back has as many again, so that a client
which has sent too many orders can still cancel them. Pure: the time is passed in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from ordergate.api.quotas import Bucket, Kind, Rate
from ordergate.api.stream import frames
from ordergate.core.access import Principal

Charge = Callable[[Principal, Kind, float], float]
"""Takes one from a client's quota: 0.0, or the seconds until there is room again."""

_KINDS: Final[Mapping[type[frames.AnyClientFrame], Kind]] = {
    frames.Place: Kind.ORDERS,
    frames.Replace: Kind.ORDERS,
    frames.PlaceGroup: Kind.ORDERS,
    frames.Cancel: Kind.CANCELS,
    frames.CancelGroup: Kind.CANCELS,
    frames.DeadManArm: Kind.CANCELS,
    frames.DeadManRefresh: Kind.CANCELS,
    frames.DeadManDisarm: Kind.CANCELS,
    frames.Subscribe: Kind.READS,
    frames.DropCopySubscribe: Kind.READS,
}


class _Type(msgspec.Struct):
    type: str


_type_decoder: Final = msgspec.json.Decoder(_Type)


class Pace:
    def __init__(self, messages: Rate, charge: Charge, now: float) -> None:
        self._frames = Bucket(messages, now)
        self._kept_back = Bucket(messages, now)
        self._charge = charge

    def wait_to_read_s(self, text: bytes, now: float) -> float:
        """0.0 when the frame may be read at all, or the seconds until one may."""
        wait_s = self._frames.take(now)
        return self._kept_back.take(now) if wait_s and _takes_back(text) else wait_s

    def wait_s(self, frame: frames.AnyClientFrame, principal: Principal, now: float) -> float:
        """0.0 when its client may ask for this now, or the seconds until it may."""
        kind = _KINDS.get(type(frame))
        return 0.0 if kind is None else self._charge(principal, kind, now)

    def wait_s_mistyped(self, text: bytes, principal: Principal, now: float) -> float:
        """The same of a command that cannot be read for its mistakes."""
        return self._charge(principal, Kind.CANCELS if _takes_back(text) else Kind.ORDERS, now)


def takes_back(frame: frames.AnyClientFrame) -> bool:
    """Whether the frame cancels, or keeps a dead man's switch."""
    return _KINDS.get(type(frame)) is Kind.CANCELS


_TAKING_BACK: Final = frozenset(
    str(frame.__struct_config__.tag) for frame, kind in _KINDS.items() if kind is Kind.CANCELS
)


def _takes_back(text: bytes) -> bool:
    try:
        return _type_decoder.decode(text).type in _TAKING_BACK
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
