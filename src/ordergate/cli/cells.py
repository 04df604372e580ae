"""How one value looks to a person. Whatever a gateway says is text here, never markup."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any, Final

from rich.text import Text

Row = Mapping[str, Any]

_SIDE: Final = {"buy": "green", "sell": "red"}
_SEVERITY: Final = {"severe": "bold red", "warning": "yellow", "info": "dim"}
_STATUS: Final = {
    "filled": "green",
    "working": "cyan",
    "partially_filled": "cyan",
    "rejected": "red",
    "denied": "red",
    "unknown": "bold yellow",
    "canceled": "dim",
    "expired": "dim",
}


def clock(at: str) -> str:
    """The time of day of an RFC 3339 time, to the millisecond."""
    return at[11:23].rstrip("Z") if len(at) > 11 else at


def moment(at: str, today: date, *, to: str = "milliseconds") -> str:
    """The time of day of an RFC 3339 time in UTC, and its date before it where that is another day."""
    time = clock(at)[:8] if to == "seconds" else clock(at)
    return time if at[:10] == today.isoformat() else f"{at[:10]} {time}"


def today() -> date:
    return datetime.now(UTC).date()


def text(value: Any) -> Text:
    if isinstance(value, bool):
        return Text("yes" if value else "no")
    return Text("" if value is None else str(value))


def status(status: str) -> Text:
    return Text(status, style=_STATUS.get(status, ""))


def severity(severity: str) -> Text:
    return Text(severity, style=_SEVERITY.get(severity, ""))


def side(side: str) -> Text:
    return Text(side, style=_SIDE.get(side, ""))
