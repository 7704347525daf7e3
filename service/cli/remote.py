"""Have a running service paint: several photos in flight at once."""

import asyncio
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from service.cli.files import FilePair
from service.cli.look import Look, unknown_style
from service.cli.progress import Outcome, ProgressDisplay
from service.errors import InvalidField
from stylize_client import (
    AsyncClient,
    AsyncJob,
    Client,
    JobStatus,
    Picture,
    PictureOptions,
    ProblemError,
    Retries,
    StylizeError,
)

PATIENCE = Retries(attempts=1000, max_wait_s=600.0)
"""A folder's photos fill a queue by themselves: they wait for room."""

LARGE_PX = 2048
"""Larger pictures may take longer than a request may: they are jobs."""


async def paint_there(
    pairs: Sequence[FilePair], look: Look, server: str, api_key: str | None, in_flight: int, display: ProgressDisplay
) -> None:
    """Paint photo by photo; one that cannot be painted does not stop the others.

    Raises:
        NotFound: A style is neither a file nor an id.
        StylizeError: The service does not answer, or does not know the key.
    """
    _check(look, server, api_key)
    options = _options(look)
    left: Iterator[FilePair] = iter(pairs)

    async def paint_some(client: AsyncClient) -> None:
        for pair in left:  # all take from the same
            display.done(await _outcome(client, pair, look, options, display))

    with _ended_in_order():
        async with AsyncClient(server, api_key, retries=PATIENCE) as client, asyncio.TaskGroup() as group:
            for _ in range(min(in_flight, len(pairs))):
                group.create_task(paint_some(client))


@contextmanager
def _ended_in_order() -> Iterator[None]:
    """SIGTERM ends what is under way as Ctrl-C does, and then this process."""
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


def _check(look: Look, server: str, api_key: str | None) -> None:
    """What would fail for every photo is better said once, and at once."""
    with Client(server, api_key, retries=Retries(attempts=1)) as client:
        client.models()
        for style_id in look.style_ids:
            try:
                client.style(style_id)
            except ProblemError as err:
                if err.status == 404:
                    raise unknown_style(style_id, err.detail) from err
                raise


def _options(look: Look) -> PictureOptions:
    if look.size != "original" and not look.size.isdecimal():
        raise InvalidField(f"got {look.size!r:.80}: the longer side in pixels, or `original`", "size")
    return PictureOptions(
        styles=look.styles,
        style_ids=look.style_ids,
        weights=look.weights,
        masks=look.masks,
        alpha=look.alpha,
        color=look.color,
        style_size=look.style_size,
        size="original" if look.size == "original" else int(look.size),
        seed=look.seed,
        quality=look.quality,
        model=look.model,
    )


async def _outcome(
    client: AsyncClient, pair: FilePair, look: Look, options: PictureOptions, display: ProgressDisplay
) -> Outcome:
    is_large = look.size == "original" or int(look.size) > LARGE_PX
    options = {**options, "format": look.format or pair.format}
    try:
        if look.method == "gatys" or is_large:
            job = await client.submit(pair.read(), method=look.method, steps=look.steps, **options)
            picture = await _picture_of(job, pair, display)
        else:
            picture = await client.stylize(pair.read(), **options)
        pair.write(picture.data)
    except ProblemError as err:
        return Outcome(pair, error=err.detail)
    except (StylizeError, OSError) as err:
        return Outcome(pair, error=str(err))
    return Outcome(pair, seed=picture.seed)


async def _picture_of(job: AsyncJob, pair: FilePair, display: ProgressDisplay) -> Picture:
    """Wait for it; who stops waiting cancels it."""

    def tell(status: JobStatus) -> None:
        display.step(pair, round(status.progress * 100), 100)

    try:
        await job.wait(on_progress=tell)
    except asyncio.CancelledError:
        await job.cancel()
        raise
    return await job.result()
