"""Messages are signed as Standard Webhooks are, tried again, and never lost silently."""

from __future__ import annotations

import asyncio
import base64
import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from ordergate.audit import webhooks
from ordergate.audit.alerting import Alerting, Target
from ordergate.audit.outbound import Failed
from ordergate.core.faults import JournalUnavailable
from ordergate.core.webhook_signatures import secret_of
from ordergate.journal.memory_surveillance import MemorySurveillance
from ordergate.ports.surveillance import Notice
from tests.audit.logs import HandClock
from tests.engine.stage import CountingChance
from tests.journal.making import ALICE

SECRETS = tuple("whsec_" + base64.b64encode(bytes([number]) * 32).decode() for number in (1, 2))
KNOWN = tuple(map(secret_of, SECRETS))
TARGET = Target(name="risk", url="https://risk.example/hook", secrets=lambda: KNOWN)


class Now(HandClock):
    """A clock that the reference library agrees with."""

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.moved)


def notice(seq: int = 7, filler: str = "") -> Notice:
    frame = {"type": "event", "account_id": ALICE, "seq": seq, "at": "2026-01-05T15:00:00Z", "filler": filler}
    return Notice(account=ALICE, seq=seq, kind="order_denied", frame=json.dumps(frame).encode())


class Endpoint:
    """Answers as it was told to, and keeps what it was sent."""

    def __init__(self, *answers: Failed | None) -> None:
        self.answers = list(answers)
        self.sent: list[tuple[str, bytes, dict[str, str]]] = []

    async def post(self, url: str, body: bytes, headers: dict[str, str]) -> None:
        self.sent.append((url, body, headers))
        answer = self.answers.pop(0) if self.answers else None
        if answer is not None:
            raise answer


async def alerting(endpoint: Endpoint, *notices: Notice) -> tuple[Alerting, MemorySurveillance, Now]:
    store, clock = MemorySurveillance(), Now()
    await store.keep({}, [], [("risk", one) for one in notices], clock.now())
    return Alerting(store, endpoint.post, clock, CountingChance()), store, clock


@pytest.mark.parametrize("secret", SECRETS)
async def test_the_reference_library_accepts_what_is_sent_with_either_secret(secret: str) -> None:
    endpoint = Endpoint()
    made, store, _ = await alerting(endpoint, notice())
    assert await made.send_due(TARGET) == 1
    url, body, headers = endpoint.sent[0]
    told = Webhook(secret).verify(body, headers)
    assert (url, told["type"], told["data"]["seq"]) == (TARGET.url, "order_denied", 7)
    assert headers["webhook-id"] == "msg_P-alice_7"
    assert [one.state for one in store.sent.values()] == ["delivered"]
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(body.replace(b"7", b"8"), headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(base64.b64encode(bytes(32)).decode()).verify(body, headers)


async def test_what_is_not_taken_is_sent_again_and_dies_in_the_end() -> None:
    endpoint = Endpoint(*[Failed("the endpoint answered 500")] * 10)
    made, store, clock = await alerting(endpoint, notice())
    waits = []
    (kept,) = store.sent.values()
    for _ in range(10):
        assert await made.send_due(TARGET) == 1
        assert await made.send_due(TARGET) == 0
        if kept.state == "waiting":
            wait = (kept.next_at - clock.now()).total_seconds()
            waits.append(wait)
            clock.moved += wait + 1
    assert kept.state == "dead"
    assert kept.why == "the endpoint answered 500"
    for wait, meant in zip(waits, webhooks.RETRIES_S, strict=True):
        assert 0.85 * meant <= wait <= 1.15 * meant
    assert len({one[2]["webhook-id"] for one in endpoint.sent}) == 1


async def test_an_endpoint_that_wants_no_more_is_told_no_more() -> None:
    endpoint = Endpoint(Failed("the endpoint answered 410", gone=True))
    made, store, clock = await alerting(endpoint, notice(1))
    await made.send_due(TARGET)
    await store.keep({}, [], [("risk", notice(2))], clock.now())
    await made.send_due(TARGET)
    assert [one.state for one in store.sent.values()] == ["dead", "dead"]
    assert len(endpoint.sent) == 1


async def test_what_is_under_way_as_the_database_goes_is_not_sent_again_beside_itself() -> None:
    made, store, _ = await alerting(Endpoint(), notice(1), notice(2))
    sent, answered = list[str](), asyncio.Event()

    async def post(url: str, body: bytes, headers: dict[str, str]) -> None:
        sent.append(headers["webhook-id"])
        if sent[-1] == "msg_P-alice_2":
            await answered.wait()
        else:
            store.away = len(sent) == 1

    async def follow() -> None:
        for _ in range(2):  # begun again after a failure, as the supervisor does
            with suppress(JournalUnavailable):
                await made.send_due(TARGET)
            store.away = False

    made._post = post
    following = asyncio.create_task(follow())
    for _ in range(10):
        await asyncio.sleep(0)
    store.away = False
    answered.set()
    await following
    assert sent == ["msg_P-alice_1", "msg_P-alice_2", "msg_P-alice_1"]  # of the first the answer was lost
    assert [one.state for one in store.sent.values()] == ["delivered", "delivered"]


def test_a_message_stays_below_twenty_thousand_bytes() -> None:
    body = webhooks.body_of(notice(filler="x" * 30_000))
    assert len(body) < webhooks.PAYLOAD_BYTES_MAX
    assert json.loads(body)["data"] == {
        "account_id": ALICE,
        "seq": 7,
        "kind": "order_denied",
        "truncated": True,
    }


@pytest.mark.parametrize(
    "secret",
    ["secret", "whsec_", "whsec_!!", "whsec_" + base64.b64encode(bytes(23)).decode(), "whsec_" + "A" * 88],
)
def test_a_secret_that_is_none_is_refused(secret: str) -> None:
    with pytest.raises(ValueError, match="webhook's secret"):
        secret_of(secret)


def test_a_target_does_not_print_its_secrets() -> None:
    assert repr(TARGET) == "Target('risk')"
