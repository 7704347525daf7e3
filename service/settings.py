"""Settings, read once from ``STYLIZE_*`` environment variables, frozen, and passed on explicitly.

Units are in the names. A bad value fails at start and names its variable, the value and what is allowed.

    CommonSettings
    ├── HttpSettings
    ├── QueueSettings
    ├── WorkerSettings
    ├── ServeSettings
    └── Settings           all of them
"""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.setting_types import DEFAULT_PORT, ApiKeys, Count, Folder, Hosts, Origins, Port, Seconds

EXIT_CONFIGURATION = 2
"""Exit code of a process that would end the same way if it were started again."""


class SettingsError(Exception):
    """The environment holds a value that cannot be used; one line per variable."""


class CommonSettings(BaseSettings):
    """Settings that all processes of one service must share, and those of their logs."""

    model_config = SettingsConfigDict(env_prefix="STYLIZE_", frozen=True, extra="forbid")

    redis_url: str | None = Field(
        None,
        description="redis://, rediss:// or unix:// URL of the queue. `serve` starts an embedded one when not given.",
    )
    key_prefix: str = Field("stylize", pattern=r"^[\w.-]+$", description="First part of every Redis key.")
    lease_ms: Annotated[int, Field(ge=200)] = Field(
        10_000,
        description="A worker without a heartbeat for so long is taken for dead, and others get its jobs. Requests of"
        " a dead API process do not count for their clients any more.",
    )
    checkpoints: Folder | None = Field(
        None, description="Folder of checkpoints, the shipped one when not given. What changes in it is served at once."
    )
    default_model: str = Field(
        "swift",
        min_length=1,
        description="The network that paints style images, uploaded or registered, and that is preferred for styles"
        " which several networks know, where a request names no `model`. Where it is not among the checkpoints, the"
        " first that takes style images does it.",
    )
    max_body_bytes: Count = Field(32 * 2**20, description="Largest request body.")
    max_image_pixels: Count = Field(8192 * 8192, description="Most pixels of an uploaded image.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severe log line.")
    log_format: Literal["json", "text"] = Field("json", description="One JSON object per line, or text for people.")

    @property
    def heartbeat_s(self) -> float:
        """A third of the lease: two heartbeats may be lost before the worker is taken for dead."""
        return self.lease_ms / 3000


class HttpSettings(CommonSettings):
    """The API: its address, its clients, and what they may ask for."""

    host: str = Field("127.0.0.1", description="Address that the API listens on.")
    port: Port = Field(DEFAULT_PORT, description="Port that the API listens on.")
    api_keys: ApiKeys = Field(
        (),
        repr=False,
        description="name:sha256 of each client's key, comma-separated; `stylize key NAME` makes one. A name"
        " may have several. Without any, everybody who reaches the API may use it; with them, everything asks for"
        " `Authorization: Bearer KEY` but /healthz, /readyz, /docs and the page.",
    )
    cors_origins: Origins = Field(
        (),
        description="Origins whose pages may call the API from a browser, comma-separated, like https://app.example; *"
        " allows all. Without any, only pages of the API's own origin may.",
    )
    bodies_mb: Count = Field(
        256,
        description="Bodies of requests, until they are answered, and large responses that one API process holds at"
        " once, in MiB; one that takes more than half of what is left gets 503 before it is read.",
    )
    allowed_hosts: Hosts = Field(
        (),
        description="Names under which the API is reached, comma-separated, like stylize.example; * allows all. Without"
        " API keys, a request for another name gets 403; addresses, localhost and the name in `host` are always"
        " allowed.",
    )
    header_within_s: Seconds = Field(10.0, description="A connection without a whole header for so long is ended.")
    body_idle_s: Seconds = Field(
        30.0,
        description="A body that stops arriving for so long, or comes at less than 1 kB/s after four times as long, is"
        " refused with 408.",
    )
    unread_s: Seconds = Field(
        30.0, description="A response is given up when its client takes longer than this for 128 kB of it."
    )
    keep_alive_s: Count = Field(
        75, description="Time for which an idle connection is kept: longer than a load balancer keeps it."
    )
    max_connections: Count = Field(
        4096,
        description="Connections of one API process; one more ends the one that is idle for longest. Fewer, where the"
        " system allows fewer open files.",
    )
    max_event_streams: Count = Field(
        256, description="Clients of one API process that may listen to jobs' events; more get 503."
    )
    max_size_px: Annotated[int, Field(ge=64)] = Field(4096, description="Longest side that can be asked for.")
    max_original_px: Annotated[int, Field(ge=64)] = Field(
        8192, description="Longest side of a photo that can be painted at its original size."
    )
    max_steps: Count = Field(500, description="Most steps of method=gatys.")
    max_optimised_px: Annotated[int, Field(ge=64)] = Field(
        1024, description="Longest side that can be asked for with method=gatys."
    )
    tile_above_pixels: Count = Field(
        2 * 2**20,
        description="Pictures of more pixels are painted in tiles, between which other requests have their turn.",
    )


class QueueSettings(CommonSettings):
    """The queue: for how long it holds jobs, and what else is kept in Redis."""

    max_requests_per_key: Count = Field(
        64,
        description="POST requests and jobs of one key that may run at once, in all API processes together; more get"
        " 429.",
    )
    request_timeout_s: Seconds = Field(
        60.0, description="A request's deadline. One that would wait for more than half of it gets 503 at once."
    )
    job_timeout_s: Seconds = Field(1800.0, description="The same for the job of an asynchronous request.")
    cold_start_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        0.0,
        description="Time within which an autoscaler starts a worker when there is none. Requests are taken meanwhile,"
        " if half of their deadline is as long; with 0 they get 503.",
    )
    result_ttl_s: Seconds = Field(60.0, description="Time for which an unfetched result is kept.")
    job_picture_ttl_s: Seconds = Field(
        3600.0,
        description="Time for which the picture of such a job can be fetched, and that of a request with an"
        " Idempotency-Key by sending it again.",
    )
    job_pictures_mb: Count = Field(
        192, description="What all these pictures may take in Redis, in MiB; beyond, the oldest expire first."
    )
    job_record_ttl_s: Seconds = Field(86_400.0, description="Time for which such a job is known after its end.")
    block_ms: Annotated[int, Field(ge=10, le=10_000)] = Field(
        1000,
        description="Time for which a read of the queue waits, and within which a worker notices that it is to stop.",
    )
    max_deliveries: Count = Field(3, description="A job that outlived this many workers is dead-lettered.")
    max_styles: Count = Field(256, description="Registered styles; one more gets 409. Each takes about 0.3 MB.")


class WorkerSettings(CommonSettings):
    """A worker: its device, its batches, and how long it may take."""

    workers: Annotated[Count | None, BeforeValidator(lambda value: None if value == "auto" else value)] = Field(
        None,
        description="Workers of this machine, which share its cores: so many does `serve` start. auto, which is the"
        " default, is one for each GPU, and one without any.",
    )
    device: str = Field(
        "auto",
        description="auto, cpu, cuda, cuda:N, mps or xpu. With `auto` each worker of a machine takes the next GPU.",
    )
    device_memory_fraction: Annotated[float, Field(gt=0, le=1)] = Field(
        1.0, description="Part of a GPU's memory that one worker may take, where others use the same GPU."
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field("auto", description="Number type of the networks.")
    backend: Literal["auto", "torch", "openvino"] = Field(
        "auto",
        description="Library that runs a whole picture without masks: torch, or OpenVINO on a CPU, if it is"
        " installed. All else is run by torch; auto is torch.",
    )
    max_batch_size: Count = Field(8, description="Most images in one forward pass.")
    max_batch_pixels: Count = Field(
        8 * 1024 * 1024, description="Most pixels in one forward pass; one image always runs."
    )
    max_decoding_pixels: Count = Field(
        8192 * 8192,
        description="Pixels of files that are decoded at once, each of which may take 20 bytes. One file is always"
        " decoded.",
    )
    max_wait_ms: Annotated[int, Field(ge=0)] = Field(
        0,
        description="Time for which an idle device waits for a batch to fill. 0: a busy device makes the batches.",
    )
    tile_px: Annotated[int, Field(ge=64)] = Field(
        768, description="Side of a tile. Larger ones waste less on margins, and take more memory and longer each."
    )
    style_cache_entries: Count = Field(
        1024, description="Encoded styles of uploads that a worker remembers: 4 to 7 kB each, taken with the first."
    )
    model_memory_mb: Count = Field(
        2048,
        description="What the networks on the device may take, weights alone, in MiB. Those not used for longest leave;"
        " one that is larger runs alone.",
    )
    warm_up_px: Annotated[int, Field(ge=64)] = Field(
        512,
        description="Side of the larger of two images that a worker paints before it is ready: no job pays for it.",
    )
    forward_timeout_s: Seconds = Field(
        120.0, description="A forward pass, of a batch or of a tile, that takes longer ends its worker process."
    )
    drain_timeout_s: Seconds = Field(30.0, description="Time in which a worker that is told to stop finishes its work.")


class ServeSettings(CommonSettings):
    """The supervisor of ``serve``."""

    api_processes: Count = Field(
        1, description="Processes of the API that `serve` and `api` start, on one port. Each serves some 500 images/s."
    )
    data_dir: Folder | None = Field(
        None,
        description="Folder where the embedded queue keeps its data: registered styles, jobs, pictures. When not given,"
        " `stylize` in XDG_DATA_HOME or else in ~/.local/share.",
    )


class Settings(ServeSettings, WorkerSettings, QueueSettings, HttpSettings):
    """All groups: what ``STYLIZE_*`` variables can set, by the fields' names in capitals.

    A part of the service takes the group that it needs, and can be given this.
    """


def load_settings() -> Settings:
    """Read the settings from this process's environment.

    Raises:
        SettingsError: A variable has a value that is not allowed.
    """
    try:
        return Settings()
    except ValidationError as err:
        raise SettingsError("\n".join(_line(problem) for problem in err.errors())) from err


def _line(problem: ErrorDetails) -> str:
    """Name the variable, its value unless that is secret, and the error."""
    variable = f"STYLIZE_{'_'.join(str(part) for part in problem['loc']).upper()}"
    field = Settings.model_fields.get(str(problem["loc"][0]))
    value = f"={problem['input']!r}" if field is None or field.repr else ""
    return f"{variable}{value}: {problem['msg'].removeprefix('Value error, ')}"
