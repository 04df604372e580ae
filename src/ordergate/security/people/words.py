"""What each scope lets a program do, in words for the person who is asked."""

from __future__ import annotations

from typing import Final

from ordergate.core.access import Scope

SCOPE_WORDS: Final = {
    Scope.ORDERS_READ: "see orders and their events",
    Scope.ORDERS_WRITE: "place, change and cancel orders",
    Scope.ACCOUNTS_READ: "see accounts, positions, balances, executions and differences",
    Scope.ACCOUNTS_WRITE: "settle differences with the broker, and ask for a reconciliation",
    Scope.MARKET_DATA_READ: "see quotes and trades",
    Scope.RISK_READ: "see limits, their use, and the kill switch",
    Scope.RISK_WRITE: "change and approve limits, turn the kill switch, resolve orders in question",
    Scope.SURVEILLANCE_READ: "see what surveillance is told",
    Scope.OPERATIONS_WRITE: "turn the kill switch, resolve orders in question",
    Scope.ACCESS_READ: "see who may do what",
    Scope.ACCESS_WRITE: "give and take roles",
    Scope.CREDENTIALS_WRITE: "see, store and rotate what lets the gateway in at brokers",
}
