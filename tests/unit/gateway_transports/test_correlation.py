"""Which X-Request-Id is taken over."""

import pytest

from gateway.correlation import new_correlation_id, sane_id


@pytest.mark.parametrize("offered", ["a", "trace-7", "0190f5c4-7e1a-7c3b-9d2e-3f4a5b6c7d8e", "a" * 100])
def test_sane_id_is_kept(offered: str) -> None:
    assert sane_id(offered) == offered


@pytest.mark.parametrize("offered", [None, "", "a" * 101, "a b", "a\nb", '{"a":1}', "-x", "ä", "<script>"])
def test_anything_else_gets_a_new_one(offered: str | None) -> None:
    chosen = sane_id(offered) or new_correlation_id()
    assert len(chosen) == 32
    assert chosen != (sane_id(offered) or new_correlation_id())
