"""Two people who look after limits, and how they say what they want."""

from __future__ import annotations

from typing import Any

import msgspec

from ordergate.core.access import Principal, Scope
from ordergate.core.refusals import Refusal
from ordergate.core.risk.policy import Edit
from ordergate.core.risk.rules import Reach, Rule
from ordergate.engine.limits.desk import Edited
from tests.engine.stage import ACCOUNT, TRADER, Stage

ANNA = msgspec.structs.replace(TRADER, subject="anna", client_id="anna", token_id="a")
BEN = msgspec.structs.replace(TRADER, subject="ben", client_id="ben", token_id="b")
READER = msgspec.structs.replace(BEN, scopes=frozenset({Scope.RISK_READ}))
STRANGER = msgspec.structs.replace(BEN, accounts=frozenset())
OWN = f"settings:{ACCOUNT}"


def rule(
    its: dict[str, Any], *, name: str = "firm", scope: Reach = Reach.FIRM, of: str = "", **more: Any
) -> Rule:
    return Rule(id=name, scope=scope, of=of, limits=its, owner="risk", **more)


def setting(one: Rule, expected: int = 0) -> Edit:
    return Edit(one.id, expected, one)


async def edit(stage: Stage, *edits: Edit, by: Principal = ANNA) -> Edited | Refusal:
    return await stage.node.limits.edit(by, edits, reason="a test", correlation="test")


async def edited(stage: Stage, *edits: Edit, by: Principal = ANNA) -> Edited:
    done = await edit(stage, *edits, by=by)
    assert isinstance(done, Edited), done
    return done
