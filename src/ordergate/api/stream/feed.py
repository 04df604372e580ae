"""One account's live events, and how a subscriber joins them without a gap or a repeat. Pure.

Subscribers of the same channels form a topic and share one frame for each event. Every event names
the one before it on the same channels (`prev_seq`), so a client can prove that it missed nothing
even though it does not see every number.

A subscriber that joins reads the past from storage while the present goes on. When it is close, it
starts to hold back the present, reads the rest of the past, and then takes what was held back. No
moment in between belongs to neither: the past ends at the head at which holding back began.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Protocol, TypeAlias

from ordergate.api.stream import frames
from ordergate.api.stream.channels import ACCOUNT, MASK_OF_KIND, WHOLE_STATE, Mask
from ordergate.api.stream.state_hash import StateHash
from ordergate.api.stream.wire import framed

HELD_MAX: Final = 1_000

Noted: TypeAlias = list[tuple[int, bytes]]
"""Events that came while a snapshot was read, each with its number."""


class Sink(Protocol):
    """Where a subscriber's frames go. Never blocks; says by itself when it is too full."""

    def push(self, frame: bytes) -> None: ...


class Event(Protocol):
    """A stored event as it is read back."""

    @property
    def seq(self) -> int: ...
    @property
    def kind(self) -> str: ...
    @property
    def frame(self) -> bytes: ...


class Topic:
    """The subscribers of one account that follow the same channels."""

    def __init__(self, mask: Mask) -> None:
        self.mask = mask
        self.last_seq = 0
        self.steady: dict[Sink, None] = {}
        self.fresh: dict[Sink, int] = {}

    def tell(self, seq: int, frame: bytes) -> None:
        if self.steady:
            shared = framed(frames.event(frame, self.last_seq))
            for sink in self.steady:
                sink.push(shared)
        if self.fresh:
            self._tell_fresh(seq, frame)
        self.last_seq = seq

    def _tell_fresh(self, seq: int, frame: bytes) -> None:
        """The first event after joining is told relative to where the subscriber stood.

        One whose snapshot shows the event already, committed but not told yet, waits for the next.
        """
        for sink, position in list(self.fresh.items()):
            if seq > position:
                sink.push(framed(frames.event(frame, position)))
                self.steady[sink] = None
                del self.fresh[sink]

    def leave(self, sink: Sink) -> None:
        self.steady.pop(sink, None)
        self.fresh.pop(sink, None)

    @property
    def is_empty(self) -> bool:
        return not self.steady and not self.fresh


class Subscriber:
    """One client's subscription to one account. `position` is the last number it was told.

    It has one only once it `has_begun`: from the answer to its subscription on.
    """

    def __init__(self, mask: Mask, sink: Sink) -> None:
        self.mask = mask
        self.sink = sink
        self.position = 0
        self.has_begun = False
        self.topic: Topic | None = None
        self._held: list[tuple[int, bytes]] | None = None

    @property
    def last_seq(self) -> int:
        if self.topic is None:
            return self.position
        return self.topic.fresh.get(self.sink, self.topic.last_seq)

    def begin_at(self, seq: int) -> None:
        self.position = seq
        self.has_begun = True

    def start_holding(self) -> None:
        self._held = []

    @property
    def held_too_much(self) -> bool:
        return self._held is None or len(self._held) > HELD_MAX

    def hold(self, seq: int, frame: bytes) -> None:
        """The present, while the past is still being read."""
        if self._held is not None and len(self._held) <= HELD_MAX:
            self._held.append((seq, frame))

    def tell_past(self, events: Iterable[Event]) -> int:
        """Stored events, in order. Returns the last number, whatever channels it was of."""
        seq = 0
        for event in events:
            seq = event.seq
            if self.mask & MASK_OF_KIND.get(event.kind, ACCOUNT):
                self._tell(seq, event.frame)
        return seq

    def take_held(self, after: int) -> None:
        """What was held back and is newer than what was read."""
        held, self._held = self._held or [], None
        for seq, frame in held:
            if seq > after:
                self._tell(seq, frame)

    def _tell(self, seq: int, frame: bytes) -> None:
        self.sink.push(framed(frames.event(frame, self.position)))
        self.position = seq


class Feed:
    """`head` is the last number told. The engine tells every number, once, in order."""

    def __init__(self, account: str, stream_id: str, head: int) -> None:
        self.account = account
        self.stream_id = stream_id
        self.head = head
        self._topics: dict[Mask, Topic] = {}
        self._joining: dict[Subscriber, None] = {}
        self._state: StateHash | None = None
        self._state_as_of = 0
        self._noted: Noted | None = None

    def tell(self, seq: int, kind: str, frame: bytes) -> None:
        if seq <= self.head:
            return
        self.head = seq
        mask = MASK_OF_KIND.get(kind, ACCOUNT)
        for topic in self._topics.values():
            if topic.mask & mask:
                topic.tell(seq, frame)
        for subscriber in self._joining:
            if subscriber.mask & mask:
                subscriber.hold(seq, frame)
        self._note(seq, frame)

    def begin(self, subscriber: Subscriber) -> int:
        """Hold back the present for this subscriber; the past ends at the number returned."""
        subscriber.start_holding()
        self._joining[subscriber] = None
        return self.head

    def give_up(self, subscriber: Subscriber) -> None:
        self._joining.pop(subscriber, None)

    def enter(self, subscriber: Subscriber, after: int) -> None:
        """The past is read up to `after`: take what was held back and live in the present."""
        self._joining.pop(subscriber, None)
        subscriber.take_held(after)
        topic = self._topics.get(subscriber.mask)
        if topic is None:
            topic = self._topics[subscriber.mask] = Topic(subscriber.mask)
        topic.fresh[subscriber.sink] = subscriber.position
        subscriber.topic = topic

    def leave(self, subscriber: Subscriber) -> None:
        self._joining.pop(subscriber, None)
        topic = subscriber.topic
        if topic is None:
            return
        subscriber.position = subscriber.last_seq
        topic.leave(subscriber.sink)
        subscriber.topic = None
        if topic.is_empty and self._topics.get(topic.mask) is topic:  # not one of a feed that was begun anew
            del self._topics[topic.mask]
        if not self.is_proved:
            self._state = self._noted = None

    # The state hash

    @property
    def is_proved(self) -> bool:
        """Somebody follows enough to check a hash."""
        return any(_is_whole(topic.mask) for topic in self._topics.values())

    @property
    def lacks_state(self) -> bool:
        return self._state is None and self._noted is None and self.is_proved

    def begin_state(self) -> Noted:
        """Somebody reads a snapshot from now on: what happens meanwhile is noted in what is returned."""
        self._noted = []
        return self._noted

    def know_state(
        self, noted: Noted, as_of: int, orders: Iterable[bytes], positions: Iterable[bytes]
    ) -> None:
        """The snapshot that was read while this was noted; of no use when noting ended or began anew."""
        if noted is not self._noted:
            return
        self._noted = None
        if len(noted) > HELD_MAX or not self.is_proved:
            return
        self._state = StateHash(orders, positions)
        self._state_as_of = as_of
        for seq, frame in noted:
            self._note(seq, frame)

    def forget_state(self) -> None:
        """It could not be kept; it is read anew."""
        self._state = self._noted = None

    def give_up_state(self, noted: Noted) -> None:
        """The snapshot could not be read."""
        if noted is self._noted:
            self._noted = None

    def _note(self, seq: int, frame: bytes) -> None:
        if self._noted is not None and len(self._noted) <= HELD_MAX:
            self._noted.append((seq, frame))
        elif self._state is not None and seq > self._state_as_of:
            self._state.note(frame)

    @property
    def events_unproved(self) -> int:
        """How many events came since the hash was last told."""
        return 0 if self._state is None else self._state.waiting

    def tell_state(self) -> None:
        """The hash as of the head, to everybody who can check it."""
        if self._state is None or self.head < self._state_as_of:
            return
        told = framed(frames.state_hash(self.account, self.head, self._state.hexdigest()))
        for topic in self._topics.values():
            if _is_whole(topic.mask):
                for sink in (*topic.steady, *topic.fresh):
                    sink.push(told)


def _is_whole(mask: Mask) -> bool:
    return mask & WHOLE_STATE == WHOLE_STATE


def is_contiguous(events: Sequence[Event], after: int) -> bool:
    """Nothing is missing among the events, nor between them and `after`."""
    return all(event.seq == after + place for place, event in enumerate(events, start=1))
