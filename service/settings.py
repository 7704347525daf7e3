"""Settings, read once from ``STYLIZE_*`` environment variables, frozen, and passed on explicitly.

Units are in the names. A bad value fails at start and names its variable, the value and what is allowed.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

Port = Annotated[int, Field(ge=1, le=65535)]
Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


EXIT_CONFIGURATION = 2
"""Exit code of a process that would end the same way if it were started again."""


class SettingsError(Exception):
    """The environment holds a value that cannot be used; one line per variable."""


class Settings(BaseSettings):
    """What a process of the service can be told. Each field is ``STYLIZE_`` plus its name in capitals."""

    model_config = SettingsConfigDict(env_prefix="STYLIZE_", frozen=True, extra="forbid")

    # Where things are.
    host: str = Field("127.0.0.1", description="Address that the API listens on.")
    port: Port = Field(8000, description="Port that the API listens on.")
    redis_url: str | None = Field(
        None,
        description="redis://, rediss:// or unix:// URL of the queue. `serve` starts an embedded one when not given.",
    )
    key_prefix: str = Field("stylize", pattern=r"^[\w.-]+$", description="First part of every Redis key.")
    checkpoints: Path | None = Field(
        None, description="Folder of checkpoints, the shipped one when not given. What changes in it is served at once."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severe log line.")
    log_format: Literal["json", "text"] = Field("json", description="One JSON object per line, or text for people.")

    # What a request may ask for.
    max_body_bytes: Count = Field(32 * 2**20, description="Largest request body.")
    max_image_pixels: Count = Field(8192 * 8192, description="Most pixels of an uploaded image.")
    max_size_px: Annotated[int, Field(ge=64)] = Field(4096, description="Longest side that can be asked for.")
    max_original_px: Annotated[int, Field(ge=64)] = Field(
        8192, description="Longest side of a photo that can be painted at its original size."
    )
    tile_above_pixels: Count = Field(
        2 * 2**20,
        description="Pictures of more pixels are painted in tiles, between which other requests have their turn.",
    )
    request_timeout_s: Seconds = Field(60.0, description="A request's deadline, from its acceptance to its answer.")
    tile_px: Annotated[int, Field(ge=64)] = Field(
        768, description="Side of a tile. Larger ones waste less on margins, and take more memory and longer each."
    )

    # Queue.
    max_queue: Count = Field(256, description="Jobs that may wait or run; more are answered 503.")
    max_long_queue: Count = Field(
        16, description="The same for pictures in tiles, and for jobs that take minutes: each have a lane of their own."
    )
    long_timeout_s: Seconds = Field(1800.0, description="Deadline of a job that takes minutes.")
    result_ttl_s: Seconds = Field(60.0, description="How long an unfetched result is kept.")
    lease_ms: Annotated[int, Field(ge=200)] = Field(
        10_000, description="A worker silent for so long is taken for dead and its jobs are given to others."
    )
    max_deliveries: Count = Field(3, description="A job that outlived this many workers is dead-lettered.")

    # Worker.
    workers: Count = Field(1, description="Worker processes that `serve` starts.")
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N.")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field("auto", description="Number type of the networks.")
    max_batch_size: Count = Field(8, description="Most images in one forward pass.")
    max_batch_pixels: Count = Field(
        8 * 1024 * 1024, description="Most pixels in one forward pass; one image always runs."
    )
    max_wait_ms: Annotated[int, Field(ge=0)] = Field(
        0, description="How long an idle device waits for a batch to fill. 0: a busy device makes the batches."
    )
    style_cache_entries: Count = Field(
        1024, description="Encoded styles of uploads that a worker remembers (4 kB each)."
    )
    model_memory_mb: Count = Field(
        2048,
        description="What the networks on the device may take, weights alone, in MiB. Those not used for longest leave;"
        " one that is larger runs alone.",
    )
    forward_timeout_s: Seconds = Field(
        120.0, description="A forward pass, of a batch or of a tile, that takes longer ends its worker process."
    )
    drain_timeout_s: Seconds = Field(30.0, description="How long a worker that is told to stop finishes what it runs.")

    @property
    def heartbeat_s(self) -> float:
        """A third of the lease: two may be lost before anyone takes the worker for dead."""
        return self.lease_ms / 3000


def load_settings() -> Settings:
    """The settings of this process's environment.

    Raises:
        SettingsError: A variable has a value that is not allowed.
    """
    try:
        return Settings()
    except ValidationError as err:
        lines = [
            f"STYLIZE_{'_'.join(str(part) for part in problem['loc']).upper()}={problem['input']!r}: {problem['msg']}"
            for problem in err.errors()
        ]
        raise SettingsError("\n".join(lines)) from err
