"""Every house rule finds its bad sample, says exactly this, and finds nothing in the repository.

A middle dot breaks a banned word, so that this file passes the rules it tests.
"""

import ast
from pathlib import PurePosixPath
from typing import Final

import pytest

from tests.architecture import tidy
from tests.architecture.page import Page, pages
from tests.architecture.tidy import Rule, unbroken

CORE: Final = "src/ordergate/core/money.py"
ENGINE: Final = "src/ordergate/engine/accounts/lanes.py"
TEST: Final = "tests/engine/test_lanes.py"
TRY: Final = "try:\n    f()\n"

LEFT_FOR_LATER: Final = "left for later: finish it or take it out"
NAMES_A_PLACE: Final = "names a path of one machine or a package registry: take it out"
SLEEPS: Final = "a test that sleeps: wait for the condition, with a timeout"
SQL_IN_PYTHON: Final = "SQL in Python: give it a name in its package's sql folder"
CATCHES_ALL: Final = "catches everything: name the faults, or explain in BROAD_EXCEPT"
UNBOUNDED: Final = "queue without a bound: pass maxsize, decide what full means"
FORMATTED: Final = "formatted log line: a noun, and fields beside it"
NO_REASON: Final = "unexplained ignore: write `# type: ignore[rule]  # why`"
FLOAT_DECIMAL: Final = 'Decimal(<float>) in core: write the digits, Decimal("0.1")'
NOT_AS_LOCKED: Final = "install from a lock with --require-hashes and --only-binary :all:, on one line"
NO_DOCSTRING: Final = "module without a docstring: say what it decides and what it will never do"

BAD: Final[tuple[tuple[Rule, str, str, str], ...]] = (
    (tidy.the_core_asks_no_clock_and_no_chance, CORE, "seen = datetime.now(UTC)",
     "now() in core: take `now: datetime` as a parameter"),
    (tidy.the_core_asks_no_clock_and_no_chance, CORE, "seen = dt.datetime.utcnow()",
     "utcnow() in core: take `now: datetime` as a parameter"),
    (tidy.the_core_asks_no_clock_and_no_chance, CORE, "order = uuid4()",
     "uuid4() in core: take the id as a parameter"),
    (tidy.the_core_counts_without_floats, CORE, "price = float(text)",
     "float() in core: money and quantities are Decimal"),
    (tidy.the_core_counts_without_floats, CORE, "price = Decimal(-0.1)", FLOAT_DECIMAL),
    (tidy.a_module_says_what_it_is_for, ENGINE, "import asyncio", NO_DOCSTRING),
    (tidy.an_ignored_type_error_has_a_reason, ENGINE, "x = y  # type: ign·ore", NO_REASON),
    (tidy.an_ignored_type_error_has_a_reason, ENGINE, "x = y  # type: ign·ore[misc]", NO_REASON),
    (tidy.sql_lives_in_sql_files, ENGINE, "q = 'select id from orders'", SQL_IN_PYTHON),
    (tidy.sql_lives_in_sql_files, ENGINE, "q = 'INSERT INTO event VALUES ($1)'", SQL_IN_PYTHON),
    (tidy.sql_lives_in_sql_files, ENGINE, "q = f'update {t} set a = 1'\nr = '''\n  delete from t'''",
     SQL_IN_PYTHON),
    (tidy.everything_is_caught_only_where_said, ENGINE, TRY + "except Exception:\n    g()", CATCHES_ALL),
    (tidy.everything_is_caught_only_where_said, ENGINE, TRY + "except (OSError, Exception):\n    g()",
     CATCHES_ALL),
    (tidy.everything_is_caught_only_where_said, ENGINE, TRY + "except:\n    g()", CATCHES_ALL),
    (tidy.every_queue_has_a_bound, ENGINE, "waiting = asyncio.Queue()", UNBOUNDED),
    (tidy.every_queue_has_a_bound, ENGINE, "waiting = Queue(maxsize=0)", UNBOUNDED),
    (tidy.a_log_line_is_a_noun_with_fields, ENGINE, "log.info(f'sent {order}')", FORMATTED),
    (tidy.a_log_line_is_a_noun_with_fields, ENGINE, "self._log.error('lost %s' % order)", FORMATTED),
    (tidy.nothing_is_left_for_later, ENGINE, "x = 1  # TO·DO", LEFT_FOR_LATER),
    (tidy.nothing_is_left_for_later, "docs/risk.md", "FIX·ME: explain", LEFT_FOR_LATER),
    (tidy.a_document_has_one_title, "docs/risk.md", "# One\n```\n# code\n```\n# Two",
     "a second title: one document, one `# ` heading"),
    (tidy.no_file_names_a_machine_or_a_registry, "docs/risk.md", "see /wo·rk/main", NAMES_A_PLACE),
    (tidy.no_file_names_a_machine_or_a_registry, "pyproject.toml", "url = 'pyp·i.org'", NAMES_A_PLACE),
    (tidy.no_file_names_a_machine_or_a_registry, "requirements.txt", "--hash=x https://host.example/simple",
     "a lock file names a host: make it with `make lock`"),
    (tidy.no_file_names_a_machine_or_a_registry, "tests/package-lock.json", '"url": "https://host.example/a"',
     "a lock file names a host: make it with `make lock`"),
    (tidy.an_installation_runs_nothing_of_what_it_installs, "Dockerfile",
     "RUN pip install --require-hashes -r requirements.txt", NOT_AS_LOCKED),
    (tidy.an_installation_runs_nothing_of_what_it_installs, "tools/environment",
     'install --only-binary :all: -r "$lock"', NOT_AS_LOCKED),
    (tidy.a_test_waits_for_conditions_not_for_time, TEST, "time.sl·eep(0.01)", SLEEPS),
    (tidy.a_test_waits_for_conditions_not_for_time, TEST, "asyncio.sl·eep(2)", SLEEPS),
    (tidy.a_file_is_one_thing, ENGINE, "x = 1\n" * 421, "421 lines, 420 at most: two things in one"),
)  # fmt: skip

GOOD: Final[tuple[tuple[Rule, str, str], ...]] = (
    (tidy.the_core_asks_no_clock_and_no_chance, CORE, "def stale(seen: datetime, *, now: datetime): ..."),
    (tidy.the_core_asks_no_clock_and_no_chance, "src/ordergate/wiring/clock.py", "now = datetime.now(UTC)"),
    (tidy.the_core_counts_without_floats, CORE, "tick = Decimal('0.25')"),
    (tidy.an_ignored_type_error_has_a_reason, ENGINE, "x = y  # type: ign·ore[misc]  # the library lies"),
    (tidy.an_ignored_type_error_has_a_reason, ENGINE, "text = 'a # type: ign·ore in a string'"),
    (tidy.sql_lives_in_sql_files, ENGINE, "text = 'Select an account from the list.'"),
    (tidy.sql_lives_in_sql_files, TEST, "q = 'select id from orders'"),
    (tidy.everything_is_caught_only_where_said, ENGINE, TRY + "except BaseException:\n    g()\n    raise"),
    (tidy.everything_is_caught_only_where_said, ENGINE, TRY + "except (OSError, ValueError):\n    g()"),
    (tidy.every_queue_has_a_bound, ENGINE, "waiting = asyncio.Queue(maxsize=QUEUED_MAX)"),
    (tidy.a_log_line_is_a_noun_with_fields, ENGINE, "log.info('order.sent', order=order.id)"),
    (tidy.a_test_waits_for_conditions_not_for_time, TEST, "asyncio.sleep(0)"),
    (tidy.a_test_waits_for_conditions_not_for_time, TEST, "async def sleep(self, s): await asyncio.sleep(s)"),
    (tidy.a_file_is_one_thing, ENGINE, "x = 1\n" * 420),
    (tidy.an_installation_runs_nothing_of_what_it_installs, "Makefile",
     "\tpip install --only-binary :all: --require-hashes -r requirements.txt"),
)  # fmt: skip


@pytest.mark.parametrize(("rule", "path", "sample", "message"), BAD)
def test_a_rule_finds_its_bad_sample_and_says_why(rule: Rule, path: str, sample: str, message: str) -> None:
    found = list(rule(Page(PurePosixPath(path), unbroken(sample))))
    assert found
    assert {finding.message for finding in found} == {message}


@pytest.mark.parametrize(("rule", "path", "sample"), GOOD)
def test_a_rule_leaves_good_writing_alone(rule: Rule, path: str, sample: str) -> None:
    assert list(rule(Page(PurePosixPath(path), unbroken(sample)))) == []


def test_every_rule_has_a_bad_sample() -> None:
    assert {rule for rule, *_ in BAD} == set(tidy.RULES)


@pytest.mark.parametrize("rule", tidy.RULES, ids=lambda rule: rule.__name__)
def test_the_repository_keeps_the_rule(rule: Rule) -> None:
    findings = [str(finding) for page in pages() for finding in rule(page)]
    assert not findings, "\n" + "\n".join(findings)


def test_every_place_allowed_to_catch_everything_still_does() -> None:
    written = {str(page.path): page for page in pages()}
    idle = [path for path in tidy.BROAD_EXCEPT if path not in written or not _catches_all(written[path])]
    assert not idle, f"no longer catch everything, take them off tidy.BROAD_EXCEPT: {idle}"


def _catches_all(page: Page) -> bool:
    handlers = [node for node in page.nodes if isinstance(node, ast.ExceptHandler)]
    return any(tidy.catches_everything(handler) for handler in handlers)


def test_every_place_that_installs_from_a_lock_is_under_the_rule() -> None:
    rule = tidy.an_installation_runs_nothing_of_what_it_installs
    bare = [Page(page.path, page.text.replace("--only-binary :all:", "")) for page in pages()]
    found = {str(finding.path) for page in bare for finding in rule(page)}
    assert found == {"Makefile", "Dockerfile", "tools/environment"}
