"""A login takes the answer of the gateway that was asked, and of no other."""

from __future__ import annotations

import threading
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
from joserfc.jwk import ECKey

from ordergate.cli import authorizing
from ordergate.cli.authorizing import Wanted
from ordergate.cli.exchange import Exchange
from ordergate.cli.exits import Stopped
from ordergate.cli.private import Login
from ordergate.cli.profiles import Profile
from ordergate.cli.proofs import Proofs

URL = "https://gateway.example"
PROFILE = Profile(
    base_url=URL,
    stream_url="wss://gateway.example/v1/stream",
    token_url=f"{URL}/oauth/token",
    client_id="cli",
    person=True,
)
SERVER = {
    "issuer": URL,
    "authorization_endpoint": f"{URL}/oauth/authorize",
    "token_endpoint": f"{URL}/oauth/token",
    "revocation_endpoint": f"{URL}/oauth/revoke",
    "pushed_authorization_request_endpoint": f"{URL}/oauth/par",
    "token_endpoint_auth_methods_supported": ["none"],
}
TOKEN = {"access_token": "t", "refresh_token": "r", "token_type": "DPoP", "expires_in": 300}


class Gateway:
    """Says what it is told to say. `back` are the parameters with which the browser comes back."""

    def __init__(self, back: dict[str, str], *, server: Any = SERVER, token: Any = TOKEN) -> None:
        self.back = {"iss": URL, "code": "c", **back}
        self.server = server
        self.token = token
        self.pushed: dict[str, list[str]] = {}
        self.redeemed: dict[str, list[str]] = {}
        self.proven: list[bool] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            found = self.server is not None
            return httpx.Response(200 if found else 404, json=self.server)
        self.proven.append("dpop" in request.headers)
        form = parse_qs(request.content.decode())
        if request.url.path == "/oauth/par":
            self.pushed = form
            return httpx.Response(201, json={"request_uri": "urn:x", "expires_in": 60})
        self.redeemed = form
        return httpx.Response(200, json=self.token)

    def log_in(self, wanted: Wanted | None = None) -> Login:
        http = httpx.Client(base_url=URL, transport=httpx.MockTransport(self))
        line = Exchange(http, Proofs(ECKey.generate_key("P-256", private=True)))
        wanted = wanted or Wanted(browser=False)
        return authorizing.log_in(PROFILE, line, lambda: ({"client_id": "cli"}, {}), wanted, self._seen)

    def _seen(self, sentence: str) -> None:
        assert f"{URL}/oauth/authorize?client_id=cli&request_uri=urn%3Ax" in sentence
        threading.Thread(target=self._come_back, daemon=True).start()

    def _come_back(self) -> None:
        state = {"state": self.pushed["state"][0]}
        httpx.get(self.pushed["redirect_uri"][0], params={**state, **self.back}, trust_env=False)


def test_what_is_pushed_is_what_is_redeemed_and_nothing_goes_through_the_browser() -> None:
    gateway = Gateway({})

    login = gateway.log_in(Wanted(browser=False, two_factors=True, scopes=["orders:read"]))

    assert (login.access_token, login.refresh_token) == ("t", "r")
    assert gateway.pushed["acr_values"] == ["urn:ordergate:two-factors"]
    assert gateway.pushed["max_age"] == ["300"]
    assert gateway.pushed["scope"] == ["orders:read"]
    assert gateway.pushed["code_challenge_method"] == ["S256"]
    assert gateway.redeemed["redirect_uri"] == gateway.pushed["redirect_uri"]
    assert gateway.redeemed["code"] == ["c"]
    assert gateway.proven == [True, True]


@pytest.mark.parametrize(
    ("back", "words"),
    [
        ({"iss": "https://other.example"}, "another server answered"),
        ({"iss": f"{URL}/"}, "another server answered"),
        ({"iss": ""}, "another server answered"),
        ({"iss": "https://other.example", "error": "access_denied"}, "another server answered"),
        ({"error": "access_denied"}, "denied"),
        ({"error": "unmet_authentication_requirements"}, "two factors"),
        ({"error": "server_error"}, "server_error"),
        ({"code": ""}, "no code"),
    ],
)
def test_an_answer_is_not_taken_that_is(back: dict[str, str], words: str) -> None:
    gateway = Gateway(back)

    with pytest.raises(Stopped, match=words):
        gateway.log_in()
    assert not gateway.redeemed, "no code is sent to anybody"


@pytest.mark.parametrize(
    ("server", "words"),
    [
        (None, "no logins of its own"),
        ({**SERVER, "issuer": "https://other.example"}, "says that it is"),
        ({**SERVER, "issuer": f"{URL}/"}, "says that it is"),
        ({**SERVER, "token_endpoint": "https://other.example/oauth/token"}, "says that it is"),
        ({**SERVER, "pushed_authorization_request_endpoint": f"{URL}.evil.example/par"}, "says that it is"),
        ({"issuer": URL}, "does not say how to log in"),
    ],
)
def test_a_gateway_that_says_it_is_another_gets_nothing(server: Any, words: str) -> None:
    gateway = Gateway({}, server=server)

    with pytest.raises(Stopped, match=words):
        gateway.log_in()
    assert not gateway.pushed


def test_a_token_that_serves_whoever_has_it_is_not_taken() -> None:
    with pytest.raises(Stopped, match="not bound"):
        Gateway({}, token={**TOKEN, "token_type": "Bearer"}).log_in()
