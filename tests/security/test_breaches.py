"""Passwords of breaches: found wherever in the list they are, and the list itself is not trusted."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ordergate.core.access import Scope
from ordergate.security.people.breaches import BreachedPasswords, NoList
from ordergate.security.people.factors import UNCOMPARED
from ordergate.security.people.passwords import refuse_password
from ordergate.telemetry.secret import Secret
from ordergate.wiring import people
from ordergate.wiring.registry import CannotRegister
from ordergate.wiring.settings import CannotStart, parse
from tests.security.test_logins_are_logged import lines
from tests.security.test_password_change import NEW, arrived, has
from tests.security.world import world

NO = "a password is none that came to light in a breach"
WORDS = ("correct battery staple", NEW, "a password that is long")


def hashed(password: str) -> str:
    return hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper()


def listing(folder: Path, passwords: set[str], *, end: str = "\n", seen: str = ":17") -> BreachedPasswords:
    file = folder / "breached.txt"
    said = end.join(f"{digest}{seen}" for digest in sorted(map(hashed, passwords)))
    file.write_bytes(said.encode())
    return BreachedPasswords(file)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sets(st.text(max_size=8), min_size=1, max_size=60),
    st.sets(st.text(max_size=8), max_size=20),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(["", ":1", f":{'9' * 19}"]),
)
def test_those_in_the_list_are_found_and_no_others(
    tmp_path: Path, inside: set[str], others: set[str], end: str, seen: str
) -> None:
    breached = listing(tmp_path, inside, end=end, seen=seen)
    breached.check()
    for password in inside | others:
        assert breached.has(Secret(password)) is (password in inside), password


def test_a_list_in_small_letters_is_the_same_list(tmp_path: Path) -> None:
    breached = listing(tmp_path, set(WORDS))
    file = tmp_path / "breached.txt"
    file.write_text(file.read_text(encoding="utf-8").lower(), encoding="utf-8")
    assert breached.has(Secret(WORDS[0]))
    assert not breached.has(Secret("of nobody"))


LISTS = {
    "empty": b"",
    "of passwords": b"\n".join(word.encode() for word in WORDS),
    "one endless line": b"A" * 4096,
    "hashes of another kind": b"\n".join(b"A" * 32 + b":1" for _ in range(50)),
    "binary": bytes(range(256)) * 4,
    "empty lines": b"\n" * 500,
}


@pytest.mark.parametrize("what", LISTS)
def test_what_is_no_list_says_so_and_lets_no_password_through(tmp_path: Path, what: str) -> None:
    file = tmp_path / "breached.txt"
    file.write_bytes(LISTS[what])
    with pytest.raises(NoList, match="breached"):
        BreachedPasswords(file).check()
    with pytest.raises(NoList):
        BreachedPasswords(file).has(Secret(NEW))


def test_a_list_that_is_not_ordered_is_noticed_at_the_start(tmp_path: Path) -> None:
    file = tmp_path / "breached.txt"
    file.write_text("\n".join(sorted(map(hashed, WORDS), reverse=True)), encoding="utf-8")
    with pytest.raises(NoList, match="not ordered"):
        BreachedPasswords(file).check()


@pytest.mark.parametrize("stopped_at", [0.1, 0.5, 0.8])
def test_a_list_that_stopped_half_way_is_noticed_at_the_start(tmp_path: Path, stopped_at: float) -> None:
    breached = listing(tmp_path, {f"password-{number}" for number in range(500)})
    breached.check()
    file = tmp_path / "breached.txt"
    lines_of = file.read_text(encoding="utf-8").splitlines()
    file.write_text("\n".join(lines_of[: int(len(lines_of) * stopped_at)]), encoding="utf-8")
    with pytest.raises(NoList, match="not whole"):
        breached.check()


def test_a_list_in_the_order_of_how_often_each_was_seen_is_noticed_at_the_start(tmp_path: Path) -> None:
    breached = listing(tmp_path, {f"password-{number}" for number in range(500)})
    file = tmp_path / "breached.txt"
    first, *others, last = file.read_text(encoding="utf-8").splitlines()
    file.write_text("\n".join([first, *others[::7], *others[1::7], last]), encoding="utf-8")
    with pytest.raises(NoList, match="not ordered"):
        breached.check()


def test_a_password_of_a_breach_is_none(tmp_path: Path) -> None:
    breached = listing(tmp_path, {NEW})
    assert refuse_password(Secret(NEW), ()) is None, "it is a good one otherwise"
    assert refuse_password(Secret(NEW), (), breached) == NO
    assert refuse_password(Secret("a horse that has no battery"), (), breached) is None


async def test_nobody_changes_to_a_password_of_a_breach(tmp_path: Path) -> None:
    here = await world(breached=listing(tmp_path, {NEW}))
    alice = await arrived(here)

    page = await alice.change_password(NEW)

    assert page.status == 400
    assert NO.capitalize().encode() in page.body
    assert not has(here, NEW)


async def test_while_the_list_is_away_no_password_is_changed_and_it_is_logged(
    tmp_path: Path, logged: io.StringIO
) -> None:
    here = await world(breached=BreachedPasswords(tmp_path / "gone"))
    alice = await arrived(here)

    page = await alice.change_password("a horse that has no battery")

    assert page.status == 400
    assert UNCOMPARED.capitalize().encode() in page.body
    assert not has(here, "a horse that has no battery")
    (line,) = lines(logged, "passwords.uncompared")
    assert "gone" in line["why"]


def test_the_list_of_the_settings_is_asked_for_who_is_registered_too(tmp_path: Path) -> None:
    listing(tmp_path, {NEW})
    with pytest.raises(CannotRegister, match="breach"):
        register(tmp_path, tmp_path / "breached.txt")


def test_a_list_that_is_not_there_is_a_sentence_that_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(CannotStart, match=r"gone.*breached_passwords"):
        register(tmp_path, tmp_path / "gone")


def register(folder: Path, file: Path) -> None:
    settings_of = parse(
        {
            "environment": "paper",
            "data_dir": str(folder),
            "breached_passwords": str(file),
            "instruments": [],
            "brokers": {},
            "accounts": {},
        },
        "test",
    )
    people.add(
        settings_of,
        "alice",
        Secret(NEW),
        scopes=[Scope.ORDERS_READ],
        accounts=[],
        second_factor=False,
        replace=False,
    )
