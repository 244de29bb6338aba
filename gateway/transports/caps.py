"""How many connections, sockets and subscriptions one replica holds, and how many of them for one address or caller."""

import ipaddress
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache, partial

from gateway.metrics import REFUSED
from gateway.transports.limits import EdgeLimits

RETRY_AFTER_S = 5
"""When somebody who was refused may look again."""
KNOWN_ADDRESSES = 4_096
"""Each connection asks about its address four times, and parsing one took a tenth of a WebSocket's handshake."""
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class CapReached(Exception):
    """Somebody holds as much as one may; the message says of what, and how much that is."""


class Tally:
    """How many of one thing each holder has, and the most that one may have. Forgets who holds nothing."""

    def __init__(self, thing: str, label: str, most: int) -> None:
        self._thing = thing
        self._label = label
        self._most = most
        self._held: Counter[str] = Counter()

    def __len__(self) -> int:
        return self._held.total()

    def take(self, holder: str) -> None:
        """Count one more for `holder`. Raises CapReached, and then counts nothing."""
        if self._held[holder] >= self._most:
            REFUSED.labels(self._label).inc()
            raise CapReached(f"Expected at most {self._most:,} {self._thing} at a time")
        self._held[holder] += 1

    def give_back(self, holder: str) -> None:
        """Count one less for `holder`."""
        self._held[holder] -= 1
        if not self._held[holder]:
            del self._held[holder]

    @contextmanager
    def hold(self, holder: str) -> Iterator[None]:
        """Count one more while the block runs. Raises CapReached."""
        self.take(holder)
        try:
            yield
        finally:
            self.give_back(holder)


class Transfers(Tally):
    """How many files each caller sends or fetches, and the most that one may, and all may together."""

    def __init__(self, what: str, most: int, in_all: int) -> None:
        super().__init__(f"{what} of one caller", f"{what}_per_caller", most)
        self._what = what
        self._in_all = in_all

    def take(self, holder: str) -> None:
        """Count one more for `holder`. Raises CapReached, and then counts nothing."""
        if len(self) >= self._in_all:
            REFUSED.labels(self._what).inc()
            raise CapReached(f"Expected at most {self._in_all} {self._what} at a time")
        super().take(holder)


class Caps:
    """One replica's counts."""

    def __init__(self, limits: EdgeLimits) -> None:
        per_address = limits.connections_per_address
        self.connections = Tally("connections from one address", "connections_per_address", per_address)
        self.sockets = Tally("WebSockets and event streams from one address", "sockets_per_address", per_address)
        self.uploads = Transfers("uploads", limits.uploads_per_caller, limits.uploads)
        self.downloads = Transfers("downloads", limits.downloads_per_caller, limits.downloads)
        reservations = limits.stream_reservations_per_caller
        self.reservations = Tally("reserved event streams of one caller", "reservations_per_caller", reservations)
        self.is_proxy: Callable[[str], bool] = lru_cache(KNOWN_ADDRESSES)(
            partial(_is_within, _networks(limits.trusted_proxies))
        )
        """Whether connections from an address are many clients' and not one's."""


def _is_within(networks: Sequence[Network], address: str) -> bool:
    try:
        place = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(place in network for network in networks)


def _networks(listed: str) -> list[Network]:
    if listed.strip() == "*":
        return [ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0")]
    return [ipaddress.ip_network(part.strip()) for part in listed.split(",") if part.strip()]
