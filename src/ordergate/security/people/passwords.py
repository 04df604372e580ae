"""Which passwords are not taken: too short, too long, common, known, or made of what anybody would try first.

Any signs may be in one, and nothing has to be. A password is made on the gateway's machine; a login only
compares.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from zxcvbn import zxcvbn

from ordergate.security.hashing import SECRET_LENGTH_MAX
from ordergate.security.people.breaches import BreachedPasswords
from ordergate.telemetry.secret import Secret

LENGTH_MIN: Final = 12
CONTEXT: Final = ("ordergate", "gateway", "password", "passphrase", "trading", "trader", "broker", "market")
"""Words of what this is; the person's own name and their tenant's are beside them."""
LEFT_MIN: Final = 8
GUESSES_MIN: Final = 10**8
"""Of somebody who knows common passwords and what is made of them, as zxcvbn counts."""
JUDGED_MAX: Final = 40
"""As many characters are looked at; whoever adds more makes it no easier to guess."""
_NAME_LENGTH_MIN: Final = 3


def refuse_password(
    password: Secret, names: Iterable[str], breached: BreachedPasswords | None = None
) -> str | None:
    """Why it is not taken, if so: what is left without these words must not be easily guessed by itself.

    Raises NoList where the list of breached ones cannot be asked.
    """
    text = password.reveal()
    if not LENGTH_MIN <= len(text) <= SECRET_LENGTH_MAX:
        return f"a password has {LENGTH_MIN} to {SECRET_LENGTH_MAX} characters"
    left = text.casefold()
    words = {*CONTEXT, *(name.casefold() for name in names if len(name) >= _NAME_LENGTH_MIN)}
    for word in sorted(words, key=len, reverse=True):
        left = left.replace(word, "")
    if len(left) < LEFT_MIN:
        return "a password is more than the person's name, the tenant's, and words of what this is"
    if len(set(left)) < LEFT_MIN // 2:
        return "a password is more than a few characters again and again"
    if _is_guessed(text, words):
        return "a password is not a common one, nor made of common ones, names, dates or neighbouring keys"
    if breached is not None and breached.has(password):
        return "a password is none that came to light in a breach"
    return None


def _is_guessed(text: str, words: Iterable[str]) -> bool:
    judged = zxcvbn(text[:JUDGED_MAX], user_inputs=sorted(words))
    return judged["guesses"] < GUESSES_MIN
