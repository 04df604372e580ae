"""What the documents say of logins, of what costs much and of what is risky is what the code has."""

from __future__ import annotations

import ast
import re
from typing import Final

from ordergate.api import schemas
from ordergate.audit import outbound
from ordergate.core import networks
from ordergate.security import hashing, passkeys, persons, pushed, resets, throttle
from ordergate.security.people import ceremonies, passwords, visits
from tests.delivery.test_true_documents import WRITTEN, listed, rows
from tools.log_events import SOURCE

DANGEROUS: Final = re.compile(
    r"subprocess\.|asyncio\.create_subprocess|os\.(system|exec|spawn|fork|popen)|(pickle|marshal|shelve|ctypes)\b"
    r"|(eval|exec|compile|__import__)$|yaml\.(load|unsafe_load|full_load)"
)
SECURITY: Final = "docs/security.md"


def told() -> dict[str, str]:
    return {row[0]: row[1] for row in rows(SECURITY, "what") if len(row) == 2}


def test_the_bounds_of_a_login_are_those_of_the_code() -> None:
    bounds = told()
    assert bounds["a pushed request"] == f"{pushed.LIFE_S} s, once"
    assert bounds["the pages of one login"] == f"{visits.LIFE_S // 60} minutes"
    assert bounds["a code"].startswith(f"{persons.CODE_S} s, once;")
    unused, in_all = persons.IDLE_S // 60, persons.LIFE_S // 3_600
    assert bounds["a refresh token"].startswith(f"{unused} minutes unused, {in_all} hours in all;")
    assert bounds["logins of one person at once"].startswith(f"{persons.LOGINS_MAX}, ")
    assert bounds["the code of a reset"].startswith(f"{resets.RESET_S // 60} minutes, once;")
    assert bounds["passkeys"] == f"{passkeys.OF_ONE_MAX} for a person"
    signed = f"{ceremonies.CHALLENGE_S // 60} minutes, once, and for one login"
    assert bounds["what an authenticator is asked to sign"] == signed


def test_the_bounds_of_guessing_are_those_of_the_code() -> None:
    pair, address, name = (limit.failures for limit in (throttle.PAIR, throttle.ADDRESS, throttle.CLIENT))
    assert {limit.window_s for limit in (throttle.PAIR, throttle.ADDRESS, throttle.CLIENT)} == {60}
    assert told()["wrong passwords and codes"] == (
        f"{pair} a minute for a name and address, {address} for an address, {name} for a name; "
        f"{pair} alone where that name got in before"
    )
    clients = f"per client and address ({pair} a minute), per address ({address}) and per client ({name})"
    assert clients in WRITTEN[SECURITY]
    assert f"limited to {throttle.UNPROVEN.failures} a minute per address" in WRITTEN[SECURITY]
    assert f"Of IPv6 the first {networks.NETWORK_BITS} bits are the address" in WRITTEN[SECURITY]


def test_the_words_that_make_no_password_are_those_of_the_code() -> None:
    said = WRITTEN[SECURITY].partition("A password has ")[2].partition("are left of it")[0]
    assert said.startswith(f"{passwords.LENGTH_MIN} to {hashing.SECRET_LENGTH_MAX} characters")
    assert tuple(re.findall(r"`(\w+)`", said)) == passwords.CONTEXT
    assert passwords.LEFT_MIN == 8, "the text has it as a word"


def test_what_costs_much_is_listed_with_the_bounds_of_the_code() -> None:
    costs = {row[0]: row[1] for row in rows(SECURITY, "what costs much")}
    assert costs["checking a password or a client's secret"].startswith(
        f"{hashing.WORKERS} at once, {hashing.WAITING_MAX} wait"
    )
    assert costs["a listing"].startswith(f"{schemas.PAGE_MAX} rows a page")
    assert costs["a webhook"].startswith(f"{outbound.TIMEOUT_S:.0f} seconds")


def test_how_soon_a_component_is_replaced_is_said_for_every_severity_and_the_worst_is_first() -> None:
    days = {row[0]: int(row[1].partition(" day")[0]) for row in rows(SECURITY, "severity")}
    named = [severity.partition(",")[0] for severity in days]
    assert named == ["critical", "high", "medium", "low", "no advisory", "no advisory"]
    mended = list(days.values())[:4]
    assert mended == sorted(set(mended))


def test_what_is_looked_at_most_closely_is_a_package_that_is_asked_for() -> None:
    packages = listed_plain("docs/dependencies.md", "package")
    watched = [name for row in rows("docs/dependencies.md", "risky") for name in row[0].split(", ")]
    assert watched
    assert set(watched) - packages == set()


def test_whatever_starts_a_process_or_makes_code_of_data_is_named() -> None:
    told = set(listed("docs/dependencies.md", "where"))
    found = set()
    for file in SOURCE.rglob("*.py"):
        called = {
            ast.unparse(node.func)
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
            if isinstance(node, ast.Call)
        }
        if any(DANGEROUS.match(name) for name in called):
            found.add(file.relative_to(SOURCE).with_suffix("").as_posix())
    assert found == told


def listed_plain(document: str, first: str) -> set[str]:
    return {row[0] for row in rows(document, first)}
