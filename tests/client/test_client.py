"""``stylize_client``, both clients, against running services."""

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import image_files as files
import pytest
from answers import PHOTO, STYLE, refusal
from by_hand import WorkerByHand, any_picture
from PIL import Image
from processes import Service, free_port, photo, wait_for
from tiny import learned_checkpoint

from service.errors import JobFailed
from stylize_client import (
    AsyncClient,
    Client,
    Event,
    JobPreview,
    JobProgress,
    JobStatus,
    ProblemError,
    Retries,
    StylizedImage,
    UnexpectedResponse,
    Unreachable,
    WaitedTooLong,
)
from stylize_client.connection import httpx_errors

LONG_STYLE = photo(128, 16, seed=1)
ONCE = Retries(attempts=1)
QUICK = Retries(attempts=40, first_pause_s=0.1)

Start = Callable[..., Service]


@pytest.fixture(scope="module")
def client(service: Service) -> Iterator[Client]:
    with Client(service.url) as client:
        yield client


def image(picture: StylizedImage, format: str = "JPEG") -> Image.Image:
    painted = Image.open(BytesIO(picture.data))
    assert painted.format == format and picture.media_type == f"image/{format.lower()}"
    return painted


# ---- pictures -----------------------------------------------------------------------------------------------------


def test_a_picture_and_how_it_was_made(client: Client, tmp_path: Path) -> None:
    picture = client.stylize(PHOTO, style_ids="first", size=64)
    assert image(picture).size == (64, 43)
    assert (picture.model, picture.batch_size, picture.seed, picture.is_replayed) == ("adain", 1, None, False)
    assert set(picture.timings_ms) == {"queue", "decode", "model", "encode"}
    assert picture.timings_ms["model"] > 0
    assert len(picture.request_id) >= 16
    assert picture.save(tmp_path / "painted.jpg").read_bytes() == picture.data


def test_images_are_paths_bytes_or_files(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(PHOTO)
    with path.open("rb") as file:
        pictures = [
            client.stylize(content, styles=styles, size=64)
            for content, styles in [
                *[(path, STYLE), (str(path), [STYLE]), (PHOTO, BytesIO(STYLE)), (file, (STYLE,))],
                *[(bytearray(PHOTO), memoryview(STYLE)), (memoryview(PHOTO), bytearray(STYLE))],
            ]
        ]
    assert len({picture.data for picture in pictures}) == 1


def test_every_control_arrives(client: Client, service: Service) -> None:
    half = Image.new("L", (120, 80))
    half.paste(255, (0, 0, 60, 80))
    masks = [files.saved(half), files.saved(half.point(lambda value: 255 - value))]
    picture = client.stylize(
        PHOTO,
        styles=[STYLE],
        style_ids=["second"],
        weights=[3, 1],
        alpha=0.5,
        color="luminance",
        masks=masks,
        size=64,
        format="png",
        model="adain",
    )
    by_hand = service.client.post(
        "/stylize",
        files=[("content", ("c", PHOTO)), ("style", ("s", STYLE)), *(("mask", ("m", mask)) for mask in masks)],
        data={
            "style_id": "second",
            "weights": "3,1",
            "alpha": "0.5",
            "color": "luminance",
            "size": "64",
            "format": "png",
            "model": "adain",
        },
    )
    assert picture.data == by_hand.content
    assert image(client.stylize(PHOTO, styles=STYLE, style_size=128, size=64, format="webp", quality=5), "WEBP")


def test_a_seed_comes_back(start_service: Start, every_network: Path) -> None:
    with Client(start_service(checkpoints=every_network).url) as client:
        picture = client.stylize(PHOTO, style_ids="moss", size=64)
        assert picture.seed is not None
        assert client.stylize(PHOTO, style_ids="moss", size=64, seed=picture.seed).data == picture.data


def test_the_same_key_brings_the_same_picture(client: Client) -> None:
    first, again = (client.stylize(PHOTO, style_ids="first", size=64, idempotency_key="mine") for _ in range(2))
    assert (first.is_replayed, again.is_replayed) == (False, True)
    assert first.data == again.data


def test_a_problem_has_all_that_the_service_says(client: Client) -> None:
    problem = refusal(lambda: client.stylize(PHOTO, style_ids="first", size=7), 422)
    assert problem.title == "Invalid value"
    assert "from 64 to 4096 pixels" in problem.detail
    assert [(field.field, field.detail) for field in problem.fields] == [("size", problem.detail)]
    assert len(problem.request_id) >= 16
    assert str(problem) == f"422 Invalid value: {problem.detail}"
    assert refusal(lambda: client.stylize(b"text", style_ids="first"), 415).fields[0].field == "content"
    with pytest.raises(FileNotFoundError):
        client.stylize("nowhere.jpg", style_ids="first")


# ---- styles, networks, readiness ----------------------------------------------------------------------------------


def test_all_pages_of_styles(client: Client, service: Service) -> None:
    registered = [
        client.register_style(STYLE, f"Number {number}", artist="Me", year=1900 + number) for number in (1, 2)
    ]
    listed = list(client.styles())
    assert [style.id for style in listed] == ["first", "second", *(style.id for style in registered)]
    assert listed[2:] == registered
    assert (listed[2].title, listed[2].artist, listed[2].year, listed[2].kind) == ("Number 1", "Me", 1901, "registered")
    assert "alpha" in listed[0].controls
    assert [style.id for style in client.styles(kind="shipped", model="adain")] == ["first", "second"]
    assert client.style("first") == listed[0]
    assert image(client.stylize(PHOTO, style_ids=registered[0].id, size=64))
    for style in registered:
        client.delete_style(style.id)
    assert list(client.styles(kind="registered")) == []
    refusal(lambda: client.style(registered[0].id), 404)
    refusal(lambda: client.delete_style("first"), 409)


def test_more_styles_than_a_page_has(start_service: Start, tmp_path: Path) -> None:
    ids = [f"style-{number:03}" for number in range(150)]
    learned_checkpoint(tmp_path / "many.safetensors", *ids)
    with Client(start_service(workers=0, checkpoints=tmp_path).url) as client:
        assert [style.id for style in client.styles()] == ids


def test_networks_and_readiness(client: Client, api_alone: Service) -> None:
    assert [(model.id, model.state, model.styles) for model in client.models()] == [("adain", "available", 2)]
    readiness = client.ready()
    assert (readiness.ready, readiness.workers) == (True, 1)
    with Client(api_alone.url) as nobody:
        readiness = nobody.ready()
    assert not readiness.ready
    assert "no worker is ready" in readiness.detail
    assert "stylize_queue_depth" in client.metrics()


# ---- jobs ---------------------------------------------------------------------------------------------------------


def test_a_job_is_waited_for_and_fetched(client: Client) -> None:
    job = client.submit(PHOTO, style_ids="first", size=64, format="png")
    seen: list[JobStatus] = []
    status = job.wait(60, seen.append)
    assert (status.state, status.progress, status.problem) == ("succeeded", 1.0, None)
    assert seen[-1] == status == job.status
    assert job.result().data == client.stylize(PHOTO, style_ids="first", size=64, format="png").data
    assert client.job(job.id).status == status
    refusal(lambda: client.job("0" * 32), 404)


def test_an_optimisation_tells_its_steps(client: Client) -> None:
    job = client.submit(PHOTO, styles=LONG_STYLE, size=64, method="gatys", steps=6)
    events = list(job.events())
    assert isinstance(events[-1], JobStatus) and events[-1].state == "succeeded"
    assert job.status == events[-1]
    assert image(job.result()).size == (64, 43)
    assert list(job.events()) == [events[-1]], "who comes later hears the end"


def told_events(client: Client, worker: WorkerByHand) -> list[Event]:
    """Of a job that a worker does by hand, step by step: each is taken when the one before has been heard."""
    job = client.submit(PHOTO, styles=LONG_STYLE, size=64, method="gatys", steps=3)
    events: list[Event] = []
    claim = None
    for event in job.events():
        events.append(event)
        if isinstance(event, JobStatus) and event.state == "queued":
            assert event.position == 1
            assert job.preview() is None
            (claim,) = worker.claim(lane="background")
        elif isinstance(event, JobStatus) and event.state == "running":
            assert claim is not None and worker.tell(claim, 1, 3)
        elif isinstance(event, JobPreview):
            assert job.preview() == event.data
            assert claim is not None and worker.paint(claim)
    return events


def test_events_are_values(start_service: Start) -> None:
    service = start_service(workers=0)
    with Client(service.url) as client:
        queued, running, step, preview, end = told_events(client, WorkerByHand(service))
    assert isinstance(queued, JobStatus) and isinstance(running, JobStatus) and running.state == "running"
    assert step == JobProgress(0.3333, 1, 3, {"total": 1.0})
    assert preview == JobPreview(1, "image/jpeg", any_picture())
    assert isinstance(end, JobStatus) and end.state == "succeeded"


def test_a_job_that_fails_is_cancelled_or_takes_too_long(start_service: Start) -> None:
    service = start_service(workers=0)
    worker = WorkerByHand(service)
    with Client(service.url) as client:
        failing, cancelled = (client.submit(PHOTO, style_ids="first", size=64) for _ in range(2))
        with pytest.raises(WaitedTooLong, match=r"is queued after 0\.2 s"):
            failing.wait(0.2)
        assert refusal(failing.result, 409).detail.startswith("the job is queued")
        (claim,) = worker.claim()
        worker.fail(claim, JobFailed("it could not be"))
        assert failing.wait(10).state == "failed"
        problem = refusal(failing.result, 500)
        assert (problem.title, problem.detail) == ("Processing failed", "it could not be")
        cancelled.cancel()
        assert cancelled.wait(10).state == "cancelled"
        assert "was cancelled" in refusal(cancelled.result, 409).detail


# ---- what is not the service --------------------------------------------------------------------------------------


@pytest.fixture
def other_server(tmp_path: Path) -> Iterator[str]:
    """A web server that is not ours: it serves an empty folder."""
    port = free_port()
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", str(tmp_path)]
    server = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    (tmp_path / "models").write_text("These are no networks.")
    with Client(url, retries=QUICK) as client:
        try:
            client.ready()
        except ProblemError:
            pass
        except Unreachable:
            wait_for(lambda: not isinstance(reached(client), Unreachable))
        yield url
    server.terminate()
    server.wait()


def reached(client: Client) -> Exception | None:
    try:
        client.ready()
    except Exception as err:
        return err
    return None


@pytest.mark.processes
def test_another_server(other_server: str) -> None:
    with Client(other_server, retries=ONCE) as client:
        assert refusal(lambda: client.style("first"), 404).title == "Not Found"
        with pytest.raises(UnexpectedResponse, match="got a response to GET /models with status 200 that is not"):
            client.models()


@pytest.mark.parametrize("address", ["127.0.0.1:8000", "ftp://example", "http://", "http://a:b"])
def test_an_address_that_is_none(address: str) -> None:
    with pytest.raises(ValueError, match="as the service's address"):
        Client(address)


@pytest.mark.parametrize("kind", [Client, AsyncClient])
@pytest.mark.parametrize("api_key", ["ключ", "a\nb", "a b", b"key"])
def test_an_api_key_that_is_none(kind: type, api_key: object) -> None:
    with pytest.raises(ValueError, match="printable ASCII") as caught:
        kind(api_key=api_key)
    assert str(api_key) not in str(caught.value), "it may be a secret all the same"


@pytest.mark.parametrize("key", ["é", 5, "a\nb", "", "k" * 256])
def test_an_idempotency_key_that_is_none(key: Any) -> None:
    with Client("http://127.0.0.1:9") as client:
        with pytest.raises(ValueError, match="as idempotency_key: a string of 1 to 255 characters"):
            client.stylize(PHOTO, style_ids="first", idempotency_key=key)
        with pytest.raises(ValueError, match="as idempotency_key"):
            client.register_style(STYLE, "Wave", idempotency_key=key)


def test_what_http_cannot_say_is_not_unreachable() -> None:
    with pytest.raises(ValueError, match="not allowed by HTTP"), httpx_errors(httpx.URL("http://a")):
        raise httpx.LocalProtocolError("Illegal header value")


@pytest.mark.processes
def test_it_needs_httpx_and_nothing_else() -> None:
    code = (
        "import sys, stylize_client;"
        "print(sorted({'torch', 'redis', 'fastapi', 'starlette', 'pydantic', 'PIL', 'typer'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# ---- asyncio ------------------------------------------------------------------------------------------------------


async def test_the_asynchronous_client(client: Client, service: Service) -> None:
    async with AsyncClient(service.url) as other:
        one, two = await asyncio.gather(
            *(other.stylize(PHOTO, style_ids=name, size=64) for name in ("first", "second"))
        )
        assert one.data == client.stylize(PHOTO, style_ids="first", size=64).data != two.data
        style = await other.register_style(STYLE, "Waves")
        assert [found.id async for found in other.styles(kind="registered")] == [style.id]
        assert await other.style(style.id) == style
        await other.delete_style(style.id)
        assert await other.models() == client.models()
        assert (await other.ready()).ready
        assert "stylize_workers" in await other.metrics()
        with pytest.raises(ProblemError, match="422 Invalid value"):
            await other.stylize(PHOTO)


async def test_asynchronous_jobs(service: Service) -> None:
    async with AsyncClient(service.url) as client:
        job = await client.submit(PHOTO, styles=LONG_STYLE, size=64, method="gatys", steps=3)
        last = [event async for event in job.events()][-1]
        assert isinstance(last, JobStatus) and last == await job.wait(10) == await job.refresh()
        assert image(await job.result()).size == (64, 43)
        assert await job.preview() is None
        assert [event async for event in (await client.job(job.id)).events()] == [last]
        endless = await client.submit(PHOTO, styles=LONG_STYLE, size=64, method="gatys", steps=500)
        with pytest.raises(WaitedTooLong):
            await endless.wait(0.1)
        await endless.cancel()
        assert (await endless.wait(30)).state == "cancelled"
        with pytest.raises(ProblemError, match="was cancelled"):
            await endless.result()
