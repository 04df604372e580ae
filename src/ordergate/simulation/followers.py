"""A stream client: follows an account over connections that break, and believes nothing without proof.

It keeps the view that docs/stream.md tells a client to keep, and checks every frame: nothing missing,
nothing twice, every event as it is in the journal, and the server's state hash against its own view.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import msgspec

from ordergate.api.stream.channels import ACCOUNT, MASK_OF_KIND, Channel, mask_of
from ordergate.api.stream.frames import Resume
from ordergate.api.stream.hub import CannotFollow, subscriber_of
from ordergate.api.stream.outbox import Outbox
from ordergate.api.stream.state_hash import StateHash
from ordergate.api.stream.wire import payload_of
from ordergate.core.faults import JournalUnavailable
from ordergate.core.ids import AccountId
from ordergate.simulation.database import Server
from ordergate.simulation.gateway import Gateway
from ordergate.simulation.ground import Ground
from ordergate.simulation.witness import Heard

MESSAGES_MAX: Final = 48
BYTES_MAX: Final = 1 << 20
_WIRE_S: Final = 0.002
_LOOK_S: Final = 0.5

Find = Callable[[], Gateway | None]


class _Line:
    """A connection as the hub sees it: closing it ends what is sent on it."""

    def __init__(self, account: AccountId) -> None:
        self.outbox: Outbox | None = None
        self._account = account

    def follows(self, account: str) -> bool:
        return account == self._account

    def close(self, code: int, reason: str) -> None:
        if self.outbox is not None:
            self.outbox.close()


class Follower:
    """One client of one account. `slow` says whether it reads nothing now.

    Without the orders or the positions among its `channels` it has no whole view, and no hash to check it.
    """

    def __init__(
        self,
        ground: Ground,
        server: Server,
        name: str,
        account: AccountId,
        *,
        serving: Find,
        slow: Callable[[], bool] = lambda: False,
        channels: Sequence[Channel] = tuple(Channel),
    ) -> None:
        self.name = name
        self.account = account
        self.seq = 0
        self.stream_id = ""
        self.resets = 0
        self.resumed = 0
        self.orders: dict[str, bytes] = {}
        self.positions: dict[str, bytes] = {}
        self._ground = ground
        self._server = server
        self._serving = serving
        self._slow = slow
        self._channels = channels
        self._mask = mask_of(channels)
        self._gateway: Gateway | None = None
        self._outbox: Outbox | None = None
        self._leave: Callable[[], None] = lambda: None
        self._line = _Line(account)
        self._open = True
        self._knows_all = True
        self._resume: Resume | None = None

    def begin(self) -> None:
        self._look()

    def close(self) -> None:
        """Go away for good."""
        self._open = False
        self._disconnect()

    def come_back(self, resume: Resume | None) -> None:
        """Connect again, and ask to resume there."""
        self._disconnect()
        self._resume = resume
        self._connect()

    @property
    def is_whole(self) -> bool:
        """Whether it follows everything."""
        return self._channels == tuple(Channel)

    @property
    def is_behind(self) -> bool:
        """Whether the journal has more for it."""
        books = self._server.store.books.get(self.account)
        return books is not None and self._has_missed(len(books.events))

    def _has_missed(self, upto: int) -> bool:
        """Whether the journal has, behind where it stands, events of its channels."""
        events = self._server.store.books[self.account].events
        kinds = (sealed.kind for _, sealed in events[self.seq : upto])
        return any(MASK_OF_KIND.get(kind, ACCOUNT) & self._mask for kind in kinds)

    @property
    def was_closed(self) -> bool:
        """Whether the server has closed the connection for not keeping up."""
        return self._outbox is None or self._outbox.overflowed

    @property
    def where(self) -> Resume | None:
        """Where to go on."""
        return Resume(self.stream_id, self.seq) if self.stream_id else None

    def forget(self, after: int) -> None:
        """Go back to an earlier place, as a client does that has lost what it knew."""
        self.seq = after
        self._knows_all = False

    # -- the connection

    def _look(self) -> None:
        """Whether the connection stands; a new one when it does not."""
        if not self._open:
            return
        gateway, outbox = self._gateway, self._outbox
        if gateway is None or not gateway.answers or outbox is None or outbox.overflowed:
            self._disconnect()
            if not self._slow():
                self._resume = self.where
                self._connect()
        self._ground.later(_LOOK_S, self._look)

    def _connect(self) -> None:
        gateway = self._serving()
        if gateway is None or gateway.hub is None:
            return
        self._gateway = gateway
        self._line = _Line(self.account)
        self._outbox = outbox = Outbox(
            messages_max=MESSAGES_MAX, bytes_max=BYTES_MAX, wake=lambda full: self._woken(outbox)
        )
        self._line.outbox = outbox
        gateway.hub.add(self._line)
        resume, self._resume = self._resume, None
        gateway.run(partial(self._follow, gateway, outbox, resume))

    async def _follow(self, gateway: Gateway, outbox: Outbox, resume: Resume | None) -> None:
        """The server's side of the connection, inside the gateway."""
        hub = gateway.hub
        assert hub is not None
        subscriber = subscriber_of(self._channels, outbox)
        self._leave = partial(hub.leave, self.account, subscriber)
        try:
            await hub.follow(
                self.account,
                subscriber,
                outbox,
                seen=gateway.views,
                channels=self._channels,
                resume=resume,
                frame_id=None,
            )
        except (CannotFollow, TimeoutError, JournalUnavailable):
            outbox.close()

    def _disconnect(self) -> None:
        if self._outbox is not None:
            self._outbox.close()
        if self._gateway is not None and self._gateway.alive:
            self._leave()
            if self._gateway.hub is not None:
                self._gateway.hub.remove(self._line)
        self._gateway = self._outbox = None

    def _woken(self, outbox: Outbox) -> None:
        self._ground.later(_WIRE_S, partial(self._read, outbox))

    def _read(self, outbox: Outbox) -> None:
        if outbox is not self._outbox or self._slow():
            return
        gateway = self._gateway
        if gateway is None or not gateway.alive:
            return
        for frame in outbox.take():
            self._hear(payload_of(frame))

    def read_on(self) -> None:
        """What waited while it was slow."""
        if self._outbox is not None and not self._outbox.overflowed:
            self._read(self._outbox)

    # -- the view

    def _hear(self, frame: bytes) -> None:
        told = _frames.decode(frame)
        match told.type:
            case "subscribed":
                self._subscribed(told)
            case "reset":
                self._reset(told)
            case "event":
                self._event(frame, told)
            case "state_hash":
                self._hash(told)
            case _:
                self._violated("I13", f"was told {told.type}")

    def _subscribed(self, told: _Frame) -> None:
        if told.resumed:
            self.resumed += 1
            if (told.stream_id, told.seq) != (self.stream_id, self.seq):
                self._violated("I13", f"asked to go on at {self.seq} and was put at {told.seq}")

    def _reset(self, told: _Frame) -> None:
        self.resets += 1
        self._knows_all = True
        self.stream_id, self.seq = told.stream_id, told.as_of_seq
        self.orders = {_order_keys.decode(raw).id: bytes(raw) for raw in told.snapshot.orders}
        self.positions = {_position_keys.decode(raw).symbol: bytes(raw) for raw in told.snapshot.positions}
        for order, body in self.orders.items():
            self._shown(order, body)

    def _event(self, frame: bytes, told: _Frame) -> None:
        """Each event names the one before it on these channels, so nothing can be missing unseen."""
        if told.account_id != self.account:
            self._violated("I18", f"was told of {told.account_id}")
        if told.prev_seq != self.seq or told.seq <= self.seq or self._has_missed(told.seq - 1):
            self._violated("I13", f"stood at {self.seq} and was told {told.seq} after {told.prev_seq}")
        self.seq = told.seq
        stored = self._server.store.books[self.account].events
        if self.seq > len(stored):
            self._violated("I14", f"was told {self.seq} before it was durable")
        elif not frame.endswith(stored[self.seq - 1][0].frame[1:]):
            self._violated("I14", f"event {self.seq} is not as it was written")
        if told.order:
            order = _order_keys.decode(told.order)
            self.orders[order.id] = bytes(told.order)
            self._shown(order.id, self.orders[order.id])
            if order.status in _ENDED:
                del self.orders[order.id]
        if told.position:
            self.positions[_position_keys.decode(told.position).symbol] = bytes(told.position)
        if told.kind == "symbol_renamed":
            self.positions.pop(_renamings.decode(told.detail).was, None)

    def _hash(self, told: _Frame) -> None:
        if told.seq != self.seq or not self._knows_all:
            return  # a hash of a moment that this view has not reached, or has passed
        mine = StateHash(self.orders.values(), self.positions.values()).hexdigest()
        if mine != told.hash:
            self._violated("I15", f"its view at {self.seq} is {mine}, the server's {told.hash}")

    def _shown(self, order: str, body: bytes) -> None:
        heard = Heard(account=self.account, client=self.name, order=order, body=body)
        self._ground.witness.heard(heard)

    def _violated(self, invariant: str, what: str) -> None:
        self._ground.witness.say(invariant, f"{self.name} {what}")


class _Snapshot(msgspec.Struct):
    orders: list[msgspec.Raw] = []
    positions: list[msgspec.Raw] = []


class _Frame(msgspec.Struct):
    """Any frame, as far as a client looks at it."""

    type: str
    kind: str = ""
    stream_id: str = ""
    account_id: str = ""
    seq: int = -1
    prev_seq: int | None = None
    as_of_seq: int = -1
    resumed: bool = False
    hash: str = ""
    snapshot: _Snapshot = msgspec.field(default_factory=_Snapshot)
    order: msgspec.Raw = msgspec.Raw(b"")
    position: msgspec.Raw = msgspec.Raw(b"")
    detail: msgspec.Raw = msgspec.Raw(b"")


class _Order(msgspec.Struct):
    id: str
    status: str


class _Position(msgspec.Struct):
    symbol: str


class _Renaming(msgspec.Struct):
    was: str


_frames: Final = msgspec.json.Decoder(_Frame)
_order_keys: Final = msgspec.json.Decoder(_Order)
_position_keys: Final = msgspec.json.Decoder(_Position)
_renamings: Final = msgspec.json.Decoder(_Renaming)
_ENDED: Final = ("filled", "canceled", "expired", "rejected", "denied")
