"""Paper never speaks to the live host, live to nothing else, and neither shows its credentials."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from ordergate.brokers._shared.hosts import ForeignHost
from ordergate.brokers.alpaca.access import Bearer, Keys, paper
from ordergate.brokers.alpaca.live import live
from ordergate.core.ids import Env, Paper
from ordergate.telemetry.secret import Secret

KEYS = Keys(Env.PAPER, Secret("PKTEST"), Secret("very-secret"))
BEARER = Bearer(Env.PAPER, Secret("very-secret"))


def test_live_is_the_live_host_and_nothing_else() -> None:
    access = live(Keys(Env.LIVE, Secret("AKTEST"), Secret("very-secret")))
    assert access.env is Env.LIVE
    assert access.trading == URL("https://api.alpaca.markets")
    assert access.trading_stream == URL("wss://api.alpaca.markets/stream")
    assert access.data == URL("https://stream.data.alpaca.markets")


def test_paper_is_the_paper_host() -> None:
    access = paper(KEYS)
    assert access.env is Env.PAPER
    assert access.trading == URL("https://paper-api.alpaca.markets")
    assert access.trading_stream == URL("wss://paper-api.alpaca.markets/stream")


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080", "http://localhost:8080", "http://[::1]:8080"])
def test_paper_may_speak_to_a_venue_on_this_machine(url: str) -> None:
    access = paper(KEYS, trading_url=url)
    assert access.env is Env.PAPER
    assert access.trading == access.data == URL(url)
    assert access.trading_stream.scheme == "ws"


def test_paper_may_speak_to_a_host_that_the_operator_named() -> None:
    access = paper(KEYS, trading_url="http://venue:8080", allowed_hosts=frozenset({"venue"}))
    assert access.trading == URL("http://venue:8080")


@pytest.mark.parametrize(
    "url",
    [
        "http://venue:8080",
        "https://api.alpaca.markets",
        "https://paper-api.alpaca.markets",
        "https://API.Alpaca.Markets",
        "https://api.alpaca.markets.",
        "https://api.alpaca.markets:443",
        "https://alpaca.markets",
        "https://127.0.0.1@api.alpaca.markets",
        "ftp://127.0.0.1",
        "http://127.0.0.1:8080/v2",
        "",
    ],
)
def test_paper_speaks_to_nothing_else(url: str) -> None:
    with pytest.raises(ForeignHost):
        paper(KEYS, trading_url=url)


@given(st.sampled_from(["api.alpaca.markets", "API.ALPACA.MARKETS", "data.alpaca.markets", "alpaca.markets"]))
def test_no_list_of_allowed_hosts_adds_one_of_alpacas(host: str) -> None:
    with pytest.raises(ForeignHost):
        paper(KEYS, trading_url=f"https://{host}", allowed_hosts=frozenset({host, host.lower()}))


def test_data_may_not_be_pointed_elsewhere_alone() -> None:
    with pytest.raises(ForeignHost):
        paper(KEYS, data_url="http://127.0.0.1:1")
    with pytest.raises(ForeignHost):
        paper(KEYS, trading_url="http://127.0.0.1:1", data_url="https://api.alpaca.markets")


def test_both_kinds_of_credentials_make_their_headers() -> None:
    assert paper(KEYS).headers() == {"APCA-API-KEY-ID": "PKTEST", "APCA-API-SECRET-KEY": "very-secret"}
    assert paper(BEARER).headers() == {"Authorization": "Bearer very-secret"}


@pytest.mark.parametrize("credentials", [KEYS, BEARER])
def test_credentials_refuse_to_be_printed(credentials: Keys[Paper] | Bearer[Paper]) -> None:
    access = paper(credentials)
    for shown in (repr(access), str(access), f"{access}", repr(credentials)):
        assert "very-secret" not in shown
        assert "PKTEST" not in shown
