"""Where each taken account's stream ends in memory, and whether a unit may follow.

The tail is the first of two guards: it links a unit to the last one queued and seals its
events. The database is the second, and does not trust it. An old owner's tail stays behind
with its fault, so that nothing of it is written after the account was taken again.
"""

from __future__ import annotations

import msgspec

from ordergate.core.faults import AppendConflict, Fault, StaleEpoch
from ordergate.core.ids import AccountId
from ordergate.journal import chain, codec
from ordergate.ports.journal import Sealed, Taken, Unit


class Tail(msgspec.Struct, kw_only=True):
    """One ownership of one account.

    `refused` is set when a unit could not be linked: nothing may be linked behind it. `fault` is set
    when a linked unit was not written: what is linked behind it must not be written either.
    """

    account: AccountId
    epoch: int
    head: int
    last_hash: bytes
    refused: Fault | None = None
    fault: Fault | None = None


class Linked(msgspec.Struct, frozen=True, kw_only=True):
    """A unit with its events sealed, and about how many bytes it is."""

    unit: Unit
    tail: Tail
    sealed: tuple[Sealed, ...]
    head: int
    last_hash: bytes
    size: int


class Tails:
    """The tails of all accounts that this journal has taken."""

    def __init__(self) -> None:
        self._tails: dict[AccountId, Tail] = {}

    def take(self, account: AccountId, taken: Taken, last_hash: bytes) -> None:
        """A new ownership begins; the one before it ends."""
        before = self._tails.get(account)
        if before is not None and before.fault is None:
            before.fault = StaleEpoch(f"{account} was taken again, under epoch {taken.epoch}")
        self._tails[account] = Tail(account=account, epoch=taken.epoch, head=taken.head, last_hash=last_hash)

    def link(self, unit: Unit) -> Linked | Fault:
        """The unit sealed behind the last one, or why it cannot be written."""
        tail = self._tails.get(unit.account)
        if tail is None or unit.epoch != tail.epoch:
            return StaleEpoch(f"{unit.account} is not owned under epoch {unit.epoch}")
        if tail.fault is not None:
            return tail.fault
        if tail.refused is None and unit.expected != tail.head:
            tail.refused = AppendConflict(f"{unit.account} stands at {tail.head}, not at {unit.expected}")
        if tail.refused is not None:
            return tail.refused
        return _seal(unit, tail)

    def fail_all(self, fault: Fault) -> None:
        """What every account stands at is uncertain: each must be taken and folded again."""
        for tail in self._tails.values():
            if tail.fault is None:
                tail.fault = fault


def _seal(unit: Unit, tail: Tail) -> Linked:
    head, last_hash, size = tail.head, tail.last_hash, 0
    sealed = []
    for entry in unit.entries:
        head += 1
        if entry.seq != head:
            raise ValueError(f"entries of a unit carry expected + 1 and on: {entry.seq} is not {head}")
        kind, version, body = codec.encode(entry.event)
        last_hash = chain.seal(
            last_hash,
            account=unit.account,
            seq=head,
            kind=kind,
            version=version,
            order_id=entry.order_id,
            at=entry.event.at,
            correlation=entry.correlation,
            body=body,
            frame=entry.frame,
        )
        sealed.append(Sealed(seq=head, kind=kind, version=version, hash=last_hash, body=body))
        size += len(body) + len(entry.frame)
    for order in unit.orders:
        size += len(order.body)
    for rows in (unit.executions, unit.positions, unit.balances, unit.breaks):
        for row in rows:
            size += len(row.body)
    tail.head, tail.last_hash = head, last_hash
    return Linked(unit=unit, tail=tail, sealed=tuple(sealed), head=head, last_hash=last_hash, size=size)
