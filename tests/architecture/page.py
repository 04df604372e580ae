"""The files house rules are read against, and what a rule says when one is broken.

Walks the folder instead of asking a version control system, so that the rules also hold in an
unpacked archive. Folders that tools make, and files that are not text, are nobody's writing.
"""

import ast
import io
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple

REPOSITORY: Final = Path(__file__).resolve().parents[2]

WRITTEN: Final = {".py", ".sql", ".md", ".toml", ".in", ".txt", ".yaml", ".json", ".csv", ".css", ".html", ""}
TOOL_FOLDERS: Final = {"__pycache__", "build", "dist", "node_modules", "schemathesis-report"}
OUR_HIDDEN: Final = {".ci", ".github", ".gitignore", ".dockerignore"}


class Finding(NamedTuple):
    """One broken rule, at one line."""

    path: PurePosixPath
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


@dataclass(frozen=True)
class Page:
    """One file: where it is in the repository, and what it says."""

    path: PurePosixPath
    text: str

    @property
    def is_python(self) -> bool:
        return self.path.suffix == ".py"

    def inside(self, *folders: str) -> bool:
        """Whether the file lies under one of the folders, given from the repository's root."""
        return any(self.path.is_relative_to(folder) for folder in folders)

    @cached_property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @cached_property
    def nodes(self) -> list[ast.AST]:
        return list(ast.walk(self.tree))

    @cached_property
    def comments(self) -> list[tuple[int, str]]:
        """Every comment with its line; a hash inside a string is not one."""
        tokens = tokenize.generate_tokens(io.StringIO(self.text).readline)
        return [(token.start[0], token.string) for token in tokens if token.type == tokenize.COMMENT]

    def calls(self) -> Iterator[tuple[ast.Call, str]]:
        """Every call, with the dotted name that is called ("" when it has none)."""
        for node in self.nodes:
            if isinstance(node, ast.Call):
                yield node, dotted(node.func)

    def imports(self) -> Iterator[str]:
        """Every module the page imports, by its full name."""
        if not self.is_python:
            return
        for node in self.nodes:
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield node.module

    def finding(self, line: int, message: str) -> Finding:
        return Finding(self.path, line, message)


def dotted(node: ast.expr) -> str:
    """`datetime.now` for the expression that spells it; "" for anything but names and dots."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=attr):
            owner = dotted(value)
            return f"{owner}.{attr}" if owner else f"?.{attr}"
        case _:
            return ""


def pages() -> list[Page]:
    """Everything somebody wrote, in a stable order."""
    return [
        Page(PurePosixPath(file.relative_to(REPOSITORY).as_posix()), file.read_text(encoding="utf-8"))
        for file in sorted(_files(REPOSITORY))
    ]


def _files(folder: Path) -> Iterator[Path]:
    for entry in folder.iterdir():
        if entry.name in TOOL_FOLDERS or (entry.name.startswith(".") and entry.name not in OUR_HIDDEN):
            continue
        if entry.is_dir():
            yield from _files(entry)
        elif entry.suffix in WRITTEN:
            yield entry
