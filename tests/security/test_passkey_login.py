"""A passkey stands for both factors: made by who came in by two, good once a challenge, and never copied."""

from __future__ import annotations

import json
import re
from html import unescape
from html.parser import HTMLParser
from typing import Any, Final

import msgspec
import pytest

from ordergate.core.access import Principal
from ordergate.security.clients import StoreUnavailable
from ordergate.security.oauth_requests import Answer
from ordergate.security.passkeys import OF_ONE_MAX
from ordergate.security.people.memory import MemoryPeople
from ordergate.security.people.passkey_login import MADE, NO_LABEL, NO_ROOM, NOT_ACCEPTED, NOT_MADE
from tests.security.authenticator import PRESENT, Authenticator, b64
from tests.security.visitor import Visitor, led_to, visitor
from tests.security.world import World, opened, world

ORIGIN: Final = "http://localhost:8080"


class Holder:
    """Alice, with an authenticator in her pocket."""

    def __init__(self, here: World, alice: Visitor) -> None:
        self.here = here
        self.alice = alice
        self.key = Authenticator()
        self.page = Answer(status=0, headers={}, body=b"")

    @property
    def people(self) -> MemoryPeople:
        people = self.here.security.people
        assert isinstance(people, MemoryPeople)
        return people

    @property
    def options(self) -> dict[str, Any]:
        """What the page asks the authenticator for."""
        found = re.search(rb'data-options="([^"]+)"', self.page.body)
        assert found is not None, self.page.body
        options: dict[str, Any] = json.loads(unescape(found[1].decode()))
        return options

    async def arrive(self) -> None:
        self.page = await self.alice.open(json.loads((await self.alice.push()).body)["request_uri"])
        assert self.page.status == 200

    async def post(self, path: str, **form: str) -> Answer:
        self.page = await self.alice.send_form(path, {"visit": self.alice.visit, **form})
        return self.page

    async def log_in_by_password(self) -> None:
        await self.arrive()
        assert (await self.alice.log_in()).status == 200
        self.here.clock.advance(60)  # so that the next code is another

    async def make(self, label: str = "laptop", **changes: Any) -> Answer:
        """A passkey, by somebody who is in."""
        assert (await self.post("/oauth/passkey/new")).status == 200
        said = self.key.made(self.options, ORIGIN, **changes)
        return await self.post("/oauth/passkey/keep", label=label, credential=json.dumps(said))

    async def show(self, key: Authenticator | None = None, **changes: Any) -> Answer:
        """The passkey, by somebody who is not in."""
        await self.arrive()
        assert (await self.post("/oauth/passkey")).status == 200
        said = (key or self.key).shown(self.options, ORIGIN, **changes)
        return await self.post("/oauth/passkey/login", credential=json.dumps(said))

    async def doubted(self) -> bool:
        (kept,) = await self.people.passkeys_of("alice")
        return kept.suspect


async def holder(*, makes: bool = True, base_url: str = ORIGIN, two_factors: bool = True) -> Holder:
    here = await world(base_url=base_url)
    made = Holder(here, await visitor(here, two_factors=two_factors))
    if makes:
        await made.log_in_by_password()
        assert MADE.encode() in (await made.make()).body
    return made


async def test_a_passkey_lets_its_owner_in_and_counts_as_both_factors() -> None:
    ann = await holder()
    here = ann.here
    here.clock.advance(3_600)

    assert (await ann.show()).status == 200
    answer = await ann.alice.redeem(led_to(await ann.alice.decide())["code"])

    token = json.loads(answer.body)["access_token"]
    claims = opened(token, (await here.ask("/.well-known/jwks.json", {})).body).claims
    assert (claims["sub"], claims["acr"]) == ("alice", "urn:ordergate:two-factors")
    principal = await here.bearer.authenticate(token)
    assert isinstance(principal, Principal)
    assert principal.logged_in_lately(here.clock.epoch), "so it is a step up, too"
    here.clock.advance(311)
    assert not principal.logged_in_lately(here.clock.epoch)


async def test_who_has_made_one_goes_on_where_they_were() -> None:
    ann = await holder()

    assert "code" in led_to(await ann.alice.decide())


async def test_several_are_made_under_one_handle_and_each_lets_in() -> None:
    ann = await holder()
    first = ann.key
    ann.key = Authenticator()
    await ann.post("/oauth/passkey/new")
    assert ann.options["excludeCredentials"] == [{"id": b64(first.credential_id), "type": "public-key"}]
    assert b'value="passkey 1"' in ann.page.body
    await ann.make("phone")

    kept = await ann.people.passkeys_of("alice")
    assert [one.label for one in kept] == ["laptop", "phone"]
    assert len({one.user_handle for one in kept}) == 1
    assert (await ann.show(first)).status == 200
    assert (await ann.show()).status == 200


async def test_a_challenge_is_good_once() -> None:
    ann = await holder()
    await ann.arrive()
    await ann.post("/oauth/passkey")
    said = json.dumps(ann.key.shown(ann.options, ORIGIN))

    wrong = await ann.post("/oauth/passkey/login", credential="{}")
    right = await ann.post("/oauth/passkey/login", credential=said)

    assert (wrong.status, right.status) == (401, 401)
    assert NOT_ACCEPTED.encode() in right.body
    assert (await ann.alice.log_in()).status == 200, "the visit goes on"


async def test_a_challenge_is_good_for_two_minutes() -> None:
    ann = await holder()
    for waited, status in ((119, 200), (120, 401)):
        await ann.arrive()
        await ann.post("/oauth/passkey")
        said = json.dumps(ann.key.shown(ann.options, ORIGIN))
        ann.here.clock.advance(waited)
        assert (await ann.post("/oauth/passkey/login", credential=said)).status == status


async def test_a_challenge_is_of_one_visit_and_the_last_one_of_it() -> None:
    ann = await holder()
    await ann.arrive()
    await ann.post("/oauth/passkey")
    of_another = json.dumps(ann.key.shown(ann.options, ORIGIN))
    await ann.arrive()
    assert (await ann.post("/oauth/passkey/login", credential=of_another)).status == 401, "none is open"
    await ann.post("/oauth/passkey")
    before = json.dumps(ann.key.shown(ann.options, ORIGIN))
    await ann.post("/oauth/passkey")

    assert (await ann.post("/oauth/passkey/login", credential=before)).status == 401
    await ann.post("/oauth/passkey")
    assert (await ann.post("/oauth/passkey/login", credential=of_another)).status == 401


async def test_another_browser_gets_nowhere_with_it() -> None:
    ann = await holder()
    await ann.arrive()
    await ann.post("/oauth/passkey")
    said = json.dumps(ann.key.shown(ann.options, ORIGIN))
    ann.alice.cookie = ""

    assert (await ann.post("/oauth/passkey/login", credential=said)).status == 400


async def test_of_two_answers_at_once_one_lets_in() -> None:
    ann = await holder()
    await ann.arrive()
    await ann.post("/oauth/passkey")
    said = json.dumps(ann.key.shown(ann.options, ORIGIN))
    form = {"visit": ann.alice.visit, "credential": said}
    cookie = ann.alice.cookie

    first = await ann.alice.send_form("/oauth/passkey/login", form)
    ann.alice.cookie = cookie
    second = await ann.alice.send_form("/oauth/passkey/login", form)

    assert (first.status, second.status) == (200, 400)


async def test_what_is_not_all_right_lets_nobody_in() -> None:
    ann = await holder()

    assert (await ann.show(flags=PRESENT)).status == 401
    assert (await ann.show(Authenticator())).status == 401
    assert (await ann.show(handle=b"somebody")).status == 401
    assert not await ann.doubted()


async def test_a_copied_passkey_ends_with_the_first_doubt() -> None:
    ann = await holder()
    copy = ann.key.copied()
    assert (await ann.show()).status == 200

    assert (await ann.show(copy)).status == 401
    assert await ann.doubted()
    assert (await ann.show()).status == 401, "nobody knows which of the two is hers"
    assert (await ann.show(copy)).status == 401
    await ann.arrive()
    assert (await ann.alice.log_in()).status == 200


async def test_a_forged_count_casts_no_doubt() -> None:
    ann = await holder()
    assert (await ann.show()).status == 200
    ann.key.count = 0

    assert (await ann.show(signer=Authenticator())).status == 401
    assert not await ann.doubted()


async def test_one_that_does_not_count_lets_in_again_and_again() -> None:
    ann = await holder(makes=False)
    ann.key = Authenticator(counts=False)
    await ann.log_in_by_password()
    await ann.make()

    assert [(await ann.show()).status for _ in range(7)] == [200] * 7


async def test_a_passkey_that_was_taken_away_lets_nobody_in() -> None:
    ann = await holder()
    await ann.people.drop_passkey("alice", "laptop")

    assert (await ann.show()).status == 401


async def test_who_is_kept_out_is_kept_out_with_a_passkey_too() -> None:
    ann = await holder()
    person = ann.here.security.directory.person("alice")
    assert person is not None
    await ann.people.put_person(msgspec.structs.replace(person, enabled=False))
    await ann.here.security.directory.refresh()

    assert (await ann.show()).status == 401


async def test_trying_passkeys_is_slowed_down_and_a_password_is_not_with_it() -> None:
    ann = await holder()
    stranger = Authenticator()

    answers = [(await ann.show(stranger)).status for _ in range(6)]

    assert answers == [401] * 5 + [429]
    assert (await ann.show()).status == 200
    for _ in range(15):
        await ann.show(Authenticator())
    assert (await ann.show(Authenticator())).status == 429, "of one address"
    assert (await ann.show()).status == 200, "it got in from there before"
    ann.here.clock.advance(60)
    assert (await ann.show(Authenticator())).status == 401


async def test_who_came_in_with_less_makes_none() -> None:
    ann = await holder(makes=False, two_factors=False)
    await ann.arrive()
    page = await ann.alice.log_in()

    assert b"passkey" not in page.body.partition(b"</style>")[2]
    assert (await ann.post("/oauth/passkey/new")).status == 400
    assert (await ann.post("/oauth/passkey/keep", label="x", credential="{}")).status == 400


async def test_who_is_not_in_makes_none() -> None:
    ann = await holder(makes=False)
    await ann.arrive()

    assert (await ann.post("/oauth/passkey/new")).status == 400


async def test_what_was_asked_to_be_shown_makes_none() -> None:
    ann = await holder(makes=False)
    await ann.log_in_by_password()
    await ann.post("/oauth/passkey/new")
    to_make = ann.options
    await ann.arrive()
    await ann.post("/oauth/passkey")
    said = ann.key.made({**to_make, "challenge": ann.options["challenge"]}, ORIGIN)
    assert (await ann.alice.log_in()).status == 200

    page = await ann.post("/oauth/passkey/keep", label="x", credential=json.dumps(said))

    assert NOT_MADE.encode() in page.body
    assert await ann.people.passkeys_of("alice") == ()


async def test_who_came_in_a_while_ago_makes_none() -> None:
    ann = await holder(makes=False)
    await ann.log_in_by_password()
    ann.here.clock.advance(240)
    assert (await ann.post("/oauth/passkey/new")).status == 200
    ann.here.clock.advance(1)

    assert (await ann.post("/oauth/passkey/new")).status == 400


async def test_a_passkey_that_is_not_all_right_is_not_kept() -> None:
    ann = await holder(makes=False)
    await ann.log_in_by_password()

    assert NOT_MADE.encode() in (await ann.make(flags=PRESENT)).body
    assert NO_LABEL.encode() in (await ann.make("a<b>")).body
    said = json.dumps(ann.key.made(ann.options, ORIGIN))
    ann.here.clock.advance(121)
    assert NOT_MADE.encode() in (await ann.post("/oauth/passkey/keep", label="x", credential=said)).body
    assert await ann.people.passkeys_of("alice") == ()
    assert MADE.encode() in (await ann.make()).body


async def test_trying_to_make_one_is_slowed_down() -> None:
    ann = await holder(makes=False)
    await ann.log_in_by_password()

    answers = [(await ann.make(flags=PRESENT)).status for _ in range(6)]

    assert answers == [200] * 5 + [429]


async def test_a_name_is_used_once_and_there_is_room_for_so_many() -> None:
    ann = await holder()
    ann.key = Authenticator()
    assert NO_ROOM.encode() in (await ann.make()).body
    for number in range(1, OF_ONE_MAX):
        ann.key = Authenticator()
        assert MADE.encode() in (await ann.make(f"passkey {number}")).body

    full = await ann.post("/oauth/passkey/new")
    assert NO_ROOM.encode() in full.body
    assert b"data-options" not in full.body


async def test_without_the_store_nobody_is_let_in_and_nobody_is_slowed_down(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ann = await holder()

    async def away(*_: object) -> bool:
        raise StoreUnavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr(ann.people, "use_passkey", away)
        assert [(await ann.show()).status for _ in range(7)] == [503] * 7
    assert (await ann.show()).status == 200
    for method in ("passkeys_of", "put_passkey"):
        await ann.arrive()
        ann.key = Authenticator()
        await ann.log_in_by_password()
        with monkeypatch.context() as patch:
            if method == "put_passkey":
                patch.setattr(ann.people, method, away)
                assert (await ann.make("other")).status == 503
            else:
                patch.setattr(ann.people, method, away)
                assert (await ann.post("/oauth/passkey/new")).status == 503


async def test_under_an_address_no_passkey_is_offered() -> None:
    ann = await holder(makes=False, base_url="http://127.0.0.1:8080")
    await ann.arrive()
    assert b"passkey" not in ann.page.body.partition(b"</style>")[2]
    assert (await ann.post("/oauth/passkey")).status == 400
    assert (await ann.post("/oauth/passkey/login", credential="{}")).status == 400
    page = await ann.alice.log_in()
    assert b"passkey" not in page.body.partition(b"</style>")[2]
    assert (await ann.post("/oauth/passkey/new")).status == 400
    assert (await ann.post("/oauth/passkey/keep", credential="{}", label="x")).status == 400


class _Loads(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.scripts: list[str | None] = []
        self.handlers: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handlers += [name for name, _ in attrs if name.startswith("on") or name == "style"]
        if tag == "script":
            self.scripts.append(dict(attrs).get("src"))


async def test_a_page_runs_one_file_of_ours_and_only_where_it_asks_an_authenticator() -> None:
    ann = await holder(makes=False)
    await ann.arrive()
    plain = [ann.page]
    asking = [await ann.post("/oauth/passkey")]
    plain.append(await ann.alice.log_in())
    asking.append(await ann.post("/oauth/passkey/new"))

    for page in plain:
        assert b"<script" not in page.body
        assert "script-src" not in page.headers["content-security-policy"]
    for page in asking:
        seen = _Loads()
        seen.feed(page.body.decode())
        assert (seen.scripts, seen.handlers) == (["/oauth/passkey.js"], [])
        policy = page.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'sha256-")
        assert "unsafe" not in policy
        assert b'name="password"' in page.body or b"/oauth/consent" in page.body
    script = await ann.here.send("/oauth/passkey.js", b"", {})
    assert script.headers["content-type"].startswith("text/javascript")
    assert b"http" not in script.body
    assert b"innerHTML" not in script.body
