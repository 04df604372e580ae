"""What an authenticator says counts only when all of it is right. One in software says it, or some of it."""

from __future__ import annotations

import json
import secrets
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ordergate.core.ids import Env
from ordergate.security.passkeys import Passkey
from ordergate.security.people import ceremonies
from ordergate.security.people.ceremonies import Made, Party, Unproven, party_of
from ordergate.security.profile import profile
from tests.security.authenticator import (
    EDDSA,
    ES256,
    ES512,
    IS_COPIED,
    MAY_BE_COPIED,
    PRESENT,
    RS256,
    USUAL,
    VERIFIED,
    Authenticator,
    b64,
    cbor,
    raw,
)

ORIGIN: Final = "https://gateway.example"
PARTY: Final = Party(env=Env.LIVE, rp_id="gateway.example", origin=ORIGIN)
CHALLENGE: Final = b"a challenge of thirty-two bytes!"
HANDLE: Final = b"alice's handle"


def to_make() -> dict[str, Any]:
    asked = ceremonies.to_make(PARTY, CHALLENGE, user_id="alice", handle=HANDLE, known=["AAAA"])
    options: dict[str, Any] = json.loads(asked)
    return options


def to_show() -> dict[str, Any]:
    options: dict[str, Any] = json.loads(ceremonies.to_show(PARTY, CHALLENGE))
    return options


def made(said: dict[str, Any]) -> Made | Unproven:
    return ceremonies.made(PARTY, json.dumps(said), CHALLENGE)


def kept(key: Authenticator, origin: str = ORIGIN) -> Passkey:
    """The passkey that the authenticator has made, as it is kept."""
    found = made(key.made(to_make(), origin))
    assert isinstance(found, Made), found
    return Passkey(
        credential_id=found.credential_id,
        user_id="alice",
        label="laptop",
        user_handle=HANDLE,
        public_key=found.public_key,
        sign_count=found.sign_count,
        backed_up=found.backed_up,
        made_at=0,
    )


def shown(said: dict[str, Any], passkey: Passkey) -> int | Unproven:
    return ceremonies.shown(PARTY, json.dumps(said), CHALLENGE, passkey)


@pytest.mark.parametrize("algorithm", [ES256, EDDSA, RS256])
def test_a_passkey_is_made_and_shown(algorithm: int) -> None:
    key = Authenticator(algorithm=algorithm)
    passkey = kept(key)

    assert raw(passkey.credential_id) == key.credential_id
    assert ceremonies.named(json.dumps(key.shown(to_show(), ORIGIN))) == passkey.credential_id
    assert shown(key.shown(to_show(), ORIGIN), passkey) == 2


def test_what_is_asked_for_names_the_issuer_and_nobody_who_has_not_logged_in() -> None:
    making, showing = to_make(), to_show()

    assert making["rp"]["id"] == showing["rpId"] == "gateway.example"
    assert making["user"]["name"] == "alice (live)"
    assert making["excludeCredentials"] == [{"id": "AAAA", "type": "public-key"}]
    assert making["timeout"] == showing["timeout"] == 120_000
    assert "alice" not in json.dumps(showing)


def test_whether_it_is_copied_between_devices_is_kept() -> None:
    found = made(Authenticator().made(to_make(), ORIGIN, flags=USUAL | MAY_BE_COPIED | IS_COPIED))

    assert isinstance(found, Made)
    assert found.backed_up


def test_an_authenticator_may_sign_for_itself() -> None:
    assert isinstance(made(Authenticator().made(to_make(), ORIGIN, fmt="packed")), Made)


# What is changed, and a word of the reason that must be given for it and for nothing else.
BOTH: Final[dict[str, tuple[dict[str, Any], str]]] = {
    "at another origin": ({"origin": "https://gateway.example.evil"}, "origin"),
    "at a part of the origin": ({"origin": "https://sub.gateway.example"}, "origin"),
    "at another port": ({"origin": "https://gateway.example:8443"}, "origin"),
    "without TLS": ({"origin": "http://gateway.example"}, "origin"),
    "for another host": ({"rp_id": "example"}, "RP ID"),
    "for another challenge": ({"challenge": b64(b"another challenge, another visit")}, "challenge"),
    "for no challenge": ({"challenge": ""}, "challenge"),
    "without a challenge": ({"challenge": None}, "malformed"),
    "with nobody there": ({"flags": VERIFIED}, "present"),
    "without asking who is there": ({"flags": PRESENT}, "verification"),
    "copied and not to be copied": ({"flags": USUAL | IS_COPIED}, "backed up"),
    "inside another page": ({"crossOrigin": True}, "inside another"),
}
MAKING: Final[dict[str, tuple[dict[str, Any], str]]] = {
    **BOTH,
    "in the other ceremony": ({"type": "webauthn.get"}, "type"),
    "with a statement of its maker": ({"fmt": "android-key", "statement": {"alg": -7}}, "none was asked for"),
    "with something said for none": ({"statement": {"alg": -7, "sig": b"x"}}, "none was asked for"),
    "with a format nobody knows": ({"fmt": "other"}, "none was asked for"),
    "with a key that is none": ({"key": b"\x05"}, ""),
    "with a key without a kind": ({"key": cbor({3: -7})}, ""),
    "with a point off the curve": ({"key": cbor({1: 2, 3: -7, -1: 1, -2: b"x" * 32, -3: b"y" * 32})}, ""),
    "with a key too short": (
        {"key": cbor({1: 3, 3: -257, -1: b"\xc5" * 128, -2: b"\x01\x00\x01"})}, "none that is accepted",
    ),
    "with a key too long": (
        {"key": cbor({1: 3, 3: -257, -1: b"\xc5" * 1_100, -2: b"\x01\x00\x01"})}, "none that is accepted",
    ),
    "naming two": ({"attested_id": b"another credential"}, "two credentials"),
}  # fmt: skip
SHOWING: Final[dict[str, tuple[dict[str, Any], str]]] = {
    **BOTH,
    "in the other ceremony": ({"type": "webauthn.create"}, "type"),
    "signed by another": ({"signer": Authenticator()}, "signature"),
    "as somebody else": ({"handle": b"bob's handle"}, "somebody else"),
    "as nobody": ({"handle": b""}, "somebody else"),
}


@pytest.mark.parametrize("what", MAKING)
def test_no_passkey_is_made(what: str) -> None:
    changes, why = MAKING[what]
    changes = {"origin": ORIGIN, **changes}

    found = made(Authenticator().made(to_make(), **changes))

    assert isinstance(found, Unproven)
    assert why in found.why


@pytest.mark.parametrize("what", SHOWING)
def test_a_passkey_lets_nobody_in(what: str) -> None:
    key = Authenticator()
    passkey = kept(key)
    changes, why = SHOWING[what]
    changes = {"origin": ORIGIN, **changes}

    found = shown(key.shown(to_show(), **changes), passkey)

    assert isinstance(found, Unproven)
    assert why in found.why


def test_an_id_is_only_so_long() -> None:
    key = Authenticator()
    for length, taken in ((1_023, Made), (1_024, Unproven)):
        key.credential_id = bytes(length)
        assert isinstance(made(key.made(to_make(), ORIGIN)), taken)


def test_a_key_of_an_algorithm_or_a_curve_that_is_not_asked_for_is_not_taken() -> None:
    other, of_another_curve = Authenticator(algorithm=ES512), Authenticator(algorithm=ES512)
    of_another_curve.algorithm = ES256

    for key in (other, of_another_curve):
        assert isinstance(made(key.made(to_make(), ORIGIN)), Unproven)


@pytest.mark.parametrize(
    "attestation",
    [
        {"fmt": "none", "attStmt": {}, "authData": 2**31},
        {"fmt": "none", "attStmt": {}, "authData": [1] * 37},
        {"fmt": "none", "attStmt": 0, "authData": b""},
        {"fmt": 0, "attStmt": {}, "authData": b""},
        {"fmt": "packed", "attStmt": {"alg": -7, "sig": 2**31}, "authData": b""},
        {"fmt": "packed", "attStmt": {"alg": -7, "sig": b"", "x5c": []}, "authData": b""},
        {},
        [],
        0,
    ],
)
def test_what_is_not_bytes_where_bytes_belong_is_not_looked_into(attestation: object) -> None:
    said = Authenticator().made(to_make(), ORIGIN)
    said["response"]["attestationObject"] = b64(cbor(attestation))

    assert made(said) == Unproven("an attestation was sent, and none was asked for")


@given(st.data())
def test_of_what_was_made_whatever_is_bent_is_at_most_wrong(data: st.DataObject) -> None:
    said = Authenticator().made(to_make(), ORIGIN)
    whole = bytearray(raw(said["response"]["attestationObject"]))
    for at in data.draw(st.lists(st.integers(0, len(whole) - 1), min_size=1, max_size=4)):
        whole[at] = data.draw(st.integers(0, 255))
    said["response"]["attestationObject"] = b64(bytes(whole))

    assert isinstance(made(said), Made | Unproven)


def test_of_a_signature_every_bit_counts() -> None:
    key = Authenticator(algorithm=EDDSA)
    passkey = kept(key)
    said = key.shown(to_show(), ORIGIN)

    for part in ("clientDataJSON", "authenticatorData", "signature"):
        whole = raw(said["response"][part])
        for at in range(len(whole)):
            bent = bytes(byte ^ (at == place) for place, byte in enumerate(whole))
            changed = {**said, "response": {**said["response"], part: b64(bent)}}
            assert isinstance(shown(changed, passkey), Unproven), (part, at)
    assert shown(said, passkey) == 1


def pieces() -> Any:
    return st.text() | st.none() | st.integers() | st.binary(max_size=80).map(b64)


@given(
    st.fixed_dictionaries(
        {"id": pieces(), "rawId": pieces(), "type": st.just("public-key") | pieces()},
        optional={
            "response": st.dictionaries(
                st.sampled_from(
                    ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]
                ),
                pieces() | st.just(b64(b'{"type": "webauthn.get", "challenge": "", "origin": ""}')),
            )
        },
    ).map(json.dumps)
    | st.text()
)
def test_whatever_somebody_says_is_at_most_wrong(said: str) -> None:
    passkey = Passkey(
        credential_id="AAAA", user_id="alice", label="x", user_handle=HANDLE, public_key=b"",
        sign_count=0, backed_up=False, made_at=0,
    )  # fmt: skip

    assert isinstance(ceremonies.made(PARTY, said, CHALLENGE), Unproven)
    assert isinstance(ceremonies.shown(PARTY, said, CHALLENGE, passkey), Unproven)


@given(st.binary(max_size=200), st.binary(max_size=120))
def test_whatever_an_authenticator_says_is_at_most_wrong(tail: bytes, key: bytes) -> None:
    certified: dict[str, Any] = {"statement": {"alg": -7, "sig": tail, "x5c": [key]}, "fmt": "packed"}
    changed: tuple[dict[str, Any], ...] = ({"key": tail}, {"key": key + tail}, certified)
    for changes in changed:
        assert isinstance(made(Authenticator().made(to_make(), ORIGIN, **changes)), Unproven)


@pytest.mark.parametrize(
    ("issuer", "rp_id", "origin"),
    [
        ("https://gateway.example", "gateway.example", "https://gateway.example"),
        ("https://Gateway.example:443", "gateway.example", "https://gateway.example"),
        ("https://gateway.example:8443/paper", "gateway.example", "https://gateway.example:8443"),
        ("http://localhost:8700", "localhost", "http://localhost:8700"),
    ],
)
def test_whom_a_passkey_is_for_is_the_issuers_host(issuer: str, rp_id: str, origin: str) -> None:
    assert party_of(profile(Env.PAPER, issuer)) == Party(env=Env.PAPER, rp_id=rp_id, origin=origin)


@pytest.mark.parametrize("issuer", ["http://127.0.0.1:8700", "http://[::1]:8700", "https://203.0.113.9"])
def test_there_are_no_passkeys_for_an_address(issuer: str) -> None:
    assert party_of(profile(Env.PAPER, issuer)) is None


def test_what_says_nothing_names_nothing() -> None:
    for said in ("", "{}", "[]", json.dumps({"id": "a b"}), secrets.token_hex(8)):
        assert ceremonies.named(said) == ""
