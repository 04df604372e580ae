"""Private keys stay with their owner, and each environment has its own."""

import json
import stat
from pathlib import Path

import pytest

from ordergate.core.ids import Env
from ordergate.security.keys import local
from ordergate.security.keys.local import FILE, KeysRefused
from ordergate.security.keys.ring import new_ring, rotate
from ordergate.security.verify import verify_key

NOW = 1_750_000_000


def test_keys_are_made_once_and_found_again(tmp_path: Path) -> None:
    made = local.load_or_create(tmp_path / "keys", Env.PAPER, NOW)
    found = local.load_or_create(tmp_path / "keys", Env.PAPER, NOW + 100)

    assert found.current.kid == made.current.kid
    assert found.current.created_at == NOW
    assert found.published() == made.published()


def test_only_the_owner_can_read_the_file(tmp_path: Path) -> None:
    local.load_or_create(tmp_path, Env.PAPER, NOW)

    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.iterdir()] == [FILE]


def test_a_rotated_ring_comes_back_whole(tmp_path: Path) -> None:
    ring = rotate(new_ring(Env.PAPER, NOW), NOW + 10, overlap_s=100)

    local.save(tmp_path, ring)

    assert local.load_or_create(tmp_path, Env.PAPER, NOW + 20).published() == ring.published()


def test_live_keys_are_never_in_a_file(tmp_path: Path) -> None:
    with pytest.raises(KeysRefused, match="paper"):
        local.load_or_create(tmp_path, Env.LIVE, NOW)
    with pytest.raises(KeysRefused, match="paper"):
        local.save(tmp_path, new_ring(Env.LIVE, NOW))

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o777])
def test_a_file_that_others_can_read_is_refused_with_the_remedy(tmp_path: Path, mode: int) -> None:
    local.load_or_create(tmp_path, Env.PAPER, NOW)
    (tmp_path / FILE).chmod(mode)

    with pytest.raises(KeysRefused, match="chmod 600"):
        local.load_or_create(tmp_path, Env.PAPER, NOW)


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"env": "paper", "keys": []}', '{"env": "paper", "keys": [{}]}']
)
def test_a_file_that_is_no_key_file_is_refused_and_kept(tmp_path: Path, content: str) -> None:
    file = tmp_path / FILE
    file.write_text(content)
    file.chmod(0o600)

    with pytest.raises(KeysRefused, match="move it away"):
        local.load_or_create(tmp_path, Env.PAPER, NOW)
    assert file.read_text() == content


def test_a_file_of_the_other_environment_is_refused(tmp_path: Path) -> None:
    local.load_or_create(tmp_path, Env.PAPER, NOW)
    file = tmp_path / FILE
    file.write_text(file.read_text().replace('"paper"', '"live"'))

    with pytest.raises(KeysRefused, match="live environment"):
        local.load_or_create(tmp_path, Env.PAPER, NOW)


def test_a_file_with_only_public_keys_is_refused(tmp_path: Path) -> None:
    local.load_or_create(tmp_path, Env.PAPER, NOW)
    file = tmp_path / FILE
    stored = json.loads(file.read_text())
    del stored["keys"][0]["jwk"]["d"]
    file.write_text(json.dumps(stored))

    with pytest.raises(KeysRefused, match="move it away"):
        local.load_or_create(tmp_path, Env.PAPER, NOW)


def test_a_link_to_somewhere_else_is_not_followed(tmp_path: Path) -> None:
    local.load_or_create(tmp_path / "real", Env.PAPER, NOW)
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / FILE).symlink_to(tmp_path / "real" / FILE)

    with pytest.raises(OSError, match="symbolic links"):
        local.load_or_create(tmp_path / "linked", Env.PAPER, NOW)


def test_a_rotation_keeps_the_old_key_for_the_overlap_and_no_longer() -> None:
    first = new_ring(Env.PAPER, NOW)
    second = rotate(first, NOW + 10, overlap_s=100)
    third = rotate(second, NOW + 50, overlap_s=100)
    fourth = rotate(third, NOW + 110, overlap_s=100)

    assert [key.kid for key in third.previous] == [second.current.kid, first.current.kid]
    assert [key.retires_at for key in third.previous] == [NOW + 150, NOW + 110]
    assert [key.kid for key in fourth.previous] == [third.current.kid, second.current.kid]


def test_a_key_shows_nothing_private() -> None:
    ring = new_ring(Env.PAPER, NOW)
    private = ring.current.key.as_dict(private=True)["d"]

    assert isinstance(private, str)
    for shown in (repr(ring), str(ring.current), repr(ring.published())):
        assert private not in shown


@pytest.mark.parametrize(
    "jwk",
    [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "a", "alg": "HS256"},
        {"kty": "EC", "crv": "P-384", "x": "AA", "y": "AA", "kid": "a"},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": "a"},
        {"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "a"},
        {"kty": "EC"},
        {"kid": "a"},
        {"kty": ["EC"], "kid": "a"} | {"kty": "nonsense"},
    ],
)
def test_a_key_of_a_kind_we_do_not_trust_verifies_nothing(jwk: dict[str, str]) -> None:
    assert verify_key(jwk) is None


def test_a_published_private_key_is_not_taken() -> None:
    key = new_ring(Env.PAPER, NOW).current

    assert verify_key({**key.key.as_dict(private=True), "kid": key.kid}) is None
    assert verify_key({**key.key.as_dict(private=False), "kid": key.kid, "use": "enc"}) is None
    assert verify_key({**key.key.as_dict(private=False), "kid": key.kid, "alg": "ES384"}) is None
    assert verify_key({**key.key.as_dict(private=False), "kid": key.kid}) is not None
