"""JSON text to exact values, or a refusal that names every wrong field.

The right case is fast: one typed decode, and a proof that no key is repeated, which takes a scan only of
text that is not written the usual way. Only a body that is wrong is looked at again, slowly, to say what
is wrong with it. Nothing here is lenient: an unknown field, a repeated key, a number where a decimal
string belongs or more than 16 levels are refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from types import UnionType
from typing import Annotated, Any, Final, TypeVar, Union, get_args, get_origin

import msgspec

from ordergate.core.json_text import has_one_reading
from ordergate.core.refusals import Code, Refusal

T = TypeVar("T")

BYTES_MAX: Final = 64 * 1024
DEPTH_MAX: Final = 16
FIELDS_NAMED_MAX: Final = 20

_LISTS: Final = (list, tuple)
_STRING_OR_BRACKET: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', re.DOTALL)
_PRINTABLE: Final = re.compile(r"[A-Za-z0-9_.\-]{1,64}")


class Judged(msgspec.Struct, frozen=True, gc=False):
    """A shape whose fields can be impossible although each has its type."""

    @classmethod
    def impossible(cls, given: Mapping[str, Any]) -> dict[str, str]:
        """The impossible ones of these fields, whatever is wrong with the others; in words."""
        raise NotImplementedError


class _KeyRepeated(Exception):
    """Carries the key out of the scanner; never leaves this module."""


def decode(body: bytes, decoder: msgspec.json.Decoder[T]) -> T | Refusal:
    """The value that `body` spells, or why it does not spell one."""
    try:
        value = decoder.decode(body)
    except msgspec.ValidationError:
        return _explained(body, decoder.type)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _unreadable(body)
    if is_too_deep(body):
        return _unreadable(body)
    repeated = None if has_one_reading(body) else repeated_key(body)
    return value if repeated is None else _repeats(repeated)


def repeated_key(body: bytes) -> str | None:
    """A key that some object of this well-formed JSON has twice."""
    try:
        _scan(body.decode().lstrip(), 0)
    except _KeyRepeated as found:
        return str(found)
    return None


def depth_of(body: bytes) -> int:
    """How deep the brackets nest, those in strings not counted. Works on malformed text too."""
    depth = deepest = 0
    for token in _STRING_OR_BRACKET.finditer(body):
        first = body[token.start()]
        if first in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif first in b"]}":
            depth -= 1
    return deepest


def is_too_deep(body: bytes) -> bool:
    """Whether it nests deeper than `DEPTH_MAX`. Most bodies have no more brackets than that."""
    return body.count(b"{") + body.count(b"[") > DEPTH_MAX and depth_of(body) > DEPTH_MAX


def _pairs(pairs: list[tuple[str, Any]]) -> None:
    if len(pairs) == len(dict(pairs)):
        return
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            raise _KeyRepeated(key)
        seen.add(key)


# Only the scanner of the standard library shows an object's keys before they become a mapping.
# Asked for directly: what its decoder does around it is for text that may be malformed.
_scan: Final = json.scanner.make_scanner(  # type: ignore[attr-defined]  # typeshed lacks it
    json.JSONDecoder(object_pairs_hook=_pairs)
)


def _repeats(key: str) -> Refusal:
    return Refusal(Code.MALFORMED, "an object has the same key twice", {shown(key): "is given twice"})


def _unreadable(body: bytes) -> Refusal:
    if is_too_deep(body):
        return Refusal(Code.MALFORMED, f"the body nests deeper than {DEPTH_MAX} levels")
    return Refusal(Code.MALFORMED, "the body is not well-formed JSON in UTF-8")


def _explained(body: bytes, shape: Any) -> Refusal:
    """Why well-formed text, or what looked like it, does not have the shape."""
    if is_too_deep(body):
        return _unreadable(body)
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _unreadable(body)
    repeated = repeated_key(body)
    if repeated is not None:
        return _repeats(repeated)
    if not isinstance(value, dict):
        return Refusal(Code.MALFORMED, "the body must be a JSON object")
    return _wrong_fields(value, _shape_of(value, shape))


def _shape_of(value: Mapping[str, Any], shape: Any) -> type[msgspec.Struct] | Refusal:
    """The struct that `value` claims to be; of a tagged union the one that its `type` names."""
    kinds: tuple[type[msgspec.Struct], ...] = get_args(shape) or (shape,)
    if len(kinds) == 1:
        return kinds[0]
    for kind in kinds:
        if kind.__struct_config__.tag == value.get("type"):
            return kind
    names = ", ".join(str(kind.__struct_config__.tag) for kind in kinds)
    return Refusal(Code.INVALID, "there is no such frame", {"type": f"must be one of {names}"})


def _wrong_fields(value: Mapping[str, Any], shape: type[msgspec.Struct] | Refusal) -> Refusal:
    if isinstance(shape, Refusal):
        return shape
    unknown: dict[str, str] = {}
    wrong: dict[str, str] = {}
    _compare(value, shape, "", unknown, wrong)
    if unknown:
        return Refusal(Code.UNKNOWN_FIELD, "the request has fields that it must not have", unknown | wrong)
    return Refusal(Code.INVALID, "the request has fields with impossible values", wrong)


def _compare(
    value: Mapping[str, Any],
    shape: type[msgspec.Struct],
    inside: str,
    unknown: dict[str, str],
    wrong: dict[str, str],
) -> None:
    """Every field of `value` against the shape; `inside` is the path to it, with its dot."""
    fields = {field.encode_name: field for field in msgspec.structs.fields(shape)}
    for name in value:
        is_field = name in fields or name == shape.__struct_config__.tag_field
        if not is_field and len(unknown) < FIELDS_NAMED_MAX:
            unknown[inside + shown(name)] = "is not a field of this request"
    for name, field in fields.items():
        if name not in value:
            if field.required:
                wrong[inside + name] = "is required"
            continue
        bare = _bare(field.type)
        nested, listed = _struct_in(bare), get_origin(bare) in _LISTS
        if nested is not None and not listed and isinstance(value[name], dict):
            _compare(value[name], nested, f"{inside}{name}.", unknown, wrong)
            continue
        named = len(unknown) + len(wrong)
        if nested is not None and listed and isinstance(value[name], list):
            _compare_all(value[name], nested, f"{inside}{name}", unknown, wrong)
        if named == len(unknown) + len(wrong) and not _fits(value[name], field.type):
            wrong[inside + name] = f"must be {expected(field.type)}"
    if issubclass(shape, Judged):
        for name, words in shape.impossible(value).items():
            wrong.setdefault(inside + name, words)


def _compare_all(
    values: Sequence[Any],
    shape: type[msgspec.Struct],
    inside: str,
    unknown: dict[str, str],
    wrong: dict[str, str],
) -> None:
    """The objects of a list, each by its number, until enough is named."""
    for number, one in enumerate(values):
        if len(unknown) + len(wrong) >= FIELDS_NAMED_MAX:
            return
        if isinstance(one, dict):
            _compare(one, shape, f"{inside}.{number}.", unknown, wrong)
        else:
            wrong[f"{inside}.{number}"] = "must be an object"


def _bare(wanted: Any) -> Any:
    """A type without what is noted on it."""
    return get_args(wanted)[0] if get_origin(wanted) is Annotated else wanted


def _struct_in(wanted: Any) -> type[msgspec.Struct] | None:
    """The struct that a field holds, also where it may be null instead."""
    for one in get_args(wanted) or (wanted,):
        if isinstance(one, type) and issubclass(one, msgspec.Struct):
            return one
    return None


def _fits(value: Any, wanted: Any) -> bool:
    try:
        msgspec.convert(value, wanted)
    except msgspec.ValidationError:
        return False
    return True


def expected(wanted: Any) -> str:
    """A type in words, for whoever got it wrong. A description on the type speaks first."""
    if get_origin(wanted) is Annotated:
        for note in get_args(wanted)[1:]:
            if isinstance(note, msgspec.Meta) and note.description:
                return note.description
        return expected(get_args(wanted)[0])
    if get_origin(wanted) in (Union, UnionType):
        return " or ".join(_members(wanted))
    if _struct_in(wanted) is not None:
        return "a list of objects" if get_origin(wanted) in _LISTS else "an object"
    if isinstance(wanted, type) and issubclass(wanted, StrEnum):
        return "one of " + ", ".join(wanted)
    return _PLAIN.get(wanted, "of the documented type")


def _members(union: Any) -> Iterator[str]:
    for member in get_args(union):
        yield expected(member)


_PLAIN: Final[Mapping[Any, str]] = {
    str: "a string",
    bool: "true or false",
    int: "a whole number",
    type(None): "null",
}


def shown(name: str) -> str:
    """A field's name as far as it may be repeated to whoever sent it."""
    return name if _PRINTABLE.fullmatch(name) else "(unprintable)"
