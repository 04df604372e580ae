"""`hooks try`: what an alert would become, without a gateway."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ordergate.wiring import demo
from tests.cli.asking import Said, ordergate

ORDER = {"symbol": "AAPL", "side": {"from": "action"}, "type": "market", "quantity": {"from": "n"}}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    plain = demo.gateway_plain(tmp_path, port=8700, venue_url="http://127.0.0.1:1")
    plain["hooks"] = {"trend": {"account": demo.ACCOUNT, "order": ORDER, "signed": [{"environment": "S"}]}}
    file = tmp_path / "gateway.yaml"
    file.write_text(yaml.safe_dump(plain), encoding="utf-8")
    return file


def tried(config: Path, alert: str, hook: str = "trend") -> Said:
    file = config.with_name("alert.json")
    file.write_text(alert, encoding="utf-8")
    return ordergate("hooks", "try", str(file), "--hook", hook, "--config", str(config), "--json")


def test_an_alert_is_shown_as_the_order_that_it_asks_for(config: Path) -> None:
    said = tried(config, '{"action": "sell", "n": 2.50}')
    assert said.code == 0, said.err
    assert (said.json["side"], said.json["quantity"], said.json["account_id"]) == (
        "sell",
        "2.50",
        demo.ACCOUNT,
    )


@pytest.mark.parametrize(
    ("alert", "words"),
    [('{"action": "sell"}', "quantity"), ('{"action": "flat", "n": 1}', "side"), ("sell", "JSON")],
)
def test_an_alert_that_makes_no_order_is_a_sentence(config: Path, alert: str, words: str) -> None:
    said = tried(config, alert)
    assert said.code == 1
    assert words in said.err


def test_a_hook_that_is_not_there_is_a_sentence(config: Path) -> None:
    assert "no hook other" in tried(config, "{}", "other").err


def test_a_new_secret_is_shown_once_and_says_until_when_the_one_before_serves(
    config: Path, tmp_path: Path
) -> None:
    now, before = tmp_path / "now", tmp_path / "before"
    now.write_text("a passphrase that is long", encoding="utf-8")
    now.chmod(0o600)
    plain = yaml.safe_load(config.read_text(encoding="utf-8"))
    told = {"field": "p", "time": "t", "secrets": [{"file": str(now)}, {"file": str(before)}]}
    plain["hooks"]["trend"] = {"account": demo.ACCOUNT, "order": ORDER, "passphrase": told}
    config.write_text(yaml.safe_dump(plain), encoding="utf-8")
    said = ordergate("secrets", "rotate-hook", "trend", "--config", str(config), "--json")
    assert said.code == 0, said.err
    assert now.read_text(encoding="utf-8") == said.json["secret"]
    until = f"until {said.json['before_until']}"
    assert before.read_text(encoding="utf-8").splitlines() == ["a passphrase that is long", until]
    assert "no hook 'other'" in ordergate("secrets", "rotate-hook", "other", "--config", str(config)).err
