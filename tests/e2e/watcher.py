"""Follows an account's stream from its first event, over any number of lost connections.

It believes nothing: every event must name the one before it, every resume must go on where it
stopped, every hash of the state must equal the hash of what was built from the events alone.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

import aiohttp
import msgspec

from ordergate.api.stream.state_hash import item_hash
from tests.e2e.client import Rest, open_stream
from tests.e2e.floor import ACCOUNT, Floor
from tests.e2e.pacing import PACE

CHANNELS: Final = ["orders", "executions", "positions", "balances", "account"]
FINAL: Final = frozenset({"denied", "rejected", "filled", "canceled", "expired"})
RETRY_S: Final = 0.05


class NotNow(Exception):
    """The account cannot be followed at this moment, and the stream said so."""


class Watcher:
    def __init__(self, floor: Floor, rest: Rest) -> None:
        self.seq = 0
        self.kinds: dict[str, int] = {}
        self.orders: dict[str, dict[str, Any]] = {}
        self.positions: dict[str, dict[str, Any]] = {}
        self.balances: dict[str, dict[str, Any]] = {}
        self.executions: dict[str, dict[str, Any]] = {}
        self.connections = 0
        self.hashes_checked = 0
        self._floor = floor
        self._rest = rest
        self._stream_id = ""
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._moved = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """From the very beginning of the account."""
        self._stream_id = (await self._rest.get(f"/v1/accounts/{ACCOUNT}"))["stream_id"]
        self._task = asyncio.create_task(self._follow())

    async def disconnect(self) -> None:
        """Lose the connection now, as a network would; it is opened again and resumed."""
        if self._socket is not None:
            await self._socket.close()

    async def reach(self, seq: int, timeout_s: float = 20.0) -> None:
        """Until the event of this number was told. Raises what the stream did wrong."""
        assert self._task is not None
        async with asyncio.timeout(timeout_s):
            while self.seq < seq:
                self._moved.clear()
                moving = asyncio.create_task(self._moved.wait())
                await asyncio.wait((self._task, moving), return_when=asyncio.FIRST_COMPLETED)
                moving.cancel()
                self.check()

    def check(self) -> None:
        """Raises what the stream did wrong, if it did."""
        if self._task is not None and self._task.done():
            self._task.result()
            raise AssertionError("the watcher ended")

    async def stop(self) -> None:
        assert self._task is not None
        self.check()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        if self._socket is not None:
            await self._socket.close()

    @property
    def open_orders(self) -> dict[str, dict[str, Any]]:
        return {name: order for name, order in self.orders.items() if order["status"] not in FINAL}

    def state_hash(self) -> str:
        """The hash of our own view, as the stream defines it."""
        total = 0
        held = [one for one in self.positions.values() if one["quantity"] != "0"]
        for view in (*self.open_orders.values(), *held):
            total ^= item_hash(msgspec.json.encode(view))
        return f"{total:016x}"

    async def _follow(self) -> None:
        while True:
            try:
                self._socket = await open_stream(self._floor, self._rest)
                self.connections += 1
                await self._resume(self._socket)
                async for message in self._socket:
                    self._hear(msgspec.json.decode(message.data))
            except (aiohttp.ClientError, OSError, TimeoutError):
                pass
            except NotNow:
                await self.disconnect()
            await PACE.sleep(RETRY_S)

    async def _resume(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        resume = {"stream_id": self._stream_id, "after_seq": self.seq}
        await socket.send_json(
            {"type": "subscribe", "account_id": ACCOUNT, "channels": CHANNELS, "resume": resume}
        )

    def _hear(self, frame: dict[str, Any]) -> None:
        match frame["type"]:
            case "event":
                self._event(frame)
            case "subscribed":
                assert frame["resumed"], f"not resumed after {self.seq}: {frame}"
                assert frame["seq"] == self.seq, f"asked to go on after {self.seq}: {frame}"
            case "heartbeat":
                last = frame["last_seq"].get(ACCOUNT, self.seq)
                assert last == self.seq, f"the heartbeat says {last}, told was {self.seq}"
            case "state_hash":
                assert frame["seq"] == self.seq
                assert frame["hash"] == self.state_hash(), f"our view differs as of {self.seq}"
                self.hashes_checked += 1
            case "pong":
                return
            case "error" if frame["code"] == "unavailable":
                raise NotNow  # its journal is away: the frame asks us to subscribe again
            case _:
                raise AssertionError(f"unexpected after {self.seq}: {frame}")

    def _event(self, frame: dict[str, Any]) -> None:
        assert frame["seq"] == self.seq + 1, f"a gap or a repeat after {self.seq}: {frame['seq']}"
        assert frame["prev_seq"] == self.seq, f"{frame['seq']} names {frame['prev_seq']} as the one before"
        self.seq = frame["seq"]
        self.kinds[frame["kind"]] = self.kinds.get(frame["kind"], 0) + 1
        if "order" in frame:
            self.orders[frame["order"]["id"]] = frame["order"]
        if "execution" in frame:
            self.executions[frame["execution"]["exec_id"]] = frame["execution"]
        if "position" in frame:
            self.positions[frame["position"]["symbol"]] = frame["position"]
        if frame["kind"] == "symbol_renamed":
            self.positions.pop(frame["detail"]["was"], None)
        if "balance" in frame:
            self.balances[frame["balance"]["currency"]] = frame["balance"]
        self._moved.set()
