"""Text that is proven to have one reading has no key twice; how the proof comes out is never a refusal."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ordergate.core.json_text import has_one_reading

WORDS = st.text(max_size=4)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)


def keys_twice(pairs: list[tuple[str, object]]) -> dict[str, object]:
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        raise LookupError
    return dict(pairs)


@given(VALUES)
def test_compact_text_without_escapes_is_proven(value: object) -> None:
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    if "\\" not in text and not any(len(digits) > 18 for digits in text.split(",")):
        assert has_one_reading(text.encode())


NAMES = st.sampled_from(["a", "b", "\\u0061", "", "é"])


@given(st.lists(st.tuples(NAMES, VALUES), max_size=4), st.booleans())
def test_nothing_with_a_key_twice_is_ever_proven(pairs: list[tuple[str, object]], inside: bool) -> None:
    parts = [f'"{name}":' + json.dumps(value, separators=(",", ":")) for name, value in pairs]
    text = "{" + ",".join(parts) + "}"
    text = f'[{{"outer":{text}}}]' if inside else text
    if has_one_reading(text.encode()):
        json.loads(text, object_pairs_hook=keys_twice)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b'{"a":1}{"a":1}',
        b'{"a": 1}',
        b'{"a":1,"a":1}',
        b'{"a":1,"\\u0061":1}',
        b'{"a":1e2}',
        b'{"a":NaN}',
        b'{"a":' + b"9" * 5_000 + b"}",
        b'"\xff"',
        b"[" * 100_000,
    ],
)
def test_of_anything_else_nothing_is_said(text: bytes) -> None:
    assert not has_one_reading(text)
