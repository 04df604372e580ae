"""Asks the venue for faults, and asks its ledger what really happened."""

from typing import Any

import httpx


def ask_for(admin: httpx.Client, kind: str, scope: str, **terms: Any) -> int:
    answer = admin.post("/faults", json={"kind": kind, "scope": scope, "count": 1, **terms})
    assert answer.status_code == 201, answer.text
    fault_id: int = answer.json()["id"]
    return fault_id


def struck(admin: httpx.Client) -> list[int]:
    return [state["struck"] for state in admin.get("/faults").json()]


def names_at_venue(admin: httpx.Client) -> list[str]:
    orders = admin.get("/ledger/alice").json()["orders"]
    return [order["ticket"]["client_order_id"] for order in orders]
