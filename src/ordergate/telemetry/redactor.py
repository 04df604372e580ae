"""Takes secrets out of whatever is about to be written down.

A field is hidden because of its type (`Secret`), because of its name (`client_secret`,
`authorization`), or because its text looks like a credential (a bearer header, a JWT, a private
key, `password=...`, a URL with a user in it). Hiding too much is a nuisance and hiding too
little is a leak, so doubt is decided for hiding. It never changes what the program works with,
only the copy that is logged.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import Final, TypeGuard

from ordergate.telemetry.secret import HIDDEN, Secret

DEPTH_MAX: Final = 8
ITEMS_MAX: Final = 200
TEXT_MAX: Final = 16_384
CUT: Final = "…"

# Names that say "token" or "key" and are about one, without being one.
_HARMLESS_NAMES: Final = frozenset({"token_id", "token_type", "token_url", "token_endpoint", "secrets_found"})
_SECRET_NAME: Final = re.compile(
    r"secret|token|passw(?:or)?d|passphrase|authori[sz]ation|api[_-]?key|private[_-]?key|credential|cookie"
    r"|client[_-]?assertion|jwt|\bpwd\b",
    re.IGNORECASE,
)

# One look at the text in small letters decides for nearly every text that there is nothing to do.
_SUSPECT: Final = re.compile(
    r"eyj|bearer|basic|dpop|secret|token|passw|passphrase|api.?key|private.?key|credential|authori|assertion|cookie"
    r"|jwt|pwd|://[^/\s]*@"
)
_PRIVATE_KEY: Final = re.compile(
    r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\Z)", re.DOTALL
)
_URL_USER: Final = re.compile(r"(://)[^/\s@]*(?:@[^/\s@]*)*@(?=[^/\s@])")
_JWT: Final = re.compile(r"eyJ[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*){0,4}")
_SCHEME: Final = re.compile(
    r"\b(bearer|basic|dpop)([\s:,'\"]+)(?!\*\*\*)[A-Za-z0-9._~+/=-]{4,}", re.IGNORECASE
)
# A secret word, what may still belong to the name, and what stands between a name and its value
# in a form, in JSON (also JSON inside JSON six times over), in a header and in the way Python shows a pair.
_BETWEEN: Final = r"[\w-]{0,32}(?:[\"'\\]{0,64}\s{0,4}[=:]\s{0,4}|[\"'\\]{1,64}\s{0,4},\s{0,4})"
_WHOLE_LINE: Final = re.compile(rf"((?:authori[sz]ation|cookie){_BETWEEN})[^\r\n]+", re.IGNORECASE)
_NAMED: Final = re.compile(
    r"((?:secret|token|passw(?:or)?d|passphrase|api[_-]?key|private[_-]?key|credential|assertion|jwt|pwd)"
    rf"{_BETWEEN})"
    r"(b?\\{0,63}\"(?:[^\"\\]|\\.)*\"?|b?\\{0,63}'(?:[^'\\]|\\.)*'?|[^\s&,;}\])]+)",
    re.IGNORECASE,
)
_HARMLESS_NAMED: Final = re.compile(r"token_(?:id|type|url|endpoint)\b", re.IGNORECASE)


def redact_text(text: str) -> str:
    """The text without what looks like a credential."""
    if len(text) > TEXT_MAX:
        text = text[:TEXT_MAX] + CUT
    if _SUSPECT.search(text.casefold()) is None:
        return text
    text = _PRIVATE_KEY.sub(HIDDEN, text)
    text = _URL_USER.sub(rf"\1{HIDDEN}@", text)
    text = _JWT.sub(HIDDEN, text)
    text = _SCHEME.sub(rf"\1\2{HIDDEN}", text)
    text = _WHOLE_LINE.sub(rf"\1{HIDDEN}", text)
    return _NAMED.sub(_hide_value, text)


@lru_cache(maxsize=1_024)
def is_secret_name(name: str) -> bool:
    """Whether a field of this name is hidden whatever it holds."""
    return name.lower() not in _HARMLESS_NAMES and _SECRET_NAME.search(name) is not None


def redact(value: object, depth: int = 0) -> object:
    """A copy of the value that can be written down: plain JSON kinds, no secrets, of bounded size."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, Secret):
        return HIDDEN
    if depth >= DEPTH_MAX:
        return CUT
    if isinstance(value, Mapping):
        return _redact_mapping(value, depth)
    if isinstance(value, list | tuple | set | frozenset):
        if _is_secret_pair(value):
            return [redact(value[0], depth + 1), HIDDEN]
        kept = [redact(item, depth + 1) for item, _ in zip(value, range(ITEMS_MAX), strict=False)]
        return kept if len(value) <= ITEMS_MAX else [*kept, CUT]
    if isinstance(value, bytes | bytearray | memoryview):
        return redact_text(bytes(value[:TEXT_MAX]).decode("utf-8", "backslashreplace"))
    return redact_text(str(value))


def _is_secret_pair(value: Collection[object]) -> TypeGuard[Sequence[object]]:
    """A name and its value side by side, as headers and forms are often kept."""
    if not isinstance(value, list | tuple) or len(value) != 2:
        return False
    name = value[0]
    if isinstance(name, bytes):
        name = name.decode("latin-1")
    return isinstance(name, str) and is_secret_name(name)


def _redact_mapping(mapping: Mapping[object, object], depth: int) -> dict[str, object]:
    shown: dict[str, object] = {}
    for name, value in mapping.items():
        if len(shown) >= ITEMS_MAX:
            shown[CUT] = CUT
            break
        text = name if isinstance(name, str) else str(redact(name, depth + 1))
        shown[_shown_name(text)] = _redact_field(text, value, depth)
    return shown


@lru_cache(maxsize=1_024)
def _shown_name(name: str) -> str:
    return redact_text(name)


def _redact_field(name: str, value: object, depth: int) -> object:
    if is_secret_name(name) and value is not None and not isinstance(value, bool):
        return HIDDEN
    return redact(value, depth + 1)


def _hide_value(match: re.Match[str]) -> str:
    if _HARMLESS_NAMED.match(match[1]):
        return match[0]
    return match[1] + HIDDEN
