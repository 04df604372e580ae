"""Who is told of everything that really happened: the checkers of invariants, and the trace.

Parts report facts here, never opinions. A checker overrides the hooks it needs; the others cost
nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec

from ordergate.brokers.paper.exchange import Moved
from ordergate.brokers.paper.fates import Call
from ordergate.core.ids import AccountId
from ordergate.journal.tails import Linked
from ordergate.simulation.trace import Trace

VIOLATIONS_MAX: Final = 20


class Violation(msgspec.Struct, frozen=True):
    invariant: str
    at: float
    what: str


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes of a command may have left a gateway. `subject` is the client order id they carry."""

    account: AccountId
    gateway: str
    call: Call
    subject: str


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """A client heard what came of a command. `order` is empty when it was refused.

    `about` is the order, or the stop, that was asked about.
    """

    account: AccountId
    client: str
    verb: str
    key: str
    order: str
    refused: str = ""
    denied: bool = False
    replayed: bool = False
    body: bytes = b""
    asked_s: float = 0.0
    about: str = ""


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody was shown an order as it was at some moment: in an answer, on a stream, by a read."""

    account: AccountId
    client: str
    order: str
    body: bytes


class Read(msgspec.Struct, frozen=True, kw_only=True):
    """A client was answered what it asked of the read tables.

    `order` is the one that it wanted, by its id or by its label (`by`); empty where it wanted all that are
    open. `found` is what it was shown, by id.
    """

    account: AccountId
    client: str
    by: str
    order: str
    found: dict[str, bytes]
    asked_s: float


class Checker:
    """One invariant. Hooks are called in the order in which things happened."""

    id = ""

    def __init__(self, say: Callable[[str, str], None]) -> None:
        self._say = say

    def violated(self, what: str) -> None:
        self._say(self.id, what)

    def sent(self, sent: Sent) -> None: ...
    def committed(self, linked: Linked, by: str) -> None: ...
    def moved(self, account: AccountId, moved: Moved) -> None: ...
    def answered(self, answered: Answered) -> None: ...
    def heard(self, heard: Heard) -> None: ...
    def read(self, read: Read) -> None: ...
    def ticked(self) -> None: ...
    def ended(self) -> None: ...


_HOOKS: Final = ("sent", "committed", "moved", "answered", "heard", "read", "ticked", "ended")


class Witness:
    def __init__(self, trace: Trace, now: Callable[[], float]) -> None:
        self.trace = trace
        self.violations: list[Violation] = []
        self.heard_of: set[str] = set()
        self._now = now
        self._hooks: dict[str, list[Callable[..., None]]] = {hook: [] for hook in _HOOKS}

    def bring(self, checkers: Iterable[Checker]) -> None:
        for checker in checkers:
            for hook in _HOOKS:
                if getattr(type(checker), hook) is not getattr(Checker, hook):
                    self._hooks[hook].append(getattr(checker, hook))

    def say(self, invariant: str, what: str) -> None:
        """An invariant does not hold."""
        self.trace.note("VIOLATED", f"{invariant} {what}")
        if len(self.violations) < VIOLATIONS_MAX:
            self.violations.append(Violation(invariant, round(self._now(), 6), what))

    def sent(self, sent: Sent) -> None:
        self.trace.note("sent", f"{sent.gateway} {sent.call} {sent.subject}")
        self._call("sent", sent)

    def committed(self, linked: Linked, by: str) -> None:
        unit = linked.unit
        for entry, sealed in zip(unit.entries, linked.sealed, strict=True):
            what = f"{unit.account} {sealed.seq} {sealed.kind} {entry.order_id or ''}"
            self.trace.note("event", f"{what} {sealed.hash.hex()[:12]}")
        self._call("committed", linked, by)

    def moved(self, account: AccountId, moved: Moved) -> None:
        order = moved.order
        what = f"{account} {moved.word} {order.id} {order.cl_ord_id} {order.status} {order.cum_qty}"
        self.trace.note("venue", what)
        self._call("moved", account, moved)

    def answered(self, answered: Answered) -> None:
        self.heard_of.add(answered.order)
        end = answered.refused or ("denied" if answered.denied else answered.order)
        self.trace.note("answer", f"{answered.client} {answered.verb} {answered.key} {end}")
        self._call("answered", answered)
        self.heard(
            Heard(account=answered.account, client=answered.client, order=answered.order, body=answered.body)
        )

    def heard(self, heard: Heard) -> None:
        """What anybody knows now, nobody may be shown as it was before."""
        if heard.order:
            self._call("heard", heard)

    def read(self, read: Read) -> None:
        self.trace.note("read", f"{read.client} {read.by} {read.order} {len(read.found)}")
        self._call("read", read)
        for order, body in read.found.items():
            self.heard(Heard(account=read.account, client=read.client, order=order, body=body))

    def ticked(self) -> None:
        self._call("ticked")

    def ended(self) -> None:
        self._call("ended")

    def _call(self, hook: str, *facts: Any) -> None:
        for each in self._hooks[hook]:
            each(*facts)
