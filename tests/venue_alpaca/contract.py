"""Checks requests and answers against Alpaca's published documents, as strictly as they are written.

An OpenAPI 3.0 schema is turned into a JSON schema; beyond what the document asks, an answer may not
contain a field the document does not know. Where the document is stricter than Alpaca's own server,
the overlay says so and why.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

import yaml
from jsonschema import Draft202012Validator, FormatChecker

FORMATS: Final = FormatChecker(formats=())
# The document wants every amount of a request as a string; Alpaca's own SDK sends numbers.
AMOUNTS: Final = frozenset(
    {"qty", "notional", "limit_price", "stop_price", "trail_price", "trail_percent", "trail"}
)
# What an error looks like is documented once, not at each route; 401 has no code.
ERROR: Final = {
    "type": "object",
    "properties": {"code": {"type": "integer"}, "message": {"type": "string", "minLength": 1}},
    "required": ["message"],
    "additionalProperties": False,
}


@FORMATS.checks("uuid", ValueError)
def _is_uuid(text: object) -> bool:
    return not isinstance(text, str) or str(UUID(text)) == text


@FORMATS.checks("date-time", ValueError)
def _is_moment(text: object) -> bool:
    return not isinstance(text, str) or ("T" in text and datetime.fromisoformat(text).tzinfo is not None)


@FORMATS.checks("date", ValueError)
def _is_date(text: object) -> bool:
    return not isinstance(text, str) or bool(date.fromisoformat(text))


@FORMATS.checks("decimal", ArithmeticError)
def _is_decimal(text: object) -> bool:
    return not isinstance(text, str) or Decimal(text).is_finite()


class Violation(AssertionError):
    """The venue and the document disagree."""


class Document:
    """Schemas by reference, made into JSON schemas on the way out."""

    def __init__(self, document: Mapping[str, Any], *, closed: bool) -> None:
        self._document = document
        self._closed = closed

    def resolve(self, node: Any) -> Any:
        while isinstance(node, dict) and "$ref" in node:
            found: Any = self._document
            for part in node["$ref"].removeprefix("#/").split("/"):
                found = found[part]
            node = found
        return node

    def schema(self, node: Any) -> dict[str, Any]:
        node = dict(self.resolve(node))
        nullable = node.pop("nullable", False)
        if "properties" in node:
            node["properties"] = {name: self.schema(part) for name, part in node["properties"].items()}
            if self._closed:
                node.setdefault("additionalProperties", False)
        if "items" in node:
            node["items"] = self.schema(node["items"])
        for several in ("anyOf", "oneOf", "allOf"):
            if several in node:
                node[several] = [self.schema(part) for part in node[several]]
        if "oneOf" in node:
            # No activity has a required field, so every fill matches both kinds the document offers.
            node["anyOf"] = node.pop("oneOf")
        return {"anyOf": [node, {"type": "null"}]} if nullable else node

    def check(self, node: Any, value: Any, where: str) -> None:
        self.check_schema(self.schema(node), value, where)

    @staticmethod
    def check_schema(schema: dict[str, Any], value: Any, where: str) -> None:
        validator = Draft202012Validator(schema, format_checker=FORMATS)
        errors = sorted(validator.iter_errors(value), key=lambda error: error.json_path)
        if errors:
            told = "; ".join(f"{error.json_path}: {error.message}" for error in errors[:5])
            raise Violation(f"{where}: {told}\n{json.dumps(value)[:2000]}")


class Contract:
    """Alpaca's trading API. Counts what it has seen, so that a test can tell that it saw enough."""

    def __init__(self, path: Path) -> None:
        document = json.loads(path.read_text())
        self._answers = Document(document, closed=True)
        self._requests = Document(document, closed=True)
        self._paths: dict[str, Any] = document["paths"]
        self.seen: set[tuple[str, str, int]] = set()

    def check(self, method: str, url: str, body: bytes | None, status: int, answer: bytes) -> None:
        address = urlsplit(url)
        template, item = self._operation(address.path)
        where = f"{method} {template}"
        operation = item.get(method.lower())
        if operation is None:
            raise Violation(f"{where} is not in the document")
        self.seen.add((method, template, status))
        if status < 400:
            self._check_request(where, item, operation, dict(parse_qsl(address.query)), body)
        self._check_answer(f"{where} {status}", operation, status, answer)

    def _operation(self, path: str) -> tuple[str, Any]:
        if path in self._paths:
            return path, self._paths[path]
        parts = path.split("/")
        for template, item in self._paths.items():
            steps = template.split("/")
            if len(steps) == len(parts) and all(
                step.startswith("{") or step == part for step, part in zip(steps, parts, strict=True)
            ):
                return template, item
        raise Violation(f"{path} is not in the document")

    def _check_request(
        self, where: str, item: Any, operation: Any, query: dict[str, str], body: bytes | None
    ) -> None:
        declared = {
            found["name"]: found["schema"]
            for parameter in [*item.get("parameters", []), *operation.get("parameters", [])]
            if (found := self._requests.resolve(parameter))["in"] == "query"
        }
        for name, text in query.items():
            if name not in declared:
                raise Violation(f"{where}: the query parameter {name} is not in the document")
            schema = self._requests.schema(declared[name])
            self._requests.check_schema(schema, _read_as(schema, text), f"{where} ?{name}")
        content = operation.get("requestBody", {}).get("content", {})
        if content and body:
            schema = _with_numbers(self._requests.schema(content["application/json"]["schema"]))
            self._requests.check_schema(schema, json.loads(body), f"{where} request")

    def _check_answer(self, where: str, operation: Any, status: int, answer: bytes) -> None:
        documented = operation["responses"].get(str(status))
        if status >= 400:
            self._answers.check_schema(ERROR, json.loads(answer), where)
        elif documented is None:
            raise Violation(f"{where}: the status is not in the document")
        elif "content" in (response := self._answers.resolve(documented)):
            self._answers.check(response["content"]["application/json"]["schema"], json.loads(answer), where)
        elif answer:
            raise Violation(f"{where}: a body where the document has none")


class StreamContract:
    """The frames of Alpaca's streams, by the name of their schema."""

    def __init__(self, path: Path) -> None:
        self._text = yaml.safe_load(path.read_text())
        self._document = Document(self._text, closed=False)

    def check(self, name: str, frame: Any) -> None:
        self._document.check(self._text["components"]["schemas"][name], frame, name)

    def check_market(self, frames: list[dict[str, Any]], *, crypto: bool) -> Iterator[str]:
        """Check every message of a frame and tell the schema it was checked by."""
        kind = "Crypto" if crypto else "Stock"
        names = {
            "success": "ControlSuccess",
            "error": "ControlError",
            "subscription": "SubscriptionState",
            "t": f"{kind}Trade",
            "q": f"{kind}Quote",
        }
        for frame in frames:
            name = names[frame["T"]]
            self.check(name, frame)
            yield name


def _with_numbers(schema: dict[str, Any]) -> dict[str, Any]:
    """The overlay: an amount may be a number as well."""
    properties = {
        name: {"anyOf": [part, {"type": "number"}]} if name in AMOUNTS else part
        for name, part in schema["properties"].items()
    }
    return schema | {"properties": properties}


def _read_as(schema: dict[str, Any], text: str) -> Any:
    """A query parameter's text, as the type its schema has."""
    match schema.get("type"):
        case "integer":
            return int(text)
        case "number":
            return float(text)
        case "boolean":
            return {"true": True, "false": False}.get(text.lower(), text)
        case "array":
            return text.split(",")
        case _:
            return text
