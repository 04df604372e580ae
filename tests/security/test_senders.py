"""A token that is bound to its sender serves nobody else, and in live every token is."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from ordergate.core.access import Principal, Sender
from ordergate.core.ids import Env
from ordergate.core.refusals import Code, Refusal
from ordergate.ports.identity import Shown
from tests.security.world import World, opened, other_key, with_key, world

MINE = "s0me-thumbprint-of-a-certificate-in-base64ur"
THEIRS = "an0ther-thumbprint-of-a-certificate-in-base6"


async def of_sender(sender: Sender) -> World:
    here = await world()
    client = here.security.directory.client("desk")
    assert client is not None
    await here.security.directory.put_client(msgspec.structs.replace(client, sender=sender))
    return here


def plain(certificate: str | None = None) -> Shown:
    return Shown(method="POST", path="/v1/orders", certificate=certificate)


def proven(here: World, token: str, **changes: Any) -> Shown:
    proof = here.proof(token=token, **changes)
    return Shown(dpop=True, method="POST", path="/v1/orders", proof=proof)


async def test_a_token_names_the_key_it_is_bound_to() -> None:
    here = await world()

    token = await here.token(bound=True)

    seen = opened(token, (await here.ask("/.well-known/jwks.json", {})).body)
    assert seen.claims["cnf"] == {"jkt": here.holder.thumbprint()}


async def test_a_token_asked_for_with_a_certificate_is_bound_to_it() -> None:
    here = await world()

    answer = await here.ask_for_token(certificate=MINE)

    body = json.loads(answer.body)
    assert body["token_type"] == "Bearer"
    seen = opened(body["access_token"], (await here.ask("/.well-known/jwks.json", {})).body)
    assert seen.claims["cnf"] == {"x5t#S256": MINE}
    with_it = await here.bearer.authenticate(body["access_token"], plain(MINE))
    assert isinstance(with_it, Principal)
    for certificate in (None, THEIRS):
        refused = await here.bearer.authenticate(body["access_token"], plain(certificate))
        assert isinstance(refused, Refusal)
        assert refused.code is Code.UNAUTHENTICATED


async def test_a_bound_token_is_never_known_as_one_that_serves_whoever_has_it() -> None:
    here = await world()
    token = await here.token(bound=True)

    assert isinstance(await here.bearer.authenticate(token, proven(here, token)), Principal)

    assert here.bearer.known(token) is None
    stolen = await here.bearer.authenticate(token, plain())
    assert isinstance(stolen, Refusal)
    assert stolen.code is Code.PROOF_INVALID


async def test_a_thief_with_a_key_of_his_own_is_refused() -> None:
    here = await world()
    token = await here.token(bound=True)

    answer = await here.bearer.authenticate(token, proven(here, token, key=other_key()))

    assert isinstance(answer, Refusal)
    assert answer.code is Code.PROOF_INVALID


async def test_a_token_for_whoever_has_it_is_no_token_of_a_key() -> None:
    here = await world()
    token = await here.token()

    answer = await here.bearer.authenticate(token, proven(here, token))

    assert isinstance(answer, Refusal)
    assert answer.code is Code.PROOF_INVALID
    assert isinstance(await here.bearer.authenticate(token, plain()), Principal)


async def test_a_certificate_does_not_stand_in_for_a_key_nor_a_key_for_a_certificate() -> None:
    here = await world()
    of_key = await here.token(bound=True)
    of_certificate = json.loads((await here.ask_for_token(certificate=MINE)).body)["access_token"]

    assert isinstance(await here.bearer.authenticate(of_key, plain(MINE)), Refusal)
    assert isinstance(await here.bearer.authenticate(of_certificate, proven(here, of_certificate)), Refusal)


@pytest.mark.parametrize(
    "cnf",
    [
        {},
        {"jkt": "a", "x5t#S256": "b"},
        {"jwk": {"kty": "EC"}},
        {"jkt": "a", "kid": "b"},
        {"jkt": 7},
        "jkt",
        [],
    ],
)
async def test_a_confirmation_that_cannot_be_checked_is_not_passed_over(cnf: Any) -> None:
    here = await world()

    for shown in (plain(), plain(MINE), Shown(dpop=True, method="POST", path="/v1/orders")):
        assert isinstance(await here.bearer.authenticate(here.sign(here.claims(cnf=cnf)), shown), Refusal)


async def test_in_live_a_token_for_whoever_has_it_is_neither_issued_nor_accepted() -> None:
    here = await world(Env.LIVE)

    answer = await here.ask_for_token()
    forged = here.sign(here.claims(cnf=None))

    assert (answer.status, json.loads(answer.body)["error"]) == (400, "invalid_request")
    refused = await here.bearer.authenticate(forged, plain())
    assert isinstance(refused, Refusal)
    assert isinstance(await here.bearer.authenticate(forged, proven(here, forged)), Refusal)
    assert isinstance(await here.present(await here.token()), Principal)


async def test_in_live_a_certificate_serves_as_well() -> None:
    here = await world(Env.LIVE)

    answer = await here.ask_for_token(certificate=MINE)
    token = json.loads(answer.body)["access_token"]

    assert isinstance(await here.bearer.authenticate(token, plain(MINE)), Principal)


async def test_a_client_of_keys_gets_no_token_without_a_proof() -> None:
    here = await of_sender(Sender.DPOP)

    assert (await here.ask_for_token()).status == 400
    assert (await here.ask_for_token(certificate=MINE)).status == 400
    assert (await here.ask_for_token(proof=here.proof("POST", "/oauth/token"))).status == 200


async def test_a_client_of_certificates_gets_no_token_without_one() -> None:
    here = await of_sender(Sender.MTLS)

    assert (await here.ask_for_token()).status == 400
    assert (
        await here.ask_for_token(proof=here.proof("POST", "/oauth/token"), certificate=MINE)
    ).status == 400
    assert (await here.ask_for_token(certificate=MINE)).status == 200


async def test_introspection_tells_what_a_token_is_bound_to() -> None:
    here = await world()
    token = await here.token(bound=True)

    told = json.loads(
        (await here.ask("/oauth/introspect", {"token": token}, basic=("desk", here.secret.reveal()))).body
    )

    assert (told["token_type"], told["cnf"]) == ("DPoP", {"jkt": here.holder.thumbprint()})


async def test_a_bound_token_ends_when_it_is_revoked_or_expires() -> None:
    here = await world()
    token = await here.token(bound=True)
    principal = await here.bearer.authenticate(token, proven(here, token))
    assert isinstance(principal, Principal)
    assert here.bearer.still_valid(principal)

    await here.security.directory.revoke(principal.token_id, principal.expires_at)

    assert not here.bearer.still_valid(principal)
    assert here.bearer.known_bound(token, proven(here, token)) is None
    assert isinstance(await here.bearer.authenticate(token, proven(here, token)), Refusal)


async def test_in_live_a_shared_secret_proves_nothing() -> None:
    here = await world(Env.LIVE)
    secret = await here.security.register(
        "desk", tenant="acme", scopes=with_key(here, here.key).scopes, accounts=here.accounts
    )
    form = {"grant_type": "client_credentials"}
    in_form = {**form, "client_id": "desk", "client_secret": secret.reveal()}

    basic = await here.ask(
        "/oauth/token", form, basic=("desk", secret.reveal()), proof=here.proof("POST", "/oauth/token")
    )
    post = await here.ask("/oauth/token", in_form, proof=here.proof("POST", "/oauth/token"))

    for answer in (basic, post):
        assert (answer.status, json.loads(answer.body)["error"]) == (401, "invalid_client")
