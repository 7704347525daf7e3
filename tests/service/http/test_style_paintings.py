"""Named styles whose painting lies beside the checkpoints: shown, and encoded where numbers will not do."""

import shutil
from pathlib import Path

import httpx
import image_files as files
import pytest
from answers import PHOTO, STYLE, largest_difference, picture, problem
from controls import BLACK, LEFT, RIGHT, SIZE, WHITE, painted, send
from PIL import Image
from processes import Service, wait_for
from services import Services
from tiny import add_painting

from stylize_client import Client

PAINTING = files.photo(96, 64, seed=5)
WARM = files.saved(Image.blend(files.photo(64, 43), Image.new("RGB", SIZE, (250, 120, 20)), 0.8))
JOB = {"Prefer": "respond-async"}


@pytest.fixture(scope="module")
def folder(bright_networks: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``first`` and ``sea`` have a painting, ``second`` and the others have none."""
    folder = shutil.copytree(bright_networks, tmp_path_factory.mktemp("paintings") / "checkpoints")
    add_painting(folder, PAINTING, "first", "sea", origin="A museum, No. 1")
    return folder


@pytest.fixture(scope="module")
def service(services: Services, folder: Path) -> Service:
    return services.shared(folder)


@pytest.fixture(scope="module")
def file(folder: Path) -> bytes:
    return (folder / "paintings" / "first.webp").read_bytes()


# ---- shown --------------------------------------------------------------------------------------------------------


def test_the_painting_is_shown_with_where_it_is_from(client: httpx.Client, file: bytes) -> None:
    styles = {style["id"]: style for style in client.get("/styles").json()["styles"]}
    shown = {style_id: (style["image"], style["origin"]) for style_id, style in styles.items() if style["image"]}
    assert shown == {name: (f"/styles/{name}/image", "A museum, No. 1") for name in ("first", "sea")}
    answer = client.get(styles["first"]["image"])
    assert picture(answer, "webp", PAINTING.size) and answer.content == file
    assert answer.headers["cache-control"] == "no-cache"
    again = client.get(styles["first"]["image"], headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_style_without_its_painting_says_so(client: httpx.Client) -> None:
    problem(client.get("/styles/second/image"), 404, None, "the painting of the style 'second' is not here")
    problem(client.get("/styles/third/image"), 404, None, "there is no style 'third': GET /styles lists them")


def test_the_client_fetches_it(service: Service, file: bytes) -> None:
    with Client(service.url) as client:
        style = client.style("first")
        assert (style.image, style.origin) == ("/styles/first/image", "A museum, No. 1")
        assert client.style("second").image is None
        assert client.style_image("first") == file


# ---- encoded ------------------------------------------------------------------------------------------------------


def test_plain_requests_take_the_stored_numbers(client: httpx.Client, file: bytes) -> None:
    """Those of this network were drawn at random: they are not the painting's."""
    stored = painted(client, style_id="first")
    assert largest_difference(stored, painted(client, (file,))) > 3
    assert largest_difference(stored, painted(client, style_id="first", style_size=512)) <= 1
    assert largest_difference(stored, painted(client, style_id=["first", "second"], weights="1,0")) <= 1


@pytest.mark.parametrize(
    "fields",
    [
        {"style_size": 64},
        {"style_size": 300, "alpha": 0.6},
        {"color": "match"},
        {"color": "match", "content": WARM, "style_size": 128},
        {"style_size": 64, "color": "luminance", "masks": (LEFT,)},
    ],
)
def test_it_is_what_uploading_the_painting_is(client: httpx.Client, file: bytes, fields: dict[str, object]) -> None:
    by_id, by_upload = painted(client, style_id="first", **fields), painted(client, (file,), **fields)
    assert largest_difference(by_id, by_upload) <= 1
    assert largest_difference(by_id, painted(client, style_id="first", content=fields.get("content", PHOTO))) > 3


def test_a_size_in_a_mix_is_for_those_with_a_painting(client: httpx.Client, file: bytes) -> None:
    def placed(**fields: object) -> Image.Image:
        return painted(client, (), (LEFT, RIGHT), style_id=["first", "second"], **fields)

    assert largest_difference(placed(style_size=64), placed()) > 3
    ids = {"style_id": ["first", "second"], "weights": "0,1"}
    assert largest_difference(painted(client, **ids, style_size=64), painted(client, style_id="second")) <= 1
    mixed = painted(client, (file,), (WHITE, BLACK), style_id="first", style_size=64)
    assert largest_difference(mixed, painted(client, (file,), style_size=64)) <= 1


def test_what_has_no_painting_is_refused(client: httpx.Client) -> None:
    problem(send(client, style_id="second", style_size=64), 422, "style_size", "for 'second' there is none")
    problem(send(client, style_id=["first", "second"], color="match"), 422, "color", "for 'second' there is none")
    problem(send(client, style_id="sea", style_size=64), 422, "style_size", "for 'sea' there is none")
    problem(send(client, style_id="sea", color="match"), 422, "color", "for 'sea' there is none")
    answer = send(client, style_id="second", method="gatys", headers=JOB)
    problem(answer, 422, "style_id", "got 'second': the painting of this style is not here")


def optimised(client: httpx.Client, styles: tuple[bytes, ...] = (), **fields: object) -> Image.Image:
    accepted = send(client, styles, method="gatys", steps=12, headers=JOB, **fields)
    assert accepted.status_code == 202, accepted.text
    path = accepted.headers["location"]
    wait_for(lambda: client.get(path).json()["state"] not in ("queued", "running"), 60)
    answer = client.get(f"{path}/result")
    assert answer.headers["x-stylize-model"] == "adain"
    return picture(answer, "png", SIZE)


@pytest.mark.parametrize("style_id", ["first", "sea"])
def test_it_can_be_optimised_towards(client: httpx.Client, file: bytes, style_id: str) -> None:
    """Whatever network knows the style."""
    by_id, by_upload = optimised(client, style_id=style_id), optimised(client, (file,))
    other = optimised(client, (STYLE,))
    assert 3 * largest_difference(by_id, by_upload) < largest_difference(by_id, other)


def test_a_replaced_painting_is_another_style_and_a_missing_one_is_no_crash(
    client: httpx.Client, folder: Path, file: bytes
) -> None:
    before = painted(client, style_id="first", style_size=64)
    path = folder / "paintings" / "first.webp"
    try:
        path.write_bytes(files.saved(files.photo(96, 64, seed=11), "webp"))
        after = painted(client, style_id="first", style_size=64)
        assert largest_difference(before, after) > 3
        assert largest_difference(after, painted(client, (path.read_bytes(),), style_size=64)) <= 1
        path.unlink()
        wait_for(lambda: client.get("/styles/first").json()["image"] is None, 5)
        problem(send(client, style_id="first", style_size=64), 422, "style_size")
        picture(send(client, style_id="first"), "png", SIZE)
    finally:
        path.write_bytes(file)
