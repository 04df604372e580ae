"""Pins in the settings: what cannot be one is refused at the start, and every adapter is made with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest

from ordergate.brokers.alpaca.access import Bearer
from ordergate.core.ids import Env
from ordergate.telemetry.secret import Secret
from ordergate.wiring.brokerages import access_of
from ordergate.wiring.pins import PinSettings, context_of
from ordergate.wiring.settings import CannotStart, Settings, parse
from tests.brokers.authorities import Authority

PIN: Final = "A" * 43 + "="
LINKED: Final = {
    "client_id": "ordergate",
    "client_secret": {"environment": "SECRET"},
    "redirect_uri": "http://127.0.0.1:8799/linked",
}


def settings(environment: str = "paper", **login: Any) -> Settings:
    plain = {
        "environment": environment,
        "data_dir": "data",
        "instruments": [],
        "brokers": {"one": login},
        "accounts": {},
    }
    return parse(plain, "gateway.yaml")


REFUSED: Final[dict[str, tuple[dict[str, Any], str]]] = {
    "nothing": ({"pins": {}}, "pin nothing"),
    "no base64": ({"pins": {"keys": ["pin!"]}}, "'pin!' is no pin"),
    "too short": ({"pins": {"keys": [PIN, "AAAA"]}}, "'AAAA' is no pin"),
    "another word": ({"pins": {"key": PIN}}, "key"),
    "a venue without TLS": ({"url": "http://127.0.0.1:1", "pins": {"keys": [PIN]}}, "give https"),
    "grants without TLS": (
        {"oauth": {"base_url": "http://127.0.0.1:1", **LINKED}, "pins": {"keys": [PIN]}},
        "give https",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_pins_nothing_is_refused_with_a_sentence(case: str) -> None:
    login, words = REFUSED[case]
    with pytest.raises(CannotStart, match=words):
        settings(**login)


@pytest.mark.parametrize("written", [None, b"", b"no certificate"])
def test_authorities_that_cannot_be_read_are_refused_at_the_start(
    tmp_path: Path, written: bytes | None
) -> None:
    file = tmp_path / "authorities.pem"
    if written is not None:
        file.write_bytes(written)
    asked = settings(pins={"authorities": str(file)}).brokers["one"]
    with pytest.raises(CannotStart, match=r"`pins`: .*authorities\.pem"):
        access_of(asked, Env.PAPER, Bearer(Env.PAPER, Secret("token")))


@pytest.mark.parametrize("environment", ["paper", "live"])
def test_adapters_of_either_environment_are_made_with_them(tmp_path: Path, environment: str) -> None:
    pins = {"authorities": str(Authority(tmp_path, "ours").file), "keys": [PIN]}
    pinned = settings(environment, pins=pins).brokers["one"]
    plain = settings(environment).brokers["one"]
    if environment == "live":
        real = Bearer(Env.LIVE, Secret("token"))
        made, without = access_of(pinned, Env.LIVE, real), access_of(plain, Env.LIVE, real)
        assert (made.tls is None, without.tls is None) == (False, True)
        return
    practice = Bearer(Env.PAPER, Secret("token"))
    found, bare = access_of(pinned, Env.PAPER, practice), access_of(plain, Env.PAPER, practice)
    assert (found.tls is None, bare.tls is None) == (False, True)


def test_authorities_that_are_given_are_the_only_ones(tmp_path: Path) -> None:
    ours = Authority(tmp_path, "ours")
    made = context_of(PinSettings(authorities=ours.file))
    assert made is not None
    assert [one["subject"] for one in made.get_ca_certs()] == [((("commonName", "ours root"),),)]
