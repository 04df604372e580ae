"""A secret is handed on and never shown."""

import copy
import hmac
import json
import pickle

import msgspec
import pytest

from ordergate.telemetry.secret import Secret

CANARY = "canary-4f1d8c"


def test_only_reveal_gives_the_value() -> None:
    secret = Secret(CANARY)

    assert secret.reveal() == CANARY
    for shown in (repr(secret), str(secret), f"{secret}", f"{secret!r:>40}", "%s" % secret, repr([secret])):  # noqa: UP031
        assert CANARY not in shown


def test_it_cannot_be_pickled_or_serialised() -> None:
    secret = Secret(CANARY)

    with pytest.raises(TypeError):
        pickle.dumps(secret)
    with pytest.raises(TypeError):
        json.dumps({"value": secret})
    with pytest.raises(TypeError):
        msgspec.json.encode(secret)


def test_it_has_no_dictionary_to_look_into_and_is_no_key() -> None:
    secret = Secret(CANARY)

    with pytest.raises(TypeError):
        vars(secret)
    with pytest.raises(TypeError):
        hash(secret)


def test_copies_are_the_same_secret() -> None:
    secret = Secret(CANARY)

    assert copy.copy(secret) is secret
    assert copy.deepcopy({"inside": secret})["inside"] is secret


def test_secrets_compare_by_value() -> None:
    assert Secret(CANARY) == Secret(CANARY)
    assert Secret(CANARY) != Secret("other")
    assert Secret(CANARY) != CANARY


def test_two_secrets_are_compared_in_constant_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared: list[tuple[object, object]] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return True

    monkeypatch.setattr(hmac, "compare_digest", compare)

    assert Secret(CANARY) == Secret("other"), "what it says is what is answered"
    assert compared == [(CANARY.encode(), b"other")]
