"""The OpenAPI document says what the gateway does, and the page loads nothing from elsewhere."""

from __future__ import annotations

import asyncio
import re
from html.parser import HTMLParser
from typing import Any, get_args

import httpx
import msgspec
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from jsonschema import Draft202012Validator
from pydantic import BaseModel
from starlette.routing import Route
from starlette.types import Message

from ordergate.api import (
    access_requests,
    access_schemas,
    account_schemas,
    alarm_schemas,
    group_requests,
    group_schemas,
    limit_requests,
    limit_schemas,
    market,
    market_schemas,
    problems,
    program_requests,
    program_schemas,
    requests,
    schemas,
    stop_schemas,
    strategy_schemas,
    stream_schemas,
)
from ordergate.api.app import ApiDeps, Gateway, create_app
from ordergate.api.deps import OpenPage
from ordergate.api.description import Description
from ordergate.api.docs_page import STYLE
from ordergate.api.exchange import CORRELATION_KEY, HEADERS_KEY, Call
from ordergate.api.face import methods_at
from ordergate.api.routes import tickets
from ordergate.core.accounts import alarm_words, views
from ordergate.core.contingent import views as group_views
from ordergate.core.orders import events
from ordergate.core.refusals import Code
from ordergate.engine.accounts import runs
from ordergate.engine.answering import answers
from ordergate.engine.desks import access_desk, programs_desk, strategies_desk
from ordergate.engine.limits import rehearsal
from ordergate.engine.limits import use as limits_use
from ordergate.engine.limits import views as limits_views
from ordergate.engine.worth import appraising
from tests.api.asking import a_key, an_order
from tests.api.people import ADMIN_URL

NOT_DESCRIBED = {"/", "/openapi.json", "/docs", "/metrics", "/v1/stream"}

SAME = [
    (requests.OrderFields, schemas.OrderRequest),
    (requests.ReplaceFields, schemas.ReplaceRequest),
    (requests.EngageFields, stop_schemas.EngageRequest),
    (requests.ReleaseFields, stop_schemas.ReleaseRequest),
    (requests.AssignFields, account_schemas.AssignRequest),
    (requests.ResolveFields, account_schemas.ResolveRequest),
    (requests.RunFields, account_schemas.RunRequest),
    (views.OrderView, schemas.Order),
    (group_requests.LegFields, group_schemas.LegRequest),
    (group_requests.GroupFields, group_schemas.GroupRequest),
    (group_requests.FlattenFields, group_schemas.FlattenRequest),
    (group_views.LegView, group_schemas.GroupLeg),
    (group_views.GroupOrderView, group_schemas.GroupOrder),
    (group_views.GroupView, group_schemas.Group),
    (views.BreakView, account_schemas.Break),
    (views.BreakStepView, account_schemas.BreakStep),
    (alarm_words.AlarmView, alarm_schemas.Alarm),
    (runs.RunView, account_schemas.Run),
    (runs.DifferenceView, account_schemas.RunDifference),
    (answers.RunAsked, account_schemas.RunAsked),
    (limit_requests.RuleFields, limit_schemas.RuleRequest),
    (limit_requests.ListedRuleFields, limit_schemas.ListedRule),
    (limit_requests.ApplyFields, limit_schemas.ApplyRequest),
    (access_requests.RoleFields, access_schemas.RoleRequest),
    (access_requests.KeepOutFields, access_schemas.KeepOutRequest),
    (access_desk.SubjectView, access_schemas.Subject),
    (access_desk.AssignmentView, access_schemas.AssignmentOfSubject),
    (access_desk.TenantView, access_schemas.Tenant),
    (access_desk.AccountView, access_schemas.AccountOfTenant),
    (program_requests.BoundsFields, program_schemas.BoundsRequest),
    (program_requests.ProgramFields, program_schemas.ProgramRequest),
    (program_requests.RotateFields, program_schemas.RotateRequest),
    (program_requests.PublishFields, program_schemas.PublishRequest),
    (programs_desk.ProgramView, program_schemas.Program),
    (strategy_schemas.StrategyFields, strategy_schemas.StrategyRequest),
    (strategy_schemas.DisableFields, strategy_schemas.DisableRequest),
    (strategies_desk.StrategyView, strategy_schemas.Strategy),
    (limit_requests.WhyFields, limit_schemas.WhyRequest),
    (limit_requests.OverrideFields, limit_schemas.OverrideRequest),
    (limit_requests.DryRunFields, limit_schemas.DryRunRequest),
    (rehearsal.Difference, limit_schemas.Difference),
    (rehearsal.Rehearsed, limit_schemas.DryRun),
    (limits_views.RuleView, limit_schemas.Rule),
    (limits_views.ChangeView, limit_schemas.Change),
    (limits_views.EditView, limit_schemas.Edit),
    (limits_views.PlanView, limit_schemas.Plan),
    (limits_use.UseView, limit_schemas.AccountUse),
    (views.ExecutionView, schemas.Execution),
    (views.PositionView, schemas.Position),
    (views.BalanceView, schemas.Balance),
    (appraising.HeldView, account_schemas.Held),
    (appraising.Appraisal, account_schemas.Appraisal),
    (market.QuoteView, market_schemas.LastQuote),
    (market.TradeView, market_schemas.LastTrade),
    (market.LastPricesView, market_schemas.LastPrices),
    (events.FailedControl, schemas.FailedControl),
    (answers.ControlResult, schemas.ControlResult),
    (answers.RefusalView, schemas.RefusalOfOrder),
    (answers.Preview, schemas.Preview),
    (answers.KillView, stop_schemas.KillSwitch),
    (answers.StopView, stop_schemas.StopView),
    (answers.LeftOrder, stop_schemas.LeftOrder),
    (answers.DeadManView, stop_schemas.DeadMan),
    (answers.CancelResult, schemas.CancelResult),
    (tickets.TicketFields, stream_schemas.TicketRequest),
    (tickets.TicketView, stream_schemas.Ticket),
    (problems.FieldError, schemas.FieldError),
    (problems.Problem, schemas.Problem),
]


def served_operations(app: FastAPI) -> set[tuple[str, str]]:
    """Every method and path that the application answers, wherever its route is kept."""
    found: set[tuple[str, str]] = set()
    kept: list[Any] = list(app.router.routes)
    while kept:
        route = kept.pop()
        if isinstance(route, Route | APIRoute):
            path = re.sub(r":path\}", "}", route.path)
            found |= {(method, path) for method in route.methods or () if path not in NOT_DESCRIBED}
        else:
            inner = getattr(route, "original_router", None) or getattr(route, "router", None)
            kept += list(getattr(inner, "routes", ()))
    return found


def test_the_document_and_the_routes_are_the_same(app: Gateway) -> None:
    paths: dict[str, dict[str, Any]] = app.openapi()["paths"]
    described = {(method.upper(), path) for path, operations in paths.items() for method in operations}
    administration = app.administration
    assert administration is not None
    apart = served_operations(administration)
    served = served_operations(app)
    assert len(served) >= 20
    assert not served & apart
    served |= apart
    assert described == served


def test_the_document_names_the_listener_of_what_is_administration(app: Gateway) -> None:
    administration = app.administration
    assert administration is not None
    apart = served_operations(administration)
    for path, operations in app.openapi()["paths"].items():
        for method, operation in operations.items():
            said = [server["url"] for server in operation.get("servers", [])]
            assert said == ([ADMIN_URL] if (method.upper(), path) in apart else []), path


def test_without_a_second_listener_there_is_no_administration(deps: ApiDeps) -> None:
    app = create_app(msgspec.structs.replace(deps, admin_url=None, metrics=type(deps.metrics)()))
    assert app.administration is None
    paths = app.openapi()["paths"]
    assert {path for path in paths if path.startswith(("/v1/access", "/v1/credentials"))} == {
        "/v1/access/me",
        "/v1/access/roles",
    }


def test_the_document_is_valid_and_every_reference_leads_somewhere(app: FastAPI) -> None:
    document = app.openapi()
    assert document["openapi"].startswith("3.1")
    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    references = set(re.findall(r'"\$ref":"([^"]+)"', msgspec.json.encode(document).decode()))
    assert references <= known
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize(("struct", "model"), SAME, ids=lambda kind: kind.__name__)
def test_a_model_has_the_fields_of_its_struct(struct: type[msgspec.Struct], model: type[BaseModel]) -> None:
    theirs = {field.encode_name: field.required for field in msgspec.structs.fields(struct)}
    ours = {name: field.is_required() for name, field in model.model_fields.items()}
    assert set(theirs) == set(ours)
    if issubclass(model, schemas.Asked):
        assert theirs == ours
    types = {field.encode_name: _may_be_null(field.type) for field in msgspec.structs.fields(struct)}
    assert types == {name: _may_be_null(field.annotation) for name, field in model.model_fields.items()}


def _may_be_null(kind: Any) -> bool:
    return type(None) in get_args(kind)


@pytest.mark.parametrize(
    ("changed", "fits"),
    [
        ({}, True),
        ({"quantity": 3}, False),
        ({"quantity": "1e3"}, False),
        ({"side": "hold"}, False),
        ({"env": "live"}, False),
        ({"symbol": "lower"}, False),
        ({"client_order_id": "has space"}, False),
        ({"strategy": None, "extended_hours": True}, True),
        ({"account_id": "Q-DEMO"}, False),
    ],
)
def test_a_model_judges_a_body_as_its_struct_does(changed: dict[str, Any], fits: bool) -> None:
    order = {**an_order(), **changed}
    body = msgspec.json.encode(order)
    found = requests.terms_in(body)
    assert (not hasattr(found, "code")) is fits
    schema = schemas.OrderRequest.model_json_schema()
    assert Draft202012Validator(schema).is_valid(order) is fits


async def test_answers_fit_the_document(client: httpx.AsyncClient, app: FastAPI) -> None:
    document = app.openapi()

    def fits(name: str, value: Any) -> None:
        schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
        Draft202012Validator(schema).validate(value)

    order = await client.post("/v1/orders", json=an_order(), headers=a_key())
    fits("Order", order.json())
    denied = await client.post("/v1/orders", json=an_order(quantity="1001"), headers=a_key())
    fits("Problem", denied.json())
    for path, name in (
        ("/v1/orders", "Orders"),
        (f"/v1/orders/{order.json()['id']}/events", "Events"),
        ("/v1/accounts", "Accounts"),
        ("/v1/accounts/P-DEMO", "Account"),
        ("/v1/accounts/P-DEMO/positions", "Positions"),
        ("/v1/accounts/P-DEMO/balances", "Balances"),
        ("/v1/accounts/P-DEMO/executions", "Executions"),
        ("/v1/instruments", "Instruments"),
        ("/v1/risk/limits", "LimitsInForce"),
        ("/v1/risk/changes", "Changes"),
        ("/v1/kill-switch", "KillSwitch"),
        ("/v1/dead-man", "DeadMen"),
        ("/v1/alarms", "Alarms"),
        ("/v1/accounts/P-DEMO/alarms", "Alarms"),
        ("/v1/reconciliation/breaks", "Breaks"),
        ("/v1/reconciliation/runs", "Runs"),
        ("/readyz", "Ready"),
    ):
        fits(name, (await client.get(path)).json())


async def test_the_document_is_served_as_it_is(client: httpx.AsyncClient, app: FastAPI) -> None:
    answer = await client.get("/openapi.json", headers={"authorization": ""})
    assert answer.json() == msgspec.json.decode(msgspec.json.encode(app.openapi()))


def test_what_a_405_allows_is_what_the_document_says(app: Gateway) -> None:
    for template, operations in app.openapi()["paths"].items():
        path = re.sub(r"\{[^}]+\}", "any-1", template)
        is_apart = any("servers" in operation for operation in operations.values())
        face = app.administration if is_apart else app
        assert face is not None
        assert methods_at(face, path) == sorted(method.upper() for method in operations), template


async def nothing_comes() -> Message:
    raise AssertionError("nobody reads a body here")


async def test_the_document_is_made_when_somebody_asks_first_and_once() -> None:
    written: list[dict[str, Any]] = []

    def write() -> dict[str, Any]:
        about_it = {"title": "a gateway", "description": "which is not there"}
        written.append({"info": about_it, "paths": {}, "components": {"schemas": {}}})
        return written[-1]

    about = Description(write)
    assert written == []
    call = Call({HEADERS_KEY: {}, CORRELATION_KEY: "c"}, nothing_comes)
    await asyncio.gather(about.as_json(call), about.as_page(call), about.as_json(call))
    assert written == [about.document]


class Loads(HTMLParser):
    """What a browser would fetch, follow or run."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in {"src", "srcset", "data", "poster", "background", "style"} or name.startswith("on"):
                self.fetched.append(f"{tag} {name}")
            if name == "href":
                (self.links if tag == "a" else self.fetched).append(value or "")
        if tag in {"script", "iframe", "object", "embed", "base", "form"}:
            self.fetched.append(tag)


async def test_the_docs_page_lists_every_route_and_loads_nothing(
    client: httpx.AsyncClient, app: FastAPI
) -> None:
    answer = await client.get("/docs", headers={"authorization": ""})
    page = Loads()
    page.feed(answer.text)
    assert page.fetched == []
    assert all(link.startswith(("#", "/openapi.json")) for link in page.links)
    assert "url(" not in STYLE
    assert "@import" not in STYLE
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    for path in app.openapi()["paths"]:
        assert f"<code>{path}</code>" in answer.text


async def test_the_docs_page_says_how_to_begin_what_fields_may_be_and_every_code(
    client: httpx.AsyncClient,
) -> None:
    page = (await client.get("/docs", headers={"authorization": ""})).text
    assert "grant_type=client_credentials" in page
    assert "Exact, as a string; like " in page
    assert "such as 4800.25" in page
    assert "<code>Idempotency-Key</code>" in page
    for code in Code:
        assert f"<code>{code.value}</code>" in page


async def test_the_metrics_count_requests_by_route_and_never_by_path(client: httpx.AsyncClient) -> None:
    await client.get("/v1/orders/P-000000000000000000")
    await client.get("/some/path/nobody/has")
    text = (await client.get("/metrics", headers={"authorization": ""})).text
    assert 'method="GET",route="/v1/orders/{order_id}",status="404"' in text
    assert "nobody" not in text


@pytest.mark.parametrize(
    ("shown", "there"),
    [
        (frozenset(OpenPage), {"/metrics"}),
        (frozenset({OpenPage.DOCUMENTATION}), {"/metrics"}),
        (frozenset({OpenPage.METRICS}), {"/", "/openapi.json", "/docs", "/metrics"}),
        (frozenset(), {"/", "/openapi.json", "/docs", "/metrics"}),
    ],
)
@pytest.mark.parametrize("admin_url", [ADMIN_URL, None])
async def test_the_metrics_and_what_the_first_listener_does_not_show_are_at_the_second(
    deps: ApiDeps, shown: frozenset[OpenPage], there: set[str], admin_url: str | None
) -> None:
    app = create_app(msgspec.structs.replace(deps, shown=shown, admin_url=admin_url))

    async def found(face: FastAPI | None) -> set[str]:
        transport = httpx.ASGITransport(face, raise_app_exceptions=False)  # type: ignore[arg-type]  # as httpx has it
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as asking:
            pages = ("/", "/openapi.json", "/docs", "/metrics")
            return {page for page in pages if (await asking.get(page)).status_code == 200}

    named = {"/metrics"} if OpenPage.METRICS in shown else set()
    assert await found(app) == {"/", "/openapi.json", "/docs", "/metrics"} - there | named
    if app.administration is not None:
        assert await found(app.administration) == there
