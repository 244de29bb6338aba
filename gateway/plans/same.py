"""A key by which an object that is told to many is known again."""

from weakref import ref


class Same:
    """Equal to another one of the very same object only, and to none once that has gone."""

    __slots__ = ("_hash", "_ref")

    def __init__(self, value: object) -> None:
        self._ref = ref(value)
        self._hash = id(value)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        value = self._ref()
        return value is not None and isinstance(other, Same) and other._ref() is value
