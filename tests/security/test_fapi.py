"""The FAPI 2.0 Security Profile in live: a person at a confidential program, and everything that is less.

What else the profile asks for has its tests where it is built; the table in `docs/security.md` names them.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from joserfc.jwk import ECKey, RSAKey

from ordergate.api.certificates import server_context
from ordergate.core.access import TWO_FACTORS, Principal, Role
from ordergate.core.ids import Env
from ordergate.core.refusals import Refusal
from ordergate.security.clients import check_keys
from ordergate.security.external import http_client
from ordergate.security.oauth_requests import Answer
from ordergate.security.pushed import URN
from tests.api.test_bound_tokens import Authority
from tests.security.floor import OWN, floor
from tests.security.visitor import BACK, Visitor, led_to, visitor
from tests.security.world import World, other_key, with_key, world

ENOUGH: Final = 22
"""So many characters of base64 hold 128 bits."""


class Program:
    """`desk` in live: it has a key, acts for people, and binds its tokens to `holder`."""

    def __init__(self, here: World, alice: Visitor) -> None:
        self.here = here
        self.alice = alice

    def proof(self, path: str, **changes: Any) -> str:
        return self.here.proof("POST", path, **changes)

    async def push(self, **changes: str | None) -> Answer:
        asked = self.alice.request(**{"client_id": "desk", **self.here.asserted(), **changes})
        return await self.here.ask("/oauth/par", asked, proof=self.proof("/oauth/par"))

    async def answered(self) -> dict[str, str]:
        """What the person's browser brings back."""
        pushed = told(await self.push())
        assert (await self.alice.open(pushed["request_uri"], client_id="desk")).status == 200
        assert (await self.alice.log_in()).status == 200
        return led_to(await self.alice.decide())

    async def redeem(self, code: str, *, proof: str | None, **changes: str | None) -> Answer:
        return await self.alice.redeem(
            code, proof=proof, **{"client_id": "desk", **self.here.asserted(), **changes}
        )


@pytest.fixture
async def program() -> Program:
    here = await world(Env.LIVE)
    await here.security.directory.put_client(with_key(here, here.key, redirect_uris=(BACK,)))
    return Program(here, await visitor(here, two_factors=True, keys=keys_of_app()))


def keys_of_app() -> str:
    return json.dumps({"keys": [{**other_key().as_dict(private=False), "kid": "app-1"}]})


def told(answer: Answer) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(answer.body)
    return found


def error_of(answer: Answer) -> tuple[int, str | None]:
    return answer.status, told(answer).get("error")


async def test_a_person_logs_in_at_a_confidential_program_and_its_tokens_are_bound(program: Program) -> None:
    here = program.here
    pushed = await program.push()
    assert pushed.status == 201
    assert 5 <= told(pushed)["expires_in"] < 600

    back = await program.answered()
    assert (back["iss"], back["state"]) == (here.profile.issuer, "the-state")
    granted = told(await program.redeem(back["code"], proof=program.proof("/oauth/token")))

    assert (granted["token_type"], granted["expires_in"]) == ("DPoP", 300)
    principal = await here.present(granted["access_token"])
    assert isinstance(principal, Principal)
    assert principal.bound_to == f"jkt:{here.holder.thumbprint()}"
    assert (principal.subject, principal.acr) == ("alice", TWO_FACTORS)
    assert here.bearer.stepped_up(principal)


async def test_nothing_is_pushed_without_the_programs_own_proof(program: Program) -> None:
    here = program.here
    by_nobody = program.alice.request(client_id="desk")
    by_secret = {**by_nobody, "client_secret": "x" * 40}
    of_another = {**by_nobody, **here.asserted(other_key())}

    for asked in (by_nobody, by_secret, of_another):
        answer = await here.ask("/oauth/par", asked, proof=program.proof("/oauth/par"))
        assert error_of(answer) == (401, "invalid_client")


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"redirect_uri": None}, "invalid_request"),
        ({"redirect_uri": "http://desk.example/back"}, "invalid_request"),
        ({"redirect_uri": f"{BACK}/more"}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "code id_token"}, "unsupported_response_type"),
    ],
)
async def test_a_request_that_asks_for_less_safety_is_not_taken(
    program: Program, changes: dict[str, str | None], error: str
) -> None:
    assert error_of(await program.push(**changes)) == (400, error)


async def test_an_authorization_is_asked_for_by_a_pushed_request_alone(program: Program) -> None:
    query = "&".join(f"{name}={value}" for name, value in program.alice.request(client_id="desk").items())

    answer = await program.here.send("/oauth/authorize", b"", {}, query=query)

    assert answer.status == 400
    assert "location" not in answer.headers


async def test_no_token_is_issued_that_serves_whoever_has_it(program: Program) -> None:
    code = (await program.answered())["code"]

    for proof in (None, program.proof("/oauth/token", key=other_key())):
        assert (await program.redeem(code, proof=proof)).status == 400
    without_a_client = await program.redeem(
        code, proof=program.proof("/oauth/token"), client_assertion=None, client_assertion_type=None
    )
    assert error_of(without_a_client) == (401, "invalid_client")
    assert (await program.redeem(code, proof=program.proof("/oauth/token"))).status == 200


async def test_a_code_serves_once_and_a_second_use_ends_what_it_led_to(program: Program) -> None:
    code = (await program.answered())["code"]
    first = told(await program.redeem(code, proof=program.proof("/oauth/token")))

    second = await program.redeem(code, proof=program.proof("/oauth/token"))

    assert error_of(second) == (400, "invalid_grant")
    assert isinstance(await program.here.present(first["access_token"]), Refusal)


async def test_a_code_lives_for_a_minute(program: Program) -> None:
    code = (await program.answered())["code"]
    program.here.clock.advance(60)

    late = await program.redeem(code, proof=program.proof("/oauth/token"))

    assert error_of(late) == (400, "invalid_grant")


async def test_a_refresh_token_is_not_rotated_and_serves_its_program_and_key_alone(program: Program) -> None:
    here = program.here
    back = await program.answered()
    refresh = told(await program.redeem(back["code"], proof=program.proof("/oauth/token")))["refresh_token"]

    async def again(proof: str | None, **changes: str) -> Answer:
        return await program.alice.refresh(refresh, proof=proof, **{"client_id": "desk", **changes})

    for _ in range(2):
        good = await again(program.proof("/oauth/token"), **here.asserted())
        assert good.status == 200
        assert "refresh_token" not in told(good)
    of_another = await again(program.proof("/oauth/token", key=other_key()), **here.asserted())
    assert error_of(of_another)[0] == 400
    assert error_of(await again(None, **here.asserted()))[0] == 400
    assert error_of(await again(program.proof("/oauth/token"))) == (401, "invalid_client")


@pytest.mark.parametrize("grant", ["password", "implicit", "urn:ietf:params:oauth:grant-type:device_code"])
async def test_no_other_grant_is_served(program: Program, grant: str) -> None:
    here = program.here
    asked = {"grant_type": grant, "username": "alice", "password": "x", **here.asserted()}

    answer = await here.ask("/oauth/token", asked, proof=program.proof("/oauth/token"))

    assert error_of(answer) == (400, "unsupported_grant_type")


@pytest.mark.parametrize(("ahead_s", "taken"), [(0, True), (10, True), (60, False)])
@pytest.mark.parametrize("claim", ["iat", "nbf"])
async def test_a_programs_clock_may_be_ten_seconds_ahead_and_no_minute(
    program: Program, claim: str, ahead_s: int, *, taken: bool
) -> None:
    here = program.here
    at = here.clock.epoch + ahead_s

    changes: dict[str, Any] = {"exp": at + 60, claim: at}
    answer = await program.push(**here.asserted(**changes))

    assert (answer.status == 201) is taken


async def test_what_is_handed_out_is_not_to_be_guessed(program: Program) -> None:
    names = {told(await program.push())["request_uri"] for _ in range(3)}
    backs = [await program.answered()]
    program.here.clock.advance(30)  # a code of the authenticator app is good once
    backs.append(await program.answered())
    granted = [told(await program.redeem(b["code"], proof=program.proof("/oauth/token"))) for b in backs]

    secrets = [name.removeprefix(URN) for name in names]
    secrets += [back["code"].rpartition(".")[2] for back in backs]
    secrets += [one["refresh_token"].rpartition(".")[2] for one in granted]
    assert len(set(secrets)) == 7
    assert all(len(secret) >= ENOUGH for secret in secrets)


async def test_a_token_is_taken_from_the_header_alone() -> None:
    async with floor(Env.LIVE) as here:
        account, token = here.accounts[OWN], here.signed(here.claims(Role.VIEWER))
        path = f"/v1/orders?account_id={account}"

        in_the_address, _ = await here.ask("GET", f"{path}&access_token={token}", token=None)
        in_the_body, _ = await here.ask("POST", "/v1/orders", token=None, body={"access_token": token})
        in_the_header, _ = await here.ask("GET", path, token=token)

    assert (in_the_address, in_the_body, in_the_header) == (401, 401, 200)


@pytest.mark.filterwarnings("ignore:Key size:joserfc.errors.SecurityWarning")
@pytest.mark.parametrize(
    ("key", "taken"),
    [
        (rsa.generate_private_key(public_exponent=65_537, key_size=2_048), True),
        (rsa.generate_private_key(public_exponent=65_537, key_size=1_024), False),
        (ec.generate_private_key(ec.SECP384R1()), False),
    ],
    ids=["RSA of 2048 bits", "RSA of 1024 bits", "another curve"],
)
def test_a_weak_key_is_nobodys(key: Any, *, taken: bool) -> None:
    kind = RSAKey if isinstance(key, rsa.RSAPrivateKey) else ECKey
    keys = json.dumps({"keys": [{**kind.import_key(key).as_dict(private=False), "kid": "k"}]})

    if taken:
        check_keys(keys)
    else:
        with pytest.raises(ValueError, match="fits ES256, EdDSA or PS256"):
            check_keys(keys)


async def test_a_server_for_whose_certificate_nobody_answers_is_not_asked(tmp_path: Path) -> None:
    certificate, key, _ = Authority(tmp_path).signed("issuer")
    context = server_context(certificate, key, None)
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]

    async with server, http_client() as http:
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            await http.get(f"https://127.0.0.1:{port}/.well-known/openid-configuration")
