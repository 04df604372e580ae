"""What a client may send about limits, changes that wait, and overrides, and its exact meaning.

The limits themselves are read by `core.risk.rules`, which names what is wrong with them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final

import msgspec

from ordergate.api.etags import number_in
from ordergate.api.json_bodies import decode
from ordergate.api.requests import AccountIdText, OrderFields, Reason, terms_of
from ordergate.core.orders.events import Severity
from ordergate.core.refusals import Code, Refusal
from ordergate.core.risk.rules import ID, Mode, Reach, Rule
from ordergate.engine.limits.override_desk import Asked

RULES_AT_ONCE_MAX: Final = 500
DRY_RUN_MAX: Final = 10_000

ControlText = Annotated[str, msgspec.Meta(pattern=r"\AR[0-9]{2}\Z", description='a control, such as "R06"')]
RuleIdText = Annotated[str, msgspec.Meta(pattern=rf"\A{ID}\Z", description="a rule's id")]
Of = Annotated[str, msgspec.Meta(max_length=128, description="whom or what the rule is about")]
Owner = Annotated[str, msgspec.Meta(min_length=1, max_length=128, description="who answers for it")]


class RuleFields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A rule as it shall be, whole; what is left out has its usual value."""

    scope: Reach
    of: Of = ""
    limits: dict[str, Any]
    mode: Mode = Mode.ENFORCE
    severity: Severity = Severity.HARD
    effective_from: datetime | None = None
    effective_to: datetime | None = None
    owner: Owner
    reason: Reason


class ListedRuleFields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One rule of a file."""

    id: RuleIdText
    scope: Reach
    of: Of = ""
    limits: dict[str, Any]
    mode: Mode = Mode.ENFORCE
    severity: Severity = Severity.HARD
    effective_from: datetime | None = None
    effective_to: datetime | None = None
    owner: Owner


Rules = Annotated[
    list[ListedRuleFields],
    msgspec.Meta(max_length=RULES_AT_ONCE_MAX, description=f"a list of rules, {RULES_AT_ONCE_MAX} at most"),
]


class ApplyFields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Make the rules so. `prune` removes those that are not listed, `preview` only says what would follow."""

    rules: Rules
    reason: Reason
    prune: bool = False
    preview: bool = False


class DryRunFields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the last `orders` of an account would have got, had the rules been so."""

    account_id: AccountIdText
    rules: Rules = []
    prune: bool = False
    orders: Annotated[
        int, msgspec.Meta(ge=1, le=DRY_RUN_MAX, description=f"a whole number, 1 to {DRY_RUN_MAX}")
    ] = 100
    shadows: bool = False


class OverrideFields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Let this one order pass these controls, once; it lives `lives_s` from the second person's yes."""

    order: OrderFields
    controls: Annotated[
        list[ControlText], msgspec.Meta(min_length=1, max_length=30, description="a list of controls")
    ]
    lives_s: Annotated[int, msgspec.Meta(ge=1, le=900, description="a whole number of seconds, 1 to 900")] = (
        900
    )
    reason: Reason


class WhyFields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Approve, reject or remove, and say why."""

    reason: Reason


rule_decoder: Final = msgspec.json.Decoder(RuleFields)
apply_decoder: Final = msgspec.json.Decoder(ApplyFields)
dry_run_decoder: Final = msgspec.json.Decoder(DryRunFields)
override_decoder: Final = msgspec.json.Decoder(OverrideFields)
why_decoder: Final = msgspec.json.Decoder(WhyFields)


def rule_in(body: bytes, rule_id: str) -> tuple[Rule, str] | Refusal:
    """The rule, and why it shall be."""
    asked = decode(body, rule_decoder)
    return asked if isinstance(asked, Refusal) else (_rule_of(asked, rule_id), asked.reason)


def override_in(body: bytes) -> tuple[Asked, str] | Refusal:
    """What is asked for, and why."""
    asked = decode(body, override_decoder)
    if isinstance(asked, Refusal):
        return asked
    terms = terms_of(asked.order)
    if isinstance(terms, Refusal):
        return terms
    controls = tuple(dict.fromkeys(asked.controls))
    return Asked((terms.account,), terms, controls, asked.lives_s), asked.reason


def rules_of(asked: ApplyFields | DryRunFields) -> list[Rule]:
    return [_rule_of(one, one.id) for one in asked.rules]


def _rule_of(asked: RuleFields | ListedRuleFields, rule_id: str) -> Rule:
    return Rule(
        id=rule_id,
        scope=asked.scope,
        of=asked.of,
        limits=asked.limits,
        mode=asked.mode,
        severity=asked.severity,
        effective_from=asked.effective_from,
        effective_to=asked.effective_to,
        owner=asked.owner,
    )


def expected_in(if_match: str | None, if_none_match: str | None) -> int | Refusal:
    """The version that the client saw, or 0 where it saw that there is none."""
    if if_match is None and if_none_match == "*":
        return 0
    if if_match is None or if_none_match is not None:
        words = "send If-Match with the ETag that you saw, or If-None-Match: * for a new rule"
        return Refusal(Code.PRECONDITION_REQUIRED, words)
    version = number_in(if_match)
    if version is None:
        return Refusal(Code.INVALID, "If-Match is no ETag of a rule", {"If-Match": "must be an ETag"})
    return version
