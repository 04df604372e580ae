"""How well the accounts and their brokers agree, as gauges."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime

from ordergate.core.accounts.breaks import Break, Severity
from ordergate.engine.accounts.lanes import Seat
from ordergate.telemetry.metrics import Metrics


def show(metrics: Metrics, seats: Iterable[Seat], *, now: datetime, since: datetime) -> None:
    """`since` stands for the last reconciliation of an account that had none yet."""
    held = list(seats)
    found = [item for seat in held for item in open_breaks(seat)]
    by_severity = Counter(item.severity for item in found)
    for severity in Severity:
        metrics.breaks_open[severity].set(by_severity[severity])
    metrics.break_age.set(max(((now - item.opened_at).total_seconds() for item in found), default=0.0))
    metrics.stale_accounts.set(sum(seat.freshness.stale_since is not None for seat in held))
    ages = [(now - _reconciled_at(seat, since)).total_seconds() for seat in held]
    metrics.reconciliation_age.set(max(ages, default=0.0))
    took = [seat.runs.latest.took_ms / 1000 for seat in held if seat.runs.latest is not None]
    metrics.reconciliation_took.set(max(took, default=0.0))


def open_breaks(seat: Seat) -> list[Break]:
    account = seat.lane.books.account
    return [] if account is None else [item for item in account.breaks.values() if item.is_open]


def _reconciled_at(seat: Seat, since: datetime) -> datetime:
    return since if seat.runs.completed is None else seat.runs.completed.started_at
