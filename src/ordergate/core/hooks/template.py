"""From an alert to the fields of an order: a table, and nothing that computes.

Every field of the order is a fixed text, or is found in the alert, by itself or through a list of words.
A field that the template does not name cannot come from outside; a value that is not found, or that has
no word, is a refusal. Amounts stay the digits that were sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from ordergate.core.refusals import Code, Refusal

FIELDS: Final = frozenset(
    {
        "symbol",
        "side",
        "type",
        "quantity",
        "limit_price",
        "stop_price",
        "time_in_force",
        "client_order_id",
        "extended_hours",
        "strategy",
        "strategy_version",
        "user",
        "venue",
    }
)
REQUIRED: Final = ("symbol", "side", "type", "quantity")
STEPS_MAX: Final = 8
TEXT_CHARACTERS_MAX: Final = 128

_alerts: Final = msgspec.json.Decoder(float_hook=str)


class Found(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"path": "from"}):
    """A value of the alert: `from` are the names on the way to it, with dots between them.

    `words` says what each value that may come is called in an order; without it the value is taken as it
    is. `default` stands for one that is missing.
    """

    path: str
    words: dict[str, str] | None = None
    default: str | None = None

    def __post_init__(self) -> None:
        steps = self.path.split(".")
        if not all(steps) or len(steps) > STEPS_MAX:
            raise ValueError(f"`from` is 1 to {STEPS_MAX} names with dots between them")


Value = str | bool | Found


class Template(msgspec.Struct, frozen=True):
    """`fields` are the order's, without its account. Raises ValueError when made of impossible ones."""

    fields: Mapping[str, Value]

    def __post_init__(self) -> None:
        if strange := sorted(set(self.fields) - FIELDS):
            raise ValueError(f"an order of a hook has no field {', '.join(strange)}")
        if missing := [name for name in REQUIRED if name not in self.fields]:
            raise ValueError(f"an order of a hook needs {', '.join(missing)}")

    def order(self, account: str, alert: Mapping[str, Any]) -> dict[str, str | bool] | Refusal:
        """The order's fields, as a client would write them; still to be checked as a client's."""
        order: dict[str, str | bool] = {"account_id": account}
        wrong: dict[str, str] = {}
        for name, value in self.fields.items():
            if not isinstance(value, Found):
                order[name] = value
                continue
            said = text_at(alert, value.path)
            if said is None:
                said = value.default
            elif value.words is not None:
                said = value.words.get(said)
            if said is not None:
                order[name] = said
            elif name in REQUIRED or text_at(alert, value.path) is not None:
                wrong[name] = f"the alert's {value.path} does not say it"
        if wrong:
            return Refusal(Code.INVALID, "the alert does not make an order", wrong)
        return order


def alert_in(body: bytes) -> Mapping[str, Any] | Refusal:
    """The object that the body spells; its numbers are the texts they were written as."""
    try:
        alert = _alerts.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Refusal(Code.MALFORMED, "the alert is not well-formed JSON in UTF-8")
    if not isinstance(alert, dict):
        return Refusal(Code.MALFORMED, "an alert is a JSON object")
    return alert


def text_at(alert: Mapping[str, Any], path: str) -> str | None:
    """The value at the end of the path as text; None for none, and for what is no single value."""
    here: Any = alert
    for step in path.split("."):
        if not isinstance(here, Mapping) or step not in here:
            return None
        here = here[step]
    if isinstance(here, bool) or not isinstance(here, str | int):
        return None
    return str(here)[: TEXT_CHARACTERS_MAX + 1]
