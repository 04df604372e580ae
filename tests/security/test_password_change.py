"""People change their own password: by the one they have and their second factor, and never by less."""

from __future__ import annotations

import io
import json
import re
from typing import Any, Final

import msgspec
import pytest

from ordergate.security.clients import StoreUnavailable
from ordergate.security.directory import REFRESH_S
from ordergate.security.hashing import hash_secret, matches
from ordergate.security.oauth_requests import Answer
from ordergate.security.people.entrance import AGAIN
from ordergate.security.people.memory import MemoryPeople
from ordergate.security.people.pages import WRONG
from ordergate.security.people.password_change import CHANGED, NOT_KNOWN, NOT_TWICE, THE_SAME
from ordergate.security.people.totp import STEP_S
from ordergate.telemetry.secret import Secret
from tests.security.authenticator import Authenticator
from tests.security.test_grants_of_people import alive, error_of
from tests.security.test_logins_are_logged import lines
from tests.security.test_passkey_login import ORIGIN, Holder, holder
from tests.security.visitor import PASSWORD, Visitor, visitor
from tests.security.world import World, world

NEW: Final = "an entirely different sentence"


async def arrived(here: World, *, two_factors: bool = True) -> Visitor:
    """Alice, at the form for a new password."""
    alice = await visitor(here, two_factors=two_factors)
    await arrive(alice)
    return alice


async def arrive(alice: Visitor) -> Answer:
    assert (await alice.open(json.loads((await alice.push()).body)["request_uri"])).status == 200
    page = await alice.send_form("/oauth/password", {"visit": alice.visit})
    assert page.status == 200
    return page


def has(here: World, password: str) -> bool:
    """Whether it is Alice's, in the store."""
    person = here.security.directory.person("alice")
    assert person is not None
    return matches(person.password_hash, Secret(password))


async def gets_in(alice: Visitor, password: str) -> bool:
    """With the next code."""
    alice.here.clock.advance(STEP_S)
    await alice.open(json.loads((await alice.push()).body)["request_uri"])
    return (await alice.log_in(password=password)).status == 200


async def test_a_person_changes_their_password_with_the_one_they_have() -> None:
    here = await world()
    alice = await arrived(here)

    page = await alice.change_password(NEW)

    assert page.status == 200
    assert CHANGED.encode() in page.body
    assert b'action="/oauth/login"' in page.body, "nobody is let in by it"
    assert not await gets_in(alice, PASSWORD)
    assert await gets_in(alice, NEW)


async def test_who_has_no_second_factor_is_asked_for_none_as_at_a_login() -> None:
    here = await world()
    alice = await arrived(here, two_factors=False)

    assert (await alice.change_password(NEW, code=None)).status == 200
    assert has(here, NEW)


UNPROVEN: dict[str, dict[str, Any]] = {
    "without the password of now": {"password": ""},
    "with another password": {"password": "wrong"},
    "with the new one for the old": {"password": NEW},
    "without a code": {"code": None},
    "with a wrong code": {"code": "12345x"},
    "with what is no passkey": {"credential": "{}"},
    "for nobody": {"user": "nobody"},
    "for nobody, whose name no database takes": {"user": "a\0b"},
    "for no name": {"user": ""},
}


@pytest.mark.parametrize("what", UNPROVEN)
async def test_no_password_is_changed(what: str) -> None:
    here = await world()
    alice = await arrived(here)

    page = await alice.change_password(NEW, **UNPROVEN[what])

    assert page.status == 401
    assert WRONG.encode() in page.body
    assert has(here, PASSWORD)


async def test_a_code_that_let_somebody_in_changes_nothing() -> None:
    here = await world()
    alice = await visitor(here, two_factors=True)
    await alice.a_code()
    await arrive(alice)

    assert (await alice.change_password(NEW)).status == 401
    here.clock.advance(STEP_S)
    assert (await alice.change_password(NEW)).status == 200


async def test_who_is_kept_out_changes_nothing() -> None:
    here = await world()
    alice = await arrived(here)
    person = here.security.directory.person("alice")
    assert person is not None
    await here.security.people.put_person(msgspec.structs.replace(person, enabled=False))
    await here.security.directory.refresh()

    assert (await alice.change_password(NEW)).status == 401


async def test_guessing_is_slowed_down_together_with_logins() -> None:
    here = await world()
    alice = await arrived(here)

    answers = [(await alice.change_password(NEW, password=f"guess{n}")).status for n in range(4)]
    answers += [(await alice.log_in(password="guess")).status]
    answers += [(await alice.change_password(NEW)).status, (await alice.log_in()).status]

    assert answers == [401] * 5 + [429] * 2
    here.clock.advance(60)
    assert (await alice.change_password(NEW)).status == 200


REFUSED: dict[str, tuple[dict[str, str], str]] = {
    "it is not the same twice": ({"again": "another"}, NOT_TWICE),
    "it is missing": ({"new": "", "again": ""}, "A password has 12 to 256 characters."),
    "it is short": ({"new": "short", "again": "short"}, "A password has 12 to 256 characters."),
    "it is common": ({"new": "qwerty123456", "again": "qwerty123456"}, "A password is not a common one"),
    "it is their tenant's": ({"new": "acmeacmeacme", "again": "acmeacmeacme"}, "more than the person"),
    "it is the one they have": ({"new": PASSWORD, "again": PASSWORD}, THE_SAME),
}


@pytest.mark.parametrize("why", REFUSED)
async def test_the_new_password_is_not_taken_where(why: str) -> None:
    here = await world()
    alice = await arrived(here)
    changes, said = REFUSED[why]

    page = await alice.change_password(**{"new": NEW, **changes})

    assert page.status == 400
    assert said in page.body.decode().replace("&#x27;", "'")
    assert has(here, PASSWORD)


@pytest.mark.parametrize("why", [why for why in REFUSED if "twice" not in why])
async def test_who_has_not_shown_who_they_are_is_not_told_what_is_wrong_with_it(why: str) -> None:
    here = await world()
    alice = await arrived(here)
    changes, said = REFUSED[why]

    page = await alice.change_password(**{"new": NEW, **changes, "code": "12345x"})

    assert page.status == 401
    assert said not in page.body.decode().replace("&#x27;", "'")


@pytest.mark.parametrize("path", ["/oauth/password", "/oauth/password/passkey", "/oauth/password/keep"])
@pytest.mark.parametrize(
    "headers", [{"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"}, {"cookie": ""}]
)
async def test_a_form_of_another_page_or_browser_is_not_taken(path: str, headers: dict[str, str]) -> None:
    here = await world(base_url=ORIGIN)
    alice = await arrived(here)
    form = {"visit": alice.visit, "user": "alice", "password": PASSWORD, "code": alice.code()}

    answer = await alice.send_form(path, {**form, "new": NEW, "again": NEW}, **headers)

    assert answer.status == 400
    assert AGAIN.encode() in answer.body
    assert has(here, PASSWORD)


async def test_the_form_is_of_a_visit_at_which_nobody_is_in_yet() -> None:
    here = await world(base_url=ORIGIN)
    alice = await arrived(here)
    assert (await alice.log_in()).status == 200

    for path in ("/oauth/password", "/oauth/password/passkey", "/oauth/password/keep"):
        assert (await alice.send_form(path, {"visit": alice.visit})).status == 400


async def test_the_login_page_leads_to_the_form_which_hides_what_is_typed_and_runs_nothing() -> None:
    here = await world()
    alice = await visitor(here, two_factors=True)
    login = await alice.open(json.loads((await alice.push()).body)["request_uri"])
    assert b'action="/oauth/password"' in login.body

    page = await arrive(alice)

    fields = re.findall(r'<input name="(?:password|new|again)"[^>]*>', page.body.decode())
    assert [re.findall('autocomplete="([^"]+)"', field) for field in fields] == [
        ["current-password"], ["new-password"], ["new-password"]
    ]  # fmt: skip
    assert all('type="password"' in field and "maxlength" not in field for field in fields)
    assert b"<script" not in page.body
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "form-action 'self';" in policy
    assert page.headers["cache-control"] == "no-store"
    assert PASSWORD not in (await alice.change_password(NEW, password="wrong")).body.decode()


async def test_all_logins_end_with_the_old_password_unless_its_owner_says_otherwise() -> None:
    here = await world()
    alice = await visitor(here, two_factors=True)
    first = await alice.tokens()
    here.clock.advance(STEP_S)
    page = await arrive(alice)
    (box,) = re.findall(r'<input name="end"[^>]*>', page.body.decode())
    assert box.endswith(" checked>")
    principal = await here.bearer.authenticate(first["access_token"])

    assert (await alice.change_password(NEW, end=None)).status == 200
    assert await alive(here, first)
    here.clock.advance(STEP_S)
    assert (await alice.change_password("yet another sentence", password=NEW)).status == 200

    assert not here.bearer.still_valid(principal), "an open stream ends"
    assert not await alive(here, first)
    assert error_of(await alice.refresh(first["refresh_token"])) == (400, "invalid_grant")


async def test_another_process_ends_them_with_its_next_look_at_the_store() -> None:
    here = await world()
    alice = await visitor(here, two_factors=True)
    there = await world(clock=here.clock, store=here.store, people=here.security.people, keys=here.keys)
    tokens = await alice.tokens()
    principal = await there.bearer.authenticate(tokens["access_token"])
    assert there.bearer.still_valid(principal)
    here.clock.advance(STEP_S)
    await arrive(alice)
    assert (await alice.change_password(NEW)).status == 200

    await there.security.directory.refresh()

    assert not there.bearer.still_valid(principal)
    assert not await alive(there, tokens)
    assert REFRESH_S <= 5


async def test_a_login_that_was_under_way_with_the_old_password_leads_nowhere() -> None:
    here = await world(base_url=ORIGIN)
    alice = await visitor(here, two_factors=True)
    thief = Visitor(here, alice.factor)
    await thief.open(json.loads((await thief.push()).body)["request_uri"])
    assert (await thief.log_in()).status == 200
    here.clock.advance(STEP_S)
    await arrive(alice)
    assert (await alice.change_password(NEW, end=None)).status == 200

    assert (await thief.send_form("/oauth/passkey/new", {"visit": thief.visit})).status == 400
    assert (await thief.decide()).status == 400


async def test_neither_does_one_at_a_process_that_has_not_heard_of_it_yet() -> None:
    here = await world()
    alice = await visitor(here, two_factors=True)
    there = await world(clock=here.clock, store=here.store, people=here.security.people, keys=here.keys)
    thief = Visitor(there, alice.factor)
    await thief.open(json.loads((await thief.push()).body)["request_uri"])
    assert (await thief.log_in()).status == 200
    here.clock.advance(STEP_S)
    await arrive(alice)
    assert (await alice.change_password(NEW)).status == 200

    assert (await thief.decide()).status == 400


async def at_the_form(ann: Holder) -> None:
    """Which asks for the passkey."""
    await arrive(ann.alice)
    ann.page = await ann.alice.send_form("/oauth/password/passkey", {"visit": ann.alice.visit})
    assert ann.page.status == 200


async def test_a_passkey_serves_in_the_place_of_a_code_and_of_no_password() -> None:
    ann = await holder()
    await at_the_form(ann)
    assert b'data-ceremony="prove"' in ann.page.body
    assert "script-src 'self'" in ann.page.headers["content-security-policy"]
    shown = json.dumps(ann.key.shown(ann.options, ORIGIN))
    assert (await ann.alice.change_password(NEW, password="wrong", credential=shown, code=None)).status == 401

    await at_the_form(ann)
    shown = json.dumps(ann.key.shown(ann.options, ORIGIN))
    assert (await ann.alice.change_password(NEW, credential=shown, code=None)).status == 200
    assert (await ann.alice.change_password(NEW, password=NEW, credential=shown, code=None)).status == 401
    assert has(ann.here, NEW)


async def test_somebody_else_s_passkey_or_none_that_is_known_changes_nothing() -> None:
    ann = await holder()
    person = ann.here.security.directory.person("alice")
    assert person is not None
    bob = msgspec.structs.replace(person, user_id="bob", password_hash=hash_secret(Secret(NEW)))
    await ann.here.security.people.put_person(bob)
    await ann.here.security.directory.refresh()
    for key, user, password in ((ann.key, "bob", NEW), (Authenticator(), "alice", PASSWORD)):
        await at_the_form(ann)
        shown = json.dumps(key.shown(ann.options, ORIGIN))
        given = {"user": user, "password": password, "credential": shown}
        assert (await ann.alice.change_password("a third sentence, longer", **given)).status == 401


async def test_under_an_address_no_passkey_is_asked_for() -> None:
    here = await world()
    alice = await arrived(here)

    assert (await alice.send_form("/oauth/password/passkey", {"visit": alice.visit})).status == 400


async def test_without_the_store_nothing_is_changed_and_nobody_is_slowed_down(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here = await world()
    alice = await arrived(here)
    people = here.security.people
    assert isinstance(people, MemoryPeople)

    async def away(*_: object) -> None:
        raise StoreUnavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr(people, "reset_of", away)
        statuses = [(await alice.change_password(NEW, password="wrong")).status for _ in range(7)]
        assert statuses == [503] * 7
    with monkeypatch.context() as patch:
        patch.setattr(people, "change_password", away)
        page = await alice.change_password(NEW)
        assert (page.status, NOT_KNOWN.encode() in page.body) == (503, True)
    assert has(here, PASSWORD)
    here.clock.advance(STEP_S)
    assert (await alice.change_password(NEW)).status == 200


async def test_who_was_overtaken_begins_again() -> None:
    here = await world()
    alice = await arrived(here)
    person = here.security.directory.person("alice")
    assert person is not None
    other = msgspec.structs.replace(person, password_hash=hash_secret(Secret("a third sentence, longer")))
    await here.security.people.put_person(other)  # and this process has not heard of it

    assert (await alice.change_password(NEW)).status == 400
    await here.security.directory.refresh()
    assert not has(here, NEW)


async def test_a_change_is_logged_and_no_password_is(logged: io.StringIO) -> None:
    here = await world()
    alice = await visitor(here, two_factors=True)
    await alice.tokens()
    here.clock.advance(STEP_S)
    await arrive(alice)
    await alice.change_password(NEW, password="not it, not it")
    await alice.change_password(NEW)

    (told,) = lines(logged, "password.changed")
    assert {**told, "event": ""} == {"person": "alice", "by": "password", "logins_ended": 1, "event": ""}
    assert [line["person"] for line in lines(logged, "password.not_changed")] == ["alice"]
    assert not [said for said in (PASSWORD, NEW, "not it, not it") if said in logged.getvalue()]
