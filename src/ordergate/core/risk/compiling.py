"""What all rules together let one account do: the tightest of everything that applies to it.

An account has limits when a rule of its own says so, and trades the instruments that its own rules name;
every other rule can only tighten, or fill in what they leave open. What does not come to whole limits is
no limits, and no limits is a no. Nothing here reads a clock: the moment is handed in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from ordergate.core.ids import AccountId, Symbol
from ordergate.core.instruments import Instrument
from ordergate.core.orders.events import Severity
from ordergate.core.risk.limits import HARD, Limits, instrument_limits_of, limits_of, mapping_of
from ordergate.core.risk.rules import (
    OF_ONE_INSTRUMENT,
    OF_ONE_WHO_ASKS,
    STAND_INS,
    STAND_INS_OF_INSTRUMENT,
    Mode,
    Reach,
    Rule,
)
from ordergate.core.risk.tightest import (
    LISTS,
    OF_ACCOUNT,
    OF_INSTRUMENT,
    Field,
    loosened,
    said_less,
    said_less_of_instrument,
)

INSTRUMENTS: Final = "instruments"
USUAL: Final = "usual"
"""What `origins` names where no rule says anything and the limit has a usual value."""


class Subject(msgspec.Struct, frozen=True):
    """Whom limits are compiled for. `user` and `strategy` are None where rules on them do not count."""

    account: AccountId
    tenant: str
    desk: str = ""
    user: str | None = None
    strategy: str | None = None


class Compiled(msgspec.Struct, frozen=True):
    """`limits` of None refuse everything, and `why` says for what reason.

    `origins` names the rule that each limit comes from, by the limit's path, and `soft` the rules that are.
    """

    limits: Limits | None
    why: str = ""
    origins: Mapping[str, str] = {}
    soft: frozenset[str] = frozenset()


def concerns(rule: Rule, subject: Subject, instruments: Mapping[Symbol, Instrument]) -> bool:
    """Whether the rule has a say about this subject, whenever it is in effect."""
    match rule.scope:
        case Reach.FIRM:
            return True
        case Reach.TENANT:
            return rule.of == subject.tenant
        case Reach.DESK:
            return rule.of == subject.desk
        case Reach.ACCOUNT:
            return rule.of == subject.account
        case Reach.USER:
            return rule.of == subject.user
        case Reach.STRATEGY:
            return rule.of == subject.strategy
        case Reach.INSTRUMENT:
            return Symbol(rule.of) in instruments
        case Reach.ASSET_CLASS:
            return any(one.asset_class == rule.of for one in instruments.values())


def compiled(
    rules: Iterable[Rule],
    subject: Subject,
    instruments: Mapping[Symbol, Instrument],
    at: datetime,
    *,
    shadows: bool = False,
) -> Compiled:
    """With `shadows` as if the rules in shadow were enforced.

    The account's own rules come first, then what is usual for what they leave open; everybody else's can
    tighten that or say the rest. Rules on who asks come last, and can only tighten. Where some of them are
    soft, what the hard ones come to by themselves is compiled as well; if that is no limits, all are hard.
    """
    heard = [
        rule
        for rule in sorted(rules, key=lambda one: one.id)
        if (shadows or rule.mode is Mode.ENFORCE)
        and rule.is_in_effect(at)
        and concerns(rule, subject, instruments)
    ]
    found = _together(heard, instruments)
    hard = [rule for rule in heard if rule.severity is Severity.HARD]
    if found.limits is None or len(hard) == len(heard):
        return found
    alone = _together(hard, instruments).limits
    soft = frozenset(rule.id for rule in heard if rule.severity is Severity.SOFT)
    limits = msgspec.structs.replace(found.limits, hard=alone)
    return msgspec.structs.replace(found, limits=limits, soft=soft if alone is not None else frozenset())


def _together(heard: Sequence[Rule], instruments: Mapping[Symbol, Instrument]) -> Compiled:
    own = [rule for rule in heard if rule.scope is Reach.ACCOUNT]
    if not own:
        return Compiled(None, "no rule of the account's own is in effect")
    others = [rule for rule in heard if rule.scope not in (Reach.ACCOUNT, *OF_ONE_WHO_ASKS)]
    named = sorted({symbol for rule in own for symbol in rule.limits.get(INSTRUMENTS, {})})
    try:
        return _summed(own, others, heard, named, instruments)
    except ValueError as trouble:
        return Compiled(None, str(trouble))


def _summed(
    own: Sequence[Rule],
    others: Sequence[Rule],
    heard: Sequence[Rule],
    named: Sequence[str],
    instruments: Mapping[Symbol, Instrument],
) -> Compiled:
    """Raises ValueError for rules that cannot be brought together."""
    sums = _Sums()
    _take_all(sums, own, named, instruments)
    sums.take_usual(OF_ACCOUNT, "", _USUAL)
    for symbol in named:
        sums.take_usual(OF_INSTRUMENT, f"{INSTRUMENTS}.{symbol}.", _USUAL_OF_INSTRUMENT)
    _take_all(sums, others, named, instruments)
    whole = [symbol for symbol in named if _is_whole(sums.under(OF_INSTRUMENT, f"{INSTRUMENTS}.{symbol}."))]
    version = max(rule.version for rule in own)
    without = _limits_from(sums, version, whole)
    on_who_asks = [rule for rule in heard if rule.scope in OF_ONE_WHO_ASKS]
    if without.limits is None or not on_who_asks:
        return without
    sums.fills = False
    _take_all(sums, on_who_asks, whole, instruments)
    return _limits_from(sums, version, whole)


def _take_all(
    sums: _Sums, rules: Iterable[Rule], symbols: Iterable[str], instruments: Mapping[Symbol, Instrument]
) -> None:
    listed = list(symbols)
    for rule in rules:
        if rule.scope not in OF_ONE_INSTRUMENT:
            said = {name: value for name, value in rule.limits.items() if name != INSTRUMENTS}
            sums.take(OF_ACCOUNT, "", said, rule.id)
        for symbol in listed:
            its = _said_of(rule, Symbol(symbol), instruments)
            sums.take(OF_INSTRUMENT, f"{INSTRUMENTS}.{symbol}.", its, rule.id)


def _said_of(rule: Rule, symbol: Symbol, instruments: Mapping[Symbol, Instrument]) -> Mapping[str, Any]:
    """What a rule says about one instrument."""
    if rule.scope is Reach.INSTRUMENT:
        return rule.limits if rule.of == symbol else {}
    if rule.scope is Reach.ASSET_CLASS:
        instrument = instruments.get(symbol)
        return rule.limits if instrument is not None and instrument.asset_class == rule.of else {}
    its: Mapping[str, Any] = rule.limits.get(INSTRUMENTS, {}).get(symbol, {})
    return its


class _Sums:
    """What was said so far, by path, and which rule said the value that stands.

    Once `fills` is False a limit that nobody has said yet, and that is tightest unsaid, stays unsaid.
    """

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.origins: dict[str, str] = {}
        self.fills = True

    def take(self, fields: Mapping[str, Field], prefix: str, said: Mapping[str, Any], rule: str) -> None:
        for name, value in said.items():
            path = prefix + name
            standing = self.values.get(path)
            if standing is None:
                if self.fills or not fields[name].absent_is_tightest:
                    self.values[path], self.origins[path] = value, rule
                continue
            tighter = fields[name].meet(standing, value)
            if tighter != standing:
                self.values[path], self.origins[path] = tighter, rule

    def take_usual(self, fields: Mapping[str, Field], prefix: str, usual: Mapping[str, Any]) -> None:
        left = {name: value for name, value in usual.items() if prefix + name not in self.values}
        self.take(fields, prefix, left, USUAL)

    def under(self, fields: Mapping[str, Field], prefix: str) -> dict[str, Any]:
        return {name: self.values[prefix + name] for name in fields if prefix + name in self.values}


def _limits_from(sums: _Sums, version: int, whole: Iterable[str]) -> Compiled:
    """An instrument that is not whole is left out, and so refused; an account that is not has nothing."""
    named = {symbol: sums.under(OF_INSTRUMENT, f"{INSTRUMENTS}.{symbol}.") for symbol in whole}
    plain = {**sums.under(OF_ACCOUNT, ""), "version": version, INSTRUMENTS: named}
    try:
        limits = limits_of(plain)
    except ValueError as lacking:
        return Compiled(None, str(lacking), sums.origins)
    return Compiled(limits, "", sums.origins)


def _is_whole(its: Mapping[str, Any]) -> bool:
    try:
        instrument_limits_of(its)
    except ValueError:
        return False
    return True


def _usual() -> tuple[dict[str, Any], dict[str, Any]]:
    """What the reader of limits takes for said where it is not: of an account, and of an instrument."""
    plain: dict[str, Any] = mapping_of(
        limits_of({**STAND_INS, INSTRUMENTS: {"_": dict(STAND_INS_OF_INSTRUMENT)}})
    )
    its = plain[INSTRUMENTS]["_"]
    nothing: dict[str, Any] = {name: [] for name in LISTS}
    return (
        {**nothing, **{name: value for name, value in plain.items() if name not in STAND_INS}},
        {name: value for name, value in its.items() if name not in STAND_INS_OF_INSTRUMENT},
    )


_USUAL, _USUAL_OF_INSTRUMENT = _usual()


def moments(rules: Iterable[Rule], at: datetime) -> list[datetime]:
    """Now, and every later moment at which a rule begins or ends, in order."""
    dated = [moment for rule in rules for moment in (rule.effective_from, rule.effective_to)]
    return sorted({at, *(moment for moment in dated if moment is not None and moment > at)})


def loosenings(
    before: Iterable[Rule],
    after: Iterable[Rule],
    subjects: Iterable[Subject],
    instruments: Mapping[Symbol, Instrument],
    at: datetime,
) -> list[str]:
    """What `after` would allow, now or later, that `before` would not; empty when it only tightens.

    Rules on who asks only tighten what is there without them. So whoever asks is compared by the rules
    on them alone, and only where those have changed.
    """
    was, will = {rule.id: rule for rule in before}, {rule.id: rule for rule in after}
    changed = [rule for rule in (*was.values(), *will.values()) if _differs(was, will, rule.id)]
    users = {rule.of for rule in changed if rule.scope is Reach.USER}
    strategies = {rule.of for rule in changed if rule.scope is Reach.STRATEGY}
    who = [
        (None, None),
        *((user, None) for user in sorted(users)),
        *((None, name) for name in sorted(strategies)),
    ]
    found: dict[str, None] = {}
    for subject in subjects:
        if not any(_may_concern(rule, subject, instruments) for rule in changed):
            continue
        old = [rule for rule in was.values() if _may_concern(rule, subject, instruments)]
        new = [rule for rule in will.values() if _may_concern(rule, subject, instruments)]
        for moment in moments((*old, *new), at):
            for user, strategy in who:
                one = msgspec.structs.replace(subject, user=user, strategy=strategy)
                had = _plain(compiled(old, one, instruments, moment))
                has = _plain(compiled(new, one, instruments, moment))
                words = loosened(had, has) or loosened(_hard_of(had), _hard_of(has))
                found |= dict.fromkeys(f"{subject.account} {word}" for word in words)
    return list(found)


def comparisons(before: Mapping[str, Rule], after: Mapping[str, Rule], at: datetime) -> int:
    """At most how often `loosenings` would have to compare for one account, without doing it."""
    changed = [rule for rule in (*before.values(), *after.values()) if _differs(before, after, rule.id)]
    who = 1 + len({(rule.scope, rule.of) for rule in changed if rule.scope in OF_ONE_WHO_ASKS})
    return len(moments((*before.values(), *after.values()), at)) * who


def _may_concern(rule: Rule, subject: Subject, instruments: Mapping[Symbol, Instrument]) -> bool:
    """Whoever asks."""
    return rule.scope in OF_ONE_WHO_ASKS or concerns(rule, subject, instruments)


def weakened(old: Rule, new: Rule | None, after: Iterable[Rule], at: datetime) -> list[str]:
    """What a rule says less strictly than it did, whether or not another one hides that now.

    Else a limit could be raised unseen beneath a tighter one, and show when that is taken away. Taking away
    the last rule of an account's own leaves it without limits, which is no loosening.
    """
    if old.mode is not Mode.ENFORCE or (old.effective_to is not None and old.effective_to <= at):
        return []
    words = f"rule {old.id}"
    if new is None:
        alone = old.scope is Reach.ACCOUNT and not any(
            rule.scope is Reach.ACCOUNT and rule.of == old.of for rule in after
        )
        return [] if alone else [words]
    if (new.scope, new.of) != (old.scope, old.of) or new.mode is not Mode.ENFORCE or _shorter(old, new, at):
        return [words]
    if old.severity is Severity.HARD and new.severity is not Severity.HARD:
        return [f"{words} severity"]
    if old.scope in OF_ONE_INSTRUMENT:
        less = said_less_of_instrument(old.limits, new.limits)
    elif old.scope is Reach.ACCOUNT:
        less = said_less({**_USUAL, **old.limits}, {**_USUAL, **new.limits}, names_instruments=True)
    else:
        less = said_less(old.limits, new.limits, names_instruments=False)
    return [f"{words} {name}" for name in less]


def _shorter(old: Rule, new: Rule, at: datetime) -> bool:
    """Whether it holds at fewer moments from now on."""
    begins_later = new.effective_from is not None and (new.effective_from > max(at, old.effective_from or at))
    ends_earlier = new.effective_to is not None and (
        old.effective_to is None or new.effective_to < old.effective_to
    )
    return begins_later or ends_earlier


def _differs(was: Mapping[str, Rule], will: Mapping[str, Rule], rule_id: str) -> bool:
    old, new = was.get(rule_id), will.get(rule_id)
    return old is None or new is None or old.content != new.content


def _hard_of(limits: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """What is a hard no: all of it, where nothing is soft."""
    return None if limits is None else limits.get(HARD, limits)


def _plain(found: Compiled) -> Mapping[str, Any] | None:
    return None if found.limits is None else mapping_of(found.limits)
