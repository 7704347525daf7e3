"""Pictures in tiles over HTTP: as jobs with progress, with controls together, refused, and beside small requests."""

import base64
import json
from io import BytesIO
from pathlib import Path

import httpx
import image_files as files
import numpy as np
import pytest
from answers import STYLE, largest_difference, picture
from controls import half_mask, registered_style, send
from PIL import Image
from processes import Service, wait_for
from services import Services

LARGE = files.saved(files.photo(200, 150), "jpeg")
PAINTING = files.saved(files.photo(96, 64, seed=5), "jpeg", quality=90)
ASYNC = {"Prefer": "respond-async"}


@pytest.fixture(scope="module")
def service(services: Services, bright_networks: Path) -> Service:
    """Whatever has more than 128 × 128 pixels is painted in tiles."""
    return services.shared(bright_networks, tile_above_pixels=128 * 128, tile_px=64)


@pytest.fixture(scope="module")
def whole(services: Services, bright_networks: Path) -> Service:
    """The same networks, in one pass."""
    return services.shared(bright_networks)


def told(client: httpx.Client, path: str) -> list[tuple[str, dict]]:
    """All events of a job, to its end."""
    names: list[str] = []
    found = []
    with client.stream("GET", f"{path}/events") as answer:
        for line in answer.iter_lines():
            name, _, value = line.partition(": ")
            if name == "event":
                names.append(value)
            elif name == "data":
                found.append((names[-1], json.loads(value)))
    return found


@pytest.mark.parametrize("style_id", ["first", "sea"])
def test_a_job_tells_its_tiles_and_shows_the_picture_so_far(client: httpx.Client, style_id: str) -> None:
    fields = {"content": LARGE, "style_id": style_id, "size": "800"}  # long enough for news
    accepted = send(client, headers=ASYNC, **fields)
    assert accepted.status_code == 202, accepted.text
    path = accepted.headers["location"]
    events = told(client, path)
    assert [view["state"] for name, view in events if name == "state"][-1] == "succeeded"
    steps = [progress for name, progress in events if name == "progress"]
    assert steps and len({step["steps"] for step in steps}) == 1
    assert [step["step"] for step in steps] == sorted({step["step"] for step in steps})
    assert all(step["progress"] == pytest.approx(step["step"] / step["steps"], abs=0.001) for step in steps)
    previews = [preview for name, preview in events if name == "preview"]
    assert previews and Image.open(BytesIO(base64.b64decode(previews[-1]["data"]))).size == (256, 192)

    result = client.get(f"{path}/result")
    one, direct = picture(result, "png", (800, 600)), send(client, **fields)
    assert largest_difference(one, picture(direct, "png", (800, 600))) <= 1
    for answer in (result, direct):
        assert answer.headers["x-stylize-batch-size"] == "1" and "model;dur=" in answer.headers["server-timing"]


def test_a_job_in_tiles_is_cancelled_between_two(client: httpx.Client, service: Service) -> None:
    accepted = send(client, headers=ASYNC, content=LARGE, style_id="sea", size="1500")
    path = accepted.headers["location"]
    wait_for(lambda: 0 < client.get(path).json()["progress"] < 1)
    assert client.delete(path).status_code == 204
    assert client.get(path).json()["state"] == "cancelled"
    wait_for(lambda: service.metric("stylize_background_queue_depth") == 0, 20)


def test_controls_together_in_tiles_are_the_picture_of_one_pass(client: httpx.Client, whole: Service) -> None:
    """A registered style and an upload, recoloured and at a size of their own, each behind a mask of another size."""
    masks = (half_mask(True, (90, 70)), half_mask(False, (90, 70)))
    found = []
    for each in (client, whole.client):
        fields = {"style_id": registered_style(each, PAINTING), "color": "match", "style_size": 150, "alpha": 0.9}
        found.append(picture(send(each, (STYLE,), masks, content=LARGE, size="180", **fields), "png", (180, 135)))
    assert largest_difference(*found) <= 8, "of which all is the rounding of bf16"
    one, other = (np.asarray(image, dtype=float) for image in found)
    assert np.abs(one - other).mean() < 1


def test_transparency_masks_and_luminance_in_tiles(client: httpx.Client) -> None:
    photo = files.saved(files.transparent(180, 120))
    fields = {"content": photo, "style_id": "sea", "size": "original"}
    image = picture(send(client, (), (half_mask(True),), color="luminance", **fields), "png", (180, 120))
    plain = picture(send(client, **fields), "png", (180, 120))
    assert image.mode == "RGBA"
    assert largest_difference(image.getchannel("A"), plain.getchannel("A")) == 0
    assert image.getchannel("A").getextrema() == (0, 255)


def test_a_seed_paints_the_same_in_tiles(client: httpx.Client) -> None:
    fields = {"content": LARGE, "style_id": "moss", "size": "original"}
    drawn = send(client, **fields)
    again = send(client, seed=drawn.headers["x-stylize-seed"], **fields)
    other = send(client, seed=int(drawn.headers["x-stylize-seed"]) // 2 + 1, **fields)
    one, same, another = (picture(answer, "png", (200, 150)) for answer in (drawn, again, other))
    assert largest_difference(one, same) <= 1 < largest_difference(one, another)
