"""A URL that leads elsewhere is refused before a credential is near a socket."""

import pytest

from ordergate.brokers._shared.hosts import ForeignHost, is_loopback, origin

HOSTS = frozenset({"broker.example", "127.0.0.1"})


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.8.7", "::1", "localhost"])
def test_this_machine_is_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["10.0.0.1", "localhost.example", "127.0.0.1.example", "", "0.0.0.0"])
def test_nothing_else_is_loopback(host: str) -> None:
    assert not is_loopback(host)


def test_an_allowed_host_is_an_origin() -> None:
    assert str(origin("https://broker.example/", hosts=HOSTS)) == "https://broker.example"
    assert str(origin("http://127.0.0.1:8080", hosts=HOSTS, plain=True)) == "http://127.0.0.1:8080"


@pytest.mark.parametrize(
    "url",
    [
        "https://other.example",
        "https://broker.example.evil.example",
        "https://broker.example@evil.example",
        "https://user:secret@broker.example",
        "http://broker.example",
        "ftp://broker.example",
        "https://broker.example/path",
        "https://broker.example?x=1",
        "https://broker.example#x",
        "//broker.example",
        "broker.example",
        "",
    ],
)
def test_everything_else_is_foreign(url: str) -> None:
    with pytest.raises(ForeignHost):
        origin(url, hosts=HOSTS)
