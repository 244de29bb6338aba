"""What one client may ask of this replica; each limit is read from HEADWAY_<NAME>."""

from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

TrustedMode = Literal["off", "prefer", "only"]
MAX_RESPONSE_BYTES = 16 * 1024 * 1024


class EdgeLimits(BaseSettings):
    """The edge's limits with their defaults."""

    model_config = SettingsConfigDict(env_prefix="HEADWAY_", frozen=True, extra="ignore")

    max_body_bytes: int = Field(1_250_000, ge=1)
    """Of an HTTP request: 1 MB of import content and what JSON's escapes add to it."""
    body_timeout_s: float = Field(30.0, gt=0)
    """For the whole body to arrive."""
    max_import_bytes: int = Field(16 * 1024 * 1024, ge=1)
    """Of a file that is uploaded to be imported."""
    upload_timeout_s: float = Field(120.0, gt=0)
    """For a whole file to arrive."""
    uploads: int = Field(8, ge=1)
    """At a time on this replica."""
    uploads_per_caller: int = Field(4, ge=1)
    """At a time of one caller: an owner, or an address while authentication is off."""
    downloads: int = Field(64, ge=1)
    """Of files, at a time on this replica; each holds some 300 KB."""
    downloads_per_caller: int = Field(8, ge=1)
    """At a time of one caller: an owner, or an address while authentication is off."""
    max_message_bytes: int = Field(262_144, ge=1)
    """Of one WebSocket message."""
    max_json_depth: int = Field(64, ge=1)
    max_json_nodes: int = Field(20_000, ge=1)
    max_document_tokens: int = Field(2_000, ge=1)
    max_document_chars: int = Field(131_072, ge=1)
    """Of a document's text: comments and white space are no tokens, and 1 MB of them takes a second to read."""
    max_depth: int = Field(12, ge=1)
    max_aliases: int = Field(30, ge=0)
    max_root_fields: int = Field(20, ge=1)
    max_directives: int = Field(50, ge=0)
    max_cost: int = Field(5_000, ge=1)
    """Of an operation; `gateway.guard.prices` says how it is computed."""
    max_response_bytes: int = Field(MAX_RESPONSE_BYTES, ge=1_000)
    """Of one answer, or of one event of a subscription."""
    document_cache_bytes: int = Field(33_554_432, ge=0)
    """Of memory for documents by their text, trees and all; a small one takes some 10 KB."""
    introspection: bool = True
    suggestions: bool = True
    """Whether an error about an unknown name says which name was probably meant."""
    trusted_mode: TrustedMode = "off"
    trusted_documents: str = ""
    """A manifest, or a folder of manifests and documents, beside what is in MongoDB; see `gateway.trusted`."""
    operations_per_connection: int = Field(50, ge=1)
    connections: int = Field(12_000, ge=1)
    """Of any protocol at a time; the process's limit of open files may allow fewer."""
    connections_per_address: int = Field(1_000, ge=1)
    """From one address at a time: TCP connections, save a trusted proxy's, and WebSockets, through whom they come."""
    subscriptions_per_principal: int = Field(1_000, ge=1)
    """Of one caller that is known by name, on this replica; without authentication nobody is."""
    trusted_proxies: str = "127.0.0.1,::1"
    """Addresses or networks, separated by commas, whose X-Forwarded-For says who the client is; `*` trusts all."""
    header_timeout_s: float = Field(10.0, gt=0)
    """From a connection's opening, or a request's first byte, to the end of the request's headers."""
    max_header_bytes: int = Field(65_536, ge=1_024)
    """Of a request's first line and headers."""
    stalled_write_s: float = Field(30.0, gt=0)
    """How long an HTTP client may take nothing of its answer before its connection is dropped."""
    idle_timeout_s: float = Field(600.0, gt=0)
    """A WebSocket on which no operation has run for so long is closed."""
    request_log: bool = True
    """Whether every request and operation is logged in one line: never its document or variables."""
    init_timeout_s: float = Field(5.0, gt=0)
    """From a socket's opening to its connection_init, and from an event stream's reservation to its opening."""
    stream_keep_alive_s: float = Field(12.0, gt=0)
    """Between the comments that keep an event stream alive."""
    stream_reservations: int = Field(1_000, ge=1)
    """Event streams of one replica that are reserved and not opened."""
    stream_reservations_per_caller: int = Field(100, ge=1)
    """Of one caller: an owner, or an address while authentication is off."""
    ping_interval_s: float = Field(20.0, gt=0)
    ping_timeout_s: float = Field(20.0, gt=0)
    """A peer that answers no ping for so long is taken for dead and its connection dropped."""
    shutdown_s: float = Field(2.0, ge=0)
    """For queries and mutations that run when the process is told to stop."""
    allowed_origins: tuple[str, ...] = ()
    """Hosts, with a port or without, whose pages may open a socket here, beside the host that is asked."""
    allowed_hosts: tuple[str, ...] = ()
    """Names of this gateway, beside localhost, HEADWAY_HOST and addresses; `*` is any. Asked while nobody is known."""
