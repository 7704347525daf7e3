"""``/styles``: listing in pages, registering and deleting, against running processes."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any

import httpx
import image_files as files
import numpy as np
import pytest
from answers import STYLE, Post, largest_difference, picture, problem
from by_hand import WorkerByHand
from PIL import Image
from processes import Service, photo, wait_for

PAINTING = files.saved(files.photo(96, 64, seed=5), "png")


def register(client: httpx.Client, image: bytes = PAINTING, **fields: Any) -> httpx.Response:
    data = {"title": "Great Wave", **fields}
    return client.post("/styles", files={"image": ("wave.png", image)}, data=data)


@pytest.fixture
def registered(client: httpx.Client) -> Iterator[dict[str, Any]]:
    """A style, for as long as the test."""
    answer = register(client, artist="Hokusai", year=1831, rights="Free")
    assert answer.status_code == 201, answer.text
    yield answer.json()
    client.delete(f"/styles/{answer.json()['id']}")


def pages(client: httpx.Client, path: str) -> list[list[str]]:
    """The ids of every page, from this one on."""
    found = []
    while path:
        body = client.get(path).json()
        found.append([style["id"] for style in body["styles"]])
        path = body["next"]
    return found


# ---- registering --------------------------------------------------------------------------------------------------


def test_a_registered_style_is_listed_shown_and_painted_with(
    client: httpx.Client, post: Post, registered: dict[str, Any]
) -> None:
    path = f"/styles/{registered['id']}"
    assert registered == {
        "id": registered["id"],
        "title": "Great Wave",
        "artist": "Hokusai",
        "year": 1831,
        "rights": "Free",
        "model": "adain",
        "models": ["adain"],
        "kind": "registered",
        "controls": client.get("/styles/first").json()["controls"],
        "preview": f"{path}/preview",
        "image": f"{path}/image",
        "origin": "",
    }
    assert registered["id"].startswith("great-wave-")
    assert client.get(path).json() == registered
    assert client.get("/styles").json()["styles"][-1] == registered
    preview = client.get(registered["preview"])
    picture(preview, "webp", (256, 180))
    unchanged = client.get(registered["preview"], headers={"If-None-Match": preview.headers["etag"]})
    assert unchanged.status_code == 304

    kept = client.get(registered["image"])
    painting = picture(kept, "jpeg", (96, 64))
    assert largest_difference(painting, Image.open(BytesIO(PAINTING)).convert("RGB")) < 60, "a JPEG of it"
    unchanged = client.get(registered["image"], headers={"If-None-Match": kept.headers["etag"]})
    assert (unchanged.status_code, kept.headers["cache-control"]) == (304, "no-cache")

    by_id = picture(post(style_id=registered["id"], format="png"), "png")
    by_upload = picture(post(styles=(PAINTING,), format="png"), "png")
    assert np.abs(np.asarray(by_id, dtype=int) - np.asarray(by_upload, dtype=int)).mean() < 6, "kept as a JPEG"
    mixed = post(styles=(STYLE,), style_id=["first", registered["id"]], weights="1,1,2", format="png")
    assert largest_difference(picture(mixed, "png"), by_id) > 3


def test_its_location_is_its_path(client: httpx.Client) -> None:
    answer = register(client)
    path = answer.headers["location"]
    assert path == f"/styles/{answer.json()['id']}"
    other = register(client).json()
    assert other["title"] == answer.json()["title"] and other["id"] != answer.json()["id"], "each has an id of its own"
    for style_path in (path, f"/styles/{other['id']}"):
        assert client.delete(style_path).status_code == 204


def test_a_deleted_style_is_gone(client: httpx.Client, post: Post) -> None:
    path = register(client).headers["location"]
    style_id = path.removeprefix("/styles/")
    picture(post(style_id=style_id))
    answer = client.delete(path)
    assert (answer.status_code, answer.content) == (204, b"")
    problem(client.delete(path), 404, None, f"there is no style '{style_id}'")
    problem(client.get(path), 404, None)
    problem(client.get(f"{path}/preview"), 404, None)
    problem(client.get(f"{path}/image"), 404, None)
    problem(post(style_id=style_id), 404, "style_id", "GET /styles lists them")
    assert style_id not in [style["id"] for style in client.get("/styles").json()["styles"]]


def test_a_style_of_a_checkpoint_cannot_be_deleted(client: httpx.Client) -> None:
    answer = client.delete("/styles/first")
    problem(answer, 409, None, "'first' is part of the checkpoint 'adain'", "only registered styles can be deleted")
    assert client.get("/styles/first").status_code == 200


@pytest.mark.parametrize("style_id", ["unknown", "..%2Fadain", "%00", "x" * 4000, "Ω"])
def test_an_unknown_style(client: httpx.Client, style_id: str) -> None:
    problem(client.delete(f"/styles/{style_id}"), 404, None)
    problem(client.get(f"/styles/{style_id}"), 404, None)


@pytest.mark.parametrize(
    ("fields", "field", "phrases"),
    [
        ({"title": " \t "}, "title", ["this field is empty: send a value"]),
        ({"title": "x" * 121}, "title", ["got 121 characters, at most 120 are allowed"]),
        ({"title": "a\x07b"}, "title", ["control characters, or overrides of the writing direction"]),
        ({"artist": "x" * 121}, "artist", ["got 121 characters"]),
        ({"rights": "x" * 501}, "rights", ["got 501 characters, at most 500"]),
        ({"year": 9999}, "year", ["got '9999'", "less than or equal to 2100"]),
        ({"year": "long ago"}, "year", ["got 'long ago'", "a valid integer"]),
        ({"titel": "Wave"}, "titel", ["unknown field 'titel': known are image, title, artist, year, rights"]),
        ({"artist": ["one", "two"]}, "artist", ["got this field 2 times: send it once"]),
    ],
)
def test_a_bad_value(client: httpx.Client, fields: dict[str, Any], field: str, phrases: list[str]) -> None:
    problem(register(client, **fields), 422, field, *phrases)


def test_a_bad_file(client: httpx.Client) -> None:
    problem(register(client, b"text"), 415, "image", "got a text, allowed are jpeg")
    problem(register(client, PAINTING[:-60]), 422, "image", "damaged: send the whole file")
    problem(register(client, files.huge_png()), 422, "image", "at most 67108864 are allowed")
    problem(register(client, PAINTING + bytes(33 * 2**20)), 413, None, "send smaller images")
    problem(client.post("/styles", data={"title": "x"}), 422, "image", "this field is missing")
    problem(client.post("/styles", files={"image": PAINTING}), 422, "title", "this field is missing")


# ---- listing ------------------------------------------------------------------------------------------------------


def test_pages_of_one_have_everything_once(client: httpx.Client, registered: dict[str, Any]) -> None:
    assert pages(client, "/styles?limit=1") == [["first"], ["second"], [registered["id"]]]
    assert pages(client, "/styles?limit=2") == [["first", "second"], [registered["id"]]]
    assert pages(client, "/styles?limit=3") == [["first", "second", registered["id"]]]
    assert pages(client, "/styles?kind=registered") == [[registered["id"]]]
    assert pages(client, "/styles?kind=shipped&limit=1") == [["first"], ["second"]]
    assert pages(client, "/styles?kind=learned") == [[]]
    assert pages(client, "/styles?model=adain&limit=2") == [["first", "second"], [registered["id"]]]
    problem(client.get("/styles?model=other"), 404, "model", "there is no network 'other': known are adain")


def test_a_page_changes_its_etag_with_what_is_registered(client: httpx.Client) -> None:
    before = client.get("/styles").headers["etag"]
    path = register(client).headers["location"]
    answer = client.get("/styles", headers={"If-None-Match": before})
    assert answer.status_code == 200 and answer.headers["etag"] != before
    client.delete(path)
    assert client.get("/styles", headers={"If-None-Match": before}).status_code == 304


@pytest.mark.parametrize(
    ("query", "field", "phrase"),
    [
        ("limit=0", "limit", "greater than or equal to 1"),
        ("limit=501", "limit", "less than or equal to 500"),
        ("limit=all", "limit", "a valid integer"),
        ("kind=mine", "kind", "'shipped', 'learned' or 'registered'"),
        ("cursor=4", "cursor", "got '4': follow the `next` of a page"),
        ("cursor=row.adain.x", "cursor", "follow the `next`"),
        ("cursor=", "cursor", "follow the `next`"),
    ],
)
def test_a_bad_page(client: httpx.Client, query: str, field: str, phrase: str) -> None:
    problem(client.get(f"/styles?{query}"), 422, field, phrase)


# ---- limits, and those who leave ----------------------------------------------------------------------------------


class Registrar:
    """Registers through an API whose worker is played by hand."""

    def __init__(self, service: Service) -> None:
        self.client = service.client
        self.worker = WorkerByHand(service)
        self.blobs = {"painting": photo()}

    def register(self, title: str) -> httpx.Response:
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(register, self.client, title=title)
            for claim in self.worker.claim():
                assert self.worker.paint(claim, blobs=self.blobs)
            return answer.result(20)


def test_a_limit_on_how_many(start_service: Callable[..., Service]) -> None:
    registrar = Registrar(start_service(workers=0, max_styles=2))
    client = registrar.client
    ids = [registrar.register(title).json()["id"] for title in ("one", "two")]
    body = problem(register(client), 409, None, "2 styles are registered, at most 2 are allowed: DELETE /styles/{id}")
    assert body["title"] == "Conflict"
    assert pages(client, "/styles?kind=registered&limit=1") == [[ids[0]], [ids[1]]]
    second_page = client.get("/styles?kind=registered&limit=1").json()["next"]
    client.delete(f"/styles/{ids[0]}")
    assert pages(client, second_page) == [[ids[1]]], "the page behind a deleted style"
    assert registrar.register("three").status_code == 201


def test_neither_a_small_cache_nor_small_limits_keep_one_out(
    start_service: Callable[..., Service],
) -> None:
    """The sample and the kept painting are our own files; what a worker remembers changes nothing."""
    service = start_service(style_cache_entries=1, max_body_bytes=60_000, max_image_pixels=100_000)
    noise = np.random.default_rng(1).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    paintings = [files.saved(Image.fromarray(noise), "jpeg", quality=20), *(photo(96, 64, seed) for seed in range(3))]

    def painted(index: int) -> int:
        answer = register(service.client, paintings[index % 4], title=f"Wave {index}")
        assert answer.status_code == 201, answer.text
        return service.stylize(style_id=answer.json()["id"]).status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(painted, range(16))) == {200}


def test_a_client_that_leaves_registers_nothing(start_service: Callable[..., Service]) -> None:
    service = start_service(workers=0)
    worker = WorkerByHand(service)
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{service.url}/styles", files={"image": PAINTING}, data={"title": "Wave"}, timeout=1)
    wait_for(lambda: service.metric("stylize_queue_depth") == 0, 5)
    assert worker.claim(within_ms=50) == []
    assert service.client.get("/styles?kind=registered").json()["styles"] == []


def test_every_api_sees_it_and_a_restart_forgets_nothing(start_service: Callable[..., Service]) -> None:
    service = start_service(workers=0)
    style = Registrar(service).register("Wave").json()
    assert service.api is not None
    service.api.kill()
    service.api.wait()
    service.start(workers=0)
    assert service.client.get(f"/styles/{style['id']}").json() == style
    preview = service.client.get(style["preview"]).content
    assert Image.open(BytesIO(preview)).size == (8, 8)
