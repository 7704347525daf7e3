"""``service.client``, both clients, against running services."""

import asyncio
import hashlib
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from io import BytesIO
from pathlib import Path

import image_files as files
import pytest
from answers import PHOTO, STYLE
from by_hand import WorkerByHand, any_picture
from PIL import Image
from processes import READY_WITHIN_S, Service, free_port, photo, wait_for
from tiny import learned_checkpoint

from service.client import (
    AsyncClient,
    Client,
    Event,
    JobPreview,
    JobProgress,
    JobStatus,
    Picture,
    ProblemError,
    Retries,
    UnexpectedAnswer,
    Unreachable,
    WaitedTooLong,
)
from service.client.calls import KEY, Answer, Call, Operation
from service.client.retries import outcome, retry_after_s
from service.errors import JobFailed

LONG_STYLE = photo(128, 16, seed=1)
ONCE = Retries(attempts=1)
QUICK = Retries(attempts=40, first_pause_s=0.1)

Start = Callable[..., Service]


@pytest.fixture(scope="module")
def client(service: Service) -> Iterator[Client]:
    with Client(service.url) as client:
        yield client


def image(picture: Picture, format: str = "JPEG") -> Image.Image:
    painted = Image.open(BytesIO(picture.data))
    assert painted.format == format and picture.media_type == f"image/{format.lower()}"
    return painted


def refusal(call: Callable[[], object], status: int) -> ProblemError:
    with pytest.raises(ProblemError) as caught:
        call()
    assert caught.value.status == status
    return caught.value


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
            for content, styles in [(path, STYLE), (str(path), [STYLE]), (PHOTO, BytesIO(STYLE)), (file, (STYLE,))]
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
            (claim,) = worker.claim(lane="long")
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


# ---- trying again -------------------------------------------------------------------------------------------------


def test_a_full_queue_is_tried_again_until_there_is_room(start_service: Start) -> None:
    service = start_service(workers=0, max_queue=1)
    worker = WorkerByHand(service)
    with Client(service.url) as client, Client(service.url, retries=ONCE) as hasty, ThreadPoolExecutor(2) as threads:
        first = threads.submit(client.stylize, PHOTO, style_ids="first", size=64)
        (claim,) = claimed(worker)
        problem = refusal(lambda: hasty.stylize(PHOTO, style_ids="first", size=64), 503)
        assert problem.title == "Queue full"
        refused = service.metric('stylize_rejected_total{reason="QueueFull"}')
        second = threads.submit(client.stylize, PHOTO, style_ids="second", size=64)
        wait_for(lambda: service.metric('stylize_rejected_total{reason="QueueFull"}') > refused)
        worker.paint(claim)
        assert first.result(20).data == any_picture()
        (claim,) = claimed(worker)
        assert claim.job.parameters["styles"][0]["style_id"] == "second"
        worker.paint(claim, any_picture("PNG"))
        assert second.result(20).data == any_picture("PNG")


def claimed(worker: WorkerByHand) -> list:
    claims: list = []
    wait_for(lambda: claims.extend(worker.claim()) or claims)
    return claims


def test_a_key_and_its_limit(start_service: Start) -> None:
    secret = "a-key-of-alice"
    entry = f"alice:{hashlib.sha256(secret.encode()).hexdigest()}"
    service = start_service(workers=0, api_keys=entry, max_requests_per_key=1)
    worker = WorkerByHand(service)
    with Client(service.url) as stranger:
        assert refusal(lambda: list(stranger.styles()), 401).title == "API key needed"
    client, hasty = Client(service.url, secret), Client(service.url, secret, retries=ONCE)
    with client, hasty, ThreadPoolExecutor(2) as threads:
        first = threads.submit(client.stylize, PHOTO, style_ids="first", size=64)
        (claim,) = claimed(worker)
        refusal(lambda: hasty.stylize(PHOTO, style_ids="first", size=64), 429)
        second = threads.submit(client.stylize, PHOTO, style_ids="second", size=64)
        worker.paint(claim)
        worker.paint(claimed(worker)[0])
        assert first.result(20).data == second.result(20).data == any_picture()


def test_a_service_that_restarts_is_waited_for(start_service: Start) -> None:
    service = start_service(workers=0)
    worker = WorkerByHand(service)
    with Client(service.url, retries=QUICK) as client, ThreadPoolExecutor(1) as threads:
        job = client.submit(PHOTO, style_ids="first", size=64)
        events = job.events()
        assert isinstance(next(events), JobStatus)
        assert service.api is not None
        service.api.send_signal(signal.SIGKILL)
        service.api.wait()
        with pytest.raises(Unreachable, match=f"no answer from {service.url}"):
            Client(service.url, retries=ONCE).stylize(PHOTO, style_ids="first")
        painted = threads.submit(client.stylize, PHOTO, style_ids="second", size=64)
        heard = threads.submit(list, events)
        service.api = service._spawn("api")
        wait_for(service._answers, READY_WITHIN_S)
        for _ in range(2):
            worker.paint(claimed(worker)[0])
        assert painted.result(30).data == any_picture()
        last = heard.result(30)[-1]
        assert isinstance(last, JobStatus) and last.state == "succeeded"


def drive(call: Call, retries: Retries, *answers: Answer | Unreachable) -> tuple[object, list[Call], list[float]]:
    """What comes of a call that is answered so, the requests that were sent, and the pauses before them."""
    flow = outcome(Operation(call, lambda answer: answer.status), retries)
    sent, pauses = [], []
    attempt = next(flow)
    for answer in answers:
        sent.append(attempt.call)
        pauses.append(attempt.after_s)
        try:
            attempt = flow.throw(answer) if isinstance(answer, Unreachable) else flow.send(answer)
        except StopIteration as end:
            return end.value, sent, pauses
        except (ProblemError, Unreachable) as err:
            return err, sent, pauses
    pytest.fail(f"it would be sent once more: {attempt}")


FULL = Answer(503, {"retry-after": "3"}, b"full")
GET, POST = Call("GET", "/styles"), Call("POST", "/stylize")
OK = Answer(200, {})


def test_what_is_sent_again_has_the_same_key_and_pauses_as_it_is_told() -> None:
    came, sent, pauses = drive(POST, Retries(), FULL, Answer(429, {}), OK)
    assert came == 200
    assert len({call.headers[KEY] for call in sent}) == 1
    assert pauses[:2] == [0, 3] and 0.5 <= pauses[2] <= 1.0
    assert KEY not in drive(POST, ONCE, OK)[1][0].headers
    assert drive(POST.with_headers(**{KEY: "mine"}), Retries(), OK)[1][0].headers[KEY] == "mine"


def test_what_is_not_sent_again() -> None:
    lost = Unreachable("lost")
    assert drive(Call("DELETE", "/styles/a"), Retries(), lost)[0] is lost
    assert drive(GET, Retries(attempts=3), lost, lost, lost)[0] is lost
    assert drive(GET, Retries(max_wait_s=2.9), FULL)[0].status == 503
    assert drive(GET, Retries(), Answer(504, {}))[0].status == 504
    conflict = Answer(409, {})
    assert drive(POST, Retries(), conflict)[0].status == 409
    assert drive(POST, Retries(), lost, conflict, OK)[0] == 200, "the service had not noticed the loss"


def test_a_date_in_retry_after() -> None:
    at = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    assert 50 < (retry_after_s(Answer(503, {"retry-after": at})) or 0) <= 60
    assert retry_after_s(Answer(503, {"retry-after": "soon"})) is None


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


def test_another_server(other_server: str) -> None:
    with Client(other_server, retries=ONCE) as client:
        assert refusal(lambda: client.style("first"), 404).title == "Not Found"
        with pytest.raises(UnexpectedAnswer, match="GET /models was answered 200, but not as Stylize answers"):
            client.models()


@pytest.mark.parametrize("address", ["127.0.0.1:8000", "ftp://example", "http://", "http://a:b"])
def test_an_address_that_is_none(address: str) -> None:
    with pytest.raises(ValueError, match="as the service's address"):
        Client(address)


def test_it_needs_httpx_and_nothing_else() -> None:
    code = (
        "import sys, service.client;"
        "print(sorted({'torch', 'redis', 'fastapi', 'starlette', 'pydantic', 'PIL', 'typer'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# ---- asyncio ------------------------------------------------------------------------------------------------------


def test_the_asynchronous_client(client: Client, service: Service) -> None:
    async def use() -> None:
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

    asyncio.run(use())


def test_asynchronous_jobs(service: Service) -> None:
    async def use() -> None:
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

    asyncio.run(use())


def test_an_asynchronous_wait_for_room_lets_others_run(start_service: Start) -> None:
    service = start_service(workers=0, max_queue=1)
    worker = WorkerByHand(service)

    def paint_two() -> None:
        for _ in range(2):
            worker.paint(claimed(worker)[0])

    async def use() -> None:
        painter = threading.Thread(target=paint_two)
        painter.start()
        async with AsyncClient(service.url) as client:
            pictures = await asyncio.gather(*(client.stylize(PHOTO, style_ids="first", size=64) for _ in range(2)))
        painter.join()
        assert [picture.data for picture in pictures] == [any_picture()] * 2

    asyncio.run(use())
