"""Names of things, and the environment inside each of them.

An order id is `P-` or `L-` and 18 characters of Crockford base 32: 42 bits of milliseconds
and 48 bits of chance, so that ids sort by time. The id that a broker sees (FIX ClOrdID) is
derived from it, the environment's letter first and the version last, and is 22 characters of
`[0-9A-Z]`: that fits every broker's limit, and the same order and version always give the
same one. Parsing refuses the other environment's letter.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final, Literal, NewType, TypeVar

AccountId = NewType("AccountId", str)
OrderId = NewType("OrderId", str)
ClOrdId = NewType("ClOrdId", str)
Symbol = NewType("Symbol", str)

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_BODY: Final = "[0-9A-HJKMNP-TV-Z]"
_ORDER_ID: Final = re.compile(rf"([PL])-({_BODY}{{18}})")
_CL_ORD_ID: Final = re.compile(rf"([PL])({_BODY}{{18}})({_BODY}{{3}})")
_ACCOUNT_ID: Final = re.compile(r"([PL])-[0-9A-Za-z]{1,24}")

ENTROPY_BITS: Final = 48
VERSION_MAX: Final = 32**3 - 1


class Env(StrEnum):
    """One process serves exactly one of these. It has no default anywhere."""

    PAPER = "paper"
    LIVE = "live"

    @property
    def letter(self) -> str:
        return "P" if self is Env.PAPER else "L"


Paper = Literal[Env.PAPER]
Live = Literal[Env.LIVE]

E = TypeVar("E", Literal[Env.PAPER], Literal[Env.LIVE])
"""The environment as a type. It is one of the two: what might be either is neither, and fits nowhere."""


def order_id(env: Env, *, at_ms: int, entropy: int) -> OrderId:
    """The id of a new order: `at_ms` since the epoch, `entropy` of 48 bits."""
    number = ((at_ms & ((1 << 42) - 1)) << ENTROPY_BITS) | (entropy & ((1 << ENTROPY_BITS) - 1))
    return OrderId(f"{_LETTER_OF[env]}-{_ninety_bits(number)}")


def is_order_id(env: Env, text: str) -> bool:
    """True when `text` has the form of an order id of this environment."""
    match = _ORDER_ID.fullmatch(text)
    return match is not None and match[1] == env.letter


def is_account_id(env: Env, text: str) -> bool:
    """True when `text` has the form of an account id of this environment."""
    match = _ACCOUNT_ID.fullmatch(text)
    return match is not None and match[1] == env.letter


def cl_ord_id(order: OrderId, version: int) -> ClOrdId:
    """What the broker is told. Deterministic, so that asking again asks about the same thing."""
    if not 1 <= version <= VERSION_MAX:
        raise ValueError(f"version must be 1 to {VERSION_MAX}, was {version}")
    digits = _FIRST_VERSION if version == 1 else _base32(version, 3)
    return ClOrdId(f"{order[0]}{order[2:]}{digits}")


def parse_cl_ord_id(env: Env, text: str) -> tuple[OrderId, int] | None:
    """The order and version behind a broker's client order id, or None when it is not ours."""
    match = _CL_ORD_ID.fullmatch(text)
    if match is None or match[1] != _LETTER_OF[env]:
        return None
    return OrderId(f"{match[1]}-{match[2]}"), _number(match[3])


def _ninety_bits(number: int) -> str:
    """18 digits, written out: every order has an id, and a loop would take twice as long."""
    pair = _PAIRS
    return (
        f"{pair[number >> 80]}{pair[number >> 70 & 1023]}{pair[number >> 60 & 1023]}"
        f"{pair[number >> 50 & 1023]}{pair[number >> 40 & 1023]}{pair[number >> 30 & 1023]}"
        f"{pair[number >> 20 & 1023]}{pair[number >> 10 & 1023]}{pair[number & 1023]}"
    )


def _base32(number: int, width: int) -> str:
    """The last `width` digits of the number; an odd width is cut from one more."""
    pairs = []
    for _ in range((width + 1) // 2):
        pairs.append(_PAIRS[number & 1023])
        number >>= 10
    return "".join(reversed(pairs))[width & 1 :]


_PAIRS: Final = tuple(high + low for high in _ALPHABET for low in _ALPHABET)
_FIRST_VERSION: Final = "001"
_LETTER_OF: Final = {env: env.letter for env in Env}


def _number(text: str) -> int:
    if text == _FIRST_VERSION:
        return 1
    value = 0
    for digit in text:
        value = value * 32 + _ALPHABET.index(digit)
    return value
