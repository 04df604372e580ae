"""The hooks of a settings file."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ordergate.core.hooks.hook import Hook, Passphrase, Signed
from ordergate.security.keys import local
from ordergate.telemetry.secret import Secret
from ordergate.wiring import demo, secret_rotation, secret_sources
from ordergate.wiring.hooks import ASK_AWS_LOOKS, Hooks
from ordergate.wiring.settings import CannotStart, Settings, parse
from tests.security.world import SetClock

PASSPHRASES = ("a passphrase that is long", "another passphrase, as long")
ORDER = {
    "symbol": {"from": "ticker", "words": {"ES1!": "ESM4"}},
    "side": {"from": "strategy.order.action"},
    "type": "market",
    "quantity": {"from": "strategy.order.contracts"},
}


def settings(folder: Path, **hook: Any) -> Settings:
    plain = demo.gateway_plain(folder, port=8700, venue_url="http://127.0.0.1:1")
    plain["hooks"] = {"tradingview": {"account": demo.ACCOUNT, "order": ORDER, **hook}}
    return parse(plain, "gateway.yaml")


def secret(folder: Path, text: str) -> dict[str, str]:
    file = folder / "secret"
    file.write_text(text, encoding="utf-8")
    return {"file": str(file)}


def test_a_hook_with_signatures_is_read(tmp_path: Path) -> None:
    given = settings(tmp_path, signed=[secret(tmp_path, f"whsec_{'a' * 32}")], networks=["10.0.0.0/8"])
    made = read(given)
    assert isinstance(made.proof, Signed)
    assert made.is_open_to("10.1.2.3")


def test_a_hook_with_a_passphrase_is_read(tmp_path: Path) -> None:
    told = {"field": "secret", "time": "timenow", "secrets": [secret(tmp_path, "a passphrase that is long")]}
    made = read(settings(tmp_path, passphrase=told))
    assert isinstance(made.proof, Passphrase)


@pytest.mark.parametrize(
    ("hook", "words"),
    [
        ({}, "either `signed` or `passphrase`"),
        ({"account": "P-NOBODY", "signed": [{"environment": "X"}]}, "which is not given"),
        ({"order": {**ORDER, "price": "1"}, "signed": [{"environment": "X"}]}, "no field price"),
        ({"order": {"side": "buy"}, "signed": [{"environment": "X"}]}, "needs symbol"),
        ({"signed": [{"environment": "X"}], "window_s": 0}, "window_s"),
    ],
)
def test_an_impossible_hook_is_a_sentence(tmp_path: Path, hook: dict[str, Any], words: str) -> None:
    with pytest.raises(CannotStart, match=words):
        settings(tmp_path, **hook)


def test_a_short_passphrase_and_a_strange_network_are_sentences(tmp_path: Path) -> None:
    told = {"field": "secret", "time": "timenow", "secrets": [secret(tmp_path, "short")]}
    with pytest.raises(CannotStart, match="at least 24 characters"):
        read(settings(tmp_path, passphrase=told))
    with pytest.raises(CannotStart, match="network"):
        read(settings(tmp_path, signed=[secret(tmp_path, f"whsec_{'a' * 32}")], networks=["tradingview.com"]))


@pytest.mark.parametrize(
    ("hook", "words"),
    [
        (
            {"passphrase": {"field": "p", "time": "t", "secrets": []}, "owner": "ann"},
            "in live an alert is signed",
        ),
        ({"signed": [{"environment": "X"}]}, "give it an `owner`"),
    ],
)
def test_live_takes_signatures_and_an_owner_and_nothing_less(
    tmp_path: Path, hook: dict[str, Any], words: str
) -> None:
    with pytest.raises(CannotStart, match=words):
        live(tmp_path, **hook)
    assert live(tmp_path, signed=[{"environment": "X"}], owner="ann").hooks["trend"].owner == "ann"


async def test_a_new_secret_is_accepted_without_a_restart_and_the_one_before_until_its_end(
    tmp_path: Path,
) -> None:
    clock = SetClock()
    hooks, given = two_files(tmp_path, clock)
    old = PASSPHRASES[0].encode()

    made, until = secret_rotation.hook(given, "tradingview", timedelta(seconds=60), clock.now())
    await hooks.look()

    assert until == clock.now() + timedelta(seconds=60)
    assert accepted(hooks) == (made.reveal().encode(), old)
    clock.advance(60)
    assert accepted(hooks) == (made.reveal().encode(),), "at its end, with nobody reading anything"


async def test_a_rotation_without_an_overlap_ends_the_one_before(tmp_path: Path) -> None:
    clock = SetClock()
    hooks, given = two_files(tmp_path, clock)
    made, _ = secret_rotation.hook(given, "tradingview", timedelta(0), clock.now())
    await hooks.look()
    assert accepted(hooks) == (made.reveal().encode(),)
    assert list(Hooks(given, clock)._kept["tradingview"]) == [0, 1], "and a gateway starts with both files"


async def test_a_rotation_that_died_between_its_files_has_changed_nothing_for_the_sender(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SetClock()
    hooks, given = two_files(tmp_path, clock)
    true, written = local.write_private, 0

    def dies(*asked: Any) -> None:
        nonlocal written
        written += 1
        if written == 2:
            raise OSError(5, "died")
        true(*asked)

    monkeypatch.setattr(secret_rotation, "write_private", dies)
    with pytest.raises(CannotStart, match="cannot be replaced"):
        secret_rotation.hook(given, "tradingview", timedelta(0), clock.now())
    await hooks.look()
    assert accepted(hooks) == (PASSPHRASES[0].encode(),)


async def test_a_file_that_is_gone_lets_nobody_in(tmp_path: Path) -> None:
    clock = SetClock()
    hooks, _ = two_files(tmp_path, clock)
    (tmp_path / "now").unlink()
    await hooks.look()
    assert accepted(hooks) == ()
    (tmp_path / "now").write_text(PASSPHRASES[1], encoding="utf-8")
    await hooks.look()
    assert accepted(hooks) == (PASSPHRASES[1].encode(),)


async def test_aws_is_asked_seldom_and_what_it_does_not_tell_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = {"field": "p", "time": "t", "secrets": [{"aws": {"region": "eu-west-1", "name": "trend"}}]}
    says, asked = [PASSPHRASES[0], PASSPHRASES[1]], 0

    def of_aws(_: object) -> Secret:
        nonlocal asked
        asked += 1
        if not says:
            raise CannotStart("away")
        return Secret(says.pop(0))

    monkeypatch.setattr(secret_sources, "_of_aws", of_aws)
    hooks = Hooks(settings(tmp_path, passphrase=told), SetClock())
    for looks in (ASK_AWS_LOOKS, ASK_AWS_LOOKS):
        for _ in range(looks):
            await hooks.look()
        assert accepted(hooks) == (PASSPHRASES[1].encode(),)
    assert asked == 3


@pytest.mark.parametrize("rest", ["until tomorrow", "until 2026-01-01T00:00:00", "2026-01-01T00:00:00+00:00"])
def test_an_end_that_is_none_is_a_sentence(tmp_path: Path, rest: str) -> None:
    told = {"field": "p", "time": "t", "secrets": [secret(tmp_path, f"{PASSPHRASES[0]}\n{rest}")]}
    with pytest.raises(CannotStart, match="until"):
        read(settings(tmp_path, passphrase=told))


@pytest.mark.parametrize("files", [1, 3])
def test_only_two_files_can_be_rotated(tmp_path: Path, files: int) -> None:
    told = {"field": "p", "time": "t", "secrets": [secret(tmp_path, PASSPHRASES[0])] * files}
    given = settings(tmp_path, passphrase=told)
    with pytest.raises(CannotStart, match="two secrets in files"):
        secret_rotation.hook(given, "tradingview", timedelta(0), SetClock().now())
    with pytest.raises(CannotStart, match="no hook"):
        secret_rotation.hook(given, "other", timedelta(0), SetClock().now())


def two_files(folder: Path, clock: SetClock) -> tuple[Hooks, Settings]:
    (folder / "now").write_text(PASSPHRASES[0], encoding="utf-8")
    (folder / "now").chmod(0o600)
    told = {
        "field": "p",
        "time": "t",
        "secrets": [{"file": str(folder / "now")}, {"file": str(folder / "before")}],
    }
    given = settings(folder, passphrase=told)
    return Hooks(given, clock), given


def accepted(hooks: Hooks) -> tuple[bytes, ...]:
    hook = hooks.get("tradingview")
    assert hook is not None
    return hook.proof.secrets


def read(given: Settings) -> Hook:
    hook = Hooks(given, SetClock()).get("tradingview")
    assert hook is not None
    return hook


def live(folder: Path, **hook: Any) -> Settings:
    plain = {
        "environment": "live",
        "data_dir": str(folder),
        "instruments": [],
        "brokers": {"house": {}},
        "accounts": {"L-ONE": {"broker": "house"}},
        "hooks": {"trend": {"account": "L-ONE", "order": ORDER, **hook}},
    }
    return parse(plain, "gateway.yaml")
