"""What the documents list is what the code has: places, routes, codes, controls, frames, settings."""

import re
from collections.abc import Iterable
from typing import Any, Final, get_args

import msgspec
import pytest
from fastapi import FastAPI

from ordergate.api import problems
from ordergate.api.app import ApiDeps, create_app
from ordergate.api.requests import OrderFields
from ordergate.api.schemas import SCOPE_WORDS
from ordergate.api.stream import frames, session
from ordergate.api.stream.channels import Channel
from ordergate.api.stream.connection import SERVER_FAULT
from ordergate.api.stream.hub import GOING_AWAY
from ordergate.api.stream.state_hash import StateHash
from ordergate.core.access import Scope
from ordergate.core.accounts.alarms import AlarmNature
from ordergate.core.instruments import Instrument
from ordergate.core.orders.events import Resolution
from ordergate.core.risk.judge import PRECEDENCE
from ordergate.core.risk.limit_fields import spelling
from ordergate.core.risk.limits import HARD, InstrumentLimits, Limits
from ordergate.core.risk.reasons import Reason
from ordergate.telemetry import failpoints
from ordergate.venue.settings import TapeSettings, VenueSettings
from ordergate.wiring import settings
from tests.api.books import Books
from tests.api.people import deps_of
from tests.architecture.page import REPOSITORY
from tools.documentation import read

WRITTEN: Final = read(REPOSITORY) | {"CONTRIBUTING.md": (REPOSITORY / "CONTRIBUTING.md").read_text("utf-8")}

CODE: Final = re.compile(r"`([^`]+)`")
PLACE: Final = re.compile(r"(?:src|tests|docs|tools|bench|deploy|verifier)/[\w./-]+")
BELOW_THE_PACKAGE: Final = re.compile(
    r"(?:core|ports|engine|brokers|journal|security|venue|audit|api|telemetry|wiring|cli)/[\w./-]+"
)
# What is always there, besides what the API's document describes.
UNDESCRIBED: Final = {("GET", "/"), ("GET", "/metrics"), ("GET", "/openapi.json"), ("GET", "/docs")}
TAPES: Final = {kind.__struct_config__.tag for kind in get_args(TapeSettings)}


def rows(document: str, first: str) -> list[list[str]]:
    """The cells of every row of the tables of a document whose heading begins with this cell."""
    found: list[list[str]] = []
    inside = False
    for line in WRITTEN[document].splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.startswith("|"):
            inside = False
        elif inside and not cells[0].startswith("---"):
            found.append(cells)
        elif cells[0] == first:
            inside = True
    assert found, f"{document} has no table that begins with {first!r}"
    return found


def quoted(cells: Iterable[str]) -> list[str]:
    """Everything in backticks, in order."""
    return [word for cell in cells for word in CODE.findall(cell)]


def listed(document: str, first: str) -> list[str]:
    """Everything in backticks in the first column."""
    return quoted(row[0] for row in rows(document, first))


@pytest.fixture
def deps() -> ApiDeps:
    return deps_of(Books())


@pytest.fixture
def app(deps: ApiDeps) -> FastAPI:
    return create_app(deps)


@pytest.mark.parametrize("document", [name for name in WRITTEN if not name.startswith("docs/generated/")])
def test_every_place_that_a_document_names_is_there(document: str) -> None:
    named = CODE.findall(WRITTEN[document])
    places = {word for word in named if PLACE.fullmatch(word)}
    places |= {f"src/ordergate/{word}" for word in named if BELOW_THE_PACKAGE.fullmatch(word)}
    assert {place for place in places if not _is_there(place)} == set()


def test_the_decisions_are_numbered_without_gaps_and_all_are_listed() -> None:
    pages = sorted(page.name for page in (REPOSITORY / "docs" / "adr").glob("[0-9]*.md"))
    assert [int(name[:4]) for name in pages] == list(range(1, len(pages) + 1))
    assert re.findall(r"\]\(([^)]+)\)", WRITTEN["docs/adr/README.md"]) == pages


def test_every_decision_says_what_enforces_it() -> None:
    for name, text in WRITTEN.items():
        if name.startswith("docs/adr/0"):
            titles = re.findall(r"^## (.+)$", text, re.MULTILINE)
            assert titles == ["Context", "Decision", "Consequences", "Enforced by"], name
            assert PLACE.search(text.partition("## Enforced by")[2]), name


def test_the_failpoints_are_those_of_the_product() -> None:
    told = {row[0].strip("`"): row[1] for row in rows("docs/operations.md", "failpoint")}
    assert told == dict(failpoints.PLACES)


def test_the_routes_are_those_of_the_api(app: FastAPI) -> None:
    paths: dict[str, dict[str, Any]] = app.openapi()["paths"]
    served = {(method.upper(), path) for path, operations in paths.items() for method in operations}
    outside = {route for route in served if route[1].startswith("/oauth/")}
    told = {(method, path) for method, path in (word.split() for word in listed("docs/api.md", "route"))}
    assert told == (served - outside) | UNDESCRIBED


def test_the_fields_of_an_order_are_those_of_the_api() -> None:
    assert listed("docs/api.md", "field") == list(OrderFields.__struct_fields__)


def test_every_code_stands_beside_its_status() -> None:
    told = {code: int(row[0]) for row in rows("docs/api.md", "status") for code in quoted(row[1:])}
    assert told == {code.value: status for code, status in problems.STATUS.items()}


def test_the_controls_stand_in_their_order_with_every_reason() -> None:
    controls = rows("docs/risk.md", "control")
    assert [(row[0], row[1]) for row in controls] == [(control.id, control.name) for control in PRECEDENCE]
    reasons = {*quoted(row[4] for row in controls), *listed("docs/risk.md", "reason")}
    assert reasons == {reason.value for reason in Reason}


def test_every_limit_is_described() -> None:
    told = listed("docs/risk.md", "field")
    written = [field for field in msgspec.structs.fields(Limits) if field.name != HARD]  # it is compiled
    assert told == [spelling(field) for field in written]
    assert listed("docs/risk.md", "field of an instrument") == list(InstrumentLimits.__struct_fields__)


def test_every_scope_is_described_in_the_apis_own_words() -> None:
    told = {CODE.findall(row[0])[0]: row[1] for row in rows("docs/security.md", "scope")}
    assert told == {scope.value: words for scope, words in SCOPE_WORDS.items()}
    assert set(told) == {scope.value for scope in Scope}


def test_every_frame_and_channel_of_the_stream_is_described() -> None:
    asked, said = _split_at(listed("docs/stream.md", "frame"), "welcome")
    assert set(asked) == {kind.__struct_config__.tag for kind in get_args(frames.AnyClientFrame)}
    sources = [REPOSITORY / "src/ordergate/api/stream" / name for name in ("frames.py", "prices.py")]
    made = {word for file in sources for word in re.findall(r'"type": ?"([a-z_]+)"', file.read_text("utf-8"))}
    assert set(said) == made | {"event"}
    assert listed("docs/stream.md", "channel") == [channel.value for channel in Channel]


def test_every_close_code_is_described() -> None:
    told = {int(row[0]) for row in rows("docs/stream.md", "close code")}
    of_a_session = {session.PROTOCOL_ERROR, session.NOT_AUTHENTICATED, session.FORBIDDEN}
    assert told == of_a_session | {session.SLOW_CONSUMER, session.TOO_BIG, GOING_AWAY, SERVER_FAULT}


def test_the_documented_state_hash_is_the_streams() -> None:
    blocks = re.findall(r"```python\n(.*?)```", WRITTEN["docs/stream.md"], re.DOTALL)
    names: dict[str, Any] = {}
    exec(next(block for block in blocks if "def state_hash" in block), names)
    orders = [{"id": f"P-{n}", "status": "working", "avg_px": None, "strategy": 'é/"1'} for n in range(3)]
    positions = [{"symbol": "ESH4", "quantity": "-2", "version": 1}]
    ours = StateHash(map(msgspec.json.encode, orders), map(msgspec.json.encode, positions))
    assert names["state_hash"](orders, positions) == ours.hexdigest()
    assert names["state_hash"]([], []) == StateHash([], []).hexdigest()


@pytest.mark.parametrize(
    ("heading", "kind"),
    [
        ("Settings of a gateway", settings.Settings),
        ("Instruments", Instrument),
        ("Brokers", settings.BrokerSettings),
        ("Accounts", settings.AccountSettings),
        ("TLS", settings.TlsSettings),
        ("Issuers", settings.IssuerFile),
        ("Reconciliation", settings.ReconciliationSettings),
        ("Audit", settings.AuditSettings),
        ("Surveillance", settings.EndpointSettings),
        ("Settings of a venue", VenueSettings),
    ],
)
def test_every_setting_is_described(heading: str, kind: type[msgspec.Struct]) -> None:
    whole = WRITTEN["docs/operations.md"]
    section = re.split(r"^#+ ", whole.partition(f"# {heading}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    told = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
    if kind is VenueSettings:
        told = [name for name in told if name not in TAPES]
    assert set(told) == set(kind.__struct_fields__)


def test_every_field_of_a_tape_is_described() -> None:
    told = {quoted([row[0]])[0]: set(quoted(row[1:])) for row in rows("docs/operations.md", "tape")}
    kinds = get_args(TapeSettings)
    assert told == {kind.__struct_config__.tag: set(kind.__struct_fields__) for kind in kinds}


def test_every_alarm_and_resolution_is_described() -> None:
    assert listed("docs/unknown-outcomes.md", "nature") == [nature.value for nature in AlarmNature]
    assert listed("docs/unknown-outcomes.md", "`as`") == [word.value for word in Resolution]


def test_every_metric_is_described(app: FastAPI, deps: ApiDeps) -> None:
    exposition = deps.metrics.exposition().decode()
    exposed = set(re.findall(r"^# TYPE (ordergate_\w+?)(?:_created)? ", exposition, re.MULTILINE))
    told = set(listed("docs/operations.md", "metric"))
    assert told - exposed == set()
    assert {name for name in exposed if name not in told and f"{name}_total" not in told} == set()


def _is_there(place: str) -> bool:
    """A folder, a file, or a module named without its ending."""
    return (REPOSITORY / place).exists() or (REPOSITORY / f"{place}.py").exists()


def _split_at(words: list[str], first: str) -> tuple[list[str], list[str]]:
    """Before and from the first of the second list; a row's members are not among the words."""
    place = words.index(first)
    return words[:place], words[place:]
