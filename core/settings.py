"""Every setting of every process, read from the environment once at its start."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints
from pydantic_settings import SettingsConfigDict

from core.secrets import SecretiveSettings

Broker = Literal["rabbitmq", "direct"]
SHIPPED_PAGES = Path(__file__).resolve().parents[1] / "gateway" / "dist"
"""Where a wheel has the built pages; a source tree has them in ui/dist."""


class Settings(SecretiveSettings):
    """The addresses come from MONGO_URL, REDIS_URL and AMQP_URL; everything else from HEADWAY_<NAME>.

    <VARIABLE>_FILE names a file that holds the value.
    """

    model_config = SettingsConfigDict(env_prefix="HEADWAY_", frozen=True, populate_by_name=True, extra="ignore")

    mongo_url: str = Field("mongodb://127.0.0.1:27017", validation_alias="MONGO_URL")
    redis_url: str = Field("redis://127.0.0.1:6379/0", validation_alias="REDIS_URL")
    amqp_url: str = Field("amqp://guest:guest@127.0.0.1:5672/", validation_alias="AMQP_URL")
    tls_ca_file: str = ""
    """The CA certificates (PEM) of all services whose URLs ask for TLS and name none; empty: the system's."""
    mongo_database: str = "headway"
    mongo_pool_min: int = Field(10, ge=0)
    mongo_pool_max: int = Field(100, ge=1)
    namespace: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,40}$")] = "headway"
    broker: Broker = "rabbitmq"
    startup_wait_s: float = Field(30.0, ge=0)
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console"] = "json"
    traces: bool = False
    """Whether spans go to the collector that the standard OTEL_* variables name."""

    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65535)
    ui_dist: str = Field(default_factory=lambda: "ui/dist" if Path("ui/dist").is_dir() else str(SHIPPED_PAGES))
    submit_confirm_wait_s: float = Field(0.5, ge=0)

    worker_slots: int = Field(4, ge=1, le=1000)
    worker_processes: int = Field(4, ge=1, le=64)
    kind_modules: str = ""
    """Modules outside this package that declare kinds, separated by commas."""
    drain_s: float = Field(20.0, ge=0)
    bridge_window: int = Field(64, ge=1)
    metrics_port: int = Field(0, ge=0, le=65535)
    """Where a bridge or a worker answers `/metrics` and `/livez`, on `host`; 0: nowhere."""
    alive_file: str = ""
    """What a bridge or a worker touches while its event loop turns; empty: nothing."""
    process_data_rounds: int = Field(2_000, ge=1)

    @property
    def extra_kinds(self) -> list[str]:
        """The names in `kind_modules`."""
        return [name.strip() for name in self.kind_modules.split(",") if name.strip()]
