"""The pages drawn from the code are the code's: make them anew with `python -m tools.generated`."""

import re

import pytest

from ordergate.core.orders.lifecycle import TRANSITIONS
from ordergate.core.refusals import Code
from ordergate.core.risk.judge import PRECEDENCE
from ordergate.core.risk.reasons import Reason
from tools.generated import FOLDER, lifecycle, pages, refusals
from tools.log_events import SOURCE, events


@pytest.mark.parametrize("name", sorted(pages()))
def test_a_generated_page_is_current(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == pages()[name]


def test_there_is_no_page_that_nothing_generates() -> None:
    assert {page.name for page in FOLDER.iterdir()} == set(pages())


def test_the_picture_has_every_move_and_nothing_else() -> None:
    drawn = {
        (before, after, kind)
        for line in lifecycle().splitlines()
        if " --> " in line and "[*]" not in line
        for before, after, kinds in [_arrow(line)]
        for kind in kinds
    }
    assert drawn == {
        (str(before), str(after), kind.__name__)
        for (before, kind), after in TRANSITIONS.items()
        if before is not after
    }


def test_every_event_that_is_explained_is_one_that_is_logged() -> None:
    names = {event.name for event in events(SOURCE)}
    assert all(re.fullmatch(r"[a-z_]+\.[a-z_]+", name) for name in names)
    logs = (FOLDER.parent / "operations.md").read_text(encoding="utf-8").partition("\n## Logs\n")[2]
    explained = {
        name
        for row in re.findall(r"^\| (`.*?) \|", logs.partition("\n## ")[0], re.MULTILINE)
        for name in re.findall(r"`([a-z_]+\.[a-z_]+)`", row)
    }
    assert "login.failed" in explained
    assert explained - names == set()


def _arrow(line: str) -> tuple[str, str, list[str]]:
    before, rest = line.strip().split(" --> ")
    after, kinds = rest.split(": ")
    return before, after, kinds.split(", ")


def test_every_code_control_and_reason_has_its_row() -> None:
    page = refusals()
    for word in [*Code, *Reason]:
        assert page.count(f"| `{word}` | ") == 1 + (word in set(Code) and word in set(Reason))
        assert word.meaning.endswith(".")
    for control in PRECEDENCE:
        assert f"| {control.id} | {control.name} | " in page
