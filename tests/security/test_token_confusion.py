"""No token passes for what it is not: each differs from a good one in one thing, and is refused for that."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from ordergate.core.access import Principal
from ordergate.core.ids import AccountId, Env
from ordergate.core.refusals import Code, Refusal
from ordergate.security.senders import ANOTHER_CERTIFICATE, AS_BEARER
from ordergate.security.verify import SIZE_MAX
from tests.security.world import World, b64, forge, other_key, world

Forger = Callable[[World], str]


def claims(**changes: Any) -> Forger:
    return lambda here: here.sign(here.claims(**changes))


def times(**offsets: int | None) -> Forger:
    def forged(here: World) -> str:
        now = here.clock.epoch
        return here.sign(here.claims(**{n: None if o is None else now + o for n, o in offsets.items()}))

    return forged


def header(**changes: Any) -> Forger:
    return lambda here: here.sign(here.claims(), here.header(**changes))


def public_jwk(here: World) -> dict[str, Any]:
    return dict(here.own.key.as_dict(private=False))


def unsigned(alg: str) -> Forger:
    def forged(here: World) -> str:
        head = b64(json.dumps(here.header(alg=alg)))
        return f"{head}.{b64(json.dumps(here.claims()))}."

    return forged


def hs256(secret_of: Callable[[World], bytes]) -> Forger:
    """The classic: the public key as the secret of a symmetric algorithm."""

    def forged(here: World) -> str:
        signed = f"{b64(json.dumps(here.header(alg='HS256')))}.{b64(json.dumps(here.claims()))}"
        return f"{signed}.{b64(hmac.digest(secret_of(here), signed.encode(), hashlib.sha256))}"

    return forged


def embedded(name: str, value_of: Callable[[ECKey], Any]) -> Forger:
    """Signed with a stranger's key that the header itself brings along."""

    def forged(here: World) -> str:
        key = other_key()
        return here.sign(here.claims(), here.header(**{name: value_of(key)}), key)

    return forged


def raw(change: Callable[[str], str]) -> Forger:
    return lambda here: change(here.sign(here.claims()))


def another_end(token: str) -> str:
    return token[:-2] + ("A" if token[-2] != "A" else "B") + token[-1]


def with_payload(change: Callable[[dict[str, Any]], str]) -> Forger:
    """Another payload under the old signature."""

    def forged(here: World) -> str:
        head, _, signature = here.sign(here.claims()).split(".")
        return f"{head}.{b64(change(here.claims()))}.{signature}"

    return forged


def signed_text(head: Callable[[World], str], payload: Callable[[World], str]) -> Forger:
    """Correctly signed over texts that no JSON library of ours would write."""

    def forged(here: World) -> str:
        signed = f"{b64(head(here))}.{b64(payload(here))}"
        signature = JWSRegistry.algorithms["ES256"].sign(signed.encode(), here.own.key)
        return f"{signed}.{b64(signature)}"

    return forged


def twice(name: str, value: str) -> Callable[[World], str]:
    return lambda here: json.dumps(here.claims())[:-1] + f', "{name}": "{value}"}}'


def _refused(why: str) -> Refusal:
    return Refusal(Code.UNAUTHENTICATED, why)


ISSUER = _refused("the token is of another issuer")
AUDIENCE = _refused("the token is for another audience")
CLAIMS = _refused("the token lacks a claim, or one has the wrong form")
EXPIRED = _refused("the token has expired")
EARLY = _refused("the token is not valid yet")
LONG = _refused("the token lives too long")
ENVIRONMENT = _refused("the token is of another environment")
CLIENT = _refused("the token's client may not use it any more")
TYPE = _refused("the token is not an access token")
FORM = _refused("the token is not a signed JWT")
ALGORITHM = _refused("the token's algorithm is not accepted")
SIGNATURE = _refused("the token's signature does not hold")
KEY = _refused("the token's key is not known")
NAMELESS = _refused("the token does not name its key")
HEADER = _refused("the token's header has a parameter that is not accepted")
SIZE = _refused("the token is too long")
HEADER_SIZE = _refused("the token's header is too long")
PERSON = _refused("the token's person may not use it any more")
CONFIRMATION = _refused("the token's confirmation is not understood")

CASES: dict[str, tuple[Refusal, Forger]] = {
    "of another issuer": (ISSUER, claims(iss="http://127.0.0.1:9999")),
    "of our issuer with a slash": (ISSUER, claims(iss="http://127.0.0.1:8080/")),
    "of our issuer in capitals": (ISSUER, claims(iss="HTTP://127.0.0.1:8080")),
    "of several issuers": (ISSUER, claims(iss=["http://127.0.0.1:8080"])),
    "without an issuer": (ISSUER, claims(iss=None)),
    "for another audience": (AUDIENCE, claims(aud="http://127.0.0.1:8080/live")),
    "for other audiences": (AUDIENCE, claims(aud=["a", "b"])),
    "for no audience": (CLAIMS, claims(aud=None)),
    "for an empty list of audiences": (AUDIENCE, claims(aud=[])),
    "for an audience that only begins like ours": (AUDIENCE, claims(aud="http://127.0.0.1:8080/paper2")),
    "expired": (EXPIRED, times(iat=-800, exp=-10)),
    "expired long ago": (EXPIRED, times(iat=-90_000, exp=-89_700)),
    "without an expiry": (CLAIMS, claims(exp=None)),
    "with an expiry as text": (CLAIMS, claims(exp="9999999999")),
    "with an expiry that is true": (CLAIMS, claims(exp=True)),
    "with an expiry in fractions": (CLAIMS, claims(exp=1.5e12)),
    "issued in the future": (EARLY, times(iat=60, exp=300)),
    "without a time of issue": (CLAIMS, claims(iat=None)),
    "not valid before a later time": (EARLY, times(nbf=60)),
    "living for a day": (LONG, times(exp=86_400)),
    "expiring before it was issued": (LONG, times(iat=5, exp=1)),
    "without an id": (CLAIMS, claims(jti=None)),
    "with an empty id": (CLAIMS, claims(jti="")),
    "with an endless id": (CLAIMS, claims(jti="x" * 300)),
    "of the live environment": (ENVIRONMENT, claims(env="live")),
    "of no environment": (CLAIMS, claims(env=None)),
    "with an account of the live environment": (ENVIRONMENT, claims(acct=["L-alpha"])),
    "with a wildcard account": (ENVIRONMENT, claims(acct=["*"])),
    "with accounts as a text": (CLAIMS, claims(acct="P-alpha")),
    "without accounts": (CLAIMS, claims(acct=None)),
    "without scope": (CLAIMS, claims(scope=None)),
    "with scopes as a list": (CLAIMS, claims(scope=["orders:write"])),
    "of no client": (CLAIMS, claims(client_id=None)),
    "of a client that does not exist": (CLIENT, claims(client_id="nobody")),
    "of another tenant": (CLIENT, claims(tenant="evil")),
    "without a subject": (CLAIMS, claims(sub=None)),
    "with an empty subject": (CLAIMS, claims(sub="")),
    "of type JWT, like an id token": (TYPE, header(typ="JWT")),
    "without a type": (TYPE, header(typ=None)),
    "of type dpop+jwt": (TYPE, header(typ="dpop+jwt")),
    "of type at+jwt in a list": (TYPE, header(typ=["at+jwt"])),
    "not signed (none)": (FORM, unsigned("none")),
    "not signed (None)": (FORM, unsigned("None")),
    "not signed (NONE)": (FORM, unsigned("NONE")),
    "not signed (empty)": (FORM, unsigned("")),
    "not signed (none), over the signature of a good one": (
        ALGORITHM,
        raw(lambda token: b64('{"alg": "none", "typ": "at+jwt", "kid": "k"}') + token[token.index(".") :]),
    ),
    "with its signature taken off": (FORM, raw(lambda token: token.rsplit(".", 1)[0] + ".")),
    "with two parts only": (FORM, raw(lambda token: token.rsplit(".", 1)[0])),
    "with a fourth part": (FORM, raw(lambda token: token + ".AAAA")),
    "HS256 with the public key as PEM": (ALGORITHM, hs256(lambda here: here.own.key.as_pem(private=False))),
    "HS256 with the public key as JWK": (
        ALGORITHM,
        hs256(lambda here: json.dumps(public_jwk(here)).encode()),
    ),
    "HS256 with x as the secret": (
        ALGORITHM,
        hs256(lambda here: base64.urlsafe_b64decode(public_jwk(here)["x"] + "=")),
    ),
    "HS256 with an empty secret": (ALGORITHM, hs256(lambda here: b"\0")),
    "RS256 with a key of its own": (
        ALGORITHM,
        lambda here: forge(here.header(alg="RS256"), here.claims(), RSAKey.generate_key(2048, private=True)),
    ),
    "PS256 under the id of an EC key": (
        SIGNATURE,
        lambda here: forge(here.header(alg="PS256"), here.claims(), RSAKey.generate_key(2048, private=True)),
    ),
    "EdDSA under the id of an EC key": (
        SIGNATURE,
        lambda here: forge(
            here.header(alg="EdDSA"), here.claims(), OKPKey.generate_key("Ed25519", private=True)
        ),
    ),
    "ES512 under the id of a P-256 key": (
        ALGORITHM,
        lambda here: forge(
            here.header(alg="ES512"), here.claims(), ECKey.generate_key("P-521", private=True)
        ),
    ),
    "signed by another key under our id": (SIGNATURE, lambda here: here.sign(here.claims(), key=other_key())),
    "signed by another key under its own id": (
        KEY,
        lambda here: here.sign(here.claims(), here.header(kid="other"), other_key()),
    ),
    "without a key id": (NAMELESS, header(kid=None)),
    "with an empty key id": (NAMELESS, header(kid="")),
    "with a key id that is a path": (KEY, header(kid="../../../../dev/null")),
    "with a key id that is SQL": (KEY, header(kid="' or '1'='1")),
    "with a key id that is a list": (
        NAMELESS,
        lambda here: here.sign(here.claims(), here.header(kid=[here.own.kid])),
    ),
    "with an endless key id": (NAMELESS, header(kid="k" * 500)),
    "bringing its key (jwk)": (HEADER, embedded("jwk", lambda key: key.as_dict(private=False))),
    "bringing its certificate (x5c)": (HEADER, embedded("x5c", lambda key: ["MIIB"])),
    "saying where its key is (jku)": (HEADER, embedded("jku", lambda key: "http://127.0.0.1:9/jwks.json")),
    "saying where its certificate is (x5u)": (
        HEADER,
        embedded("x5u", lambda key: "http://127.0.0.1:9/cert.pem"),
    ),
    "well signed, but with a jku": (HEADER, header(jku="http://127.0.0.1:9/jwks.json")),
    "well signed, but with a critical extension": (HEADER, header(crit=["exp"])),
    "well signed, but with an unencoded payload": (HEADER, header(b64=False, crit=["b64"])),
    "well signed, but compressed": (HEADER, header(zip="DEF")),
    "with other claims under the old signature": (
        SIGNATURE,
        with_payload(lambda c: json.dumps({**c, "scope": "risk:write"})),
    ),
    "with a list as payload": (FORM, with_payload(lambda c: json.dumps([c]))),
    "with no JSON as payload": (FORM, with_payload(lambda c: "not json")),
    "with a claim twice": (
        FORM,
        signed_text(lambda here: json.dumps(here.header()), twice("tenant", "acme")),
    ),
    "with a header parameter twice": (
        FORM,
        signed_text(
            lambda here: json.dumps(here.header())[:-1] + ', "alg": "ES256"}',
            lambda here: json.dumps(here.claims()),
        ),
    ),
    "with a claim that is not a number": (
        FORM,
        signed_text(
            lambda here: json.dumps(here.header()),
            lambda here: json.dumps(here.claims(exp=0)).replace('"exp": 0', '"exp": NaN'),
        ),
    ),
    "with a deeply nested claim": (
        FORM,
        signed_text(
            lambda here: json.dumps(here.header()), lambda here: '{"a":' + "[" * 2_500 + "]" * 2_500 + "}"
        ),
    ),
    "with its last character changed": (SIGNATURE, raw(another_end)),
    "with its first character changed": (FORM, raw(lambda token: "f" + token[1:])),
    "with padding": (FORM, raw(lambda token: token + "=")),
    "with a space before it": (FORM, raw(lambda token: " " + token)),
    "with a line end after it": (FORM, raw(lambda token: token + "\n")),
    "with bits of its signature that decode to nothing": (
        FORM,
        raw(lambda token: token[:-1] + {"A": "B", "Q": "R", "g": "h", "w": "x"}[token[-1]]),
    ),
    "in another alphabet": (FORM, raw(lambda token: token.replace(".", "․"))),
    "too long": (SIZE, claims(note="x" * SIZE_MAX)),
    "with a header that is too long": (HEADER_SIZE, header(note="x" * 2_000)),
    "a proof of possession": (HEADER, lambda here: here.proof(token="token")),
    "a client's assertion": (ISSUER, lambda here: here.asserted()["client_assertion"]),
    "of a client, but for another subject": (CLIENT, claims(sub="somebody")),
    "of a person who does not exist": (PERSON, claims(sub="alice", sid="grant")),
    "of a client as a person": (PERSON, claims(sid="grant")),
    "bound to a key, and sent without a proof": (AS_BEARER, claims(cnf={"jkt": "k" * 43})),
    "bound to a certificate, and sent without it": (ANOTHER_CERTIFICATE, claims(cnf={"x5t#S256": "c" * 43})),
    "bound in a way that is not known": (CLAIMS, claims(cnf={"jwk": {"kty": "EC"}})),
    "bound to nothing": (CONFIRMATION, claims(cnf={})),
    "empty": (FORM, lambda here: ""),
    "a single dot": (FORM, lambda here: "."),
    "an encrypted token": (FORM, lambda here: "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0..AAAA.AAAA.AAAA"),
    "the client's secret": (FORM, lambda here: here.secret.reveal()),
}


@pytest.mark.parametrize("what", CASES)
async def test_a_token_is_refused_that_is(what: str) -> None:
    here = await world()

    expected, forger = CASES[what]

    assert await here.bearer.authenticate(forger(here)) == expected


def test_there_are_many_cases() -> None:
    assert len(CASES) >= 40


async def test_the_good_token_that_all_of_these_differ_from_is_accepted() -> None:
    here = await world()

    answer = await here.bearer.authenticate(here.sign(here.claims()))

    assert isinstance(answer, Principal)
    assert (answer.client_id, answer.tenant, set(answer.accounts)) == ("desk", "acme", {AccountId("P-alpha")})


@pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "application/at+jwt"])
async def test_the_type_may_be_written_as_rfc_9068_allows(typ: str) -> None:
    here = await world()

    assert isinstance(await here.bearer.authenticate(header(typ=typ)(here)), Principal)


async def test_clocks_may_differ_by_ten_seconds() -> None:
    here = await world()

    assert isinstance(await here.bearer.authenticate(times(iat=10, exp=300)(here)), Principal)
    assert isinstance(await here.bearer.authenticate(times(iat=11, exp=300)(here)), Refusal)
    assert isinstance(await here.bearer.authenticate(times(iat=-300, exp=-9)(here)), Principal)
    assert isinstance(await here.bearer.authenticate(times(iat=-300, exp=-10)(here)), Refusal)


async def test_a_paper_token_is_nothing_in_live_and_the_other_way_round() -> None:
    paper, live = await world(Env.PAPER), await world(Env.LIVE)

    assert isinstance(await live.present(await paper.token(bound=True)), Refusal)
    assert isinstance(await paper.bearer.authenticate(await live.token()), Refusal)


@pytest.mark.parametrize("removed", ["issuer and audience", "keys", "environment"])
async def test_each_barrier_between_paper_and_live_holds_alone(removed: str) -> None:
    """Everything about the paper token is made to fit the live gateway, except one thing."""
    live = await world(Env.LIVE)
    fitting = live.claims(acct=["L-alpha"])
    forged = {
        "issuer and audience": lambda: live.sign(
            {**fitting, "iss": "http://127.0.0.1:8080", "aud": "http://127.0.0.1:8080/paper"}
        ),
        "keys": lambda: live.sign(fitting, key=other_key()),
        "environment": lambda: live.sign({**fitting, "env": "paper"}),
    }[removed]()

    assert isinstance(await live.present(live.sign(fitting)), Principal)
    assert isinstance(await live.present(forged), Refusal)


async def test_what_a_refusal_says_holds_nothing_of_the_token() -> None:
    here = await world()

    for _, forger in CASES.values():
        token = forger(here)
        answer = await here.bearer.authenticate(token)
        assert isinstance(answer, Refusal)
        assert all(part not in answer.detail for part in token.split(".") if len(part) > 8)
