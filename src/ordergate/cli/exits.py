"""How a command ends: a number that means something, and one sentence that says why."""

from __future__ import annotations

from enum import IntEnum
from typing import Any, Final


class ExitCode(IntEnum):
    """Stable: scripts act on it. The text beside each is what it means, for help and documentation."""

    meaning: str

    def __new__(cls, value: int, meaning: str) -> ExitCode:
        member = int.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member

    OK = 0, "done"
    REFUSED = 1, "the gateway refused, or a check found something wrong"
    USAGE = 2, "the command line makes no sense"
    UNREACHABLE = 3, "the gateway cannot be reached, or does not know us"
    INTEGRITY = 4, "the journal does not hold what it should"
    CANNOT_START = 5, "a server cannot start"


class Stopped(Exception):
    """A command that cannot do what it was asked.

    `told` is the same for programs: a JSON object with at least `code` and `detail`.
    """

    def __init__(self, code: ExitCode, sentence: str, told: dict[str, Any] | None = None) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence
        self.told = told or {"code": code.name.lower().replace("_", "-"), "detail": sentence}


EPILOG: Final = "Exit codes: " + "; ".join(f"{code.value} {code.meaning}" for code in ExitCode) + "."
