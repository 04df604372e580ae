"""Writes the pages under docs/generated from the tables in the code, so that a page cannot lie.

A test compares the pages with what this makes. `python -m tools.generated`.
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Final, get_args

from ordergate.core.access import SCOPES_OF, Role, Scope
from ordergate.core.accounts.alarm_words import WORDS
from ordergate.core.orders import events as e
from ordergate.core.orders.lifecycle import BEGINNINGS, FINAL, TRANSITIONS, Status
from ordergate.core.refusals import Code
from ordergate.core.risk.judge import PRECEDENCE
from ordergate.core.risk.reasons import Reason
from ordergate.core.risk.tightest import OF_ACCOUNT, OF_INSTRUMENT, Field
from tools import log_events

REPOSITORY: Final = Path(__file__).resolve().parents[1]
FOLDER: Final = REPOSITORY / "docs" / "generated"
KINDS: Final = get_args(e.AnyOrderEvent)

LIFECYCLE: Final = """# The order lifecycle

Written from `core/orders/lifecycle.py` by `python -m tools.generated`.

An order moves by events only, and only as this table says; an event for which there is no row is a fault.
Partial fill is a quantity (`cum_qty`, `leaves_qty`), not a status. The picture leaves out events that change
no status.

```mermaid
{diagram}
```

| event | {head} |
|---|{rule}
{rows}

An empty cell is a fault. An order begins {beginnings}. Terminal: {final}.
Those that were sent still take executions, busts, corrections and late answers; some proofs bring an order
back: an acknowledgement or an execution of one thought rejected, a larger replacement of one thought filled,
and an execution that was taken back from one that it had completed.
"""

REFUSALS: Final = """# Refusals

Written from `core/refusals.py` and `core/risk` by `python -m tools.generated`. Codes and reasons are never
reused or renamed.

## Codes

| code | meaning |
|---|---|
{codes}

## Risk controls

All controls are evaluated, in this order, and `risk-denied` lists every one that failed, with its limit, the
value that was judged and the headroom.

| control | name | judges |
|---|---|---|
{controls}

## Reasons of a failed control

| reason | meaning |
|---|---|
{reasons}
"""


ROLES: Final = """# Roles

Written from `core/access.py` by `python -m tools.generated`. A subject may do what its roles come to, each
in a tenant, on a desk's accounts or on one account; a token and a key narrow that, and never widen it.

| scope | {head} |
|---|{rule}
{rows}

`risk:write` includes `operations:write`. `access:*` counts only in a role of the whole tenant.
"""


ALARMS: Final = """# Alarms

Written from `core/accounts/alarm_words.py` by `python -m tools.generated`. `ordergate alarms` lists those
that stand, and so do `GET /v1/alarms` and `GET /v1/accounts/{{account_id}}/alarms`. Nobody clears an alarm:
what lasts ends with its cause, and everything else stands as a record that it happened.

| alarm | about | means | do | ends |
|---|---|---|---|---|
{rows}
"""


LIMITS: Final = """# How limits meet

Written from `core/risk/tightest.py` by `python -m tools.generated`. Where several rules say the same limit
of an account, this is the one that holds. A change that leaves every field as tight as it was needs no second
person.

## An account's

| limit | of two, the tightest is |
|---|---|
{account}

## An instrument's

| limit | of two, the tightest is |
|---|---|
{instrument}
"""


def pages() -> Mapping[str, str]:
    """Every generated page: its name and its text."""
    return {
        "alarms.md": alarms(),
        "lifecycle.md": lifecycle(),
        "limits.md": limits(),
        "log-events.md": log_events.page(),
        "refusals.md": refusals(),
        "roles.md": roles(),
    }


def alarms() -> str:
    rows = [
        f"| `{nature}` | {str(words.about).replace('_', ' ')} | {words.means} | {words.do} | {words.ends} |"
        for nature, words in WORDS.items()
    ]
    return ALARMS.format(rows="\n".join(rows))


def roles() -> str:
    rows = [
        f"| `{scope}` | {' | '.join('yes' if scope in SCOPES_OF[role] else '' for role in Role)} |"
        for scope in Scope
    ]
    head = " | ".join(role.value.replace("_", " ") for role in Role)
    return ROLES.format(head=head, rule="---|" * len(Role), rows="\n".join(rows))


def limits() -> str:
    return LIMITS.format(account=_meeting(OF_ACCOUNT), instrument=_meeting(OF_INSTRUMENT))


def _meeting(fields: Mapping[str, Field]) -> str:
    lines = []
    for name, field in fields.items():
        unsaid = "; said by nobody is tighter still" if field.absent_is_tightest else ""
        lines.append(f"| `{name}` | {field.words}{unsaid} |")
    return "\n".join(lines)


def lifecycle() -> str:
    statuses = list(Status)
    rows = [
        _row(kind, statuses) for kind in KINDS if any((status, kind) in TRANSITIONS for status in statuses)
    ]
    beginnings = [f"`{status}` by {kind.__name__}" for kind, status in BEGINNINGS.items()]
    return LIFECYCLE.format(
        diagram=_diagram(),
        head=" | ".join(statuses),
        rule="---|" * len(statuses),
        rows="\n".join(rows),
        beginnings=", ".join(beginnings),
        final=", ".join(f"`{status}`" for status in statuses if status in FINAL),
    )


def refusals() -> str:
    controls = [
        f"| {control.id} | {control.name} | {_judges(control.check.__doc__ or '')} |"
        for control in PRECEDENCE
    ]
    return REFUSALS.format(
        codes="\n".join(f"| `{code}` | {code.meaning} |" for code in Code),
        controls="\n".join(controls),
        reasons="\n".join(f"| `{reason}` | {reason.meaning} |" for reason in Reason),
    )


def _row(kind: type[e.OrderEvent], statuses: list[Status]) -> str:
    cells = [str(TRANSITIONS.get((status, kind), "")) for status in statuses]
    return f"| {kind.__name__} | {' | '.join(cells)} |"


def _diagram() -> str:
    """One arrow from status to status, with every event that takes it."""
    arrows: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for kind, after in BEGINNINGS.items():
        arrows["[*]", after].append(kind.__name__)
    for (before, kind), after in TRANSITIONS.items():
        if before is not after:
            arrows[before, after].append(kind.__name__)
    lines = [f"    {before} --> {after}: {', '.join(kinds)}" for (before, after), kinds in arrows.items()]
    ends = [f"    {status} --> [*]" for status in Status if status in FINAL]
    return "\n".join(["stateDiagram-v2", *lines, *ends])


def _judges(docstring: str) -> str:
    """What a control judges, without its id: `R06. The whole quantity...` is `The whole quantity...`"""
    plain = re.sub(r"\s+", " ", docstring).strip()
    return re.sub(r"^R\d\d\. ", "", plain)


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
