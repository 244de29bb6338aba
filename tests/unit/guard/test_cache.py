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
