"""What a key looks like, and what is kept of it."""

from datetime import timedelta

import pytest

from core.clock import utc_now
from core.documents import ApiKey, Role
from core.errors import Unauthenticated
from gateway.identity.authentication import Authenticator
from gateway.identity.keys import KeyRing, is_valid, new_key
from gateway.identity.principals import LOCAL


@pytest.fixture(autouse=True)
def unbound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let documents be made without a database."""
    monkeypatch.setattr(ApiKey, "get_pymongo_collection", classmethod(lambda _cls: None))


def test_only_a_digest_of_the_key_is_kept() -> None:
    text, key = new_key("ci", "alice", Role.OPERATOR, None)
    assert text.startswith(f"{key.id}_")
    assert len(text.removeprefix(f"{key.id}_")) == 43
    assert text.removeprefix(f"{key.id}_") not in repr(key.model_dump())
    assert new_key("ci", "alice", Role.OPERATOR, None)[0] != text


def test_key_works_until_it_is_revoked_or_expires() -> None:
    now = utc_now()
    _, key = new_key("ci", "alice", Role.VIEWER, now + timedelta(seconds=1))
    assert is_valid(key, now)
    assert not is_valid(key, now + timedelta(seconds=1))
    assert not is_valid(key.model_copy(update={"revoked_at": now}), now)


@pytest.mark.parametrize(
    "text", ["hwk_", "hwk_0123456789ab_short", "hwk_0123456789AB_" + "x" * 43, "hwk_0123456789ab_" + "é" * 43, "hwk_\n"]
)
async def test_malformed_key_is_refused_without_a_look_at_the_database(text: str) -> None:
    with pytest.raises(Unauthenticated, match="malformed"):
        await KeyRing().authenticate(text)


@pytest.mark.parametrize(
    "presented", [None, "", "Bearer", "Bearer ", "Basic YTpi", "Token x", "x", 7, ["Bearer x"], "Bearer " + "x" * 9_000]
)
async def test_what_is_no_bearer_is_refused(presented: object) -> None:
    with pytest.raises(Unauthenticated, match="Authorization"):
        await Authenticator(keys=KeyRing()).authenticate(presented)


async def test_token_is_refused_where_only_keys_are_taken() -> None:
    with pytest.raises(Unauthenticated):
        await Authenticator(keys=KeyRing()).authenticate("Bearer a.b.c")


async def test_while_authentication_is_off_everybody_is_local_whatever_comes() -> None:
    for presented in (None, "Bearer x", 7):
        assert await Authenticator().authenticate(presented) is LOCAL
