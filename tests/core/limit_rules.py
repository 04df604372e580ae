"""Rules for one account, and what they come to together."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ordergate.core.ids import AccountId
from ordergate.core.risk.compiling import Compiled, Subject, compiled
from ordergate.core.risk.limits import Limits, mapping_of
from ordergate.core.risk.rules import Reach, Rule, read
from tests.core.examples import NOW
from tests.core.risk_examples import INSTRUMENTS, limits

ACCOUNT = AccountId("P-ONE")
SUBJECT = Subject(ACCOUNT, tenant="acme", desk="rates")
WHOLE: dict[str, Any] = {name: value for name, value in mapping_of(limits()).items() if name != "version"}


def rule(scope: Reach, of: str, its: dict[str, Any], **more: Any) -> Rule:
    name = more.pop("id", f"{scope}:{of or 'all'}")
    return read(Rule(id=name, scope=scope, of=of, limits=its, owner="risk", **more))


OWN = rule(Reach.ACCOUNT, ACCOUNT, WHOLE)


def together(*rules: Rule, asking: Subject = SUBJECT, at: datetime = NOW, shadows: bool = False) -> Compiled:
    return compiled(rules, asking, INSTRUMENTS, at, shadows=shadows)


def limits_from(*rules: Rule, asking: Subject = SUBJECT, at: datetime = NOW) -> Limits:
    found = together(*rules, asking=asking, at=at)
    assert found.limits is not None, found.why
    return found.limits
