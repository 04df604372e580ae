"""What waits to be written, and what becomes of it."""

from __future__ import annotations

import asyncio

import msgspec

from ordergate.core.faults import Fault
from ordergate.core.ids import AccountId
from ordergate.journal.tails import Linked
from ordergate.ports.journal import Committed, Taken


class Append(msgspec.Struct):
    linked: Linked
    done: Committed
    attempts: int = 0


class Take(msgspec.Struct):
    account: AccountId
    done: asyncio.Future[Taken]


def failed_already(item: Append) -> bool:
    """Nothing may follow a unit that was not written."""
    fault = item.linked.tail.fault
    if fault is None:
        return False
    if not item.done.done():
        item.done.set_exception(fault)
    return True


def fail(item: Append, fault: Fault) -> None:
    item.linked.tail.fault = item.linked.tail.fault or fault
    if not item.done.done():
        item.done.set_exception(fault)


def split(batch: list[Append]) -> list[list[Append]]:
    """By account; an account's own part, by unit."""
    parts: dict[AccountId, list[Append]] = {}
    for item in batch:
        parts.setdefault(item.linked.unit.account, []).append(item)
    return list(parts.values()) if len(parts) > 1 else [[item] for item in batch]
