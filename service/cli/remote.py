"""Painting by a running service, with several requests at once."""

import asyncio
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import cast

from service.cli.files import FilePair
from service.cli.options import unknown_style
from service.cli.progress import Outcome, ProgressDisplay
from service.errors import InvalidField
from service.request import StylizeRequest
from stylize_client import (
    AsyncClient,
    AsyncJob,
    Client,
    JobOptions,
    JobStatus,
    ProblemError,
    Retries,
    StylizedImage,
    StylizeError,
    StylizeOptions,
)

PATIENCE = Retries(attempts=1000, max_wait_s=600.0)
"""A folder's photos alone can fill the queue: they wait for room."""

LARGE_PX = 2048
"""Larger outputs may take longer than a synchronous request: they are jobs."""


async def paint_there(
    pairs: Sequence[FilePair],
    request: StylizeRequest[bytes],
    server: str,
    api_key: str | None,
    in_flight: int,
    display: ProgressDisplay,
) -> None:
    """Paint photo by photo; one that cannot be painted does not stop the others.

    Raises:
        NotFound: A style is neither a file nor an id.
        StylizeError: The service does not answer, or does not know the key.
    """
    _check(request, server, api_key)
    options = _options(request)
    left: Iterator[FilePair] = iter(pairs)

    async def paint_some(client: AsyncClient) -> None:
        for pair in left:  # all tasks take from the same iterator
            display.done(await _outcome(client, pair, request, options, display))

    with _ended_in_order():
        async with AsyncClient(server, api_key, retries=PATIENCE) as client, asyncio.TaskGroup() as group:
            for _ in range(min(in_flight, len(pairs))):
                group.create_task(paint_some(client))


@contextmanager
def _ended_in_order() -> Iterator[None]:
    """Let SIGTERM cancel requests as Ctrl-C does, before it ends this process."""
    task = asyncio.current_task()
    assert task is not None
    was_told = False

    def end() -> None:
        nonlocal was_told
        was_told = True
        task.cancel()

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, end)
    try:
        yield
    except asyncio.CancelledError:
        if was_told:
            raise SystemExit(128 + signal.SIGTERM) from None
        raise
    finally:
        loop.remove_signal_handler(signal.SIGTERM)


def _check(request: StylizeRequest[bytes], server: str, api_key: str | None) -> None:
    """Check once, before any photo, what would fail for all of them."""
    with Client(server, api_key, retries=Retries(attempts=1)) as client:
        client.models()
        for style_id in request.style_id:
            try:
                client.style(style_id)
            except ProblemError as err:
                if err.status == 404:
                    raise unknown_style(style_id, err.detail) from err
                raise


def _options(request: StylizeRequest[bytes]) -> JobOptions:
    if request.size != "original" and not request.size.isdecimal():
        raise InvalidField(f"got {request.size!r:.80}: the longer side in pixels, or `original`", "size")
    files_and_ids = {
        "styles": request.style,
        "style_ids": request.style_id,
        "masks": request.mask,
        "weights": [float(weight) for weight in request.weights.split(",")] if request.weights is not None else None,
    }
    others = request.model_dump(exclude={"content", "style", "style_id", "mask", "weights"}, exclude_defaults=True)
    return cast(JobOptions, {**others, **files_and_ids})


async def _outcome(
    client: AsyncClient, pair: FilePair, request: StylizeRequest[bytes], options: JobOptions, display: ProgressDisplay
) -> Outcome:
    is_large = request.size == "original" or int(request.size) > LARGE_PX
    options = {**options, "format": request.format or pair.format}
    try:
        if request.method == "gatys" or is_large:
            job = await client.submit(pair.read(), **options)
            picture = await _picture_of(job, pair, display)
        else:
            picture = await client.stylize(pair.read(), **cast(StylizeOptions, options))
        pair.write(picture.data)
    except ProblemError as err:
        return Outcome(pair, error=err.detail)
    except (StylizeError, OSError) as err:
        return Outcome(pair, error=str(err))
    return Outcome(pair, seed=picture.seed)


async def _picture_of(job: AsyncJob, pair: FilePair, display: ProgressDisplay) -> StylizedImage:
    """Wait for a job's output; if the waiting is cancelled, so is the job."""

    def tell(status: JobStatus) -> None:
        display.step(pair, round(status.progress * 100), 100)

    try:
        await job.wait(on_progress=tell)
    except asyncio.CancelledError:
        await job.cancel()
        raise
    return await job.result()
