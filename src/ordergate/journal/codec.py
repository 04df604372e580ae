"""Events to JSON and back, for ever.

What was written must be readable by every later release. The tag of an event is its kind; a kind
whose fields change gets a higher version here and an upcaster from each older one. Golden
files hold one example of every kind and version.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, get_args

import msgspec

from ordergate.core.accounts.breaks import RECONCILER, SEVERITY, Severity
from ordergate.core.faults import JournalCorrupt
from ordergate.ports.journal import AnyEvent

Fields = dict[str, Any]
Upcaster = Callable[[Fields], Fields]

TYPES: Final[tuple[type[msgspec.Struct], ...]] = get_args(AnyEvent)

# The current version of kinds that have changed since they were first written; all others are at 1.
VERSIONS: Final[Mapping[str, int]] = {
    "account_opened": 3,
    "break_opened": 2,
    "break_resolved": 2,
    "cancel_rejected": 2,
    "cash_adjusted": 2,
    "dead_man_armed": 2,
    "dead_man_expired": 2,
    "execution_busted": 2,
    "execution_corrected": 3,
    "gateway_started": 2,
    "kill_engaged": 2,
    "kill_released": 2,
    "limit_rule_set": 2,
    "order_adopted": 5,
    "order_accepted": 5,
    "order_acknowledged": 2,
    "order_canceled": 2,
    "order_denied": 4,
    "order_held": 2,
    "order_replaced": 3,
    "order_quarantined": 2,
    "order_sent": 2,
    "replace_rejected": 3,
    "held_replaced": 2,
    "override_granted": 2,
    "replace_requested": 3,
    "replace_denied": 3,
    "group_accepted": 2,
    "group_denied": 2,
}


def _with_severity(fields: Fields) -> Fields:
    """Breaks had a nature only; the severity followed from it and was not said."""
    return {**fields, "severity": SEVERITY.get(fields["nature"], Severity.WARNING)}


def _with_actor(fields: Fields) -> Fields:
    """Only the reconciler resolved, because the sides agreed again."""
    how = fields.pop("how")
    return {**fields, "action": "agreed", "actor": RECONCILER, "reason": how}


# (kind, version) to the fields of the next version.
UPCASTERS: Final[Mapping[tuple[str, int], Upcaster]] = {
    ("account_opened", 1): dict,  # without a cursor: nothing is known of what the figures contain
    ("account_opened", 2): dict,  # in one currency, whatever others the broker told
    ("cash_adjusted", 1): dict,  # in the account's own
    ("order_adopted", 1): dict,  # without executions from before the account was opened
    ("dead_man_armed", 1): dict,  # without a number
    ("dead_man_expired", 1): dict,  # of whatever was armed when it was written
    ("execution_busted", 1): dict,  # without a revision: gone for good
    ("execution_corrected", 1): dict,  # without the correction's own id
    ("execution_corrected", 2): dict,  # without the execution's own time
    ("break_opened", 1): _with_severity,
    ("break_resolved", 1): _with_actor,
    ("gateway_started", 1): dict,  # by its release alone, whatever code that was
    ("kill_engaged", 1): dict,  # there was one level, global
    ("kill_released", 1): dict,
    ("limit_rule_set", 1): dict,  # every rule was hard
    # Without a strategy's version and a user; nothing was in shadow, every refusal was hard, and there was
    # no hash of the content: the terms are all there is to compare.
    ("order_adopted", 2): dict,
    ("order_accepted", 1): dict,
    ("order_accepted", 2): dict,  # as it was asked for, and waiting for no other
    ("order_accepted", 3): dict,  # in one currency, at no venue by name
    ("order_adopted", 3): dict,
    ("order_adopted", 4): dict,  # as its terms said, whole
    # Without what risk judged by, when it was asked, and how long it took.
    ("order_accepted", 4): dict,
    ("order_denied", 3): dict,
    ("order_held", 1): dict,
    ("held_replaced", 1): dict,
    ("replace_requested", 2): dict,
    ("replace_denied", 2): dict,
    ("order_acknowledged", 1): dict,  # without when it was committed and sent
    ("order_canceled", 1): dict,  # without the same of the cancel
    ("cancel_rejected", 1): dict,
    ("order_replaced", 1): dict,  # and of the replacement
    ("order_replaced", 2): dict,  # always the last one that was asked for
    ("replace_rejected", 1): dict,
    ("replace_rejected", 2): dict,  # whether it had left was not said
    ("order_quarantined", 1): dict,  # candidates without their average prices
    ("order_sent", 1): dict,  # only orders themselves were sent
    ("order_denied", 2): dict,
    ("override_granted", 1): dict,
    ("order_denied", 1): dict,
    ("replace_requested", 1): dict,
    ("replace_denied", 1): dict,
    ("group_accepted", 1): dict,
    ("group_denied", 1): dict,
}

_encode: Final = msgspec.json.Encoder().encode
_decoder: Final[msgspec.json.Decoder[AnyEvent]] = msgspec.json.Decoder(AnyEvent)


def _kind_of(type_: type[msgspec.Struct]) -> str:
    tag = type_.__struct_config__.tag
    if not isinstance(tag, str):
        raise TypeError(f"{type_.__name__} has no tag")
    return tag


KINDS: Final[Mapping[type[msgspec.Struct], tuple[str, int]]] = {
    type_: (_kind_of(type_), VERSIONS.get(_kind_of(type_), 1)) for type_ in TYPES
}
_CURRENT: Final = dict(KINDS.values())


def encode(event: AnyEvent) -> tuple[str, int, bytes]:
    """The event's kind, version and JSON."""
    kind, version = KINDS[type(event)]
    return kind, version, _encode(event)


def decode(kind: str, version: int, body: bytes) -> AnyEvent:
    """The event behind stored JSON, of this or any older version. Raises JournalCorrupt."""
    try:
        text = body if version == _CURRENT[kind] else _encode(upcast(kind, version, body))
        event = _decoder.decode(text)
    except (KeyError, msgspec.MsgspecError) as fault:
        raise JournalCorrupt(f"{kind} version {version} cannot be read: {fault!r}") from fault
    if KINDS[type(event)][0] != kind:
        raise JournalCorrupt(f"an event stored as {kind} calls itself {KINDS[type(event)][0]}")
    return event


def upcast(
    kind: str,
    version: int,
    body: bytes,
    *,
    current: Mapping[str, int] | None = None,
    upcasters: Mapping[tuple[str, int], Upcaster] = UPCASTERS,
) -> Fields:
    """The fields of an older version, one step at a time, as the current version has them."""
    target = (current or _CURRENT)[kind]
    if version > target:
        raise JournalCorrupt(f"{kind} version {version} was written by a newer release")
    fields = msgspec.json.decode(body, type=Fields)
    for step in range(version, target):
        fields = upcasters[kind, step](fields)
    return fields
