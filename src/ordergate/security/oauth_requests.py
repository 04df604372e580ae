"""An OAuth request taken apart, strictly, and the shape of an answer.

A form has each parameter once; an empty parameter counts as absent (RFC 6749, 3.2). A client says who
it is in exactly one way: HTTP Basic, two form fields, a signed assertion, or its name alone where it is
public. Whatever is wrong is told with the error codes of RFC 6749, 5.2, and never with what was sent.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, unquote_plus

import msgspec

from ordergate.security.hashing import SECRET_LENGTH_MAX
from ordergate.telemetry.secret import Secret

BODY_BYTES_MAX: Final = 16 * 1024
PARAMETERS_MAX: Final = 32
FORM: Final = "application/x-www-form-urlencoded"
NO_STORE: Final = {"content-type": "application/json", "cache-control": "no-store", "pragma": "no-cache"}

BASIC: Final = "client_secret_basic"
POST: Final = "client_secret_post"
ASSERTION: Final = "private_key_jwt"
PUBLIC: Final = "none"
ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """An HTTP request as it came. Header names are in lower case.

    `certificate` is the thumbprint of the certificate that the client has proven to have.
    """

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str]
    body: bytes = b""
    peer: str
    certificate: str | None = None


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """An HTTP answer; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Rejected(Exception):
    """The request cannot be worked on; carries the answer that says so."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """What a client says it is. Nothing has been checked. `secret` is its secret or its assertion."""

    client_id: str
    secret: Secret
    method: str


class Asking(msgspec.Struct, frozen=True, kw_only=True):
    """A request to the token, revocation or introspection endpoint."""

    path: str
    form: Mapping[str, str]
    credentials: Credentials


def read(received: Received) -> Asking:
    """The request as it may be worked on, or Rejected."""
    form = form_of(received)
    credentials = _credentials(form, received.headers.get("authorization"))
    return Asking(path=received.path, form=form, credentials=credentials)


def form_of(received: Received) -> dict[str, str]:
    """The body's parameters, or Rejected."""
    return _form(received.body, received.headers.get("content-type", ""))


def error(status: int, code: str, description: str, **headers: str) -> Answer:
    told = {"error": code, "error_description": description}
    return answer(status, told, {name.replace("_", "-"): value for name, value in headers.items()})


def answer(status: int, content: Any, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(status=status, headers={**NO_STORE, **(headers or {})}, body=msgspec.json.encode(content))


def unauthenticated() -> Answer:
    """The one answer to every failed login: it does not say what was wrong."""
    return error(
        401, "invalid_client", "client authentication failed", www_authenticate='Basic realm="ordergate"'
    )


def _form(body: bytes, content_type: str) -> dict[str, str]:
    media, _, parameter = content_type.lower().partition(";")
    if media.strip() != FORM or parameter.strip() not in {"", "charset=utf-8", 'charset="utf-8"'}:
        raise Rejected(_invalid(f"send the parameters as {FORM}"))
    if len(body) > BODY_BYTES_MAX:
        raise Rejected(_invalid("the body is too large"))
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=PARAMETERS_MAX
        )
    except ValueError:
        raise Rejected(_invalid("the parameters are not a form")) from None
    if len({name for name, _ in pairs}) != len(pairs):
        raise Rejected(_invalid("a parameter comes more than once"))
    return {name: value for name, value in pairs if value}


def _credentials(form: Mapping[str, str], authorization: str | None) -> Credentials:
    client_id, secret = form.get("client_id"), form.get("client_secret")
    assertion, kind = form.get("client_assertion"), form.get("client_assertion_type")
    ways = (authorization, secret, assertion)
    if sum(way is not None for way in ways) > 1 or (assertion is None) != (kind is None):
        raise Rejected(_invalid("the client authenticates in more than one way, or in half of one"))
    if authorization is not None:
        name, password = _basic(authorization)
        if client_id not in {None, name}:
            raise Rejected(_invalid("two different clients are named"))
        return _bounded(name, password, BASIC)
    if assertion is not None:
        if kind != ASSERTION_TYPE or client_id is None:
            raise Rejected(unauthenticated())
        return Credentials(client_id=client_id, secret=Secret(assertion), method=ASSERTION)
    if client_id is None:
        raise Rejected(unauthenticated())
    if secret is None:
        return _bounded(client_id, "-", PUBLIC)
    return _bounded(client_id, secret, POST)


def _basic(authorization: str) -> tuple[str, str]:
    scheme, _, encoded = authorization.partition(" ")
    try:
        if scheme.lower() != "basic":
            raise ValueError(scheme)
        name, colon, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
        if not colon:
            raise ValueError("no colon")
    except (binascii.Error, ValueError):
        raise Rejected(unauthenticated()) from None
    return unquote_plus(name), unquote_plus(password)


def _bounded(client_id: str, secret: str, method: str) -> Credentials:
    # A long secret would make hashing it expensive, and cannot be one of ours.
    if not 0 < len(client_id) <= 128 or not 0 < len(secret) <= SECRET_LENGTH_MAX:
        raise Rejected(unauthenticated())
    return Credentials(client_id=client_id, secret=Secret(secret), method=method)


def _invalid(description: str) -> Answer:
    return error(400, "invalid_request", description)
