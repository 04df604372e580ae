"""House rules that neither the type checker nor the linter knows, each a small function.

A rule looks at one page and yields what is wrong with it; its message says what to write instead.
A middle dot breaks a banned word, so that this file passes the rules it states.
"""

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from tests.architecture.page import Finding, Page

Rule = Callable[[Page], Iterator[Finding]]

SOURCE: Final = "src/ordergate"
CORE: Final = "src/ordergate/core"

LINES_MAX: Final = 420
TEST_SLEEP_S_MAX: Final = 0.1

# Where catching everything is right, and why. A file that stops doing so must leave this list.
BROAD_EXCEPT: Final[Mapping[str, str]] = {
    "src/ordergate/api/protocols.py": "a parser's callback must not raise; the long way meets the same",
    "src/ordergate/api/edge.py": "our own defect must answer as a defect, once, and be logged",
    "src/ordergate/api/express.py": "on its short way nobody but itself would answer the request",
    "src/ordergate/core/risk/judge.py": "fail closed: a control that breaks has not passed",
    "src/ordergate/simulation/loop.py": "a loop outlives what its callbacks raise, as asyncio's own does",
    "src/ordergate/journal/writer.py": "ended, it would keep the fence and write nothing: it begins anew",
    "src/ordergate/engine/supervisor.py": "whatever ends a task, the supervisor decides what follows",
}


def unbroken(text: str) -> str:
    """The text without the dots that keep it from being found."""
    return text.replace("·", "")


AMBIENT: Final = {
    "now": "take `now: datetime` as a parameter",
    "utcnow": "take `now: datetime` as a parameter",
    "today": "take the day as a parameter",
    "uuid1": "take the id as a parameter",
    "uuid4": "take the id as a parameter",
}


def the_core_asks_no_clock_and_no_chance(page: Page) -> Iterator[Finding]:
    """Time and identity come in as arguments, or a replay would not be one."""
    if not (page.is_python and page.inside(CORE)):
        return
    for call, name in page.calls():
        last = name.rpartition(".")[2]
        if last in AMBIENT and (name != last or last.startswith("uuid")):
            yield page.finding(call.lineno, f"{last}() in core: {AMBIENT[last]}")


def the_core_counts_without_floats(page: Page) -> Iterator[Finding]:
    """Money and quantities are exact."""
    if not (page.is_python and page.inside(CORE)):
        return
    for call, name in page.calls():
        if name == "float":
            yield page.finding(call.lineno, "float() in core: money and quantities are Decimal")
        if name.rpartition(".")[2] == "Decimal" and any(_is_float(argument) for argument in call.args):
            yield page.finding(call.lineno, 'Decimal(<float>) in core: write the digits, Decimal("0.1")')


def _is_float(node: ast.expr) -> bool:
    if isinstance(node, ast.UnaryOp):
        return _is_float(node.operand)
    return isinstance(node, ast.Constant) and isinstance(node.value, float)


def a_module_says_what_it_is_for(page: Page) -> Iterator[Finding]:
    """The first lines are the ones a newcomer reads."""
    if page.is_python and page.text.strip() and not ast.get_docstring(page.tree):
        yield page.finding(1, "module without a docstring: say what it decides and what it will never do")


IGNORE: Final = re.compile(r"#\s*type:\s*ignore")
IGNORE_WITH_REASON: Final = re.compile(r"#\s*type:\s*ignore\[[a-z, -]+\]\s+#\s*\S+")


def an_ignored_type_error_has_a_reason(page: Page) -> Iterator[Finding]:
    """What we do not check, we explain."""
    if not page.is_python:
        return
    for line, comment in page.comments:
        if IGNORE.search(comment) and not IGNORE_WITH_REASON.search(comment):
            yield page.finding(line, "unexplained ignore: write `# type: ignore[rule]  # why`")


# SQL is written all in lower or all in upper case; a capital and small letters begin an English sentence.
SQL: Final = re.compile(
    r"\s*(?:--.*\n\s*)*(?:"
    r"select\b(?!\s*$)|insert\s+into\b|update\s+[\w.]+\s+(?:as\s+\w+\s+)?set\b|delete\s+from\b|with\s+\w+\s+as\s*\("
    r"|create\s+(?:unique\s+)?(?:table|index|schema|role|function|type)\b|alter\s+(?:table|role)\b"
    r"|drop\s+(?:table|index|schema|role)\b|truncate\s+\w+|copy\s+\w+\s+(?:\(|from|to)"
    r")"
)


def sql_lives_in_sql_files(page: Page) -> Iterator[Finding]:
    """A statement has a name, a file and a reader who knows SQL."""
    if not (page.is_python and page.inside(SOURCE)):
        return
    for node in page.nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _is_sql(node.value):
            yield page.finding(node.lineno, "SQL in Python: give it a name in its package's sql folder")


def _is_sql(text: str) -> bool:
    shouted = text.lstrip()[:6].isupper()
    return SQL.match(text.lower() if shouted else text) is not None


def everything_is_caught_only_where_said(page: Page) -> Iterator[Finding]:
    """A fault that nobody expected must reach the supervisor; passing it on after cleaning up is fine."""
    if not (page.is_python and page.inside(SOURCE)) or str(page.path) in BROAD_EXCEPT:
        return
    for node in page.nodes:
        if isinstance(node, ast.ExceptHandler) and catches_everything(node) and not _passes_on(node):
            yield page.finding(node.lineno, "catches everything: name the faults, or explain in BROAD_EXCEPT")


def catches_everything(handler: ast.ExceptHandler) -> bool:
    """Whether the handler is bare or names one of the two roots."""
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(one is None or dotted_last(one) in {"Exception", "BaseException"} for one in caught)


def dotted_last(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _passes_on(handler: ast.ExceptHandler) -> bool:
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


QUEUES: Final = {"Queue", "LifoQueue", "PriorityQueue", "SimpleQueue"}


def every_queue_has_a_bound(page: Page) -> Iterator[Finding]:
    """A queue without a bound is a memory leak that waits for a busy day."""
    if not (page.is_python and page.inside(SOURCE)):
        return
    for call, name in page.calls():
        if name.rpartition(".")[2] in QUEUES and not _bounded(call):
            yield page.finding(call.lineno, "queue without a bound: pass maxsize, decide what full means")


def _bounded(call: ast.Call) -> bool:
    sizes = [*call.args[:1], *(keyword.value for keyword in call.keywords if keyword.arg == "maxsize")]
    return bool(sizes) and not (isinstance(sizes[0], ast.Constant) and sizes[0].value == 0)


LOGGED: Final = {"debug", "info", "warning", "error", "exception", "critical"}


def a_log_line_is_a_noun_with_fields(page: Page) -> Iterator[Finding]:
    """The redactor sees fields; it cannot see into a sentence."""
    if not page.is_python:
        return
    for call, name in page.calls():
        owner, _, verb = name.rpartition(".")
        if verb in LOGGED and "log" in owner.lower() and call.args and _is_formatted(call.args[0]):
            yield page.finding(call.lineno, "formatted log line: a noun, and fields beside it")


def _is_formatted(node: ast.expr) -> bool:
    if isinstance(node, ast.JoinedStr):
        return True
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, ast.Mod | ast.Add)
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format"


LATER: Final = re.compile(unbroken(r"\b(?:TO·DO|FIX·ME|XX·X)\b"))


def nothing_is_left_for_later(page: Page) -> Iterator[Finding]:
    """Finish it, or write it down where work is planned."""
    for number, line in enumerate(page.lines, start=1):
        if LATER.search(line):
            yield page.finding(number, "left for later: finish it or take it out")


def a_document_has_one_title(page: Page) -> Iterator[Finding]:
    """Two titles are two documents."""
    if page.path.suffix != ".md":
        return
    titles = 0
    fenced = False
    for number, line in enumerate(page.lines, start=1):
        fenced ^= line.lstrip().startswith("```")
        titles += line.startswith("# ") and not fenced
        if line.startswith("# ") and not fenced and titles > 1:
            yield page.finding(number, "a second title: one document, one `# ` heading")


ELSEWHERE: Final = re.compile(
    unbroken(
        r"(?<![a-z])/(?:wo·rk|fa·rm)/[a-z.]|(?<![\w.])/ro·ot/\w|/ho·me/(?!\w*nonexistent)[a-z]+/|/tm·p/og\b"
        r"|pyp·i\.org|pythonho·sted\.org|npm·js\.org|--(?:extra-)?index-u·rl\b|^--find-li·nks\b"
    ),
    re.MULTILINE,
)


LOCKS: Final = ("requirements*.txt", "package-lock.json")


def no_file_names_a_machine_or_a_registry(page: Page) -> Iterator[Finding]:
    """The repository works wherever it is cloned and from whichever package index is near."""
    for number, line in enumerate(page.lines, start=1):
        if ELSEWHERE.search(line):
            yield page.finding(number, "names a path of one machine or a package registry: take it out")
        if "://" in line and any(page.path.match(lock) for lock in LOCKS):
            yield page.finding(number, "a lock file names a host: make it with `make lock`")


def a_test_waits_for_conditions_not_for_time(page: Page) -> Iterator[Finding]:
    """A sleep is either too long or too short; a condition with a timeout is neither. A clock may sleep."""
    if not (page.is_python and page.inside("tests")):
        return
    clocks = [node for node in page.nodes if isinstance(node, ast.AsyncFunctionDef) and node.name == "sleep"]
    by_clocks = {inner for clock in clocks for inner in ast.walk(clock)}
    for call, name in page.calls():
        long = name == "asyncio.sleep" and call not in by_clocks and _sleeps_long(call)
        if long or name == unbroken("time.sl·eep"):
            yield page.finding(call.lineno, "a test that sleeps: wait for the condition, with a timeout")


def _sleeps_long(call: ast.Call) -> bool:
    length = call.args[0] if call.args else None
    return not (
        isinstance(length, ast.Constant)
        and isinstance(length.value, int | float)
        and length.value <= TEST_SLEEP_S_MAX
    )


def a_file_is_one_thing(page: Page) -> Iterator[Finding]:
    """A long file is two things under one name."""
    if page.path.suffix in {".py", ".sql", ".ts", ".tsx"} and len(page.lines) > LINES_MAX:
        yield page.finding(LINES_MAX, f"{len(page.lines)} lines, {LINES_MAX} at most: two things in one")


_FROM_A_LOCK: Final = re.compile(r"(?:^|\s)-r\s+\S*(?:requirements|lock)")
_AS_LOCKED: Final = ("--require-hashes", "--only-binary :all:")


def an_installation_runs_nothing_of_what_it_installs(page: Page) -> Iterator[Finding]:
    """By hash, and wheels alone: whoever builds a source distribution runs its code."""
    if page.path.suffix:
        return
    for number, line in enumerate(page.lines, 1):
        if _FROM_A_LOCK.search(line) and not all(word in line for word in _AS_LOCKED):
            yield page.finding(number, f"install from a lock with {' and '.join(_AS_LOCKED)}, on one line")


RULES: Final[tuple[Rule, ...]] = (
    the_core_asks_no_clock_and_no_chance,
    the_core_counts_without_floats,
    a_module_says_what_it_is_for,
    an_ignored_type_error_has_a_reason,
    sql_lives_in_sql_files,
    everything_is_caught_only_where_said,
    every_queue_has_a_bound,
    a_log_line_is_a_noun_with_fields,
    nothing_is_left_for_later,
    a_document_has_one_title,
    no_file_names_a_machine_or_a_registry,
    a_test_waits_for_conditions_not_for_time,
    a_file_is_one_thing,
    an_installation_runs_nothing_of_what_it_installs,
)
