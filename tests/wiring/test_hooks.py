"""The hooks of a settings file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ordergate.core.hooks.hook import Passphrase, Signed
from ordergate.wiring import demo
from ordergate.wiring.hooks import hooks
from ordergate.wiring.settings import CannotStart, Settings, parse

ORDER = {
    "symbol": {"from": "ticker", "words": {"ES1!": "ESM4"}},
    "side": {"from": "strategy.order.action"},
    "type": "market",
    "quantity": {"from": "strategy.order.contracts"},
}


def settings(folder: Path, **hook: Any) -> Settings:
    plain = demo.gateway_plain(folder, port=8700, venue_url="http://127.0.0.1:1")
    plain["hooks"] = {"tradingview": {"account": demo.ACCOUNT, "order": ORDER, **hook}}
    return parse(plain, "gateway.yaml")


def secret(folder: Path, text: str) -> dict[str, str]:
    file = folder / "secret"
    file.write_text(text, encoding="utf-8")
    return {"file": str(file)}


def test_a_hook_with_signatures_is_read(tmp_path: Path) -> None:
    given = settings(tmp_path, signed=[secret(tmp_path, f"whsec_{'a' * 32}")], networks=["10.0.0.0/8"])
    made = hooks(given)["tradingview"]
    assert isinstance(made.proof, Signed)
    assert made.is_open_to("10.1.2.3")


def test_a_hook_with_a_passphrase_is_read(tmp_path: Path) -> None:
    told = {"field": "secret", "time": "timenow", "secrets": [secret(tmp_path, "a passphrase that is long")]}
    made = hooks(settings(tmp_path, passphrase=told))["tradingview"]
    assert isinstance(made.proof, Passphrase)


@pytest.mark.parametrize(
    ("hook", "words"),
    [
        ({}, "either `signed` or `passphrase`"),
        ({"account": "P-NOBODY", "signed": [{"environment": "X"}]}, "which is not given"),
        ({"order": {**ORDER, "price": "1"}, "signed": [{"environment": "X"}]}, "no field price"),
        ({"order": {"side": "buy"}, "signed": [{"environment": "X"}]}, "needs symbol"),
        ({"signed": [{"environment": "X"}], "window_s": 0}, "window_s"),
    ],
)
def test_an_impossible_hook_is_a_sentence(tmp_path: Path, hook: dict[str, Any], words: str) -> None:
    with pytest.raises(CannotStart, match=words):
        settings(tmp_path, **hook)


def test_a_short_passphrase_and_a_strange_network_are_sentences(tmp_path: Path) -> None:
    told = {"field": "secret", "time": "timenow", "secrets": [secret(tmp_path, "short")]}
    with pytest.raises(CannotStart, match="at least 24 characters"):
        hooks(settings(tmp_path, passphrase=told))
    with pytest.raises(CannotStart, match="network"):
        hooks(
            settings(tmp_path, signed=[secret(tmp_path, f"whsec_{'a' * 32}")], networks=["tradingview.com"])
        )
