"""The cache of documents is bounded by bytes, and forgets the least recently used first."""

from gateway.guard.cache import Cache


def test_least_recently_used_goes_first() -> None:
    cache: Cache[int] = Cache(100)
    for number in range(10):
        cache.keep(str(number), number, 10)
    assert cache.find("0") == 0
    cache.keep("new", 10, 10)
    assert (cache.find("0"), cache.find("1"), cache.find("2"), cache.size) == (0, None, 2, 100)


def test_one_large_value_evicts_nothing() -> None:
    cache: Cache[int] = Cache(100)
    cache.keep("small", 1, 10)
    cache.keep("large", 2, 13)
    assert (cache.find("small"), cache.find("large"), len(cache)) == (1, None, 1)


def test_nothing_is_kept_without_bytes() -> None:
    cache: Cache[int] = Cache(0)
    cache.keep("a", 1, 1)
    assert cache.find("a") is None


def test_what_grows_takes_the_place_of_others() -> None:
    cache: Cache[int] = Cache(100)
    for number in range(10):
        cache.keep(str(number), number, 10)
    assert cache.grow("0", 2)
    assert (cache.find("0"), cache.find("1"), cache.size) == (0, None, 92)


def test_what_would_be_too_large_or_is_gone_does_not_grow() -> None:
    cache: Cache[int] = Cache(100)
    cache.keep("a", 1, 10)
    assert (cache.grow("a", 3), cache.grow("b", 1), cache.size) == (False, False, 10)
