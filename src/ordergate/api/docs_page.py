"""The documentation page: the OpenAPI document as plain HTML. No script, and nothing from other hosts."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from html import escape
from typing import Any, Final

from ordergate.api.problems import STATUS
from ordergate.core.refusals import Code

STYLE: Final = """
body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;color:#1b1f24}
code,pre{font:14px/1.4 ui-monospace,monospace}h2{margin-top:2.5rem}
section{border-top:1px solid #d0d7de;padding:.75rem 0}
.method{display:inline-block;min-width:4.5rem;font-weight:700}
table{border-collapse:collapse;margin:.5rem 0}
td,th{text-align:left;vertical-align:top;padding:.15rem 1rem .15rem 0}
pre{overflow-x:auto}
@media(prefers-color-scheme:dark){body{background:#0d1117;color:#e6edf3}a{color:#7ab7ff}}
"""
START: Final = """\
curl -u "$CLIENT_ID:$CLIENT_SECRET" -d grant_type=client_credentials "$GATEWAY/oauth/token"
curl -H "Authorization: Bearer $TOKEN" "$GATEWAY/v1/accounts"
"""
BOUNDS: Final = {
    "pattern": "like {}",
    "minimum": "at least {}",
    "maximum": "at most {}",
    "minLength": "{} characters or more",
    "maxLength": "{} characters at most",
    "minItems": "{} or more of them",
    "maxItems": "{} of them at most",
    "default": "{} when left out",
}
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


def docs_page(document: dict[str, Any]) -> bytes:
    title = escape(document["info"]["title"])
    lines = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        f"<title>{title}</title><style>{STYLE}</style></head><body>",
        f"<h1>{title}</h1><p>{escape(document['info']['description'])}</p>",
        '<p>The same as a machine reads it: <a href="/openapi.json">/openapi.json</a></p>',
    ]
    lines.extend(_start())
    for tag, operations in _by_tag(document).items():
        lines.append(f"<h2>{escape(tag.capitalize())}</h2>")
        for method, path, operation in operations:
            lines.extend(_operation(method, path, operation))
    lines.append("<h2>Shapes</h2>")
    for name, schema in document["components"]["schemas"].items():
        lines.extend(_shape(name, schema))
    lines.extend(_codes())
    lines.append("</body></html>")
    return "".join(lines).encode()


def _start() -> Iterator[str]:
    yield "<h2>The first request</h2><p>Get a token with the credentials of your client, and send it along. "
    yield "A token that is bound to a key or a certificate wants its proof with each request.</p>"
    yield f"<pre>{escape(START)}</pre>"
    yield "<p>Whatever is refused is answered with a problem that has a stable "
    yield '<a href="#codes">code</a>.</p>'


def _codes() -> Iterator[str]:
    yield '<h2 id="codes">Codes</h2><table>'
    for code in Code:
        yield f"<tr><td><code>{escape(code.value)}</code></td><td>{STATUS[code]}</td>"
        yield f"<td>{escape(code.meaning)}</td></tr>"
    yield "</table>"


def _by_tag(document: dict[str, Any]) -> dict[str, list[tuple[str, str, dict[str, Any]]]]:
    found: dict[str, list[tuple[str, str, dict[str, Any]]]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            tag = (operation.get("tags") or ["other"])[0]
            found.setdefault(tag, []).append((method.upper(), path, operation))
    return found


def _operation(method: str, path: str, operation: dict[str, Any]) -> Iterator[str]:
    yield f'<section><p><span class="method">{method}</span> <code>{escape(path)}</code></p>'
    yield f"<p>{escape(operation.get('summary', ''))}. {escape(operation.get('description', ''))}</p>"
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    if body is not None:
        yield f"<p>Body: {_type(body)}</p>"
    parameters = operation.get("parameters", [])
    if parameters:
        yield "<table><tr><th>parameter</th><th>in</th><th>type</th><th></th><th></th></tr>"
        for parameter in parameters:
            needed = "required" if parameter.get("required") else ""
            yield (
                f"<tr><td><code>{escape(parameter['name'])}</code></td><td>{escape(parameter['in'])}</td>"
                f"<td>{_type(parameter.get('schema', {}))}</td><td>{needed}</td>"
                f"<td>{_about(parameter.get('schema', {}), parameter.get('description'))}</td></tr>"
            )
        yield "</table>"
    yield "<table>"
    for status, response in operation["responses"].items():
        contents = response.get("content", {}).values()
        shapes = ", ".join(_type(content.get("schema", {})) for content in contents)
        words = escape(response.get("description", ""))
        yield f"<tr><td>{escape(status)}</td><td>{words}</td><td>{shapes}</td></tr>"
    yield "</table></section>"


def _shape(name: str, schema: dict[str, Any]) -> Iterator[str]:
    yield f'<section id="{escape(name)}"><p><b>{escape(name)}</b> {escape(schema.get("description", ""))}</p>'
    required = set(schema.get("required", ()))
    properties: dict[str, Any] = schema.get("properties", {})
    if properties:
        yield "<table>"
        for field, type_ in properties.items():
            needed = "required" if field in required else ""
            yield f"<tr><td><code>{escape(field)}</code></td><td>{_type(type_)}</td><td>{needed}</td>"
            yield f"<td>{_about(type_)}</td></tr>"
        yield "</table>"
    elif "enum" in schema:
        yield f"<p>{escape(', '.join(str(value) for value in schema['enum']))}</p>"
    yield "</section>"


def _about(schema: dict[str, Any], words: str | None = None) -> str:
    """What a value means and what it may be, with an example."""
    told = [words or schema.get("description", "")]
    inner = [schema, *schema.get("anyOf", ()), *schema.get("oneOf", ())]
    for one in inner:
        told += [BOUNDS[name].format(one[name]) for name in BOUNDS if one.get(name) is not None]
        told += [f"such as {example}" for example in one.get("examples", ())[:1]]
    return escape("; ".join(part.rstrip(".") for part in told if part))


def _type(schema: dict[str, Any]) -> str:
    """A schema in a few words, with a link where it has a name."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rsplit("/", 1)[-1])
        return f'<a href="#{name}">{name}</a>'
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return " or ".join(_type(one) for one in schema[several])
    if "enum" in schema:
        return escape(" | ".join(str(value) for value in schema["enum"]))
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return escape(str(schema.get("format") or schema.get("const") or schema.get("type") or "any"))
