"""SEC-1 to SEC-4 and SEC-6 of a sealed secret; SEC-5 is in the credentials' tests, SEC-7 in the module's."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ordergate.core.ids import Env
from ordergate.ports.keys import Context, KeysRefused, KeysUnavailable, Purpose, Wrapped
from ordergate.security.keys.software import SoftwareKeys
from ordergate.security.sealing.ciphers import Cipher
from ordergate.security.sealing.data_keys import TTL_S, USES_MAX, DataKeys
from ordergate.security.sealing.envelope import About, Envelope
from ordergate.telemetry.secret import Secret
from tests.security.world import SetClock, keys_of

ABOUT = About(
    env=Env.PAPER, tenant="acme", account="P-ONE", broker="venue", secret_type="api_keys", row_id="1"
)
SECRET = Secret("canary-secret-0001")


class Counted:
    """A key service that can go away, and counts how often it was asked to unwrap."""

    def __init__(self, keys: SoftwareKeys) -> None:
        self._keys = keys
        self.env = keys.env
        self.kind = keys.kind
        self.away = False
        self.unwrapped = 0
        for name in ("describe", "sign", "rotate", "disable", "close"):
            setattr(self, name, getattr(keys, name))

    async def generate_data_key(self, context: Context) -> object:
        self._there()
        return await self._keys.generate_data_key(context)

    async def decrypt(self, wrapped: Wrapped, context: Context) -> bytes:
        self._there()
        self.unwrapped += 1
        return await self._keys.decrypt(wrapped, context)

    async def rewrap(self, wrapped: Wrapped, context: Context) -> Wrapped:
        self._there()
        return await self._keys.rewrap(wrapped, context)

    def _there(self) -> None:
        if self.away:
            raise KeysUnavailable("away")


class Safe:
    """An envelope over such a service, with a clock in hand."""

    def __init__(self, env: Env = Env.PAPER, cipher: Cipher = Cipher.AES_256_GCM) -> None:
        self.clock = SetClock()
        self.software = keys_of(env, lambda: self.clock.epoch)
        self.keys = Counted(self.software)
        self.envelope = self.by(cipher)

    def by(self, cipher: Cipher) -> Envelope:
        return Envelope(self.keys, self.clock.monotonic, cipher)  # type: ignore[arg-type]  # stands in for a port

    async def begin(self) -> "Safe":
        await self.software.rotate(Purpose.SECRETS)
        return self


@pytest.fixture
async def safe() -> Safe:
    return await Safe().begin()


async def test_what_is_sealed_opens_and_says_nothing(safe: Safe) -> None:
    sealed = await safe.envelope.seal(SECRET, ABOUT)

    assert await safe.envelope.open(sealed, ABOUT) == SECRET
    assert b"canary" not in msgspec.json.encode(sealed)
    assert b"canary" not in msgspec.msgpack.encode(sealed)
    assert "canary" not in repr(sealed) + repr(safe.envelope)


async def test_sec_1_every_secret_has_a_data_key_of_its_own_and_says_what_wrapped_it(safe: Safe) -> None:
    one, two = [await safe.envelope.seal(SECRET, ABOUT) for _ in range(2)]

    assert (one.wrapped.key, one.wrapped.version) == ("file/paper/secrets", 1)
    assert (one.wrapped.algorithm, one.algorithm) == ("AES-256-GCM", "AES-256-GCM")
    words = ABOUT.words()
    assert await safe.software.decrypt(one.wrapped, words) != await safe.software.decrypt(two.wrapped, words)
    assert one.nonce != two.nonce
    assert one.ciphertext != two.ciphertext


@pytest.mark.parametrize("field", ["tenant", "account", "broker", "secret_type", "row_id", "schema"])
async def test_a_secret_of_another_row_or_owner_does_not_open(safe: Safe, field: str) -> None:
    """And not from the cache either, where the right one was opened a moment ago."""
    sealed = await safe.envelope.seal(SECRET, ABOUT)
    await safe.envelope.open(sealed, ABOUT)
    other = msgspec.structs.replace(ABOUT, **{field: 2 if field == "schema" else "another"})

    with pytest.raises(KeysRefused):
        await safe.envelope.open(sealed, other)


@given(
    st.integers(0, 10_000),
    st.integers(0, 7),
    st.sampled_from(["nonce", "ciphertext", "blob"]),
    st.sampled_from(Cipher),
)
async def test_no_bit_of_it_can_be_turned(at: int, bit: int, part: str, cipher: Cipher) -> None:
    safe = await Safe(cipher=cipher).begin()
    sealed = await safe.envelope.seal(SECRET, ABOUT)
    if part == "blob":
        turned = _turned(sealed.wrapped.blob, at, bit)
        other = msgspec.structs.replace(sealed, wrapped=msgspec.structs.replace(sealed.wrapped, blob=turned))
    else:
        other = msgspec.structs.replace(sealed, **{part: _turned(getattr(sealed, part), at, bit)})
    with pytest.raises(KeysRefused):
        await safe.envelope.open(other, ABOUT)


async def test_the_data_key_of_one_secret_opens_no_other(safe: Safe) -> None:
    one, two = [await safe.envelope.seal(SECRET, ABOUT) for _ in range(2)]
    mixed = msgspec.structs.replace(one, wrapped=two.wrapped)
    with pytest.raises(KeysRefused):
        await safe.envelope.open(mixed, ABOUT)


async def test_sec_2_a_data_key_is_kept_for_five_minutes(safe: Safe) -> None:
    sealed = await safe.envelope.seal(SECRET, ABOUT)
    for _ in range(5):
        await safe.envelope.open(sealed, ABOUT)
    assert safe.keys.unwrapped == 1

    safe.clock.advance(TTL_S - 1)
    await safe.envelope.open(sealed, ABOUT)
    assert safe.keys.unwrapped == 1
    safe.clock.advance(1)
    await safe.envelope.open(sealed, ABOUT)
    assert safe.keys.unwrapped == 2


async def test_sec_2_a_data_key_is_used_a_thousand_times(safe: Safe) -> None:
    sealed = await safe.envelope.seal(SECRET, ABOUT)
    for _ in range(USES_MAX + 1):
        await safe.envelope.open(sealed, ABOUT)
    assert safe.keys.unwrapped == 1
    await safe.envelope.open(sealed, ABOUT)
    assert safe.keys.unwrapped == 2


def test_sec_2_what_leaves_the_cache_is_overwritten_and_there_is_a_bound() -> None:
    now = [0.0]
    cache = DataKeys(lambda: now[0], kept_max=2)
    for number in range(3):
        cache.put(bytes([number]), b"context", b"k" * 32)
        now[0] += 1
    assert cache.take(b"\0", b"context") is None
    kept = cache._kept[b"\1", b"context"]
    assert cache.take(b"\1", b"another") is None
    assert cache.take(b"\1", b"context") == b"k" * 32
    now[0] += TTL_S
    assert cache.take(b"\1", b"context") is None
    assert bytes(kept.key) == bytes(32)
    assert "k" * 3 not in repr(cache)


async def test_sec_3_while_the_key_service_is_away_what_was_opened_goes_on_for_five_minutes(
    safe: Safe,
) -> None:
    opened, unopened = [await safe.envelope.seal(SECRET, ABOUT) for _ in range(2)]
    await safe.envelope.open(opened, ABOUT)
    safe.keys.away = True

    assert await safe.envelope.open(opened, ABOUT) == SECRET
    with pytest.raises(KeysUnavailable):
        await safe.envelope.open(unopened, ABOUT)
    with pytest.raises(KeysUnavailable):
        await safe.envelope.seal(SECRET, ABOUT)
    safe.clock.advance(TTL_S)
    with pytest.raises(KeysUnavailable):
        await safe.envelope.open(opened, ABOUT)

    safe.keys.away = False
    assert await safe.envelope.open(opened, ABOUT) == SECRET


async def test_sec_4_a_rewrap_changes_what_wraps_and_nothing_else_and_again_changes_nothing(
    safe: Safe,
) -> None:
    sealed = await safe.envelope.seal(SECRET, ABOUT)
    assert await safe.envelope.renew(sealed, ABOUT) == sealed
    await safe.software.rotate(Purpose.SECRETS)

    moved = await safe.envelope.renew(sealed, ABOUT)

    assert moved.wrapped.version == 2
    assert (moved.nonce, moved.ciphertext) == (sealed.nonce, sealed.ciphertext)
    assert await safe.envelope.renew(moved, ABOUT) == moved
    await safe.software.disable(Purpose.SECRETS, 1)
    assert await safe.envelope.open(moved, ABOUT) == SECRET
    with pytest.raises(KeysRefused):
        await Envelope(safe.software, safe.clock.monotonic).open(sealed, ABOUT)


async def test_sec_6_paper_opens_nothing_of_live_and_live_nothing_of_paper(safe: Safe) -> None:
    live = await Safe(Env.LIVE).begin()
    theirs = await live.envelope.seal(SECRET, msgspec.structs.replace(ABOUT, env=Env.LIVE))
    ours = await safe.envelope.seal(SECRET, ABOUT)

    for opener, sealed in ((safe, theirs), (live, ours)):
        for env in Env:
            with pytest.raises(KeysRefused):
                await opener.envelope.open(sealed, msgspec.structs.replace(ABOUT, env=env))
    with pytest.raises(KeysRefused):
        await safe.envelope.seal(SECRET, msgspec.structs.replace(ABOUT, env=Env.LIVE))


@pytest.mark.parametrize("name", ["AES-256-CBC", "ChaCha20-Poly1305", ""])
async def test_another_algorithm_s_name_is_not_believed(safe: Safe, name: str) -> None:
    sealed = await safe.envelope.seal(SECRET, ABOUT)
    with pytest.raises(KeysRefused):
        await safe.envelope.open(msgspec.structs.replace(sealed, algorithm=name), ABOUT)


@pytest.mark.parametrize("cipher", Cipher)
async def test_what_any_cipher_sealed_opens_whichever_is_chosen_now(safe: Safe, cipher: Cipher) -> None:
    sealed = await safe.by(cipher).seal(SECRET, ABOUT)
    assert sealed.algorithm == cipher.value
    for chosen in Cipher:
        assert await safe.by(chosen).open(sealed, ABOUT) == SECRET


@pytest.mark.parametrize("cipher", Cipher)
async def test_a_secret_that_another_cipher_sealed_is_sealed_anew_and_again_changes_nothing(
    safe: Safe, cipher: Cipher
) -> None:
    (other,) = set(Cipher) - {cipher}
    before = await safe.by(other).seal(SECRET, ABOUT)
    chosen = safe.by(cipher)
    assert not chosen.is_current(before, 1)

    after = await chosen.renew(before, ABOUT)

    assert chosen.is_current(after, 1)
    assert after.wrapped.blob != before.wrapped.blob, "a data key serves one cipher"
    assert await chosen.open(after, ABOUT) == SECRET
    assert await chosen.renew(after, ABOUT) == after


def _turned(value: bytes, at: int, bit: int) -> bytes:
    at %= len(value)
    return value[:at] + bytes([value[at] ^ (1 << bit)]) + value[at + 1 :]
