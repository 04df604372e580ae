"""Those who listen to an account: told after the commit, in order of sequence, never awaited."""

from __future__ import annotations

from typing import Protocol

from ordergate.core.ids import AccountId
from ordergate.ports.market_data import Quote, Trade


class Audience(Protocol):
    def tell(self, account: AccountId, seq: int, kind: str, frame: bytes) -> None:
        """One journalled event, durable already. `frame` is its public JSON object."""
        ...

    def tell_price(self, price: Quote | Trade) -> None: ...
