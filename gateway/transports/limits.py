"""What one client may ask of this replica; each limit is read from HEADWAY_<NAME>."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class EdgeLimits(BaseSettings):
    """The edge's limits with their defaults."""

    model_config = SettingsConfigDict(env_prefix="HEADWAY_", frozen=True, extra="ignore")

    max_body_bytes: int = Field(1_250_000, ge=1)
    """Of an HTTP request: 1 MB of import content and what JSON's escapes add to it."""
    body_timeout_s: float = Field(30.0, gt=0)
    """For the whole body to arrive."""
    max_message_bytes: int = Field(262_144, ge=1)
    """Of one WebSocket message."""
    max_json_depth: int = Field(64, ge=1)
    max_json_nodes: int = Field(20_000, ge=1)
    max_document_tokens: int = Field(2_000, ge=1)
    document_cache_bytes: int = Field(2_097_152, ge=0)
    """Of GraphQL source text whose parsed form is kept; a tree takes some fifty times its text."""
    operations_per_connection: int = Field(50, ge=1)
    init_timeout_s: float = Field(5.0, gt=0)
    """From a socket's opening to its connection_init."""
    ping_interval_s: float = Field(20.0, gt=0)
    ping_timeout_s: float = Field(20.0, gt=0)
    """A peer that answers no ping for so long is taken for dead and its connection dropped."""
    shutdown_s: float = Field(2.0, ge=0)
    """For queries and mutations that run when the process is told to stop."""
    allowed_origins: tuple[str, ...] = ()
    """Hosts whose pages may open a socket here, beside the host that is asked."""
