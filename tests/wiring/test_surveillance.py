"""Who is told is a matter of settings; that nobody essential is left out is said at start."""

from __future__ import annotations

from typing import Any

from ordergate.wiring.settings import Settings, parse
from ordergate.wiring.surveillance import lacking

KEY = {"environment": "NOBODY_READS_THIS"}


def watched(*endpoints: dict[str, Any]) -> Settings:
    plain = {
        "environment": "paper",
        "data_dir": "data",
        "instruments": [],
        "brokers": {"b": {"key": KEY, "secret": KEY}},
        "accounts": {"P-ONE": {"broker": "b"}, "P-TWO": {"broker": "b"}},
        "surveillance": [{"url": "https://example.com", "secrets": [KEY], **one} for one in endpoints],
    }
    return parse(plain, "test")


def test_trader_and_risk_are_two_endpoints_for_every_account() -> None:
    risk, desk = {"name": "risk"}, {"name": "desk", "accounts": ["P-ONE"]}
    assert lacking(watched()) == "trader and risk are not both alerted of P-ONE, P-TWO"
    assert lacking(watched(risk, desk)) == "trader and risk are not both alerted of P-TWO"
    assert lacking(watched(risk, {"name": "copy", "streams": ["drop_copy"]})) is not None
    assert lacking(watched(risk, {"name": "trader"})) is None
