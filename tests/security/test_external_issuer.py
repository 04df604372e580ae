"""Tokens of somebody else's issuer: found by discovery, trusted within limits, never more than that."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import msgspec
import pytest
from aiohttp import web
from joserfc.jwk import Key, OctKey, OKPKey, RSAKey

from ordergate.core.access import Principal, Scope
from ordergate.core.refusals import Code, Refusal
from ordergate.security import external
from ordergate.security.external import ExternalIssuer, IssuerSettings
from tests.security.idp import Provider, provider
from tests.security.world import SetClock, World, other_key, world

AUDIENCE = "urn:gateway:paper"


class Trusting:
    """A gateway that trusts a provider."""

    def __init__(self, here: World, idp: Provider) -> None:
        self.here = here
        self.idp = idp

    def claims(self, **changes: Any) -> dict[str, Any]:
        now = self.here.clock.epoch
        claims = {
            "aud": AUDIENCE,
            "sub": "user-1",
            "client_id": "desk",
            "iat": now,
            "exp": now + 600,
            "jti": "their-token-1",
            "scope": "openid orders:read orders:write profile",
            "acct": ["P-alpha", "L-alpha", "*"],
            **changes,
        }
        return {name: value for name, value in claims.items() if value is not None}

    async def ask(self, token: str | None = None, **changes: Any) -> Principal | Refusal:
        answer: Principal | Refusal = await self.here.bearer.authenticate(
            token if token is not None else self.idp.token(self.claims(**changes))
        )
        return answer


@asynccontextmanager
async def trusting(**settings: Any) -> AsyncIterator[Trusting]:
    clock = SetClock()
    async with provider() as idp, external.http_client() as http:
        described = IssuerSettings(
            **{"name": "corp", "issuer": idp.issuer, "audience": AUDIENCE, "tenant": "acme", **settings}
        )
        here = await world(clock=clock, issuers=(ExternalIssuer(described, http, clock),))
        yield Trusting(here, idp)


async def test_a_token_of_a_trusted_issuer_gives_only_what_we_know() -> None:
    async with trusting() as it:
        principal = await it.ask()

    assert isinstance(principal, Principal)
    assert (principal.client_id, principal.subject, principal.tenant) == ("corp:desk", "corp:user-1", "acme")
    assert principal.scopes == {Scope.ORDERS_READ, Scope.ORDERS_WRITE}
    assert list(principal.accounts) == ["P-alpha"]


async def test_when_somebody_logged_in_is_what_the_issuer_says_and_not_known_otherwise() -> None:
    async with trusting(strong_acr=frozenset({"gold"})) as it:
        silent = await it.ask(acr="gold")
        said = await it.ask(jti="2", acr="gold", auth_time=1_000)
        assert isinstance(await it.ask(jti="3", acr="gold", auth_time="just now"), Refusal)

    assert isinstance(silent, Principal)
    assert isinstance(said, Principal)
    assert (silent.auth_time, said.auth_time) == (None, 1_000)


async def test_scopes_accounts_and_tenant_come_from_the_claims_that_are_configured() -> None:
    async with trusting(tenant_claim="org.id", accounts_claim="https://gateway.example/accounts") as it:
        principal = await it.ask(
            scope=None,
            scp=["orders:read"],
            acct=None,
            client_id=None,
            azp="web",
            org={"id": "globex"},
            **{"https://gateway.example/accounts": "P-alpha P-beta"},
        )
        without_tenant = await it.ask(jti="2")

    assert isinstance(principal, Principal)
    assert (principal.tenant, principal.client_id) == ("globex", "corp:web")
    assert principal.scopes == {Scope.ORDERS_READ}
    assert principal.accounts == {"P-alpha", "P-beta"}
    assert isinstance(without_tenant, Refusal)


REFUSED: dict[str, dict[str, Any]] = {
    "for another audience": {"aud": "urn:gateway:live"},
    "of the live environment": {"env": "live"},
    "expired": {"exp": 1},
    "without an expiry": {"exp": None},
    "living too long": {"exp": 4_000_000_000},
    "without an id": {"jti": None},
    "of no client": {"client_id": None},
    "of a client that is no text": {"client_id": ["desk"]},
    "with scopes of a wrong form": {"scope": {"orders:read": True}},
    "with accounts of a wrong form": {"acct": [1, 2]},
}


@pytest.mark.parametrize("what", REFUSED)
async def test_a_token_of_theirs_is_refused_that_is(what: str) -> None:
    async with trusting() as it:
        assert isinstance(await it.ask(), Principal)
        answer = await it.ask(**REFUSED[what])

    assert isinstance(answer, Refusal)
    assert answer.code is Code.UNAUTHENTICATED


async def test_neither_an_id_token_nor_a_weak_algorithm_passes() -> None:
    async with trusting() as it:
        rsa, secret = RSAKey.generate_key(2048, private=True), OctKey.generate_key(256)
        it.idp.keys |= {"rsa": rsa, "oct": secret}
        id_token = it.idp.token(it.claims(), typ="JWT")
        rs256 = it.idp.token(it.claims(), kid="rsa", alg="RS256")
        hs256 = it.idp.token(it.claims(), kid="oct", alg="HS256")
        stranger = it.idp.token(it.claims(), key=other_key())

        for token in (id_token, rs256, hs256, stranger):
            assert isinstance(await it.ask(token), Refusal)


async def test_every_accepted_algorithm_is_accepted_and_an_allow_list_narrows_them() -> None:
    keys: dict[str, Key] = {
        "PS256": RSAKey.generate_key(2048, private=True),
        "EdDSA": OKPKey.generate_key("Ed25519", private=True),
        "Ed25519": OKPKey.generate_key("Ed25519", private=True),
    }
    async with trusting() as it, trusting(algorithms=frozenset({"ES256"})) as narrow:
        for algorithm, key in keys.items():
            for place in (it, narrow):
                place.idp.keys[algorithm] = key
        for algorithm in keys:
            token = it.idp.token(it.claims(jti=algorithm), kid=algorithm, alg=algorithm)
            assert isinstance(await it.ask(token), Principal), algorithm
            token = narrow.idp.token(narrow.claims(jti=algorithm), kid=algorithm, alg=algorithm)
            assert isinstance(await narrow.ask(token), Refusal), algorithm


async def test_their_keys_cannot_sign_for_us_nor_ours_for_them() -> None:
    async with trusting() as it:
        assert isinstance(await it.ask(), Principal)
        as_ours = it.idp.token({**it.here.claims(), "iss": it.here.profile.issuer})
        as_theirs = it.here.sign({**it.claims(), "iss": it.idp.issuer})

        assert isinstance(await it.ask(as_ours), Refusal)
        assert isinstance(await it.ask(as_theirs), Refusal)


async def test_a_new_key_is_found_and_strange_key_ids_do_not_make_us_ask_again_and_again() -> None:
    async with trusting() as it:
        assert isinstance(await it.ask(), Principal)
        it.here.clock.advance(external.COOL_DOWN_S)
        it.idp.new_key("k2")

        assert isinstance(await it.ask(it.idp.token(it.claims(jti="2"), kid="k2")), Principal)

        asked = len(it.idp.asked)
        strange = [it.idp.token(it.claims(), kid=f"strange{i}", key=other_key()) for i in range(20)]
        answers = await asyncio.gather(*(it.ask(token) for token in strange))
        assert all(isinstance(answer, Refusal) for answer in answers)
        assert len(it.idp.asked) == asked


async def test_many_at_once_ask_the_issuer_once() -> None:
    async with trusting() as it:
        tokens = [it.idp.token(it.claims(jti=f"t{i}")) for i in range(30)]

        answers = await asyncio.gather(*(it.ask(token) for token in tokens))

        assert all(isinstance(answer, Principal) for answer in answers)
        assert it.idp.asked == ["/.well-known/openid-configuration", "/keys"]


async def test_a_key_that_the_issuer_took_back_is_gone_after_the_next_look() -> None:
    async with trusting() as it:
        assert isinstance(await it.ask(), Principal)
        stolen = it.idp.keys.pop("k1")
        it.idp.new_key("k2")

        it.here.clock.advance(external.FRESH_S)
        token = it.idp.token(it.claims(jti="2"), kid="k1", key=stolen)

        assert isinstance(await it.ask(token), Refusal)


async def test_while_the_issuer_is_away_its_keys_serve_for_a_time_and_then_no_longer() -> None:
    async with trusting() as it:
        assert isinstance(await it.ask(), Principal)
        it.idp.down = True

        it.here.clock.advance(external.FRESH_S + 1)
        assert isinstance(await it.ask(jti="2"), Principal)

        it.here.clock.advance(external.USABLE_S - external.FRESH_S)
        answer = await it.ask(jti="3")
        assert isinstance(answer, Refusal)
        assert answer.code is Code.UNAVAILABLE

        it.idp.down = False
        it.here.clock.advance(external.RETRY_S)
        assert isinstance(await it.ask(jti="4"), Principal)


async def elsewhere(request: web.Request) -> web.StreamResponse:
    raise web.HTTPFound("/keys")


async def endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(100):
        await response.write(b" " * 10_000)
    return response


async def no_json(request: web.Request) -> web.StreamResponse:
    return web.Response(body=b"<html>")


async def nested(request: web.Request) -> web.StreamResponse:
    return web.Response(body=b"[" * 100_000)


async def a_list(request: web.Request) -> web.StreamResponse:
    return web.json_response([])


async def compressed(request: web.Request) -> web.StreamResponse:
    return web.Response(body=b"\x1f\x8b", headers={"content-encoding": "gzip"})


async def too_many_keys(request: web.Request) -> web.StreamResponse:
    return web.json_response({"keys": [{}] * 1_000})


@pytest.mark.parametrize("misbehaving", [elsewhere, endless, no_json, nested, a_list, compressed])
async def test_a_discovery_document_that_is_not_one_gives_no_trust(misbehaving: Any) -> None:
    async with trusting() as it:
        it.idp.discovery = misbehaving

        answer = await it.ask()

        assert isinstance(answer, Refusal)
        assert answer.code is Code.UNAVAILABLE
        assert "/keys" not in it.idp.asked


@pytest.mark.parametrize("misbehaving", [elsewhere, endless, no_json, nested, a_list, too_many_keys])
async def test_a_key_set_that_is_not_one_gives_no_trust(misbehaving: Any) -> None:
    async with trusting() as it:
        it.idp.jwks = misbehaving

        answer = await it.ask()

        assert isinstance(answer, Refusal)
        assert answer.code is Code.UNAVAILABLE


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": "http://127.0.0.1:1"},
        {"issuer": None},
        {"jwks_uri": None},
        {"jwks_uri": 7},
        {"jwks_uri": "http://issuer.example/keys"},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": "http://user:pass@127.0.0.1/keys"},
    ],
)
async def test_a_discovery_document_with_another_issuer_or_a_doubtful_address_gives_no_trust(
    changes: dict[str, Any],
) -> None:
    async with trusting() as it:
        it.idp.changes = changes

        answer = await it.ask()

        assert isinstance(answer, Refusal)
        assert "/keys" not in it.idp.asked


async def test_a_key_set_with_strange_keys_beside_good_ones_is_read_for_the_good_ones() -> None:
    async with trusting() as it:
        good = {**it.idp.keys["k1"].as_dict(private=False), "kid": "k1"}
        strange = [
            {},
            7,
            {"kty": "oct", "k": "AAAA", "kid": "o"},
            {"kty": "AKP", "kid": "pq"},
            {**good, "kid": 1},
        ]

        async def mixed(request: web.Request) -> web.StreamResponse:
            return web.Response(body=json.dumps({"keys": [*strange, good]}))

        it.idp.jwks = mixed

        assert isinstance(await it.ask(), Principal)


async def test_an_issuer_elsewhere_cannot_point_at_this_machine_for_its_keys() -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        document = {"issuer": "https://issuer.example", "jwks_uri": "http://127.0.0.1/keys"}
        return httpx.Response(200, stream=httpx.ByteStream(json.dumps(document).encode()))

    settings = IssuerSettings(name="far", issuer="https://issuer.example", audience=AUDIENCE, tenant="acme")
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
        issuer = ExternalIssuer(settings, http, SetClock())
        with pytest.raises(external.IssuerUnreachable):
            await issuer.key("k1")

    assert asked == ["https://issuer.example/.well-known/openid-configuration"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"issuer": "http://issuer.example"},
        {"issuer": "https://issuer.example?x=1"},
        {"algorithms": frozenset({"RS256"})},
        {"algorithms": frozenset({"none"})},
        {"algorithms": frozenset()},
        {"name": "a:b"},
        {"name": ""},
    ],
)
def test_settings_that_would_weaken_the_check_are_refused(wrong: dict[str, Any]) -> None:
    right: dict[str, Any] = {
        "name": "far",
        "issuer": "https://issuer.example",
        "audience": "a",
        "tenant": "t",
    }
    assert IssuerSettings(**right).trust().issuer == "https://issuer.example"

    with pytest.raises(ValueError, match=r"issuer|https|query"):
        IssuerSettings(**(right | wrong))


async def test_their_token_ids_do_not_meet_ours() -> None:
    async with trusting() as it:
        principal = await it.ask()
        assert isinstance(principal, Principal)

        await it.here.security.directory.revoke("their-token-1", it.here.clock.epoch + 1_000)
        assert it.here.bearer.still_valid(principal)

        await it.here.security.directory.revoke(principal.token_id, it.here.clock.epoch + 1_000)
        assert not it.here.bearer.still_valid(principal)
        assert isinstance(await it.ask(), Refusal)


async def test_an_issuer_that_uses_a_token_id_twice_has_one_token_of_it_at_a_time() -> None:
    async with trusting() as it:
        first = await it.ask()
        second = await it.ask(sub="user-2")

        assert isinstance(first, Principal)
        assert isinstance(second, Principal)
        assert it.here.bearer.still_valid(second)
        await it.here.security.directory.revoke(second.token_id, it.here.clock.epoch + 1_000)
        for principal in (first, second):
            assert not it.here.bearer.still_valid(msgspec.structs.replace(principal))
