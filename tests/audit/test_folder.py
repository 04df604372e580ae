"""The published file grows by whole lines, whatever a full disk or a sudden end leaves of one."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from ordergate.audit.folder import EVERY, FolderSink


def noted(folder: Path) -> list[str]:
    """The notes of every line; each must be whole."""
    text = (folder / EVERY).read_text(encoding="utf-8")
    assert text in ("",) or text.endswith("\n")
    return [json.loads(line)["note"] for line in text.splitlines()]


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The disk takes half of what is written to it, and then nothing. `undo` makes room."""
    real = os.write
    taken: list[bytes] = []

    def write(file: int, data: bytes) -> int:
        if taken:
            raise OSError(28, "No space left on device")
        taken.append(data)
        return real(file, data[: len(data) // 2])

    monkeypatch.setattr("ordergate.audit.folder.os.write", write)
    return monkeypatch


@pytest.mark.parametrize("half", [b'{"note": "a power c', b"x" * 10_000])
async def test_what_was_left_of_a_line_is_cut_off_before_the_next(tmp_path: Path, half: bytes) -> None:
    sink = FolderSink(tmp_path)
    await sink.publish("one")
    with (tmp_path / EVERY).open("ab") as every:
        every.write(half)
    await sink.publish("two")
    assert noted(tmp_path) == ["one", "two"]


async def test_a_file_that_is_half_a_line_begins_anew(tmp_path: Path) -> None:
    (tmp_path / EVERY).write_bytes(b'{"note": "a power c')
    await FolderSink(tmp_path).publish("one")
    assert noted(tmp_path) == ["one"]


async def test_a_line_that_does_not_fit_on_the_disk_leaves_nothing(
    tmp_path: Path, full: pytest.MonkeyPatch
) -> None:
    with pytest.raises(OSError, match="No space left"):
        await FolderSink(tmp_path).publish("one")
    assert noted(tmp_path) == []


async def test_the_line_is_written_whole_once_there_is_room(tmp_path: Path, full: pytest.MonkeyPatch) -> None:
    sink = FolderSink(tmp_path)
    with pytest.raises(OSError, match="No space left"):
        await sink.publish("one")
    full.undo()
    await sink.publish("one")
    assert noted(tmp_path) == ["one"]
