"""``python -m bench``: engine, controls, large images and service, each beside its baseline; or one of them."""

import platform
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from time import monotonic
from typing import Annotated

import typer
from rich.console import Console

from bench.chaos import CLIENTS, SPAN_S, measure_chaos, print_chaos
from bench.controls import ROUNDS, measure_controls, print_controls
from bench.engine import CASE_BUDGET_S, measure_engine, print_engine
from bench.hostile import measure_hostile, print_hostile
from bench.large import MEGAPIXELS, ONE_PASS_UP_TO, measure_large, print_large, styles_of_each_kind
from bench.load import LoadError
from bench.overload import DEADLINE_S, FLOOD_S, measure_overload, print_overload
from bench.processes import StartError
from bench.remote import RemoteError
from bench.service import measure_service, print_service
from bench.soak import MINUTES, measure_soak, print_soak
from bench.studio import measure_studio, print_studio
from model_store.catalog import CatalogError, default_folder, read_catalog
from service.engine.threads import remember_few_shapes, sleep_while_waiting
from service.settings import Settings, SettingsError, load_settings

app = typer.Typer(
    help="Measure engine, controls, large images and service, each beside its baseline. Settings are the service's"
    " STYLIZE_* variables.",
    pretty_exceptions_enable=False,
)
console = Console()
progress = Console(stderr=True)

Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:N, mps or xpu; by default STYLIZE_DEVICE.")]
Dtype = Annotated[str | None, typer.Option(help="Number type of our networks: auto, float32, bfloat16, float16.")]
CaseBudget = Annotated[float, typer.Option(min=0, help="Seconds of repetitions per size and batch.")]


@app.callback(invoke_without_command=True)
def everything(context: typer.Context, device: Device = None, dtype: Dtype = None) -> None:
    """Run all benchmarks, unless a command names one."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that child processes are ended
    if context.invoked_subcommand is not None:
        if device is not None or dtype is not None:
            raise typer.BadParameter(f"give the options after `{context.invoked_subcommand}`")
        return
    started = monotonic()
    engine(device, dtype)
    controls(device, dtype)
    large(device, dtype)
    service(device, dtype)
    console.print(f"all of it took {monotonic() - started:.0f} s", highlight=False)


@app.command()
def engine(device: Device = None, dtype: Dtype = None, case_budget_s: CaseBudget = CASE_BUDGET_S) -> None:
    """Measure the engine beside the reference implementation, from pixels to pixels."""
    with _clear_errors():
        settings, folder = _prepare(device, dtype)
        report = measure_engine(settings, folder, case_budget_s=case_budget_s, say=progress.print)
    print_engine(report, console)


@app.command()
def controls(
    device: Device = None,
    dtype: Dtype = None,
    rounds: Annotated[int, typer.Option(min=1, help="Requests of each kind.")] = ROUNDS,
) -> None:
    """Measure a request with each control beside the plain request."""
    with _clear_errors():
        settings, folder = _prepare(device, dtype)
        seconds = measure_controls(settings, folder, rounds, say=progress.print)
    print_controls(seconds, console)


@app.command()
def large(
    device: Device = None,
    dtype: Dtype = None,
    largest: Annotated[float, typer.Option(min=1, help="Megapixels; 64 takes minutes on a CPU.")] = MEGAPIXELS[-1],
    style: Annotated[str | None, typer.Option(help="A style's id; by default one of each kind of network.")] = None,
) -> None:
    """Measure large images in tiles beside one pass: seconds, and peak memory."""
    with _clear_errors():
        settings, folder = _prepare(device, dtype)
        megapixels = [size for size in MEGAPIXELS if size < largest] + [largest]
        catalog = read_catalog(folder)
        first, *others = styles_of_each_kind(catalog) if style is None else [(catalog.style(style).models[0], style)]
        sizes = measure_large(settings, folder, megapixels, named=first, say=progress.print)
        beside = [size for size in megapixels if size <= ONE_PASS_UP_TO]
        for other in others:
            sizes += measure_large(settings, folder, beside, named=other, say=progress.print)
    print_large(sizes, console)


@app.command()
def service(device: Device = None, dtype: Dtype = None) -> None:
    """Measure real processes and real HTTP beside the bare engine loop."""
    with _clear_errors():
        settings, folder = _prepare(device, dtype)
        report = measure_service(settings, folder, say=progress.print)
    print_service(report, console)


@app.command()
def overload(
    device: Device = None,
    dtype: Dtype = None,
    times: Annotated[float, typer.Option(min=1, help="Offered rate, as a multiple of the capacity.")] = 10.0,
    flood_s: Annotated[float, typer.Option(min=1, help="Seconds of each flood.")] = FLOOD_S,
    deadline_s: Annotated[float, typer.Option(min=1, help="Deadline of the service's requests.")] = DEADLINE_S,
) -> None:
    """Measure useful responses while more than the capacity is offered, beside those at capacity."""
    with _clear_errors():
        settings, folder = _prepare(device, dtype)
        floods = measure_overload(settings, folder, (1.0, times), flood_s, deadline_s, say=progress.print)
    print_overload(floods, console)


@app.command()
def chaos(
    device: Device = None,
    dtype: Dtype = None,
    span_s: Annotated[float, typer.Option(min=10, help="Seconds of the load.")] = SPAN_S,
    clients: Annotated[int, typer.Option(min=1, help="Requests in flight.")] = CLIENTS,
) -> None:
    """Kill and stop workers, API and queue under load, and compare every output."""
    with _clear_errors():
        settings, folder = _prepare(device, dtype)
        report = measure_chaos(settings, folder, span_s, clients, say=progress.print)
    print_chaos(report, console)
    if not report.is_met:
        raise typer.Exit(1)


@app.command()
def gallery(
    out: Annotated[Path, typer.Option(help="The folder to write into.")] = Path("docs/controls"),
) -> None:
    """Make the documentation's images, which show every control."""
    from bench.gallery import make_gallery

    with _clear_errors():
        make_gallery(out, default_folder(), say=progress.print)


@app.command()
def studio(
    device: Device = None,
    dtype: Dtype = None,
    rounds: Annotated[int, typer.Option(min=1, help="First visits.")] = 3,
    screens: Annotated[Path | None, typer.Option(help="Folder for screenshots of the page's main states.")] = None,
) -> None:
    """Measure the page in Chromium: its weight, and the time from the click to the first output."""
    with _clear_errors():
        settings, folder = _prepare(device, dtype)
        visits = measure_studio(settings, folder, rounds, screens, say=progress.print)
    print_studio(visits, console)


@app.command()
def soak(
    device: Device = None,
    dtype: Dtype = None,
    minutes: Annotated[float, typer.Option(min=0.05, help="Time for which requests are sent.")] = MINUTES,
) -> None:
    """Look at the memory of all processes under ever new styles and sizes; ends with 1 if one of them grows."""
    with _clear_errors():
        settings, folder = _prepare(device, dtype)
        report = measure_soak(settings, folder, minutes, say=progress.print)
    print_soak(report, console)
    raise typer.Exit(0 if report.is_flat else 1)


@app.command()
def hostile(device: Device = None, dtype: Dtype = None) -> None:
    """Send what is made to be expensive, and look at memory and at the time of /healthz meanwhile."""
    with _clear_errors():
        settings, folder = _prepare(device, dtype)
        endured = measure_hostile(settings, folder, say=progress.print)
    print_hostile(endured, console)


@contextmanager
def _clear_errors() -> Iterator[None]:
    """Print errors that a user can correct, and those of other processes, without our traceback."""
    try:
        yield
    except (SettingsError, CatalogError, StartError, LoadError, RemoteError) as err:
        progress.print(str(err), style="red", highlight=False, soft_wrap=True)
        raise typer.Exit(1) from err


def _prepare(device: str | None, dtype: str | None) -> tuple[Settings, Path]:
    """Return the settings, changed by the command line, and the folder of checkpoints."""
    settings = load_settings()
    given = {name: value for name, value in (("device", device), ("dtype", dtype)) if value is not None}
    settings = Settings(**{**settings.model_dump(), **given})
    folder = settings.checkpoints or default_folder()
    read_catalog(folder).model("adain")
    versions = f"Python {platform.python_version()}, torch {metadata.version('torch')}"
    console.print(f"{_processor()}, {versions}", highlight=False)
    return settings, folder


def _processor() -> str:
    """Name of the processor, if the system reports it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{len(names)} × {names[0]}" if names else platform.machine()


if __name__ == "__main__":
    sleep_while_waiting()  # in child processes too, the baseline among them
    remember_few_shapes()
    app()
