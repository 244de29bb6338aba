"""Follows tasks for this replica's subscribers: a snapshot first, then what is newer, to exactly one end."""

from gateway.relay.relay import Relay
from gateway.relay.snapshot import Snapshot

__all__ = ["Relay", "Snapshot"]
