"""The one table from refusal to HTTP, and the one shape of an error."""

from __future__ import annotations

import msgspec
import pytest

from ordergate.api import problems
from ordergate.api.exchange import refused
from ordergate.core.orders.events import FailedControl
from ordergate.core.refusals import Code, Refusal


def test_every_code_has_exactly_one_status() -> None:
    assert set(problems.STATUS) == set(Code)


@pytest.mark.parametrize("code", Code, ids=str)
def test_a_refusal_is_an_error_and_only_our_own_defects_are_server_errors(code: Code) -> None:
    status = problems.STATUS[code]
    own = {Code.INTERNAL, Code.UNAVAILABLE, Code.AUDIT_UNAVAILABLE, Code.NOT_READY, Code.DEADLINE}
    assert (500 <= status < 600) if code in own else (400 <= status < 500)


def test_a_problem_has_the_members_of_rfc_9457_and_the_wrong_fields() -> None:
    refusal = Refusal(Code.INVALID, "the order has impossible values", {"quantity": "must be more than zero"})
    told = msgspec.json.decode(problems.encode(problems.problem(refusal, "c-1")))
    assert told == {
        "type": "/problems/invalid",
        "title": Code.INVALID.meaning,
        "status": 400,
        "code": "invalid",
        "detail": "the order has impossible values",
        "correlation_id": "c-1",
        "errors": [{"field": "quantity", "message": "must be more than zero"}],
    }


@pytest.mark.parametrize("code", Code, ids=str)
def test_what_passes_by_itself_says_when_to_ask_again_and_nothing_else_does(code: Code) -> None:
    told = problems.problem(Refusal(code, "no"), "c-1")
    assert told.retry_after_s == (problems.MOMENT_S if code in problems.PASSING else None)


def test_a_wait_that_is_known_is_told() -> None:
    told = problems.problem(Refusal(Code.RATE_LIMITED, "no", retry_after_s=7), "c-1")
    assert msgspec.json.decode(problems.encode(told))["retry_after_s"] == 7


def test_the_header_is_the_problems_number() -> None:
    reply = refused(Refusal(Code.RATE_LIMITED, "no", retry_after_s=7), "c-1")
    assert reply.headers == [(b"retry-after", b"7")]


def test_where_asking_again_is_of_no_use_there_is_no_header() -> None:
    assert refused(Refusal(Code.FORBIDDEN, "no"), "c-1").headers == []


def test_a_denial_lists_every_failed_control_and_the_order() -> None:
    failed = (
        FailedControl(control="R05", reason="too-large", detail="over", limit="10", value="11"),
        FailedControl(control="R08", reason="too-much", detail="over"),
    )
    told = msgspec.json.decode(problems.encode(problems.denial(failed, "P-1", b'{"id":"P-1"}', "c-1")))
    assert told["code"] == "risk-denied"
    assert told["status"] == 422
    assert [control["control"] for control in told["failed_controls"]] == ["R05", "R08"]
    assert told["order_id"] == "P-1"
    assert told["order"] == {"id": "P-1"}
