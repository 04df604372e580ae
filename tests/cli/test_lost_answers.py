"""A command whose answer does not tell what was done tells its idempotency key, and no other does."""

from __future__ import annotations

import httpx
import pytest

from ordergate.cli.client import GatewayClient
from ordergate.cli.exits import Stopped
from tests.cli.asking import ordergate
from tests.cli.scripted import Answer, client, giving, stand_in

KEY = "the-key-of-this-test"
AGAIN = f"it may have been done: ask again with --key {KEY}"


def problem(status: int, code: str) -> httpx.Response:
    return httpx.Response(status, json={"code": code, "detail": "a sentence", "status": status})


def stopped(by: GatewayClient, key: str | None = KEY) -> Stopped:
    with pytest.raises(Stopped) as ended:
        by.command("POST", "/v1/orders", {}, key=key)
    return ended.value


LOST = httpx.ReadError("the line went dead")
CLOSED = httpx.ConnectError("refused")


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param((LOST, LOST, LOST), id="three lost answers"),
        pytest.param((LOST, CLOSED), id="a lost answer and then a closed door"),
        pytest.param((LOST, problem(401, "unauthenticated")), id="a lost answer, then a bad token"),
        pytest.param((LOST, problem(409, "idempotency-key-in-use")), id="a lost answer, still under way"),
        pytest.param((LOST, problem(429, "rate-limited")), id="a lost answer, then too many requests"),
        pytest.param((problem(500, "internal"),), id="a defect"),
        pytest.param((problem(503, "unavailable"),), id="a part that is not available"),
        pytest.param((httpx.Response(502, text="<html>"),), id="a proxy that had no answer"),
        pytest.param((httpx.Response(201, text="<html>"),), id="an answer that cannot be read"),
    ],
)
def test_the_key_is_told_where_the_command_may_have_been_done(answers: tuple[Answer, ...]) -> None:
    said = stopped(giving(*answers))
    assert said.sentence.splitlines()[-1] == AGAIN
    assert said.told["idempotency_key"] == KEY


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param((CLOSED,), id="a closed door"),
        pytest.param((problem(401, "unauthenticated"),), id="a token that is no good"),
        pytest.param((problem(422, "risk-denied"),), id="a denial"),
        pytest.param((LOST, problem(422, "risk-denied")), id="a denial that was lost once"),
        pytest.param((LOST, problem(400, "invalid")), id="a request that can never be done"),
    ],
)
def test_the_key_is_not_told_where_nothing_was_done(answers: tuple[Answer, ...]) -> None:
    said = stopped(giving(*answers))
    assert "--key" not in said.sentence
    assert "idempotency_key" not in said.told


def test_a_key_that_was_made_up_is_the_one_that_was_sent() -> None:
    sent = set[str]()

    def answers(request: httpx.Request) -> httpx.Response:
        sent.add(request.headers["idempotency-key"])
        raise LOST

    assert {stopped(client(answers), key=None).told["idempotency_key"]} == sent


@pytest.mark.parametrize("key", ["", " ", "too-short", "schlüssel-des-kunden"])
@pytest.mark.parametrize(
    "words",
    [
        pytest.param(("orders", "place", "ESH4", "buy", "1"), id="place"),
        pytest.param(("orders", "cancel", "ord-1"), id="cancel"),
    ],
)
def test_no_other_key_is_made_up_for_one_that_is_none(
    words: tuple[str, ...], key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--key "$KEY"` without the variable would be another order."""
    asked = stand_in(monkeypatch, problem(500, "internal"))
    said = ordergate(*words, "--key", key)
    assert (said.code, asked) == (2, [])
    assert said.err.startswith("ordergate: --key must be a key")


def test_whoever_does_not_wait_for_the_answer_is_told_the_key(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt):
        giving(KeyboardInterrupt).command("POST", "/v1/orders", {}, key=KEY)
    assert capsys.readouterr().err == f"ordergate: {AGAIN}\n"


def test_a_question_has_no_key_to_tell() -> None:
    with pytest.raises(Stopped) as ended:
        giving(LOST, LOST, LOST).get("/v1/orders")
    assert "idempotency_key" not in ended.value.told
