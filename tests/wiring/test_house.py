"""What `run` keeps in its folder says where this start is, whoever reads it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml

from ordergate.wiring import demo, house
from ordergate.wiring.databases import settings_of
from ordergate.wiring.gateway import Gateway
from ordergate.wiring.settings import CannotStart, parse


def test_the_settings_have_the_addresses_of_the_latest_start(tmp_path: Path) -> None:
    """A profile that `clients add` writes, and a login that `credentials` tries, go by them."""
    house._settings(tmp_path, 8700, 8702, "http://127.0.0.1:8701")
    house._settings(tmp_path, 9000, 9002, "http://127.0.0.1:9001")
    found = settings_of(None, tmp_path)
    assert (found.base_url, found.brokers["venue"].url) == ("http://127.0.0.1:9000", "http://127.0.0.1:9001")


def test_what_somebody_wrote_into_the_settings_stays(tmp_path: Path) -> None:
    house._settings(tmp_path, 8700, 8702, "http://127.0.0.1:8701")
    file = tmp_path / "gateway.yaml"
    written = "# mine\n" + file.read_text(encoding="utf-8") + "log_level: debug  # for a while\n"
    file.write_text(written, encoding="utf-8")
    house._settings(tmp_path, 9000, 9002, "http://127.0.0.1:9001")
    assert file.read_text(encoding="utf-8") == written.replace(":8701", ":9001").replace(": 8700", ": 9000")


def settings_with(tmp_path: Path, *, instruments: list[str], prices: list[str]) -> Any:
    """The demo's, of which somebody has left so much."""
    plain = demo.gateway_plain(tmp_path, port=8700, venue_url="http://127.0.0.1:8701")
    listed = [{**demo.INSTRUMENTS[1], "symbol": symbol} for symbol in instruments]
    plain["instruments"] = listed
    plain["brokers"]["venue"]["prices"] = [{"feed": "v2/iex", "symbols": prices}]
    return parse(yaml.safe_load(yaml.safe_dump(plain)), "gateway.yaml")


@pytest.mark.parametrize(
    ("instruments", "prices", "sampled"),
    [
        (["ESH4", "AAPL"], ["ESH4", "AAPL"], "ESH4"),
        (["AAPL", "MSFT"], ["AAPL", "MSFT"], "AAPL"),
        (["ESH4", "AAPL"], ["AAPL"], "AAPL"),
        (["TSLA", "AAPL"], ["TSLA", "AAPL"], "AAPL"),  # the venue lists no TSLA
        (["TSLA"], ["TSLA"], None),
        (["AAPL"], [], None),
    ],
)
def test_a_quote_is_waited_for_only_where_the_settings_let_one_come(
    tmp_path: Path, instruments: list[str], prices: list[str], sampled: str | None
) -> None:
    assert house._sampled(settings_with(tmp_path, instruments=instruments, prices=prices)) == sampled


async def test_a_quote_that_does_not_come_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(house, "READY_S_MAX", 0.0)
    settings = settings_with(tmp_path, instruments=["AAPL"], prices=["AAPL"])
    node = SimpleNamespace(
        gate=SimpleNamespace(readiness=dict), prices=SimpleNamespace(quote=lambda symbol: None)
    )
    with pytest.raises(CannotStart, match="prices: no quote of AAPL has come from the venue"):
        await house._until_ready(cast(Gateway, SimpleNamespace(settings=settings, node=node)))
