"""Two networks for any style that share named styles, against running processes."""

import shutil
from collections.abc import Callable
from pathlib import Path

import httpx
import image_files as files
import pytest
import tiny
from answers import STYLE, Post, largest_difference, picture, problem
from controls import registered_style
from processes import Service, wait_for
from services import Services
from tiny import learned_checkpoint

from model_store import checkpoint
from model_store.checkpoint_metadata import CheckpointMetadata, NamedStyle


@pytest.fixture(scope="module")
def folder(tiny_checkpoints: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``adain`` knows first and second, ``swift`` second and third, ``table`` sea."""
    folder = shutil.copytree(tiny_checkpoints, tmp_path_factory.mktemp("two") / "checkpoints")
    network = tiny.swift(styles=2)
    named = tuple(NamedStyle(id=name, title="", artist="", year=None, rights="") for name in ("second", "third"))
    header = CheckpointMetadata(network="swift", arguments={**tiny.SWIFT, "styles": 2}, styles=named)
    checkpoint.save(network, folder / "swift.safetensors", header)
    learned_checkpoint(folder / "table.safetensors", "sea")
    tiny.add_painting(folder, files.photo(96, 64, seed=5), "second")
    return folder


@pytest.fixture(scope="module")
def service(services: Services, folder: Path) -> Service:
    return services.shared(folder, default_model="swift")


@pytest.fixture(scope="module")
def mine(client: httpx.Client) -> str:
    return registered_style(client, STYLE)


def model_of(answer: httpx.Response) -> str:
    picture(answer)
    return answer.headers["x-stylize-model"]


def test_the_default_paints_uploads_and_what_it_knows(post: Post, mine: str) -> None:
    assert model_of(post(styles=(STYLE,))) == "swift"
    assert model_of(post(style_id=mine)) == "swift"
    assert model_of(post(style_id=["second", "third", mine], styles=(STYLE,))) == "swift"
    assert model_of(post(style_id="first")) == "adain"
    assert model_of(post(style_id=["first", "second", mine])) == "adain", "the one that knows all"
    problem(post(style_id=["first", "third"]), 422, "style_id", "different networks (adain, swift)")


def test_another_can_be_asked_for(post: Post, mine: str) -> None:
    def painted(**fields: object) -> httpx.Response:
        answer = post(format="png", **fields)
        assert answer.headers["x-stylize-model"] == fields.get("model", "swift")
        return picture(answer, "png")

    for fields in ({"style_id": "second"}, {"style_id": mine}, {"styles": (STYLE,)}):
        assert largest_difference(painted(**fields), painted(model="adain", **fields)) > 3
    by_id = painted(style_id=mine, model="adain")
    assert largest_difference(by_id, painted(style_id=["first", mine], weights="0,1", model="adain")) <= 1
    problem(post(style_id="third", model="adain"), 422, "model", "got 'adain', which cannot paint these styles: swift")
    problem(post(styles=(STYLE,), model="nope"), 404, "model", "there is no network 'nope': known are adain, swift, t")


def test_each_encodes_the_painting_of_a_style(post: Post, folder: Path) -> None:
    painting = (folder / "paintings" / "second.webp").read_bytes()
    for model in ("adain", "swift"):
        for fields in ({"style_size": 64}, {"color": "match"}):
            by_id = picture(post(style_id="second", model=model, format="png", **fields), "png")
            by_upload = picture(post(styles=(painting,), model=model, format="png", **fields), "png")
            assert largest_difference(by_id, by_upload) <= 1


def test_the_default_is_what_an_optimisation_looks_with(client: httpx.Client, post: Post) -> None:
    accepted = post(style_id="second", method="gatys", steps=2, headers={"Prefer": "respond-async"})
    assert accepted.status_code == 202, accepted.text
    path = accepted.headers["location"]
    wait_for(lambda: client.get(path).json()["state"] not in ("queued", "running"), 60)
    assert model_of(client.get(f"{path}/result")) == "swift"


def test_the_list_has_each_style_once(client: httpx.Client, mine: str) -> None:
    styles = client.get("/styles").json()["styles"]
    assert [(style["id"], style["model"], style["models"], style["kind"]) for style in styles] == [
        ("first", "adain", ["adain"], "shipped"),
        ("second", "swift", ["adain", "swift"], "shipped"),
        ("third", "swift", ["swift"], "shipped"),
        ("sea", "table", ["table"], "learned"),
        (mine, "swift", ["adain", "swift"], "registered"),
    ]
    assert [client.get(f"/styles/{style['id']}").json() for style in styles] == styles


@pytest.mark.parametrize(
    ("model", "expected"),
    [("adain", ["first", "second", "mine"]), ("swift", ["second", "third", "mine"]), ("table", ["sea"])],
)
@pytest.mark.parametrize("limit", [1, 2, 100])
def test_the_styles_of_a_network(client: httpx.Client, mine: str, model: str, expected: list[str], limit: int) -> None:
    found, path = [], f"/styles?model={model}&limit={limit}"
    while path is not None:
        page = client.get(path).json()
        found += [style["id"] for style in page["styles"]]
        path = page["next"]
    assert found == [mine if style_id == "mine" else style_id for style_id in expected]


def test_the_networks_say_which_is_the_default(client: httpx.Client) -> None:
    models = client.get("/models").json()["models"]
    assert [(model["id"], model["any_style"], model["is_default"]) for model in models] == [
        ("adain", True, False),
        ("swift", True, True),
        ("table", False, False),
    ]
    problem(client.get("/styles?model=nope"), 404, "model", "there is no network 'nope': known are adain, swift, table")


def test_a_default_that_is_not_there_is_replaced_by_the_first(
    start_service: Callable[..., Service], folder: Path
) -> None:
    service = start_service(workers=0, checkpoints=folder, default_model="later")
    assert service.client.get("/styles/second").json()["model"] == "adain"
    (default,) = (model["id"] for model in service.client.get("/models").json()["models"] if model["is_default"])
    assert default == "adain"
