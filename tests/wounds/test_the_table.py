"""The page and the tests say the same: every row has its tests, every test its row and its story."""

from __future__ import annotations

from collections import Counter

from tests.wounds import table


def test_the_page_has_the_table_that_the_tests_make() -> None:
    assert table.on_page() == table.table(), "write it again: python -m tests.wounds.table"


def test_every_test_tells_in_one_line_what_happened() -> None:
    for test in table.tests():
        assert test.story, f"{test.name} tells nothing"
        assert "\n" not in test.story, f"{test.name} tells more than a line"
        assert test.story.endswith((".", "?")), f"{test.name} does not tell a sentence"


def test_no_two_tests_have_the_same_name() -> None:
    """A second one of the same name would hide behind the first."""
    assert [name for name, count in Counter(test.name for test in table.tests()).items() if count > 1] == []


def test_every_peer_of_the_table_is_known_and_used() -> None:
    assert {test.peer for test in table.tests()} == set(table.PEERS)
    assert set(table.ALIKE) <= {(test.peer, test.number) for test in table.tests()}
