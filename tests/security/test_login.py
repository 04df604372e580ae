"""A person logs in and lets a program act: once, from our own pages, for what was pushed and nothing else."""

from __future__ import annotations

import asyncio
import json
from html.parser import HTMLParser
from typing import Any

import msgspec
import pytest

from ordergate.core.access import Principal, Scope
from ordergate.core.ids import AccountId, Env
from ordergate.core.refusals import Refusal
from ordergate.security.clients import Client, check_client
from ordergate.security.oauth_requests import Answer
from ordergate.security.people.visits import COOKIE
from ordergate.security.pushed import LIFE_S, OF_ONE_MAX, Pushed, Requests
from tests.security.visitor import BACK, PASSWORD, led_to, visitor
from tests.security.world import opened, world


def error_of(answer: Answer) -> tuple[int, str]:
    return answer.status, json.loads(answer.body)["error"]


async def test_a_person_lets_a_program_act_and_it_gets_tokens_in_their_name() -> None:
    here = await world()
    alice = await visitor(here)

    tokens = await alice.tokens()

    seen = opened(tokens["access_token"], (await here.ask("/.well-known/jwks.json", {})).body)
    claims = seen.claims
    assert (claims["sub"], claims["client_id"], claims["tenant"]) == ("alice", "app", "acme")
    assert (claims["acr"], claims["auth_time"]) == ("urn:ordergate:password", here.clock.epoch)
    principal = await here.bearer.authenticate(tokens["access_token"])
    assert isinstance(principal, Principal)
    assert (principal.subject, principal.client_id) == ("alice", "app:alice")
    assert principal.scopes == {Scope.ORDERS_READ, Scope.ORDERS_WRITE}
    assert principal.accounts == {AccountId("P-alpha")}, "the person's, and not all of the program's"


async def test_the_answer_says_who_answers_and_repeats_the_state() -> None:
    here = await world()
    alice = await visitor(here)
    pushed = json.loads((await alice.push()).body)
    await alice.open(pushed["request_uri"])
    await alice.log_in()

    told = led_to(await alice.decide())

    assert pushed["expires_in"] == 60
    assert (told["iss"], told["state"]) == (here.profile.issuer, "the-state")


async def test_a_program_gets_no_more_than_the_person_has() -> None:
    here = await world()
    alice = await visitor(here)

    tokens = await alice.tokens(scope="orders:read risk:write")

    assert tokens["scope"] == "orders:read"


PUSHED: dict[str, tuple[dict[str, str | None], str]] = {
    "without PKCE": ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
    "with PKCE downgraded to plain": ({"code_challenge_method": "plain"}, "invalid_request"),
    "with PKCE of no method": ({"code_challenge_method": None}, "invalid_request"),
    "with PKCE of a method in small letters": ({"code_challenge_method": "s256"}, "invalid_request"),
    "with a challenge that is too short": ({"code_challenge": "abc"}, "invalid_request"),
    "with an empty challenge": ({"code_challenge": ""}, "invalid_request"),
    "with the implicit response": ({"response_type": "token"}, "unsupported_response_type"),
    "with two responses": ({"response_type": "code id_token"}, "unsupported_response_type"),
    "without a response type": ({"response_type": None}, "unsupported_response_type"),
    "with the answer in a fragment": ({"response_mode": "fragment"}, "invalid_request"),
    "with a request object": ({"request": "x.y.z"}, "invalid_request"),
    "with another pushed request": ({"request_uri": "urn:x"}, "invalid_request"),
    "with a scope that is not the program's": ({"scope": "accounts:write"}, "invalid_scope"),
    "with a scope that does not exist": ({"scope": "orders:read admin"}, "invalid_scope"),
    "with a state that breaks lines": ({"state": "a\r\nSet-Cookie: x=y"}, "invalid_request"),
    "with an endless state": ({"state": "x" * 600}, "invalid_request"),
    "with a key that is none": ({"dpop_jkt": "key"}, "invalid_request"),
    "without a redirect": ({"redirect_uri": None}, "invalid_request"),
}

REDIRECTS = [
    "https://desk.example/back/",
    "https://desk.example/back?x=1",
    "https://desk.example/back#x",
    "https://desk.example/Back",
    "https://desk.example/backdoor",
    "https://desk.example/back/../evil",
    "https://desk.example:443/back",
    "https://DESK.example/back",
    "https://desk.example.evil.example/back",
    "https://desk.example@evil.example/back",
    "http://desk.example/back",
    "https://evil.example/back",
    "https://desk.example/%62ack",
    "//desk.example/back",
    "javascript:alert(1)",
]


@pytest.mark.parametrize("what", PUSHED)
async def test_a_request_is_not_taken_that_is(what: str) -> None:
    alice = await visitor(await world())
    changes, code = PUSHED[what]

    assert error_of(await alice.push(**changes)) == (400, code)


@pytest.mark.parametrize("uri", REDIRECTS)
async def test_a_redirect_is_exactly_one_of_the_programs(uri: str) -> None:
    alice = await visitor(await world())

    assert error_of(await alice.push(redirect_uri=uri)) == (400, "invalid_request")


async def test_a_confidential_program_proves_itself_to_push() -> None:
    here = await world()
    alice = await visitor(here)
    desk = here.security.directory.client("desk")
    assert desk is not None
    await here.security.directory.put_client(msgspec.structs.replace(desk, redirect_uris=(BACK,)))

    unproven = await alice.push(client_id="desk")
    proven = await here.ask(
        "/oauth/par", alice.request(client_id="desk"), basic=("desk", here.secret.reveal())
    )

    assert error_of(unproven) == (401, "invalid_client")
    assert proven.status == 201


async def test_a_pushed_request_is_good_once_for_its_program_and_for_a_minute() -> None:
    here = await world()
    alice = await visitor(here)
    names = [json.loads((await alice.push()).body)["request_uri"] for _ in range(4)]

    assert (await alice.open(names[0])).status == 200
    assert (await alice.open(names[0])).status == 400
    assert (await alice.open(names[1], client_id="desk")).status == 400
    assert (await alice.open(names[1])).status == 400, "a wrong try uses it up"
    assert (await alice.open(names[2], redirect_uri="https://evil.example/")).status == 400
    here.clock.advance(60)
    assert (await alice.open(names[3])).status == 400
    assert (await alice.open("urn:ietf:params:oauth:request_uri:guess")).status == 400


def test_only_so_many_requests_wait_for_their_person() -> None:
    at = [0.0]
    requests = Requests(lambda: at[0])
    described: dict[str, Any] = {"redirect_uri": BACK, "scopes": frozenset(), "challenge": ""}

    def pushed(client_id: str) -> str | None:
        return requests.push(Pushed(client_id=client_id, state=None, bound_to=None, **described))

    names = [pushed("app") for _ in range(OF_ONE_MAX + 1)]
    assert names[-2] is not None
    assert names[-1] is None
    assert pushed("other") is not None
    at[0] = LIFE_S
    assert pushed("app") is not None
    assert requests.take(str(names[0]), "app") is None


@pytest.mark.parametrize(
    "query",
    [
        "",
        "client_id=app",
        "client_id=app&response_type=code&redirect_uri=https://desk.example/back",
        "client_id=app&client_id=app&request_uri=urn:x",
        "%",
        "&&&&&&",
        "client_id=app&request_uri=" + "x" * 3_000,
    ],
)
async def test_nothing_else_of_a_request_comes_through_the_browser(query: str) -> None:
    here = await world()
    await visitor(here)

    answer = await here.send("/oauth/authorize", b"", {}, query=query)

    assert answer.status == 400
    assert "location" not in answer.headers


@pytest.mark.parametrize(
    ("user", "password"), [("alice", "wrong"), ("nobody", PASSWORD), ("alice", ""), ("", PASSWORD)]
)
async def test_who_is_wrong_is_told_nothing_more(user: str, password: str) -> None:
    alice = await visitor(await world())
    await alice.open(json.loads((await alice.push()).body)["request_uri"])

    answer = await alice.log_in(user, password)

    assert answer.status == 401
    assert b"The name, the password or the code is wrong." in answer.body
    assert (await alice.decide()).status == 400


async def test_of_two_answers_at_once_one_lets_in() -> None:
    alice = await visitor(await world())
    await alice.open(json.loads((await alice.push()).body)["request_uri"])

    answers = await asyncio.gather(alice.log_in(), alice.log_in())

    assert sorted(answer.status for answer in answers) == [200, 400]


async def test_guessing_a_password_is_slowed_down() -> None:
    here = await world()
    alice = await visitor(here)
    await alice.open(json.loads((await alice.push()).body)["request_uri"])

    answers = [(await alice.log_in(password=f"guess{n}")).status for n in range(7)]

    assert answers == [401] * 5 + [429] * 2
    assert (await alice.log_in()).status == 429
    here.clock.advance(60)
    assert (await alice.log_in()).status == 200


async def test_a_second_factor_is_asked_for_and_good_once() -> None:
    here = await world()
    alice = await visitor(here, two_factors=True)

    async def attempt(code: str) -> int:
        await alice.open(json.loads((await alice.push()).body)["request_uri"])
        return (await alice.log_in(code=code)).status

    now = alice.code()
    assert await attempt("") == 401
    assert await attempt("000000" if now != "000000" else "000001") == 401
    assert await attempt(now) == 200
    assert await attempt(now) == 401
    here.clock.advance(60)
    claims: dict[str, Any] = opened(
        (await alice.tokens())["access_token"], (await here.ask("/.well-known/jwks.json", {})).body
    ).claims
    assert claims["acr"] == "urn:ordergate:two-factors"


async def test_in_live_nobody_logs_in_with_a_password_alone() -> None:
    here = await world(Env.LIVE)

    with pytest.raises(ValueError, match="second factor"):
        await visitor(here)


async def test_in_live_a_public_program_gets_nowhere() -> None:
    here = await world(Env.LIVE)
    alice = await visitor(here, two_factors=True)

    assert error_of(await alice.push()) == (401, "invalid_client")


async def test_another_browser_cannot_go_on_with_a_visit() -> None:
    here = await world()
    alice, mallory = await visitor(here), await visitor(here)
    await alice.open(json.loads((await alice.push()).body)["request_uri"])
    await mallory.open(json.loads((await mallory.push()).body)["request_uri"])

    mallory.visit = alice.visit
    assert (await mallory.log_in()).status == 400
    mallory.cookie = ""
    assert (await mallory.log_in()).status == 400
    mallory.cookie = f"{alice.cookie}; {COOKIE}=another"
    assert (await mallory.log_in()).status == 400


async def test_what_was_known_before_the_login_is_of_no_use_after_it() -> None:
    alice = await visitor(await world())
    await alice.open(json.loads((await alice.push()).body)["request_uri"])
    before = (alice.visit, alice.cookie)
    await alice.log_in()
    after = (alice.visit, alice.cookie)

    assert before[0] != after[0]
    assert before[1] != after[1]
    alice.visit, alice.cookie = before
    assert (await alice.decide()).status == 400
    alice.visit, alice.cookie = after
    assert (await alice.decide()).status == 303


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://evil.example"},
    ],
)
async def test_a_form_of_another_page_is_not_taken(headers: dict[str, str]) -> None:
    alice = await visitor(await world())
    await alice.open(json.loads((await alice.push()).body)["request_uri"])

    assert (await alice.log_in(**headers)).status == 400
    assert (await alice.log_in(**{"origin": "null", "sec-fetch-site": "same-origin"})).status == 200
    assert (await alice.decide(**headers)).status == 400


async def test_a_person_who_says_no_is_the_end_of_it() -> None:
    alice = await visitor(await world())
    await alice.open(json.loads((await alice.push()).body)["request_uri"])
    await alice.log_in()

    assert led_to(await alice.decide("deny"))["error"] == "access_denied"
    assert (await alice.decide()).status == 400


async def test_the_cookie_is_for_this_host_alone() -> None:
    alice = await visitor(await world())

    answer = await alice.open(json.loads((await alice.push()).body)["request_uri"])

    name, *attributes = answer.headers["set-cookie"].split("; ")
    assert name.startswith("__Host-")
    assert {"Secure", "HttpOnly", "SameSite=Strict", "Path=/"} <= set(attributes)
    assert not any(each.startswith("Domain") for each in attributes)


class _Sources(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.addresses += [value or "" for name, value in attrs if name in {"src", "href", "action"}]


async def test_the_pages_load_nothing_and_run_nothing() -> None:
    alice = await visitor(await world())
    pages = [await alice.open(json.loads((await alice.push()).body)["request_uri"])]
    pages.append(await alice.log_in())

    for page in pages:
        seen = _Sources()
        seen.feed(page.body.decode())
        assert not seen.tags & {"script", "img", "link", "iframe", "base"}
        assert all(address.startswith("/oauth/") for address in seen.addresses)
        policy = page.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'sha256-")
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
    assert "form-action 'self' https://desk.example;" in pages[1].headers["content-security-policy"]


async def test_a_disabled_person_has_nothing_within_a_refresh() -> None:
    here = await world()
    alice = await visitor(here)
    tokens = await alice.tokens()
    principal = await here.bearer.authenticate(tokens["access_token"])
    person = here.security.directory.person("alice")
    assert person is not None

    await here.security.people.put_person(msgspec.structs.replace(person, enabled=False))
    await here.security.directory.refresh()

    assert not here.bearer.still_valid(principal)
    assert isinstance(await here.bearer.authenticate(tokens["access_token"]), Refusal)
    assert error_of(await alice.refresh(tokens["refresh_token"]))[0] == 400


async def test_a_demoted_person_keeps_what_is_left() -> None:
    here = await world()
    alice = await visitor(here)
    tokens = await alice.tokens()
    token = tokens["access_token"]
    before = await here.bearer.authenticate(token)
    person = here.security.directory.person("alice")
    assert person is not None

    less = msgspec.structs.replace(person, scopes=frozenset({Scope.ORDERS_READ}))
    await here.security.people.put_person(less)
    await here.security.directory.refresh()

    assert not here.bearer.still_valid(before), "an open stream ends"
    after = await here.bearer.authenticate(token)
    assert isinstance(after, Principal)
    assert after.scopes == {Scope.ORDERS_READ}
    refreshed = await alice.refresh(tokens["refresh_token"])
    assert json.loads(refreshed.body)["scope"] == "orders:read"


async def test_a_public_program_has_no_token_of_its_own() -> None:
    here = await world()
    await visitor(here)

    answer = await here.ask("/oauth/token", {"grant_type": "client_credentials", "client_id": "app"})
    forged = here.sign(here.claims(sub="app", client_id="app"))

    assert error_of(answer)[0] in {400, 401}
    assert isinstance(await here.bearer.authenticate(forged), Refusal)


def test_an_app_cannot_be_registered_without_a_redirect_it_may_use() -> None:
    for uri in ("http://desk.example/", "https://desk.example/?a=b", "https://u:p@desk.example/", "x"):
        app = Client(
            client_id="app",
            tenant="acme",
            scopes=frozenset(),
            accounts=frozenset(),
            redirect_uris=(uri,),
        )
        with pytest.raises(ValueError, match=r"."):
            check_client(Env.PAPER, app)
