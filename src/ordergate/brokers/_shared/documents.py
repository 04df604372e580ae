"""Decides whether bytes are one JSON document that everybody reads the same way.

A document with the same key twice has no single meaning (parsers disagree on which one counts),
so nothing may be concluded from it. Says nothing about the document's shape.
"""

from __future__ import annotations

import json
from typing import Final, NoReturn

import msgspec

from ordergate.core.json_text import has_one_reading

UNREADABLE: Final = (msgspec.DecodeError, RecursionError)
"""What a decoder raises of what it cannot read, what is nested too deeply for it included."""


class NotOneDocument(ValueError):
    """Not JSON, or JSON that can be read in two ways."""


def _pairs(pairs: list[tuple[str, object]]) -> None:
    if len(dict(pairs)) != len(pairs):
        raise NotOneDocument("the same key twice in one object")


def _no_constant(word: str) -> NoReturn:
    raise NotOneDocument(f"{word} is not JSON")


# Numbers stay text: nothing is computed here, and a number of a million digits costs nothing.
_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_pairs, parse_float=str, parse_int=str, parse_constant=_no_constant
)


def _is_one(text: str) -> bool:
    """True when the text is one value from its first character to its last."""
    try:
        _, end = _SCAN(text, 0)
    except StopIteration:
        return False
    return bool(end == len(text))


_SCAN: Final = json.scanner.make_scanner(_DECODER)  # type: ignore[attr-defined]  # typeshed lacks it


def check_document(body: bytes) -> None:
    """Raise NotOneDocument unless `body` is well-formed JSON without duplicate keys."""
    if has_one_reading(body):
        return
    try:
        text = body.decode("utf-8")
        if not _is_one(text):
            _DECODER.decode(text)  # says what it is instead
    except UnicodeDecodeError:
        raise NotOneDocument("not UTF-8") from None
    except json.JSONDecodeError as fault:
        raise NotOneDocument(f"not JSON: {fault.msg} at {fault.pos}") from None
    except RecursionError:
        raise NotOneDocument("nested too deeply") from None
