"""What questions to a broker are answered with while its lists lag, are partial, or are another account's."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from ordergate.core.orders.reports import OrderSnapshot
from ordergate.ports.broker import BrokerAccount, NotFound, OpenOrders
from ordergate.simulation.brokerage import Brokerage

T = TypeVar("T")


class Past:
    """What each question was answered with before, on one line."""

    def __init__(self, brokerage: Brokerage) -> None:
        self._brokerage = brokerage
        self._past: dict[str, Any] = {}

    def told(self, question: str, found: T) -> T:
        """What the broker says is so; during some spells not what is so."""
        brokerage, seen = self._brokerage, self._brokerage.weather.seen
        told: Any = found
        if question == "account" and brokerage.spell("B22") is not None:
            seen("B22")
            told = msgspec.structs.replace(_account(found), fingerprint="paper:ANOTHER")
        elif question == "executions":
            told = self._listed_late(found)
        elif question in ("positions", "account", "open orders"):
            told = self._partial_or_old(question, found)
        elif brokerage.spell("B18") is not None and question.startswith("find"):
            past = self._past.get(question)
            if past is not None and past != found and not isinstance(past, NotFound):
                seen("B18", question)
                told = past
        if told is found and isinstance(found, OrderSnapshot | list | dict | BrokerAccount):
            self._past[question] = found
        result: T = told
        return result

    def _listed_late(self, found: Any) -> Any:
        """A list that lags may show a younger execution before an older one."""
        brokerage = self._brokerage
        missing = [one for one in found if brokerage.is_listed_late(one)]
        if missing and not brokerage.weather.healed:
            brokerage.weather.seen("B18", f"{len(missing)} executions are not listed")
        return [one for one in found if one not in missing]

    def _partial_or_old(self, question: str, found: Any) -> Any:
        brokerage, seen = self._brokerage, self._brokerage.weather.seen
        spell = brokerage.spell("B23")
        past = self._past.get(question)
        if spell is not None and spell.dose < 0.5 and past is not None and past != found:
            seen("B23", f"old {question}")
            return past
        if spell is not None and question == "open orders" and found:
            seen("B23", "the last of the open orders is missing")
            return OpenOrders(found[:-1])  # the broker does not say so
        if spell is not None and question == "positions" and found:
            seen("B23", "a position is missing")
            return dict(sorted(found.items())[:-1])
        if brokerage.spell("B18") is not None and question == "open orders" and past not in (None, found):
            seen("B18", question)
            return past
        return found


def _account(found: object) -> BrokerAccount:
    assert isinstance(found, BrokerAccount)
    return found
