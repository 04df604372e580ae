"""What only a hardware module promises: the keys stay inside, and a module that is away is not a refusal."""

from collections.abc import AsyncIterator
from pathlib import Path

import pkcs11
import pytest
from pkcs11 import Attribute, ObjectClass

from ordergate.core.ids import Env
from ordergate.ports.keys import KeysRefused, KeysUnavailable, Purpose
from ordergate.security.keys import hsm
from ordergate.telemetry.secret import Secret
from tests.security import softhsm

PRIVATE = (ObjectClass.PRIVATE_KEY, ObjectClass.SECRET_KEY)
CONTEXT = {"env": "paper"}


@pytest.fixture
def settings(hsm_folder: Path) -> hsm.HsmSettings:
    module = softhsm.module()
    if module is None:
        pytest.skip("keys in a hardware module were not tried: there is no softhsm2 here")
    return hsm.HsmSettings(module=module, token=softhsm.tokens(module, hsm_folder)[Env.PAPER])


@pytest.fixture
async def keys(settings: hsm.HsmSettings) -> AsyncIterator[hsm.HsmKeys]:
    keys = hsm.HsmKeys(Env.PAPER, settings, lambda: softhsm.PIN, lambda: 0)
    for purpose in Purpose:
        await keys.rotate(purpose)
    yield keys
    await keys.close()


async def test_sec_7_no_key_can_be_taken_out_of_the_module(keys: hsm.HsmKeys) -> None:
    found = [one for kind in PRIVATE for one in keys._open().get_objects({Attribute.CLASS: kind})]

    assert len(found) == len(Purpose)
    for one in found:
        assert one[Attribute.EXTRACTABLE] is False
        assert one[Attribute.NEVER_EXTRACTABLE] is True
        assert one[Attribute.SENSITIVE] is True
        assert one[Attribute.ALWAYS_SENSITIVE] is True
        assert one[Attribute.LOCAL] is True
        with pytest.raises(pkcs11.PKCS11Error):
            one[Attribute.VALUE]
        for attribute, weaker in ((Attribute.EXTRACTABLE, True), (Attribute.SENSITIVE, False)):
            with pytest.raises(pkcs11.PKCS11Error):
                one[attribute] = weaker


async def test_a_wrong_tag_is_a_no_and_the_next_question_is_answered(keys: hsm.HsmKeys) -> None:
    made = await keys.generate_data_key(CONTEXT)
    for _ in range(3):
        with pytest.raises(KeysRefused, match="cannot be unwrapped"):
            await keys.decrypt(made.wrapped, {**CONTEXT, "row_id": "another"})
        assert await keys.decrypt(made.wrapped, CONTEXT) == made.plain


# The library's own iterator complains when the session it belongs to is gone.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_session_that_was_lost_is_opened_again(keys: hsm.HsmKeys) -> None:
    made = await keys.generate_data_key(CONTEXT)
    keys._session.close()

    with pytest.raises(KeysUnavailable):
        await keys.decrypt(made.wrapped, CONTEXT)
    assert await keys.decrypt(made.wrapped, CONTEXT) == made.plain


async def test_the_pin_is_asked_for_whenever_the_module_is_logged_in_to(settings: hsm.HsmSettings) -> None:
    """So that one which was replaced in its file is found without a restart."""
    pins = [Secret("of-another-module"), softhsm.PIN]
    keys = hsm.HsmKeys(Env.PAPER, settings, lambda: pins.pop(0), lambda: 0)
    with pytest.raises(KeysUnavailable):
        await keys.describe(Purpose.TOKENS)
    assert await keys.describe(Purpose.TOKENS) == ()
    await keys.close()


async def test_a_token_that_is_not_there_is_no_refusal(settings: hsm.HsmSettings) -> None:
    keys = hsm.HsmKeys(
        Env.PAPER, hsm.HsmSettings(module=settings.module, token="elsewhere"), lambda: Secret("1"), lambda: 0
    )
    with pytest.raises(KeysUnavailable):
        await keys.describe(Purpose.TOKENS)
    await keys.close()


async def test_too_many_who_wait_are_told_so(keys: hsm.HsmKeys) -> None:
    keys._waiting = hsm.WAITING_MAX
    with pytest.raises(KeysUnavailable, match="too many"):
        await keys.describe(Purpose.TOKENS)
    keys._waiting = 0
