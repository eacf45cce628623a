"""`Settings`: everything that an operator can set, from the environment or a `.env` file.

Built once where the program starts and passed in from there; there is no global instance.
`HILUM_PORT=9000` sets `port`, `HILUM_LIMITS__INSTANCE_BYTES=1000000` sets `limits.instance_bytes`.
"""

from pathlib import Path

from pydantic import BaseModel, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB


class Limits(BaseModel):
    """Upper bounds of what one request may cost. Sizes in bytes, times in seconds."""

    request_bytes: int = Field(64 * GIB, gt=0)
    request_parts: int = Field(10_000, gt=0)
    instance_bytes: int = Field(16 * GIB, gt=0)
    inflated_bytes: int = Field(4 * GIB, gt=0)
    header_bytes: int = Field(64 * MIB, gt=0, description="non-bulk bytes of one instance")
    nesting: int = Field(64, gt=0, description="depth of sequences in sequences")
    elements_per_level: int = Field(20_000, gt=0)
    elements: int = Field(4_000_000, gt=0)
    items_per_sequence: int = Field(250_000, gt=0)
    spool_memory_bytes: int = Field(1 * MIB, gt=0, description="a part beyond this goes to disk")
    search_results: int = Field(1_000, gt=0, description="results of one page")
    frames_per_request: int = Field(1_000, gt=0)
    rendered_pixels: int = Field(64_000_000, gt=0)
    concurrent_stores: int = Field(16, gt=0, description="requests, in one process")
    concurrent_renders: int = Field(4, gt=0, description="frames being decoded, in one process")
    queue_seconds: float = Field(5, gt=0, description="wait for a turn before answering 503")
    body_idle_seconds: float = Field(30, gt=0)
    statement_seconds: float = Field(30, gt=0, description="one database statement")


class Settings(BaseSettings):
    """The archive's settings; each has a default with which one machine works."""

    model_config = SettingsConfigDict(
        env_prefix="HILUM_",
        env_nested_delimiter="__",
        env_file=".env",
        extra="ignore",
    )

    host: str = "127.0.0.1"
    port: int = Field(8080, ge=0, le=65535)
    workers: int = Field(1, ge=1)
    data_dir: Path = Path("data")
    public_url: str | None = Field(None, description="origin (and prefix) that callers see")
    database_url: SecretStr | None = Field(None, description="else an embedded PostgreSQL runs")
    database_connections: int = Field(10, ge=2, description="in one process")
    blobs_url: str | None = Field(None, description="file:///…, memory:// or s3://bucket/prefix")
    admin_token: SecretStr | None = Field(None, description="of the first start")
    cors_origins: list[str] = Field(["*"], description="origins of browser viewers; * for any")
    log_format: str = Field("console", pattern="^(console|json)$")
    limits: Limits = Field(default_factory=lambda: Limits())  # type: ignore[call-arg]
