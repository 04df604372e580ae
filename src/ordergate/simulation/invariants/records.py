"""I19: what was done is in the record once, and what was signed for is the whole record."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from ordergate.audit import notes
from ordergate.core.contingent import events as g
from ordergate.core.ids import AccountId
from ordergate.core.orders import events as e
from ordergate.journal.tails import Linked
from ordergate.simulation.invariants.before_sending import SightedChecker
from ordergate.simulation.invariants.sight import Sight
from ordergate.simulation.notary import ORIGIN
from ordergate.simulation.witness import Answered

_OF_AN_ORDER: Final = (
    e.OrderAccepted,
    e.OrderHeld,
    e.OrderDenied,
    e.CancelRequested,
    e.ReplaceRequested,
    e.ReplaceDenied,
    e.HeldReplaced,
    e.OrderResolved,
)
_OF_A_GROUP: Final = (g.GroupAccepted, g.GroupDenied, g.GroupCancelRequested)
_PRIVILEGED: Final = ("stop", "limits")


class RecordedOnce(SightedChecker):
    """I19: every command that was answered with a yes, and everything privileged, has exactly one record."""

    id = "I19"

    def __init__(self, sight: Sight, say: Callable[[str, str], None]) -> None:
        super().__init__(sight, say)
        self._bought: Counter[tuple[AccountId, str, str]] = Counter()
        self._units: Counter[str] = Counter()
        self._commands: set[tuple[AccountId, str, str]] = set()
        self._privileged: set[str] = set()

    def committed(self, linked: Linked, by: str) -> None:
        unit = linked.unit
        if unit.entries:
            self._units[unit.entries[0].correlation] += 1
        if unit.receipt is None:
            return
        self._bought[unit.account, unit.receipt.scope.client_id, unit.receipt.scope.key] += 1
        subject = unit.receipt.order
        if subject is None:
            return
        decisions = sum(
            (isinstance(one.event, _OF_AN_ORDER) and one.order_id == subject)
            or (isinstance(one.event, _OF_A_GROUP) and str(one.event.group_id) == subject)
            for one in unit.entries
        )
        if decisions != 1:
            self.violated(f"{unit.receipt.scope.key} decided about {subject}, in {decisions} records")

    def answered(self, answered: Answered) -> None:
        if answered.refused or not answered.key:
            return
        if answered.verb in _PRIVILEGED:
            self._privileged.add(answered.key)
        else:
            self._commands.add((answered.account, answered.client, answered.key))

    def ended(self) -> None:
        for command in sorted(self._commands):
            if self._bought[command] != 1:
                _, client, key = command
                self.violated(f"{key} of {client} was answered, and is in {self._bought[command]} records")
        for correlation in sorted(self._privileged):
            if self._units[correlation] != 1:
                self.violated(f"{correlation} was answered, and is in {self._units[correlation]} records")


class SignedFor(SightedChecker):
    """I19: the last checkpoint is of every record, and every one before it of the records that were first."""

    id = "I19"

    def ended(self) -> None:
        log, books = self.sight.server.notary.log, self.sight.server.store.books
        taken: dict[AccountId, int] = {}
        leaves: list[bytes] = []
        for one in log.order:
            if one.after != taken.get(one.account, 0) or one.first != len(leaves):
                self.violated(f"the records of {one.account} are not in the tree one after the other")
            taken[one.account] = one.upto
            leaves += [sealed.hash for _, sealed in books[one.account].events[one.after : one.upto]]
        for account, its in sorted(books.items()):
            if len(its.events) != taken.get(account, 0):
                signed = taken.get(account, 0)
                self.violated(f"{signed} records of {account} are signed for, there are {len(its.events)}")
        if not log.kept:
            self.violated("nothing was ever signed for")
            return
        for head in (log.kept[-1], log.kept[len(log.kept) // 2]):
            self._holds(head.note, leaves[: head.size])

    def _holds(self, note: str, leaves: Sequence[bytes]) -> None:
        parsed = notes.parse_note(note)
        if not notes.is_signed_by(parsed, ORIGIN, self.sight.server.notary.key.public):
            self.violated("a checkpoint is not signed by the house's key")
        signed = notes.parse_checkpoint(parsed.text)
        if (signed.size, signed.root) != (len(leaves), _root(leaves)):
            self.violated(f"what was signed for {signed.size} records is not their root")
        if note not in self.sight.server.notary.published:
            self.violated(f"the checkpoint of {signed.size} records was never published")


def _root(leaves: Sequence[bytes]) -> bytes:
    """RFC 6962, 2.1, as it is written there, and by no code of the gateway's."""
    if len(leaves) <= 1:
        return hashlib.sha256(b"".join((b"\x00", *leaves)) if leaves else b"").digest()
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + _root(leaves[:split]) + _root(leaves[split:])).digest()
