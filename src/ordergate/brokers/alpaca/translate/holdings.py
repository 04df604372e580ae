"""Alpaca's account and positions in our words."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from ordergate.brokers.alpaca import wire
from ordergate.brokers.alpaca.translate import Contradiction
from ordergate.core.ids import Symbol
from ordergate.core.money import ZERO

_CRYPTO_QUOTES: Final = ("USDT", "USDC", "USD", "BTC")


def holding(position: wire.Position) -> tuple[Symbol, Decimal, Decimal]:
    """Symbol, signed quantity, average price. Alpaca writes a held coin pair without its slash."""
    quantity = Decimal(position.qty)
    if position.side == "long" and quantity < ZERO:
        raise Contradiction(f"a long position of {position.qty} {position.symbol}")
    signed = abs(quantity) if position.side == "long" else -abs(quantity)
    return Symbol(_pair(position)), signed, Decimal(position.avg_entry_price)


def _pair(position: wire.Position) -> str:
    symbol = position.symbol
    if position.asset_class != "crypto" or "/" in symbol:
        return symbol
    for quote in _CRYPTO_QUOTES:
        if symbol.endswith(quote) and len(symbol) > len(quote):
            return f"{symbol.removesuffix(quote)}/{quote}"
    raise Contradiction(f"{symbol} is no pair that Alpaca quotes")


def fingerprint(account: wire.Account) -> str:
    """Which account this is, at this broker, whatever key opened it."""
    return f"alpaca:{account.id}:{account.account_number}"


def blocked(account: wire.Account) -> str | None:
    """Why the account may not trade, or None when it may."""
    reasons = [
        name
        for name, holds in (
            ("trading_blocked", account.trading_blocked),
            ("account_blocked", account.account_blocked),
            ("trade_suspended_by_user", account.trade_suspended_by_user),
            (f"status {account.status}", account.status != "ACTIVE"),
        )
        if holds
    ]
    return ", ".join(reasons) or None
