"""Whatever a person may be asked for has words on the page that asks."""

import json

import msgspec

from ordergate.core.access import Scope
from tests.security.visitor import visitor
from tests.security.world import world


async def test_every_scope_can_be_asked_for_in_words_and_allowed() -> None:
    here = await world()
    alice = await visitor(here, scopes=frozenset(Scope))
    owner = here.security.directory.person("alice")
    assert owner is not None
    await here.security.people.put_person(msgspec.structs.replace(owner, scopes=frozenset(Scope)))
    await here.security.directory.refresh()
    await alice.open(json.loads((await alice.push(scope=None)).body)["request_uri"])

    page = await alice.log_in()

    assert page.status == 200
    assert page.body.count(b"<li>") == len(Scope)
