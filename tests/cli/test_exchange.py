"""Every request carries a proof of its own, as an independent verifier sees it; a nonce is taken once."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest
from joserfc.jwk import ECKey

from ordergate.cli.exchange import Exchange
from ordergate.cli.exits import Stopped
from ordergate.cli.proofs import Proofs, assertion
from ordergate.core.ids import Env
from ordergate.security import assertions
from ordergate.security.dpop import Proofs as Verifier
from ordergate.security.dpop import Used
from ordergate.security.oauth_requests import ASSERTION_TYPE
from tests.cli.live import Now
from tests.security.world import with_key, world

URL = "https://gateway.example"
KEY = ECKey.generate_key("P-256", private=True)
Answers = Callable[[httpx.Request], httpx.Response]


def exchange(answers: Answers, key: ECKey = KEY) -> Exchange:
    return Exchange(httpx.Client(base_url=URL, transport=httpx.MockTransport(answers)), Proofs(key))


def verifier() -> Verifier:
    clock = Now()
    return Verifier(URL, lambda: clock.now().timestamp(), clock.monotonic)


def held(by: Verifier, request: httpx.Request, token: str | None = "a-token") -> str:
    used = None if token is None else Used(token=token)
    return by.check(request.headers["dpop"], method=request.method, path=request.url.path, used=used)


def wanting(by: Verifier) -> httpx.Response:
    headers = {"www-authenticate": 'DPoP error="use_dpop_nonce"', "dpop-nonce": by.nonce()}
    return httpx.Response(401, headers=headers, json={"code": "use-dpop-nonce"})


def test_a_lost_answer_is_asked_for_again_with_another_proof() -> None:
    """The first may have arrived, and is used up then."""
    judge, seen = verifier(), list[str]()

    def answers(request: httpx.Request) -> httpx.Response:
        if "nonce" not in str(seen):
            seen.append("nonce")
            return wanting(judge)
        seen.append(held(judge, request))
        if len(seen) < 4:
            raise httpx.ReadError("the line went dead")
        return httpx.Response(200, json={})

    answer = exchange(answers).ask("GET", "/v1/orders", "a-token", params={"open": "true"})

    assert answer.status_code == 200
    assert seen[1:] == [KEY.thumbprint()] * 3


def test_a_server_that_wants_one_nonce_after_another_gets_one_and_no_more() -> None:
    asked: list[httpx.Request] = []

    def answers(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return wanting(verifier())

    assert exchange(answers).ask("GET", "/v1/orders", "a-token").status_code == 401
    assert len(asked) == 2


def test_the_nonce_of_every_answer_is_in_the_next_proof() -> None:
    judge, asked = verifier(), list[httpx.Request]()

    def answers(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, headers={"dpop-nonce": judge.nonce()}, json={})

    line = exchange(answers)
    line.ask("GET", "/v1/orders", "a-token")
    line.ask("POST", "/v1/orders", "a-token", content=b"{}")

    assert held(judge, asked[1]) == KEY.thumbprint()
    assert len(asked) == 2


def test_a_proof_for_a_stream_is_for_the_request_that_opens_it() -> None:
    judge, proofs = verifier(), Proofs(KEY)
    assert proofs.heard(URL, {"dpop-nonce": judge.nonce()})

    sent = proofs.headers("GET", "wss://gateway.example/v1/stream", "a-token")

    assert sent["authorization"] == "DPoP a-token"
    found = judge.check(sent["dpop"], method="GET", path="/v1/stream", used=Used(token="a-token"))
    assert found == KEY.thumbprint()


def test_a_nonce_goes_to_the_server_that_gave_it_and_to_no_other() -> None:
    judge, proofs = verifier(), Proofs(KEY)
    proofs.heard("https://other.example/oauth/token", {"dpop-nonce": judge.nonce()})

    with pytest.raises(Exception, match="the nonce"):
        judge.check(proofs.proof("POST", f"{URL}/oauth/token"), method="POST", path="/oauth/token")


async def test_a_program_with_a_key_is_itself_to_who_registered_it() -> None:
    here = await world(Env.LIVE)
    described = with_key(here, KEY)
    key = ECKey.import_key({**KEY.as_dict(private=True), "kid": "desk-1"})

    form = assertion(key, "desk", URL)

    now = Now().now().timestamp()
    assert assertions.check(form["client_assertion"], described, URL, now).expires_at > now
    assert form["client_assertion_type"] == ASSERTION_TYPE
    for issuer in (f"{URL}/", "https://other.example"):
        with pytest.raises(Exception, match="for another server"):
            assertions.check(form["client_assertion"], described, issuer, now)


def test_every_try_proves_the_program_anew() -> None:
    asked: list[bytes] = []

    def answers(request: httpx.Request) -> httpx.Response:
        asked.append(request.content)
        if len(asked) < 2:
            raise httpx.ReadError("the line went dead")
        return httpx.Response(200, json={})

    exchange(answers).post(f"{URL}/oauth/token", {"a": "b"}, lambda: (assertion(KEY, "desk", URL), {}))

    assert len(set(asked)) == 2


def test_a_closed_door_is_not_knocked_at_again() -> None:
    asked: list[httpx.Request] = []

    def answers(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        raise httpx.ConnectError("refused")

    with pytest.raises(Stopped, match="cannot be reached"):
        exchange(answers).ask("GET", "/v1/orders", "a-token")
    assert len(asked) == 1
