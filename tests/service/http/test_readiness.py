"""What ``/readyz`` says of workers that are not ready, and where the documentation says that the service is."""

from urllib.parse import urljoin

import httpx

from service.http.routes.health import _states
from service.queue.heartbeat import WorkerInfo


def test_a_worker_that_is_silent_is_not_said_to_be_ready() -> None:
    beats = [WorkerInfo("a", 12_400, {"state": "ready"}), WorkerInfo("b", 10, {"state": "warming up"})]
    assert _states(beats, 10_000) == " (silent for 12 s, warming up)"
    assert _states([], 10_000) == ""


def test_the_document_says_where_the_service_is_also_below_a_path(client: httpx.Client) -> None:
    (server,) = client.get("/openapi.json").json()["servers"]
    for address in ("http://a/openapi.json", "https://b/pictures/openapi.json"):
        assert urljoin(address, server["url"]) == address.removesuffix("openapi.json")
