"""Every `ordergate ...` that a document tells somebody to type is read by the command line's own parser.

A command, a subcommand, an option or a value that does not exist is found, and so is what is missing.
Words that stand for something (`FILE`, `brk-...`) are read as something fitting; nothing is ever run.
"""

from __future__ import annotations

import html
import re
import shlex
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import pytest
import typer
import typer.main

from ordergate.cli.main import app
from tests.architecture.page import REPOSITORY
from tools.documentation import read, render

ROOT: Final[Any] = typer.main.get_command(app)
CODE: Final = re.compile(r"(<pre>)?<code[^>]*>(.*?)</code>", re.DOTALL)
TYPED: Final = re.compile(r"^\s+(?:\$ |\.venv/bin/)?ordergate +(?=[a-z-])(.+?) *(?:\\\\)?$", re.MULTILINE)
OURS: Final = re.compile(r"(?:^|[\s/])ordergate +(?=[a-z-])(.+)")
SHELL: Final = re.compile(r" (?:\||>|>>|&&|;|2>)(?: |$).*")
ONE_OF: Final = re.compile(r"(?<!\S)[a-z-]+(?:\|[a-z-]+)+(?!\S)")
AND_SO_ON: Final = frozenset({"...", "…"})
STANDS_FOR: Final = re.compile(r".*(?:\.\.\.|…)|[A-Z][A-Z_]*|<.+>|\$\(.+\)")
OPTIONAL: Final = re.compile(r"(?<= )\[|\](?= |$)")
TRIES: Final = 8
WRITTEN: Final = read(REPOSITORY)
PAGES: Final = render(WRITTEN)
RUNBOOKS: Final = [document for document in PAGES if document.startswith("docs/runbooks/")]


class Told(NamedTuple):
    """What a document says to type, without `ordergate`. `whole` where it is there to be copied."""

    text: str
    whole: bool


def told(page: str, *, to_copy: bool = False) -> Iterator[Told]:
    """Every command of a page: of its blocks of code line by line, of its text where it is set as code.

    In a text a command may be only named, with an option or two, unless the page is there `to_copy` from.
    """
    for block, content in CODE.findall(page):
        text = html.unescape(content)
        if block:
            lines = re.sub(r"\s*\\\n\s*", " ", text).splitlines()
            yield from (Told(found[1], whole=True) for line in lines if (found := OURS.search(line)))
            continue
        said = " ".join(text.split())
        if found := OURS.match(said):
            commands = ((one, one.split()) for one in each(found[1]))
            yield from (Told(one, whole=to_copy and words != path(words)) for one, words in commands)
        elif len(path(said.split())) > 1:
            yield Told(said, whole=False)


def each(text: str) -> list[str]:
    """`limits diff|apply FILE` is two commands."""
    choice = ONE_OF.search(text)
    if choice is None:
        return [text]
    return [text[: choice.start()] + one + text[choice.end() :] for one in choice[0].split("|")]


def path(words: Sequence[str]) -> list[str]:
    """The names of commands that the words begin with, as far as there are any of these names."""
    found: list[str] = []
    command = ROOT
    for word in words:
        command = getattr(command, "commands", {}).get(word)
        if command is None:
            break
        found.append(word)
    return found


def wrong_with(said: Told) -> str | None:
    """What the parser has against it, or None."""
    text = SHELL.sub("", said.text)
    words = shlex.split(OPTIONAL.sub("", text), comments=said.whole)
    command, context = ROOT, ROOT.make_context("ordergate", [], resilient_parsing=True)
    names = path(words)
    for name in names:
        command = command.commands[name]
        context = command.make_context(name, [], parent=context, resilient_parsing=True)
    rest = words[len(names) :]
    if hasattr(command, "commands") and rest and not rest[0].startswith("-"):
        return f"there is no {' '.join([*names, rest[0]])}"
    whole = said.whole
    if rest and rest[-1] in AND_SO_ON and not (len(rest) > 1 and rest[-2].startswith("-")):
        rest, whole = rest[:-1], False
    return _read(command, context.parent, rest, whole=whole) if rest or whole else None


def _read(command: Any, parent: Any, words: list[str], *, whole: bool) -> str | None:
    for _ in range(TRIES):
        try:
            command.make_context(command.name, list(words), parent=parent)
        except typer.TyperException as senseless:
            refused: Any = senseless
            sentence, kind = str(refused.format_message()), type(refused).__name__
            if kind in ("MissingParameter", "BadOptionUsage") and not whole:
                return None
            fitting = _fitting(refused.param, sentence, words) if kind == "BadParameter" else None
            if fitting is None:
                return sentence
            words = fitting
        except typer.Exit:
            return None  # it would only have shown its help
        else:
            return None
    return "too much of it stands for something"


def _fitting(param: Any, sentence: str, words: Sequence[str]) -> list[str] | None:
    """The words with the one that was refused made a fitting value, where it only stands for one."""
    of_option = [at + 1 for at, word in enumerate(words) if word in param.opts]
    others = [at for at, word in enumerate(words) if STANDS_FOR.fullmatch(word)]
    place = next(iter(of_option or others), len(words))
    if place >= len(words):
        return None
    if "does not exist" in sentence:
        value = str(REPOSITORY if "irectory" in sentence else __file__)
    elif not STANDS_FOR.fullmatch(words[place]):
        return None
    elif choice := re.search(r"is not one of '([^']+)'", sentence):
        value = choice[1]
    else:
        value = "1"
    return [*words[:place], value, *words[place + 1 :]]


@pytest.mark.parametrize("document", PAGES)
def test_every_command_that_a_document_names_can_be_typed(document: str) -> None:
    found = told(PAGES[document], to_copy=document in RUNBOOKS)
    wrong = {said.text: why for said in found if (why := wrong_with(said)) is not None}
    assert wrong == {}


@pytest.mark.parametrize("document", RUNBOOKS)
def test_what_a_runbook_has_done_beside_a_gateway_names_the_gateways_settings(document: str) -> None:
    """Without them it is about the gateway of the folder that one happens to be in, which is none."""
    told_ = [said.text for said in told(PAGES[document], to_copy=True)]
    assert [text for text in told_ if _is_beside(text) and "--config gateway.yaml" not in text] == []


def _is_beside(text: str) -> bool:
    words = text.split()
    command = ROOT
    for name in path(words):
        command = command.commands[name]
    options = {option for param in command.params for option in param.opts}
    return "--config" in options and ("--profile" not in options or "--local" in words)


@pytest.mark.parametrize("document", PAGES)
def test_a_line_that_is_a_command_is_shown_as_one(document: str) -> None:
    """What is not indented enough within a list becomes a paragraph, and nobody can tell what to type."""
    blocks = [said.text for said in told(PAGES[document]) if said.whole]
    lines = TYPED.findall(WRITTEN[document])
    assert [line for line in lines if not any(text.startswith(line) for text in blocks)] == []


def test_commands_are_found_wherever_a_document_has_them() -> None:
    lines = [
        "    ordergate audit records --day 2026-01-05 \\",
        "      --to FOLDER [--form csv]   # a file for each account",
        "",
        "and `ordergate journal verify|replay`, in a table `kill",
        "show`, of the `orders` that `ordergate` has.",
    ]
    (page,) = render({"a.md": "\n".join(lines)}).values()
    records = "audit records --day 2026-01-05 --to FOLDER [--form csv]   # a file for each account"
    assert list(told(page)) == [
        Told(records, whole=True),
        Told("journal verify", whole=False),
        Told("journal replay", whole=False),
        Told("kill show", whole=False),
    ]
    assert [wrong_with(said) for said in told(page)] == [None] * 4


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("kill engaged", "there is no kill engaged"),
        ("kill engage --grade ... --reason ...", None),
        ("kill engage --level LEVEL --target trend --reason x", None),
        ("audit prove ACCOUNT SEQ", None),
        ("audit prove P-DEMO last", "valid integer"),
        ("kill engage ...", None),
        ("kill engage", "Missing"),
        ("kill engage --reason", "requires an argument"),
        ("kill engage --reason x --why y", "No such option"),
        ("kill engage --reason x --grade soft", "is not one of"),
        ("kill show P-DEMO", "unexpected extra argument"),
        ("orders place SYMBOL sell 1 --limit 4801.5", None),
        ('egress --config gateway.yaml --user "$(id -u ordergate)" | nft -f -', None),
        ("egress --config gateway.yaml --user ordergate", "valid integer"),
    ],
)
def test_what_cannot_be_typed_is_found(text: str, why: str | None) -> None:
    found = wrong_with(Told(text, whole=True))
    assert found == why if found is None or why is None else why in found


def test_a_command_that_is_only_named_lacks_nothing() -> None:
    assert wrong_with(Told("kill engage --local", whole=False)) is None
    assert wrong_with(Told("kill engage --locally", whole=False)) is not None
