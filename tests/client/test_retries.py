"""What the client sends again, and what not: against full and restarted services, and step by step."""

import asyncio
import hashlib
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from answers import PHOTO, refusal
from by_hand import WorkerByHand, any_picture
from processes import READY_WITHIN_S, Service, wait_for

from stylize_client import AsyncClient, Client, JobStatus, ProblemError, Retries, Unreachable
from stylize_client.calls import KEY, Call, Operation, Response
from stylize_client.retries import outcome, retry_after_s

ONCE = Retries(attempts=1)
QUICK = Retries(attempts=40, first_pause_s=0.1)

Start = Callable[..., Service]


def test_a_full_queue_is_tried_again_until_there_is_room(start_service: Start) -> None:
    service = start_service(workers=0, request_timeout_s=6)
    service.say_that_jobs_take(3.5)
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
        with pytest.raises(Unreachable, match=f"no response from {service.url}"):
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


def test_work_for_a_dead_process_is_done_once_and_given_out_by_the_next(start_service: Start) -> None:
    service = start_service(workers=0, lease_ms=1000)
    worker = WorkerByHand(service)
    with Client(service.url, retries=Retries(attempts=50)) as client, ThreadPoolExecutor(1) as threads:
        painted = threads.submit(client.stylize, PHOTO, style_ids="first", size=64)
        (claim,) = claimed(worker)
        assert service.api is not None
        service.api.kill()
        service.api.wait()
        service.api = service._spawn("api")
        wait_for(service._answers, READY_WITHIN_S)
        assert worker.paint(claim), "its job outlives the process"
        assert painted.result(30).data == any_picture()
        assert worker.claim() == []


def drive(call: Call, retries: Retries, *answers: Response | Unreachable) -> tuple[object, list[Call], list[float]]:
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


FULL = Response(503, {"retry-after": "3"}, b"full")
GET, POST = Call("GET", "/styles"), Call("POST", "/stylize")
OK = Response(200, {})


def test_what_is_sent_again_has_the_same_key_and_pauses_as_it_is_told() -> None:
    came, sent, pauses = drive(POST, Retries(), FULL, Response(429, {}), OK)
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
    assert drive(GET, Retries(), Response(504, {}))[0].status == 504
    conflict = Response(409, {})
    assert drive(POST, Retries(), conflict)[0].status == 409
    assert drive(POST, Retries(), lost, conflict, OK)[0] == 200, "the service had not noticed the loss"
    held = Response(409, {"retry-after": "7"})
    assert drive(POST, Retries(), held, OK)[0] == 200, "the key's holder may have died"
    assert drive(POST, Retries(max_wait_s=6), held)[0].status == 409


def test_a_date_in_retry_after() -> None:
    at = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    assert 50 < (retry_after_s(Response(503, {"retry-after": at})) or 0) <= 60
    assert retry_after_s(Response(503, {"retry-after": "soon"})) is None


async def test_an_asynchronous_wait_for_room_lets_others_run(start_service: Start) -> None:
    service = start_service(workers=0, request_timeout_s=6)
    service.say_that_jobs_take(3.5)
    worker = WorkerByHand(service)

    def paint_two() -> None:
        for _ in range(2):
            worker.paint(claimed(worker)[0])

    painter = threading.Thread(target=paint_two)
    painter.start()
    async with AsyncClient(service.url) as client:
        pictures = await asyncio.gather(*(client.stylize(PHOTO, style_ids="first", size=64) for _ in range(2)))
    painter.join()
    assert [picture.data for picture in pictures] == [any_picture()] * 2
