"""What was written is read by every later release."""

import json
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from ordergate.core.faults import JournalCorrupt
from ordergate.journal import codec
from ordergate.ports.journal import AnyEvent
from tests.journal.examples import EXAMPLES

GOLDEN: Final = Path(__file__).resolve().parents[1] / "golden" / "events"


def golden_name(kind: str, version: int) -> str:
    return f"{kind}.v{version}.json"


def write_golden() -> None:
    """Make the files of kinds and versions that have none. Existing files are never touched."""
    GOLDEN.mkdir(parents=True, exist_ok=True)
    for event in EXAMPLES.values():
        kind, version, body = codec.encode(event)
        file = GOLDEN / golden_name(kind, version)
        if not file.exists():
            file.write_text(
                json.dumps(json.loads(body), indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
            )


@pytest.mark.parametrize("event", EXAMPLES.values(), ids=lambda event: type(event).__name__)
def test_every_kind_has_a_golden_file_that_reads_as_the_same_event(event: AnyEvent) -> None:
    kind, version, _ = codec.encode(event)
    file = GOLDEN / golden_name(kind, version)
    assert file.exists(), f"no {file.name}: make it with `python -m tests.journal.test_codec`"
    assert codec.decode(kind, version, file.read_bytes()) == event


@pytest.mark.parametrize("event", EXAMPLES.values(), ids=lambda event: type(event).__name__)
def test_an_event_is_written_as_its_golden_file_says(event: AnyEvent) -> None:
    kind, version, body = codec.encode(event)
    assert json.loads(body) == json.loads((GOLDEN / golden_name(kind, version)).read_bytes())


def test_every_golden_file_ever_made_can_still_be_read() -> None:
    for file in GOLDEN.glob("*.json"):
        kind, version, _ = file.name.split(".")
        codec.decode(kind, int(version[1:]), file.read_bytes())


def test_every_older_version_has_an_upcaster_and_a_golden_file() -> None:
    for kind, current in codec.VERSIONS.items():
        for version in range(1, current):
            assert (kind, version) in codec.UPCASTERS
            assert (GOLDEN / golden_name(kind, version)).exists()


def test_an_older_version_goes_through_every_upcaster_in_between() -> None:
    def renamed(fields: dict[str, Any]) -> dict[str, Any]:
        fields["reason"] = fields.pop("why")
        return fields

    def shouted(fields: dict[str, Any]) -> dict[str, Any]:
        return {**fields, "reason": fields["reason"].upper()}

    fields = codec.upcast(
        "kind",
        1,
        b'{"why":"late"}',
        current={"kind": 3},
        upcasters={("kind", 1): renamed, ("kind", 2): shouted},
    )
    assert fields == {"reason": "LATE"}


@pytest.mark.parametrize(
    ("kind", "version", "body"),
    [
        ("order_accepted", 1, b"{}"),
        ("order_accepted", 1, b"not json"),
        ("order_accepted", 2, b'{"written":"by a newer release"}'),
        ("order_accepted", 0, b"{}"),
        ("order_invented", 1, b"{}"),
        ("order_rejected", 1, msgspec.json.encode(next(iter(EXAMPLES.values())))),
    ],
)
def test_what_cannot_be_read_is_a_fault_and_never_a_guess(kind: str, version: int, body: bytes) -> None:
    with pytest.raises(JournalCorrupt):
        codec.decode(kind, version, body)


if __name__ == "__main__":
    write_golden()
