"""A client's view of an account, built from nothing but the frames it was sent.

It believes nothing: it checks that no event is missing by `prev_seq`, that heartbeats hold nothing it
has not seen, and that its state hashes to what the server says, by hashing all of it anew.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

FINAL = {"denied", "rejected", "filled", "canceled", "expired"}


class Gap(AssertionError):
    """The stream skipped something and did not say so."""


class Replica:
    def __init__(self) -> None:
        self.stream_id: str | None = None
        self.last_seq = 0
        self.orders: dict[str, dict[str, Any]] = {}
        self.positions: dict[str, dict[str, Any]] = {}
        self.seen: list[int] = []
        self.resets = 0
        self.proofs = 0
        self.whole = True

    def hear(self, frame: dict[str, Any]) -> None:
        match frame["type"]:
            case "subscribed":
                self._subscribed(frame)
            case "reset":
                self._reset(frame)
            case "event":
                self._event(frame)
            case "state_hash":
                self._prove(frame)
            case "heartbeat":
                if frame["last_seq"].get("P-DEMO", 0) > self.last_seq:
                    raise Gap(f"the server has told {frame['last_seq']}, we have {self.last_seq}")

    def _subscribed(self, frame: dict[str, Any]) -> None:
        if frame["resumed"] and (frame["stream_id"], frame["seq"]) != (self.stream_id, self.last_seq):
            raise Gap("resumed somewhere else than asked")

    def _reset(self, frame: dict[str, Any]) -> None:
        snapshot = frame["snapshot"]
        self.stream_id = frame["stream_id"]
        self.last_seq = frame["as_of_seq"]
        self.orders = {order["id"]: order for order in snapshot["orders"]}
        self.positions = {position["symbol"]: position for position in snapshot["positions"]}
        self.resets += 1

    def _event(self, frame: dict[str, Any]) -> None:
        if frame["seq"] <= self.last_seq:
            raise Gap(f"{frame['seq']} came again after {self.last_seq}")
        if frame["prev_seq"] != self.last_seq:
            raise Gap(f"{frame['seq']} follows {frame['prev_seq']}, we have {self.last_seq}")
        self.last_seq = frame["seq"]
        self.seen.append(frame["seq"])
        order = frame.get("order")
        if order is not None:
            self.orders[order["id"]] = order
        position = frame.get("position")
        if position is not None:
            self.positions[position["symbol"]] = position
        if frame["kind"] == "symbol_renamed":
            self.positions.pop(frame["detail"]["was"], None)

    def _prove(self, frame: dict[str, Any]) -> None:
        if frame["hash"] != self.hexdigest():
            raise Gap(f"our state at {self.last_seq} is not the server's at {frame['seq']}")
        self.proofs += 1

    def hexdigest(self) -> str:
        """The documented hash, over everything, with nothing but the standard library."""
        held = [order for order in self.orders.values() if order["status"] not in FINAL]
        held += [position for position in self.positions.values() if position["quantity"] != "0"]
        total = 0
        for item in held:
            canonical = json.dumps(item, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
            total ^= int.from_bytes(hashlib.sha256(canonical.encode()).digest()[:8], "big")
        return f"{total:016x}"
