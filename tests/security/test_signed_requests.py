"""Which signatures of requests hold, and that what is kept of one lets anybody verify it again."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Final

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from http_message_signatures import InvalidSignature
from joserfc.jwk import ECKey, OKPKey
from joserfc.util import urlsafe_b64decode

from ordergate.core.access import KeyBounds, Principal, Scope, Sender
from ordergate.core.faults import JournalUnavailable
from ordergate.core.ids import Env
from ordergate.core.refusals import Code, Refusal
from ordergate.ports.identity import Whole
from ordergate.security.clients import check_client
from ordergate.security.memory import MemoryStore
from ordergate.security.signed_requests import WINDOW_S, Held, verified
from tests.security.signer import COVERED, signed
from tests.security.world import PAPER_URL, World, other_key, with_key, world

BODY: Final = b'{"symbol":"ESM4"}'
HEADERS: Final = {"authorization": "DPoP token", "idempotency-key": "key-of-a-test-0001"}
SIGNING: Final = KeyBounds(signed_requests=True)

# RFC 9421, B.1.3 and B.1.4 (public halves), B.2, B.2.4 and B.2.6
ECC: Final = {
    "kty": "EC",
    "crv": "P-256",
    "kid": "test-key-ecc-p256",
    "x": "qIVYZVLCrPZHGHjP17CTW0_-D9Lfw0EkjqF7xB4FivA",
    "y": "Mc4nN9LTDOBhfoUeg8Ye9WedFRhnZXZJA12Qp0zZ6F0",
}
ED: Final = {
    "kty": "OKP",
    "crv": "Ed25519",
    "kid": "test-key-ed25519",
    "x": "JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs",
}
REQUEST: Final = {
    "Host": "example.com",
    "Date": "Tue, 20 Apr 2021 02:07:55 GMT",
    "Content-Type": "application/json",
    "Content-Length": "18",
    "Signature-Input": 'sig-b26=("date" "@method" "@path" "@authority" "content-type" "content-length")'
    ';created=1618884473;keyid="test-key-ed25519"',
    "Signature": "sig-b26=:wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9"
    "EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==:",
}
RESPONSE: Final = {
    "Date": "Tue, 20 Apr 2021 02:07:56 GMT",
    "Content-Type": "application/json",
    "Content-Digest": "sha-512=:mEWXIS7MaLRuGgxOBdODa3xqM1XdEvxoYhvlCFJ41QJgJc4GTsPp29l5"
    "oGX69wWdXymyU0rjJuahq4l5aGgfLQ==:",
    "Content-Length": "23",
    "Signature-Input": 'sig-b24=("@status" "content-type" "content-digest" "content-length")'
    ';created=1618884473;keyid="test-key-ecc-p256"',
    "Signature": "sig-b24=:wNmSUAhwb5LxtOtOpNa6W5xj067m5hFrj0XQ4fvpaCLx0NKocgPquLgy"
    "ahnzDnDAUy5eCdlYUEkLIj+32oiasw==:",
}
VECTORS: Final[dict[str, tuple[dict[str, str], Any, bytes | None]]] = {
    "B.2.4, ecdsa-p256-sha256": (
        ECC,
        SimpleNamespace(headers=RESPONSE, status_code=200, request=None),
        b'{"message": "good dog"}',
    ),
    "B.2.6, ed25519": (
        ED,
        SimpleNamespace(headers=REQUEST, method="POST", url="https://example.com/foo?param=Value&Pet=dog"),
        None,
    ),
}


@pytest.mark.parametrize("vector", VECTORS)
def test_what_the_rfc_has_signed_holds_and_nothing_else_does(vector: str) -> None:
    jwk, message, body = VECTORS[vector]
    keys = json.dumps({"keys": [ECC, ED]})
    assert verified(keys, message, body)[0]["kid"] == jwk["kid"]
    other = {**message.headers, "Content-Length": "19"}
    with pytest.raises(InvalidSignature):
        verified(keys, SimpleNamespace(**{**vars(message), "headers": other}), body)


class Place:
    """`desk`, whose orders count only in requests that it signs, and what was recorded of them."""

    def __init__(self, here: World, key: ECKey | OKPKey) -> None:
        self.here = here
        self.key = key
        self.kept: list[tuple[Held, str]] = []
        self.fails = False

    async def note(self, held: Held, correlation: str) -> None:
        if self.fails:
            raise JournalUnavailable("gone")
        self.kept.append((held, correlation))

    def principal(self, **changes: Any) -> Principal:
        described: dict[str, Any] = {
            "env": Env.PAPER,
            "tenant": "acme",
            "client_id": "desk",
            "subject": "desk",
            "scopes": frozenset({Scope.ORDERS_WRITE}),
            "accounts": self.here.accounts,
            "expires_at": 4_000_000_000,
            "token_id": "token",
            "bound_to": "thumbprint",
            "bounds": SIGNING,
            **changes,
        }
        return Principal(**described)

    def request(self, target: str = "/v1/orders", **changes: Any) -> Whole:
        """A good one, changed; a parameter that is None is left out."""
        asked = {
            "method": "POST",
            "body": BODY,
            "headers": HEADERS,
            "covered": COVERED,
            "created": self.here.clock.epoch,
            "keyid": "desk-1",
            "nonce": "nonce-1",
            "key": self.key,
            **changes,
        }
        body, method = asked.pop("body"), asked.pop("method")
        headers = signed(asked.pop("key"), method, PAPER_URL + target, asked.pop("headers"), body, **asked)
        return whole(method, target, headers, body)

    async def refuse(self, request: Whole, **changes: Any) -> Refusal | None:
        return await self.here.security.signatures.refuse(self.principal(**changes), request)

    async def code(self, request: Whole, **changes: Any) -> Code | None:
        no = await self.refuse(request, **changes)
        return None if no is None else no.code


def whole(method: str, target: str, headers: dict[str, str], body: bytes) -> Whole:
    told = tuple((name.encode(), value.encode()) for name, value in headers.items())
    return Whole(method=method, target=target, headers=told, body=body, correlation="correlation-1")


KEYS: Final[dict[str, Callable[[], ECKey | OKPKey]]] = {
    "ecdsa-p256-sha256": lambda: ECKey.generate_key("P-256", private=True),
    "ed25519": lambda: OKPKey.generate_key("Ed25519", private=True),
}


async def place_of(key: ECKey | OKPKey, store: MemoryStore | None = None) -> Place:
    kept: list[Place] = []

    async def note(held: Held, correlation: str) -> None:
        await kept[0].note(held, correlation)

    here = await world(store=store, signed=note)
    kept.append(Place(here, key))
    await here.security.directory.put_client(with_key(here, key, sender=Sender.DPOP, bounds=SIGNING))
    return kept[0]


@pytest.fixture(params=KEYS)
async def place(request: pytest.FixtureRequest) -> Place:
    return await place_of(KEYS[request.param]())


ALG: Final = {"EC": "ecdsa-p256-sha256", "OKP": "ed25519"}
APART: Final = ("@method", "@authority", "@path", "@query", *COVERED[2:])


async def test_a_signature_holds_once(place: Place) -> None:
    algorithm = ALG[str(place.key.as_dict()["kty"])]
    good = [
        place.request(),
        place.request(nonce="nonce-2", alg=algorithm),
        place.request(nonce="nonce-3", expires=place.here.clock.epoch + 5),
        place.request("/v1/orders?account_id=P-ONE", nonce="nonce-4", method="DELETE", body=b""),
        place.request("/v1/orders?account_id=P-ONE", nonce="nonce-5", covered=APART),
        place.request(nonce="nonce-6", covered=COVERED[:4], headers={"authorization": "DPoP token"}),
    ]
    for request in good:
        assert await place.refuse(request) is None
        assert await place.code(request) is Code.SIGNATURE_INVALID
    assert len(place.kept) == len(good)


async def test_a_nonce_is_spent_for_every_process_of_the_database() -> None:
    store, key = MemoryStore(Env.PAPER), KEYS["ed25519"]()
    first, second = await place_of(key, store), await place_of(key, store)
    request = first.request()
    assert await first.refuse(request) is None
    assert await second.code(request) is Code.SIGNATURE_INVALID


def changed(request: Whole, **changes: Any) -> Whole:
    return msgspec.structs.replace(request, **changes)


def header(request: Whole, name: str, value: str | None) -> Whole:
    rest = tuple(one for one in request.headers if one[0] != name.encode())
    return changed(request, headers=rest if value is None else (*rest, (name.encode(), value.encode())))


BAD: Final[dict[str, Callable[[Place], Whole]]] = {
    "another method": lambda it: changed(it.request(), method="PATCH"),
    "another path": lambda it: changed(it.request(), target="/v1/orders/x"),
    "another query": lambda it: changed(it.request("/v1/orders?symbol=A"), target="/v1/orders?symbol=B"),
    "another body": lambda it: changed(it.request(), body=b"{}"),
    "no body": lambda it: changed(it.request(), body=b""),
    "another token": lambda it: header(it.request(), "authorization", "DPoP other"),
    "another idempotency key": lambda it: header(it.request(), "idempotency-key", "key-of-a-test-0002"),
    "a digest twice": lambda it: changed(
        it.request(), headers=(*it.request().headers, (b"content-digest", b"sha-256=:AAAA:"))
    ),
    "no digest": lambda it: it.request(covered=("@method", "@target-uri", *COVERED[3:])),
    "no method": lambda it: it.request(covered=COVERED[1:]),
    "no place": lambda it: it.request(covered=("@method", *COVERED[2:])),
    "no query": lambda it: it.request(covered=tuple(one for one in APART if one != "@query")),
    "no token": lambda it: it.request(covered=tuple(one for one in COVERED if one != "authorization")),
    "no idempotency key": lambda it: it.request(covered=COVERED[:4]),
    "no time": lambda it: it.request(created=None),
    "long ago": lambda it: it.request(created=it.here.clock.epoch - WINDOW_S - 1),
    "in the future": lambda it: it.request(created=it.here.clock.epoch + 60),
    "expired": lambda it: it.request(expires=it.here.clock.epoch - 30),
    "no nonce": lambda it: it.request(nonce=None),
    "an endless nonce": lambda it: it.request(nonce="n" * 257),
    "no key": lambda it: it.request(keyid=None),
    "an unknown key": lambda it: it.request(keyid="desk-2"),
    "another's key": lambda it: it.request(key=type(it.key).generate_key(private=True)),
    "a key of another kind": lambda it: it.request(
        key=KEYS["ed25519" if isinstance(it.key, ECKey) else "ecdsa-p256-sha256"]()
    ),
    "another algorithm": lambda it: it.request(alg="hmac-sha256"),
    "no input": lambda it: header(it.request(), "signature-input", None),
    "garbage": lambda it: header(it.request(), "signature-input", "sig=(((é"),
    "no bytes": lambda it: header(it.request(), "signature", "sig=1"),
    "two signatures": lambda it: header(it.request(), "signature", "a=:AAAA:, b=:AAAA:"),
}


@pytest.mark.parametrize("case", BAD)
async def test_a_signature_of_anything_else_does_not_hold(place: Place, case: str) -> None:
    assert await place.code(BAD[case](place)) is Code.SIGNATURE_INVALID
    assert place.kept == []
    assert await place.refuse(place.request()) is None, "its nonce was not spent by what did not hold"


async def test_without_a_signature_it_is_told_that_one_is_needed(place: Place) -> None:
    bare = whole("POST", "/v1/orders", HEADERS, BODY)
    assert await place.code(bare) is Code.SIGNATURE_REQUIRED


async def test_no_token_is_recorded_that_serves_whoever_reads_it(place: Place) -> None:
    assert await place.code(place.request(), bound_to=None) is Code.SIGNATURE_INVALID
    assert place.kept == []


async def test_keys_that_are_replaced_sign_nothing_any_more(place: Place) -> None:
    other = with_key(place.here, other_key(), sender=Sender.DPOP, bounds=SIGNING)
    await place.here.security.directory.put_client(other)
    assert await place.code(place.request()) is Code.SIGNATURE_INVALID


async def test_what_cannot_be_recorded_is_not_carried_out(place: Place) -> None:
    place.fails = True
    assert await place.code(place.request()) is Code.UNAVAILABLE
    place.fails = False
    assert await place.code(place.request()) is Code.SIGNATURE_INVALID, "sign it anew"
    assert await place.refuse(place.request(nonce="nonce-2")) is None


async def test_what_is_kept_proves_the_request_to_whoever_has_nothing_else() -> None:
    place = await place_of(KEYS["ed25519"]())
    assert await place.refuse(place.request()) is None
    ((held, correlation),) = place.kept
    assert (held.client_id, held.subject, correlation) == ("desk", "desk", "correlation-1")
    jwk, body = json.loads(held.key), base64.b64decode(held.body)
    assert "d" not in jwk
    public = Ed25519PublicKey.from_public_bytes(urlsafe_b64decode(jwk["x"].encode()))
    public.verify(base64.b64decode(held.signature), held.base.encode())
    lines = dict(line.split(": ", 1) for line in held.base.split("\n"))
    told = base64.b64decode(lines['"content-digest"'].removeprefix("sha-256=:").removesuffix(":"))
    assert told == hashlib.sha256(body).digest()
    assert (lines['"@method"'], lines['"@target-uri"'], body) == ("POST", f"{PAPER_URL}/v1/orders", BODY)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"keys": None, "secret_hash": "x"}, "has keys"),
        ({"sender": Sender.ANY}, "bound"),
    ],
)
async def test_who_cannot_sign_is_not_registered_so(
    place: Place, changes: dict[str, Any], words: str
) -> None:
    client = with_key(place.here, other_key(), sender=Sender.DPOP, bounds=SIGNING)
    with pytest.raises(ValueError, match=words):
        check_client(Env.PAPER, msgspec.structs.replace(client, **changes))
