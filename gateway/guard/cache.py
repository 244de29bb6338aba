"""What is known of documents by their text, bounded by the bytes that it takes."""

from collections import OrderedDict
from typing import Generic, TypeVar

V = TypeVar("V")
LARGEST_SHARE = 8
"""What would take more than this part of the cache is not kept, so one document can't evict all others."""


class Cache(Generic[V]):
    """Values by text; the least recently used go first."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._entries: OrderedDict[str, tuple[V, int]] = OrderedDict()
        self.size = 0

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, text: str) -> bool:
        return text in self._entries

    def find(self, text: str) -> V | None:
        """Return what is kept of a text, None if nothing is."""
        entry = self._entries.get(text)
        if entry is None:
            return None
        self._entries.move_to_end(text)
        return entry[0]

    def keep(self, text: str, value: V, size: int) -> None:
        """Keep a value that takes `size` bytes, its text included; what was kept of this text before must be gone."""
        if size * LARGEST_SHARE > self._max_bytes:
            return
        self._entries[text] = (value, size)
        self.size += size
        self._evict()

    def grow(self, text: str, by: int) -> bool:
        """Count `by` bytes more for what is kept of a text. False, and nothing counted, if nothing is or can't be."""
        value, size = self._entries.get(text, (None, self._max_bytes))
        if value is None or (size + by) * LARGEST_SHARE > self._max_bytes:
            return False
        self._entries[text] = (value, size + by)
        self._entries.move_to_end(text)
        self.size += by
        self._evict()
        return True

    def _evict(self) -> None:
        while self.size > self._max_bytes:
            _, (_, freed) = self._entries.popitem(last=False)
            self.size -= freed
