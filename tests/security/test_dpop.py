"""The twelve checks of RFC 9449, 4.3, each by proofs that differ from a good one in one thing only."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from ordergate.core.access import Principal
from ordergate.core.refusals import Code, Refusal
from ordergate.ports.identity import Shown
from ordergate.security.dpop import NONCE_S, Nonces, ProofRefused, Proofs, Spent, hash_of, normalised
from tests.security.world import World, b64, forge, other_key, world

PATH = "/v1/orders"

Prover = Callable[[World, str], str]


def changed(**changes: Any) -> Prover:
    return lambda here, token: here.proof(token=token, **changes)


def with_header(**changes: Any) -> Prover:
    return lambda here, token: here.proof(token=token, header=changes)


def resigned(key: ECKey, **header: Any) -> Prover:
    """Signed with `key`, whatever the header says."""

    def made(here: World, token: str) -> str:
        head, claims, _ = here.proof(token=token, header=header).split(".")
        signature = JWSRegistry.algorithms["ES256"].sign(f"{head}.{claims}".encode(), key)
        return f"{head}.{claims}.{b64(signature)}"

    return made


def unsigned(here: World, token: str) -> str:
    claims = here.proof(token=token).split(".")[1]
    described = json.dumps({"typ": "dpop+jwt", "alg": "none", "jwk": here.holder.as_dict(private=False)})
    return f"{b64(described)}.{claims}."


def with_its_private_key(here: World, token: str) -> str:
    return here.proof(token=token, header={"jwk": here.holder.as_dict(private=True)})


TWELVE: dict[str, dict[str, Prover | None]] = {
    "1 there is one header": {
        "without one": None,
        "two of them, as some servers join them": lambda here, token: (
            f"{here.proof(token=token)}, {here.proof(token=token)}"
        ),
    },
    "2 it is a well-formed JWT": {
        "empty": lambda here, token: "",
        "a word": lambda here, token: "proof",
        "with two parts": lambda here, token: here.proof(token=token).rsplit(".", 1)[0],
        "with a fourth part": lambda here, token: here.proof(token=token) + ".AAAA",
        "with padding": lambda here, token: here.proof(token=token) + "=",
        "a list": lambda here, token: f"{b64('[]')}.{b64('[]')}.AAAA",
    },
    "3 it has all claims": {
        "without jti": changed(jti=None),
        "without htm": changed(htm=None),
        "without htu": changed(htu=None),
        "without iat": changed(iat=None),
        "with jti as a number": changed(jti=7),
        "with iat as text": changed(iat="1748871000"),
        "with an empty jti": changed(jti=""),
        "with an endless jti": changed(jti="x" * 300),
    },
    "4 its type is dpop+jwt": {
        "of type JWT": with_header(typ="JWT"),
        "of type at+jwt": with_header(typ="at+jwt"),
        "without a type": with_header(typ=None),
    },
    "5 its algorithm is asymmetric": {
        "not signed": unsigned,
        "signed with a secret": lambda here, token: here.proof(token=token).replace(
            here.proof(token=token).partition(".")[0],
            b64(json.dumps({"typ": "dpop+jwt", "alg": "HS256", "jwk": {"kty": "oct", "k": "AAAA"}})),
        ),
        "RS256": lambda here, token: here.proof(
            token=token, key=RSAKey.generate_key(2048, private=True), header={"alg": "RS256"}
        ),
    },
    "6 its signature holds": {
        "signed by another key": resigned(other_key()),
        "with another claim under the signature": lambda here, token: ".".join(
            [
                here.proof(token=token).split(".")[0],
                here.proof(token=token, jti="another").split(".")[1],
                here.proof(token=token).split(".")[2],
            ]
        ),
    },
    "7 its key is public": {
        "with its private key": with_its_private_key,
        "without a key": with_header(jwk=None),
        "with a key that is a text": with_header(jwk="key"),
        "with a key that is none": with_header(jwk={"kty": "EC", "crv": "P-256"}),
        "saying where its key is": with_header(jku="http://127.0.0.1:9/jwks.json"),
        "with a critical extension": with_header(crit=["exp"]),
    },
    "8 it is for the method": {
        "for another method": changed(htm="GET"),
        "in small letters": changed(htm="post"),
    },
    "9 it is for the URL": {
        "for another path": changed(htu="http://127.0.0.1:8080/v1/orders/1"),
        "for another host": changed(htu="http://127.0.0.2:8080/v1/orders"),
        "for another port": changed(htu="http://127.0.0.1:8081/v1/orders"),
        "for another scheme": changed(htu="https://127.0.0.1:8080/v1/orders"),
        "for a path with an escaped slash": changed(htu="http://127.0.0.1:8080/v1%2Forders"),
        "for a user at our host": changed(htu="http://me@127.0.0.1:8080/v1/orders"),
        "for no URL": changed(htu="/v1/orders"),
    },
    "10 it has the nonce": {
        "without a nonce": changed(nonce=None),
        "with an empty nonce": changed(nonce=""),
        "with another nonce": changed(nonce="nonce"),
    },
    "11 it was made just now": {
        "made a minute ago": lambda here, token: here.proof(token=token, iat=here.clock.epoch - 61),
        "made in the future": lambda here, token: here.proof(token=token, iat=here.clock.epoch + 11),
        "made at no time": changed(iat=0),
    },
    "12 it is for the token, and by its key": {
        "without ath": changed(ath=None),
        "for another token": changed(ath=hash_of("another")),
        "by another key": lambda here, token: here.proof(token=token, key=other_key()),
        "by a key of another kind": lambda here, token: here.proof(
            token=token, key=OKPKey.generate_key("Ed25519", private=True), header={"alg": "EdDSA"}
        ),
    },
}

CASES = [(check, case) for check, cases in TWELVE.items() for case in cases]


def test_there_are_twelve_checks() -> None:
    assert [int(check.split()[0]) for check in TWELVE] == list(range(1, 13))


async def shown(here: World, token: str, proof: str | None, **other: Any) -> Principal | Refusal:
    described = {"dpop": True, "method": "POST", "path": PATH, "proof": proof, **other}
    found: Principal | Refusal = await here.bearer.authenticate(token, Shown(**described))
    return found


@pytest.mark.parametrize(("check", "case"), CASES)
@pytest.mark.parametrize("known", [False, True], ids=["new", "known"])
async def test_a_proof_is_refused(check: str, case: str, known: bool) -> None:
    """The same whether the token was verified before or not."""
    here = await world()
    token = await here.token(bound=True)
    if known:
        assert isinstance(await shown(here, token, here.proof(token=token)), Principal)
    prover = TWELVE[check][case]

    answer = await shown(here, token, None if prover is None else prover(here, token))

    assert isinstance(answer, Refusal)
    assert answer.code is (Code.PROOF_NONCE if check.startswith("10") else Code.PROOF_INVALID)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"htu": "HTTP://127.0.0.1:8080/v1/orders"},
        {"htu": "http://127.0.0.1:8080/v1/orders?limit=1#top"},
        {"htu": "http://127.0.0.1:8080/v1/%6Frders"},
        {"header": {"typ": "DPOP+JWT"}},
        {"header": {"kid": "any", "extra": True}},
    ],
)
async def test_a_good_proof_is_accepted_however_it_is_written(changes: dict[str, Any]) -> None:
    here = await world()
    token = await here.token(bound=True)

    assert isinstance(await shown(here, token, here.proof(token=token, **changes)), Principal)


@pytest.mark.parametrize(
    ("algorithm", "key"),
    [
        ("ES256", ECKey.generate_key("P-256", private=True)),
        ("EdDSA", OKPKey.generate_key("Ed25519", private=True)),
        ("PS256", RSAKey.generate_key(2048, private=True)),
    ],
)
async def test_any_accepted_algorithm_serves(algorithm: str, key: Any) -> None:
    here = await world()
    here.holder = key
    head = {"alg": algorithm}
    asked = here.proof("POST", "/oauth/token", header=head)
    token = json.loads((await here.ask_for_token(proof=asked)).body)["access_token"]

    assert isinstance(await shown(here, token, here.proof(token=token, header=head)), Principal)


async def test_a_proof_is_good_once() -> None:
    here = await world()
    token = await here.token(bound=True)
    proof = here.proof(token=token)

    assert isinstance(await shown(here, token, proof), Principal)
    again = await shown(here, token, proof)

    assert isinstance(again, Refusal)
    assert again.code is Code.PROOF_INVALID


async def test_a_proof_of_another_key_than_the_tokens_is_nobodys_and_fills_up_nothing() -> None:
    here = await world()
    token = await here.token(bound=True)
    proofs = here.bearer._senders.proofs
    assert isinstance(await shown(here, token, here.proof(token=token)), Principal)

    found = [await shown(here, token, here.proof(token=token, key=other_key())) for _ in range(3)]

    assert all(isinstance(no, Refusal) and no.code is Code.PROOF_INVALID for no in found)
    assert len(proofs.spent) == 1


async def test_what_a_clients_tokens_are_proved_with_is_one_clients_part_whatever_its_keys() -> None:
    here = await world()
    proofs = here.bearer._senders.proofs
    proofs.spent = Spent(spent_max=6)

    taken = []
    for _ in range(3):
        here.holder = other_key()
        token = await here.token(bound=True)
        taken += [isinstance(await shown(here, token, here.proof(token=token)), Principal) for _ in range(2)]

    assert taken == [True, True, False, False, False, False]
    assert proofs.spent.spend("another client", "proof", here.clock.epoch, here.clock.epoch)


async def test_proofs_without_a_token_fill_up_no_room_of_those_with_one() -> None:
    here = await world()
    token = await here.token(bound=True)
    proofs = here.bearer._senders.proofs
    proofs.spent_without_token = Spent(spent_max=1)

    path = "/oauth/token"
    asked = [await here.ask_for_token(proof=here.proof("POST", path, key=other_key())) for _ in range(2)]

    assert [answer.status for answer in asked] == [200, 400]
    assert isinstance(await shown(here, token, here.proof(token=token)), Principal)


async def test_a_proof_that_was_used_before_a_restart_is_not_good_after_it() -> None:
    """Its nonce is of the process before, so nothing has to be kept of what was used."""
    before = await world()
    token = await before.token(bound=True)
    used, unused = before.proof(token=token), before.proof(token=token)
    assert isinstance(await shown(before, token, used), Principal)

    after = await world(clock=before.clock, store=before.store, keys=before.keys)

    for proof in (used, unused):
        answer = await shown(after, token, proof)
        assert isinstance(answer, Refusal)
        assert answer.code is Code.PROOF_NONCE


async def test_a_proof_for_the_token_endpoint_is_checked_and_told_what_nonce_to_use() -> None:
    here = await world()

    missing = await here.ask_for_token(proof=here.proof("POST", "/oauth/token", nonce=None))
    elsewhere = await here.ask_for_token(proof=here.proof("POST", "/oauth/revoke"))
    again = await here.ask_for_token(
        proof=here.proof("POST", "/oauth/token", nonce=missing.headers["dpop-nonce"])
    )

    assert (missing.status, json.loads(missing.body)["error"]) == (400, "use_dpop_nonce")
    assert (elsewhere.status, json.loads(elsewhere.body)["error"]) == (400, "invalid_dpop_proof")
    assert (again.status, json.loads(again.body)["token_type"]) == (200, "DPoP")


def test_a_nonce_is_given_out_for_a_while_and_accepted_for_one_more() -> None:
    at = [0.0]
    nonces = Nonces(lambda: at[0])
    first = nonces.current()

    at[0] = NONCE_S
    second = nonces.current()
    assert first != second
    assert nonces.accepts(first)
    assert nonces.accepts(second)

    at[0] = 2 * NONCE_S
    assert not nonces.accepts(first)
    assert nonces.accepts(second)

    at[0] = 5 * NONCE_S
    assert not nonces.accepts(second)
    assert not nonces.accepts("")


def test_what_was_used_is_remembered_for_as_long_as_it_would_be_accepted_and_no_longer() -> None:
    spent = Spent()

    assert spent.spend("desk", "one", 1_000, 1_000)
    assert not spent.spend("desk", "one", 1_000, 1_060)
    assert spent.spend("another desk", "one", 1_000, 1_060)
    assert spent.spend("desk", "one", 1_001, 1_060) is False
    assert spent.spend("desk", "two", 1_300, 1_300)
    assert len(spent) == 1


def test_when_no_more_can_be_remembered_nothing_more_is_accepted() -> None:
    spent = Spent(spent_max=3)

    assert [spent.spend("key", str(n), 1_000, 1_000) for n in range(4)] == [True, False, False, False]
    assert [spent.spend("another", str(n), 1_000, 1_000) for n in range(2)] == [True, False]
    assert spent.spend("key", "later", 1_200, 1_200)


def test_an_owner_that_fills_its_part_leaves_room_to_every_other() -> None:
    """Whatever one does, the next has a third of what there was; and the tenth still finds room."""
    spent = Spent(spent_max=3_000)

    taken = [sum(spent.spend(f"{owner}", str(n), 1_000, 1_000) for n in range(3_000)) for owner in range(10)]

    assert taken[:3] == [1_000, 667, 445]
    assert taken[-1] > 20
    assert len(spent) < 3_000


def test_an_owners_part_is_of_all_minutes_together_and_comes_back_with_time() -> None:
    spent = Spent(spent_max=30)

    first = sum(spent.spend("key", str(n), 1_000, 1_000) for n in range(30))
    second = sum(spent.spend("key", str(n), 1_030, 1_030) for n in range(30))

    assert (first, second) == (10, 0)
    assert sum(spent.spend("key", str(n), 1_200, 1_200) for n in range(30)) == 10


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://GW.example/a", "https://gw.example:443/a"),
        ("https://gw.example", "https://gw.example/"),
        ("https://gw.example/%7ea", "https://gw.example/~a"),
        ("https://gw.example/%c3", "https://gw.example/%C3"),
        ("https://gw.example./a", "https://gw.example/a"),
    ],
)
def test_urls_are_compared_as_rfc_3986_compares(one: str, other: str) -> None:
    assert normalised(one) == normalised(other) != ""


def test_keys_and_nonces_are_not_mixed_up_between_two_servers() -> None:
    here, there = (Proofs(f"https://{name}.example", lambda: 0.0, lambda: 0.0) for name in "ab")
    key = other_key()
    head = {"typ": "dpop+jwt", "alg": "ES256", "jwk": key.as_dict(private=False)}
    claims = {"jti": "1", "htm": "GET", "htu": "https://a.example/x", "iat": 0, "nonce": here.nonce()}
    proof = forge(head, claims, key)

    with pytest.raises(ProofRefused):
        there.check(proof, method="GET", path="/x")
    assert here.check(proof, method="GET", path="/x") == key.thumbprint()
