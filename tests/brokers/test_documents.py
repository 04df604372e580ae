"""A document counts only when everybody reads it the same way."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ordergate.brokers._shared.documents import NotOneDocument, check_document

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(JSON)
def test_any_json_document_passes(document: object) -> None:
    check_document(json.dumps(document).encode())


SEPARATORS = st.sampled_from([(",", ":"), (", ", ": "), (" ,", " :"), (",\n", "\t:"), (",", "\r\n:")])
NAMES = st.text(st.sampled_from('ab":\\ '), max_size=3)


@given(st.lists(st.tuples(NAMES, JSON), min_size=1, max_size=4), st.booleans(), SEPARATORS)
def test_the_same_key_twice_is_found_however_it_is_written(
    members: list[tuple[str, object]], escaped: bool, separators: tuple[str, str]
) -> None:
    """One member again, perhaps spelt with an escape, among whatever blanks and colons there are."""
    comma, colon = separators
    written = [f"{json.dumps(name)}{colon}{json.dumps(value)}" for name, value in dict(members).items()]
    check_document(("{" + comma.join(written) + "}").encode())
    name = members[0][0]
    spelt = '"' + "".join(f"\\u{ord(letter):04x}" for letter in name) + '"' if escaped else json.dumps(name)
    again = comma.join([*written, f"{spelt}{colon}null"])
    with pytest.raises(NotOneDocument, match="same key twice"):
        check_document(f'{{"outer"{colon}[{{{again}}}]}}'.encode())


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b'{"id":"1","id":"2"}', "same key twice"),
        (b'[{"a":{"b":1,"b":1}}]', "same key twice"),
        (b'{"id":"1"', "not JSON"),
        (b"", "not JSON"),
        (b"<html>", "not JSON"),
        (b'{"a":1} {"a":2}', "not JSON"),
        (b'{"a":NaN}', "NaN is not JSON"),
        (b'{"a":Infinity}', "Infinity is not JSON"),
        (b'{"a":"\xff"}', "not UTF-8"),
        (b"[" * 200_000, "nested too deeply"),
    ],
)
def test_what_has_no_single_meaning_is_named(body: bytes, why: str) -> None:
    with pytest.raises(NotOneDocument, match=why):
        check_document(body)


def test_a_number_of_a_million_digits_costs_nothing() -> None:
    check_document(b'{"a":' + b"9" * 1_000_000 + b"}")
