"""OWASP's API Security Top 10 of 2023: each has tests, here or where the table says, and they are there."""

from __future__ import annotations

import gc
import re
import tracemalloc
from collections.abc import AsyncIterator
from itertools import product
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
import pytest_asyncio

from ordergate.api.app import create_app
from ordergate.api.quotas import Rate
from ordergate.core.access import Role
from ordergate.core.ids import Env
from tests.dose import dose
from tests.security.floor import OWN, SISTER, THEIRS, Floor, floor
from tests.security.matrix import MATRIX

TESTS: Final = Path(__file__).resolve().parents[1]
CELLS: Final = "security/test_matrix.py::test_every_cell_answers_as_the_matrix_says"
HERE: Final = "security/test_owasp.py"
FENCE: Final = "journal/test_row_security.py"
RIGHTS: Final = "security/test_rights.py"
APART: Final = "wounds/test_paper_and_live.py"

SHOWN_BY: Final = {
    "API1 broken object level authorization": [
        CELLS,
        "security/test_matrix_of_the_stream.py::test_every_cell_answers_as_the_matrix_says",
        f"{HERE}::test_api1_no_listing_shows_what_is_not_theirs",
        f"{FENCE}::test_the_wrong_tenant_or_account_finds_nothing_although_nobody_else_checks",
    ],
    "API2 broken authentication": [
        CELLS,
        "security/test_token_confusion.py::test_a_token_is_refused_that_is",
        "security/test_external_issuer.py::test_a_token_of_theirs_is_refused_that_is",
        "security/test_token_endpoint.py::test_guessing_is_throttled_and_others_are_not",
        f"{RIGHTS}::test_a_demotion_elsewhere_ends_what_was_allowed_before_within_five_seconds",
    ],
    "API3 broken object property level authorization": [
        f"{HERE}::test_api3_no_body_takes_a_field_that_is_not_its_own",
        "api/test_document.py::test_answers_fit_the_document",
        "api/test_document.py::test_a_model_has_the_fields_of_its_struct",
    ],
    "API4 unrestricted resource consumption": [
        f"{HERE}::test_api4_and_api6_whoever_asks_too_often_waits_and_may_still_cancel",
        f"{HERE}::test_api4_a_page_has_a_bound",
        f"{HERE}::test_api4_a_flood_leaves_nothing_in_memory",
        "api/test_outbox_and_wire.py::test_a_client_that_does_not_read_overflows_at_the_bound_of_bytes",
        "security/test_throttle.py::test_memory_is_bounded_whatever_comes",
        "api/test_hygiene.py::test_a_body_over_64_kib_is_too_large_however_it_comes",
        "api/test_json_bodies.py::test_the_bound_on_depth_is_exact",
    ],
    "API5 broken function level authorization": [
        CELLS,
        "security/test_matrix.py::test_every_operation_is_in_the_matrix",
        "security/test_matrix.py::test_each_listener_has_its_own_routes_and_no_other",
        "core/test_access.py::test_duties_are_kept_apart",
    ],
    "API6 unrestricted access to sensitive business flows": [
        f"{HERE}::test_api4_and_api6_whoever_asks_too_often_waits_and_may_still_cancel",
        "core/test_rates.py::test_no_stretch_of_time_sees_more_than_a_full_bucket_and_its_refill",
        "engine/test_key_bounds.py::test_an_order_beyond_the_key_is_refused_before_risk_is_asked_and_that_alone_is_journalled",
        "engine/test_access_desk.py::test_a_role_waits_for_another_person_and_holds_when_it_is_answered",
    ],
    "API7 server side request forgery": [
        "audit/test_outbound.py::test_a_url_that_leads_inside_or_is_none_is_refused",
        "audit/test_outbound.py::test_a_name_with_one_address_inside_is_refused_whole",
        "brokers/test_hosts.py::test_everything_else_is_foreign",
        "brokers/test_http.py::test_a_redirect_is_not_followed",
        "security/test_external_issuer.py::test_an_issuer_elsewhere_cannot_point_at_this_machine_for_its_keys",
    ],
    "API8 security misconfiguration": [
        "api/test_hygiene.py::test_every_answer_names_the_environment_a_correlation_id_and_loads_nothing",
        "security/test_external_issuer.py::test_settings_that_would_weaken_the_check_are_refused",
        f"{APART}::test_openalgo_defect_4_an_environment_is_written_down_and_never_assumed",
    ],
    "API9 improper inventory management": [
        "security/test_matrix.py::test_every_operation_is_in_the_matrix",
        "security/test_matrix_of_the_stream.py::test_every_frame_of_a_client_is_in_the_matrix",
        "api/test_document.py::test_the_document_and_the_routes_are_the_same",
    ],
    "API10 unsafe consumption of APIs": [
        "brokers/test_http.py::test_anything_unclear_is_unknown",
        "brokers/test_documents.py::test_any_json_document_passes",
        "brokers/test_alpaca_translate.py::test_news_that_cannot_be_true_is_refused",
        "engine/test_hostile_answers.py::test_api10_nothing_follows_from_what_a_hostile_broker_answers",
        "engine/test_hostile_news.py::test_api10_nothing_is_booked_of_what_a_hostile_stream_says",
        "security/test_external_issuer.py::test_a_key_set_that_is_not_one_gives_no_trust",
    ],
}


@pytest_asyncio.fixture
async def here() -> AsyncIterator[Floor]:
    async with floor(Env.PAPER) as made:
        yield made


async def good(here: Floor, role: Role) -> str:
    return here.signed(here.claims(role))


@pytest.mark.parametrize("risk", SHOWN_BY)
def test_every_risk_is_shown_by_tests_that_are_there(risk: str) -> None:
    for named in SHOWN_BY[risk]:
        file, _, name = named.partition("::")
        assert re.search(rf"^ *(async )?def {name}\(", (TESTS / file).read_text(), re.MULTILINE), named


def test_there_are_ten() -> None:
    assert [name.split(" ")[0] for name in SHOWN_BY] == [f"API{number}" for number in range(1, 11)]


LISTINGS: Final = (
    "/v1/orders",
    "/v1/accounts",
    "/v1/order-groups",
    "/v1/risk/limits",
    "/v1/risk/utilization",
    "/v1/risk/changes?state=all",
    "/v1/reconciliation/runs",
    "/v1/reconciliation/breaks",
    "/v1/kill-switch",
    "/v1/access/me",
)


async def test_api1_no_listing_shows_what_is_not_theirs(here: Floor) -> None:
    for role, path in product(Role, LISTINGS):
        hidden = [THEIRS] if here.has(role, SISTER) else [SISTER, THEIRS]
        status, body = await here.ask("GET", path, token=await good(here, role))
        told = msgspec.json.encode(body).decode()
        assert status in (200, 403), (path, body)
        for target in hidden:
            for name in here.things[target].values():
                assert name not in told or name in here.things[OWN].values(), (path, target, name)


FOREIGN: Final = ("env", "tenant", "status", "filled_qty", "by")


async def test_api3_no_body_takes_a_field_that_is_not_its_own(here: Floor) -> None:
    """Nobody assigns what is not theirs to say: neither whose it is nor how it stands."""
    for (name, row), field in product(MATRIX.items(), FOREIGN):
        if row.body is None or row.scope is None:
            continue
        body = row.body(here.things[OWN])
        asked: dict[str, Any] = {**body, field: "zeta"}
        for role in Role:
            status, told = await here.ask(
                name.partition(" ")[0],
                row.path.format(**here.things[OWN]),
                token=await good(here, role),
                body=asked,
                headers={"idempotency-key": here.key(), **row.headers},
            )
            assert (status, told["code"]) in {(400, "unknown-field"), (403, "forbidden")}, (name, told)
    assert here.untouched()


async def test_api4_a_page_has_a_bound(here: Floor) -> None:
    for path in ("/v1/orders", "/v1/order-groups", "/v1/reconciliation/breaks"):
        for limit in ("0", "501", "1e9", "-1"):
            status, told = await here.ask("GET", f"{path}?limit={limit}", token=await good(here, Role.VIEWER))
            assert (status, told["code"]) == (400, "invalid"), (path, limit)


async def flood(here: Floor, rounds: range) -> None:
    """Each round another stranger: a token nobody gave out, a body too large, a path that is nowhere."""
    big = {"x": "y" * 100_000}
    for number in rounds:
        stranger = f"{number:08d}" * 40
        for path in ("/v1/orders", f"/v1/{stranger}", "/v1/stream/tickets"):
            status, _ = await here.ask("POST", path, token=stranger, body=big, headers={"x-n": stranger})
            assert status in (401, 404, 405, 413, 429), (path, status)


async def test_api4_a_flood_leaves_nothing_in_memory(here: Floor) -> None:
    """What is remembered of strangers has bounds, so a longer flood takes no more than a shorter one."""
    few = 200
    await flood(here, range(few))
    gc.collect()
    tracemalloc.start()
    try:
        await flood(here, range(few, few + dose(500, 20_000, short=50)))
        gc.collect()
        kept, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 2**20, f"{kept} bytes of the flood are kept"
    assert most < 2**24, f"{most} bytes were held at once"


async def test_api4_and_api6_whoever_asks_too_often_waits_and_may_still_cancel(here: Floor) -> None:
    bounds = here.deps.bounds
    orders = msgspec.structs.replace(bounds.of_client, orders=Rate(per_s=1, burst=3))
    few = msgspec.structs.replace(bounds, of_client=orders)
    here.app = create_app(msgspec.structs.replace(here.deps, bounds=few, metrics=type(here.deps.metrics)()))
    token = await good(here, Role.TRADER)
    row = MATRIX["POST /v1/orders"]
    assert row.body is not None

    async def place() -> tuple[int, dict[str, Any]]:
        headers = {"idempotency-key": here.key()}
        assert row.body is not None
        return await here.ask("POST", row.path, token=token, body=row.body(here.things[OWN]), headers=headers)

    statuses = [(await place())[0] for _ in range(6)]
    assert statuses[:3] == [201, 201, 201]
    assert statuses[3:] == [429, 429, 429]

    status, _ = await here.ask(
        "DELETE",
        f"/v1/orders/{here.things[OWN]['order']}",
        token=token,
        headers={"idempotency-key": here.key()},
    )
    assert status == 202
