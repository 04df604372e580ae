"""A whole gateway tells trader and risk of a denial and of an execution, over real HTTP."""

from __future__ import annotations

from pathlib import Path

from bench.alerts import ENDPOINTS, FILLED, Receiver, figures, measure


def test_trader_and_risk_are_both_told_of_a_denial_and_of_an_execution(tmp_path: Path) -> None:
    told = measure(tmp_path, rounds=1)
    assert set(told.alert_ms) == set(told.drop_copy_ms) == set(ENDPOINTS)
    assert all(len(its) == 1 for its in (*told.alert_ms.values(), *told.drop_copy_ms.values()))
    assert (len(told.kept_ms), told.forged) == (1, 0)
    assert set(figures(told)["alert_ms"]) == set(ENDPOINTS)


def test_a_message_that_is_not_signed_is_not_counted() -> None:
    receiver = Receiver("risk")
    with receiver.serving():
        assert receiver.take(b'{"type": "order_filled"}', {"webhook-id": "msg_1"}) == 401
    assert (receiver.forged, receiver.of(FILLED, "P-1")) == (1, None)
