"""The token endpoint issues what the client may have, and tells every mistake as RFC 6749 says."""

import asyncio
import base64
import json
from typing import Any

import pytest

from ordergate.core.access import Scope
from ordergate.core.ids import Env
from ordergate.security.clients import Client
from ordergate.security.oauth_requests import Answer
from ordergate.security.throttle import PAIR, UNPROVEN
from tests.security.visitor import visitor
from tests.security.world import World, opened, other_key, world

GRANT = {"grant_type": "client_credentials"}


def told(answer: Answer) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(answer.body)
    return body


async def test_a_client_gets_a_token_with_all_its_scopes_by_default() -> None:
    here = await world()

    answer = await here.ask("/oauth/token", GRANT, basic=("desk", here.secret.reveal()))

    assert answer.status == 200
    assert answer.headers["cache-control"] == "no-store"
    body = told(answer)
    assert body["token_type"] == "Bearer"
    assert body["expires_in"] == 900
    assert body["scope"] == "accounts:read orders:read orders:write"
    assert "refresh_token" not in body


async def test_the_token_has_the_form_of_rfc_9068_and_verifies_with_the_published_keys() -> None:
    here = await world()

    token = await here.token(scope="orders:read")

    jwks = await here.ask("/.well-known/jwks.json", {})
    seen = opened(token, jwks.body)
    assert seen.header == {"typ": "at+jwt", "alg": "ES256", "kid": here.own.kid}
    now = here.clock.epoch
    assert seen.claims.pop("jti")
    assert seen.claims == {
        "iss": "http://127.0.0.1:8080",
        "aud": "http://127.0.0.1:8080/paper",
        "sub": "desk",
        "client_id": "desk",
        "scope": "orders:read",
        "iat": now,
        "exp": now + 900,
        "env": "paper",
        "tenant": "acme",
        "acct": ["P-alpha", "P-beta"],
    }


async def test_a_live_token_lives_five_minutes_and_is_for_another_audience() -> None:
    here = await world(Env.LIVE)

    jwks = await here.ask("/.well-known/jwks.json", {})
    claims = opened(await here.token(), jwks.body).claims

    assert claims["exp"] - claims["iat"] == 300
    assert (claims["iss"], claims["aud"]) == ("https://gateway.example", "https://gateway.example/live")


async def test_the_key_set_holds_no_private_key() -> None:
    here = await world()

    for key in told(await here.ask("/.well-known/jwks.json", {}))["keys"]:
        assert set(key) == {"kty", "crv", "x", "y", "kid", "use", "alg"}


async def test_credentials_may_come_in_the_form() -> None:
    here = await world()

    answer = await here.ask(
        "/oauth/token", {**GRANT, "client_id": "desk", "client_secret": here.secret.reveal()}
    )

    assert answer.status == 200


async def test_a_subset_of_the_clients_scopes_may_be_asked_for() -> None:
    here = await world()

    principal = await here.bearer.authenticate(await here.token(scope="orders:read accounts:read"))

    assert principal.scopes == {Scope.ORDERS_READ, Scope.ACCOUNTS_READ}


@pytest.mark.parametrize(
    "scope", ["risk:write", "orders:read risk:write", "admin", "orders:read  orders:write", '"']
)
async def test_a_scope_that_is_not_the_clients_is_refused_and_not_narrowed(scope: str) -> None:
    here = await world()

    answer = await here.ask("/oauth/token", {**GRANT, "scope": scope}, basic=("desk", here.secret.reveal()))

    assert (answer.status, told(answer)["error"]) == (400, "invalid_scope")


@pytest.mark.parametrize(
    "grant",
    ["password", "implicit", "urn:ietf:params:oauth:grant-type:jwt-bearer", "CLIENT_CREDENTIALS", 'x"\\é\n'],
)
async def test_no_other_grant_exists(grant: str) -> None:
    here = await world()

    answer = await here.ask("/oauth/token", {"grant_type": grant}, basic=("desk", here.secret.reveal()))

    assert answer.status == 400
    assert told(answer)["error"] == "unsupported_grant_type"
    assert all(" " <= c <= "~" and c not in '"\\' for c in told(answer).get("error_description", ""))


@pytest.mark.parametrize("grant", ["authorization_code", "refresh_token"])
async def test_a_client_that_is_sent_nobody_acts_for_nobody(grant: str) -> None:
    here = await world()

    answer = await here.ask("/oauth/token", {"grant_type": grant}, basic=("desk", here.secret.reveal()))

    assert (answer.status, told(answer)["error"]) == (400, "unauthorized_client")


@pytest.mark.parametrize("parameters", [{}, {"grant_type": ""}, {"scope": "orders:read"}])
async def test_a_missing_grant_type_is_an_invalid_request(parameters: dict[str, str]) -> None:
    here = await world()

    answer = await here.ask("/oauth/token", parameters, basic=("desk", here.secret.reveal()))

    assert (answer.status, told(answer)["error"]) == (400, "invalid_request")


async def wrong_logins(here: World) -> list[Answer]:
    secret = here.secret.reveal()
    disabled = here.security.directory.client("desk")
    assert disabled is not None
    await here.security.directory.put_client(
        Client(
            client_id="gone",
            tenant="acme",
            secret_hash=disabled.secret_hash,
            scopes=disabled.scopes,
            accounts=disabled.accounts,
            enabled=False,
        )
    )
    return [
        await here.ask("/oauth/token", GRANT, basic=("desk", secret + "x"), peer="192.0.2.1"),
        await here.ask("/oauth/token", GRANT, basic=("nobody", secret), peer="192.0.2.2"),
        await here.ask("/oauth/token", GRANT, basic=("gone", secret), peer="192.0.2.3"),
        await here.ask("/oauth/token", GRANT, basic=("desk", ""), peer="192.0.2.4"),
        await here.ask("/oauth/token", GRANT, basic=("desk", "x" * 100_00), peer="192.0.2.5"),
        await here.ask("/oauth/token", GRANT, peer="192.0.2.6"),
        await here.ask("/oauth/token", {**GRANT, "client_id": "desk"}, peer="192.0.2.7"),
        await here.ask(
            "/oauth/token", {**GRANT, "client_id": "desk", "client_secret": "x"}, peer="192.0.2.8"
        ),
    ]


async def test_every_failed_login_has_the_same_answer() -> None:
    here = await world()

    answers = await wrong_logins(here)

    assert {answer.status for answer in answers} == {401}
    assert len({answer.body for answer in answers}) == 1
    assert told(answers[0])["error"] == "invalid_client"
    assert all(answer.headers["www-authenticate"].startswith("Basic") for answer in answers)


FORM = "application/x-www-form-urlencoded"
BAD_REQUESTS: dict[str, tuple[bytes, dict[str, str]]] = {
    "a parameter twice": (
        b"grant_type=client_credentials&grant_type=client_credentials",
        {"content-type": FORM},
    ),
    "JSON": (b'{"grant_type":"client_credentials"}', {"content-type": "application/json"}),
    "no content type": (b"grant_type=client_credentials", {}),
    "another charset": (b"grant_type=client_credentials", {"content-type": FORM + "; charset=utf-16"}),
    "raw bytes": (b"grant_type=\xff\xfe", {"content-type": FORM}),
    "escaped bytes that are no UTF-8": (b"grant_type=%ff", {"content-type": FORM}),
    "too many parameters": (b"&".join(b"a%d=1" % i for i in range(100)), {"content-type": FORM}),
    "too large": (b"a=" + b"x" * 20_000, {"content-type": FORM}),
}


@pytest.mark.parametrize("what", BAD_REQUESTS)
async def test_a_request_that_is_no_proper_form_is_refused(what: str) -> None:
    here = await world()
    body, headers = BAD_REQUESTS[what]
    login = base64.b64encode(f"desk:{here.secret.reveal()}".encode()).decode()

    answer = await here.send("/oauth/token", body, {**headers, "authorization": f"Basic {login}"})

    assert (answer.status, told(answer)["error"]) == (400, "invalid_request")


@pytest.mark.parametrize("form", [{"client_id": "desk", "client_secret": "x"}, {"client_id": "other"}])
async def test_two_ways_of_authenticating_at_once_are_refused(form: dict[str, str]) -> None:
    here = await world()

    answer = await here.ask("/oauth/token", {**GRANT, **form}, basic=("desk", here.secret.reveal()))

    assert (answer.status, told(answer)["error"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    "header",
    [
        "Basic",
        "Basic !!!",
        "Basic ZGVzaw==",
        "Bearer abc",
        "Basic " + base64.b64encode(b"\xff:\xff").decode(),
    ],
)
async def test_an_unreadable_authorization_header_is_a_failed_login(header: str) -> None:
    here = await world()

    answer = await here.send(
        "/oauth/token", b"grant_type=client_credentials", {"content-type": FORM, "authorization": header}
    )

    assert (answer.status, told(answer)["error"]) == (401, "invalid_client")


async def test_guessing_is_throttled_and_others_are_not() -> None:
    here = await world()

    async def attempt(secret: str, peer: str = "192.0.2.9") -> Answer:
        return await here.ask("/oauth/token", GRANT, basic=("desk", secret), peer=peer)

    guesses = [await attempt(f"guess{i}") for i in range(7)]
    right = await attempt(here.secret.reveal())
    elsewhere = await attempt(here.secret.reveal(), "192.0.2.10")

    assert [g.status for g in guesses] == [401] * 5 + [429] * 2
    assert right.status == 429
    assert 1 <= int(right.headers["retry-after"]) <= 60
    assert elsewhere.status == 200

    here.clock.advance(60)
    assert (await attempt(here.secret.reveal())).status == 200


async def test_guesses_that_all_come_at_once_are_throttled_too() -> None:
    here = await world()

    answers = await asyncio.gather(
        *(here.ask("/oauth/token", GRANT, basic=("desk", f"guess{i}"), peer="192.0.2.9") for i in range(40))
    )

    assert sum(answer.status == 401 for answer in answers) == 5
    assert sum(answer.status == 429 for answer in answers) == 35


async def test_many_logins_that_succeed_are_not_throttled() -> None:
    here = await world()

    for _ in range(12):
        await here.token()


async def test_the_metadata_names_every_endpoint_under_the_issuer() -> None:
    here = await world()

    document = told(await here.ask("/.well-known/oauth-authorization-server", {}))

    assert document["issuer"] == here.profile.issuer
    assert document["token_endpoint"] == "http://127.0.0.1:8080/oauth/token"
    assert document["grant_types_supported"] == ["client_credentials", "authorization_code", "refresh_token"]
    assert document["require_pushed_authorization_requests"] is True
    assert document["code_challenge_methods_supported"] == ["S256"]
    assert set(document["scopes_supported"]) == {scope.value for scope in Scope}
    paths = {endpoint.path for endpoint in here.security.endpoints()}
    named = [value for key, value in document.items() if key.endswith(("_endpoint", "_uri"))]
    assert {url.removeprefix(here.profile.issuer) for url in named} <= paths


@pytest.mark.parametrize("env", list(Env))
async def test_the_resource_describes_itself(env: Env) -> None:
    here = await world(env)

    document = told(await here.ask(f"/.well-known/oauth-protected-resource/{env.value}", {}))

    assert document["resource"] == here.profile.audience
    assert document["authorization_servers"] == [here.profile.issuer]
    assert document["bearer_methods_supported"] == ["header"]
    assert document["dpop_signing_alg_values_supported"] == ["ES256", "Ed25519", "EdDSA", "PS256"]


async def test_in_live_the_metadata_offers_no_shared_secret() -> None:
    here = await world(Env.LIVE)

    document = told(await here.ask("/.well-known/oauth-authorization-server", {}))

    assert document["token_endpoint_auth_methods_supported"] == ["private_key_jwt"]


async def test_strangers_everywhere_keep_nobody_out_who_has_a_key_or_got_in_before() -> None:
    here, live = await world(), await world(Env.LIVE)
    assert (await here.ask_for_token()).status == 200
    for number in range(20):
        peer = f"192.0.2.{number + 1}"
        for _ in range(5):
            wrong = {"grant_type": "client_credentials"}
            await here.ask("/oauth/token", wrong, basic=("desk", "wrong"), peer=peer)
            await live.ask("/oauth/token", wrong | live.asserted(other_key()), peer=peer)

    assert (await here.ask_for_token()).status == 200
    proof = live.proof("POST", "/oauth/token")
    assert (await live.ask_for_token(proof=proof)).status == 200


async def test_a_stranger_who_waits_leaves_no_proofs_behind() -> None:
    """What is remembered of proofs has its bounds, and whoever is turned away must not fill them."""
    live = await world(Env.LIVE)
    wrong = {"grant_type": "client_credentials"} | live.asserted(other_key())
    for _ in range(PAIR.failures):
        assert (await live.ask("/oauth/token", wrong, proof=live.proof("POST", "/oauth/token"))).status == 401
    proof = live.proof("POST", "/oauth/token")
    assert (await live.ask("/oauth/token", wrong, proof=proof)).status == 429

    live.clock.advance(PAIR.interval_s)

    assert (await live.ask_for_token(proof=proof)).status == 200, "it was not used"


async def test_who_proves_nothing_pushes_so_often_from_one_address() -> None:
    here = await world()
    alice = await visitor(here)
    pushed = [(await alice.push()).status for _ in range(UNPROVEN.failures + 5)]
    assert pushed == [201] * UNPROVEN.failures + [429] * 5


async def test_a_public_program_that_guesses_at_codes_waits() -> None:
    here = await world()
    await visitor(here)
    guess = {
        "grant_type": "authorization_code",
        "client_id": "app",
        "code": "guessed",
        "code_verifier": "v" * 43,
        "redirect_uri": "https://desk.example/back",
    }
    answers = [(await here.ask("/oauth/token", guess)).status for _ in range(UNPROVEN.failures + 2)]
    assert answers == [400] * UNPROVEN.failures + [429] * 2
