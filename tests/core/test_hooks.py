"""Who may send alerts to a hook, and which alert is the same one again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from typing import Any

import msgspec
import pytest
from standardwebhooks import Webhook

from ordergate.core.hooks.hook import Hook, Passphrase, Signed, key_of, named
from ordergate.core.hooks.template import Template
from ordergate.core.ids import AccountId
from ordergate.core.refusals import Refusal
from ordergate.core.webhook_signatures import secret_of

NOW = datetime(2024, 3, 1, 14, 30, tzinfo=UTC)
SECRET, OLD_SECRET, FOREIGN = (f"whsec_{letter * 32}" for letter in "abc")
TEMPLATE = Template({"symbol": "AAPL", "side": "buy", "type": "market", "quantity": "1"})
PASSPHRASE = b"a passphrase that is long"


def hook(**changed: Any) -> Hook:
    proof = Signed(secrets=(secret_of(SECRET), secret_of(OLD_SECRET)))
    given = {
        "name": "tv",
        "account": AccountId("P-DEMO"),
        "tenant": "demo",
        "proof": proof,
        "template": TEMPLATE,
    }
    return Hook(**{**given, **changed})


def signed(
    body: bytes, *, secret: str = SECRET, at: datetime = NOW, name: str = "msg_1"
) -> dict[bytes, bytes]:
    """Headers as the reference library signs them."""
    return {
        b"webhook-id": name.encode(),
        b"webhook-timestamp": str(int(at.timestamp())).encode(),
        b"webhook-signature": Webhook(secret).sign(name, at, body.decode()).encode(),
    }


def judged(headers: dict[bytes, bytes], body: bytes = b'{"a":1}', one: Hook | None = None) -> str | Refusal:
    return named(one or hook(), headers, body, msgspec.json.decode(body), NOW)


@pytest.mark.parametrize("secret", [SECRET, OLD_SECRET])
def test_the_reference_librarys_signature_by_any_of_the_secrets_is_taken(secret: str) -> None:
    assert judged(signed(b'{"a":1}', secret=secret)) == "msg_1"


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        signed(b'{"a":1}', secret=FOREIGN),
        signed(b'{"a":2}'),
        signed(b'{"a":1}') | {b"webhook-id": b"msg_2"},
        signed(b'{"a":1}') | {b"webhook-timestamp": str(int(NOW.timestamp()) + 1).encode()},
        signed(b'{"a":1}') | {b"webhook-timestamp": b"now"},
        signed(b'{"a":1}') | {b"webhook-timestamp": b"9" * 11},
        signed(b'{"a":1}') | {b"webhook-signature": b"v1,"},
        signed(b'{"a":1}') | {b"webhook-signature": b"\xff \xff"},
        signed(b'{"a":1}') | {b"webhook-id": b"a b"},
        signed(b'{"a":1}', at=NOW - timedelta(seconds=301)),
        signed(b'{"a":1}', at=NOW + timedelta(seconds=301)),
    ],
)
def test_an_alert_that_is_not_proved_or_not_of_now_is_refused(wrong: dict[bytes, bytes]) -> None:
    assert isinstance(judged(wrong), Refusal)


@pytest.mark.parametrize("seconds", [-300, 0, 300])
def test_the_window_is_inclusive(seconds: int) -> None:
    assert judged(signed(b'{"a":1}', at=NOW + timedelta(seconds=seconds))) == "msg_1"


def with_passphrase(**alert: Any) -> str | Refusal:
    proof = Passphrase(
        field="secret", time="at", id=None, secrets=(PASSPHRASE, b"the next passphrase is long")
    )
    body = msgspec.json.encode({"secret": PASSPHRASE.decode(), "at": NOW.isoformat(), **alert})
    return judged({}, body, hook(proof=proof))


@pytest.mark.parametrize(
    "at", [NOW.isoformat(), "2024-03-01T14:30:00Z", int(NOW.timestamp()), int(NOW.timestamp()) * 1000]
)
def test_an_alert_with_a_passphrase_says_its_time_in_any_usual_way(at: str | int) -> None:
    assert isinstance(with_passphrase(at=at), str)


@pytest.mark.parametrize(
    "wrong",
    [
        {"secret": "a passphrase that is wrong"},
        {"secret": None},
        {"secret": ""},
        {"at": "2024-03-01T14:30:00"},
        {"at": "2024-03-01T14:20:00Z"},
        {"at": None},
        {"at": "9" * 20},
        {"at": "0001-01-01T00:00:00+14:00"},
        {"at": "9999-12-31T23:59:59-14:00"},
    ],
)
def test_a_wrong_passphrase_or_time_is_refused(wrong: dict[str, Any]) -> None:
    assert isinstance(with_passphrase(**wrong), Refusal)


def test_an_alert_without_a_name_is_named_by_what_it_says_and_not_by_its_passphrase() -> None:
    first, again, other = with_passphrase(n=1), with_passphrase(n=1), with_passphrase(n=2)
    rotated = with_passphrase(n=1, secret="the next passphrase is long")
    assert first == again == rotated
    assert first != other


def test_what_stands_beside_a_passphrase_is_part_of_an_alerts_name() -> None:
    def told(secret: bytes = PASSPHRASE, **said: Any) -> str | Refusal:
        proof = Passphrase(
            field="alert.secret",
            time="alert.at",
            id=None,
            secrets=(PASSPHRASE, b"the next passphrase is long"),
        )
        inside = {"secret": secret.decode(), "at": NOW.isoformat(), **said}
        return judged({}, msgspec.json.encode({"alert": inside}), hook(proof=proof))

    first, again, other = told(n=1), told(n=1), told(n=2)
    assert isinstance(first, str)
    assert first == again == told(b"the next passphrase is long", n=1)
    assert len({first, other, told(n=1, at=(NOW + timedelta(seconds=1)).isoformat())}) == 3


def test_two_hooks_make_two_keys_of_one_name() -> None:
    assert key_of(hook(), "msg_1") != key_of(hook(name="other"), "msg_1")
    assert len(key_of(hook(), "x" * 500)) <= 128


@pytest.mark.parametrize(
    ("peer", "let_in"),
    [
        ("52.89.214.238", True),
        ("52.89.214.239", False),
        ("2001:db8::1", True),
        ("unknown", False),
        ("", False),
    ],
)
def test_only_listed_networks_are_let_in(peer: str, let_in: bool) -> None:
    networks = (ip_network("52.89.214.238/32"), ip_network("2001:db8::/32"))
    assert hook(networks=networks).is_open_to(peer) is let_in


def test_no_secret_is_shown() -> None:
    assert "passphrase that" not in repr(
        hook(proof=Passphrase(field="s", time="t", id=None, secrets=(PASSPHRASE,)))
    )
    assert repr(secret_of(SECRET))[2:10] not in repr(hook())
