"""Networks of every kind over HTTP, from a folder that changes while it is served."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from answers import STYLE, Post, largest_difference, picture, poster, problem
from processes import Service, wait_for
from services import Services
from tiny import adain, learned_checkpoint

from model_store import checkpoint
from model_store.checkpoint_metadata import read_metadata

LEARNED = {
    "sea": "coast",
    "sky": "coast",
    "sand": "coast",
    "ink": "ink",
    "old": "old",
    "moss": "noisy",
    "rust": "noisy",
}


@pytest.fixture(scope="module")
def service(services: Services, every_network: Path, tmp_path_factory: pytest.TempPathFactory) -> Service:
    """With room for AdaIN or for the others: each test loads what the one before has left behind."""
    folder = shutil.copytree(every_network, tmp_path_factory.mktemp("wide") / "checkpoints")
    metadata = read_metadata(folder / "adain.safetensors")
    wide = replace(metadata, arguments={**metadata.arguments, "vgg_width": 16})  # 2 MB
    checkpoint.save(adain(styles=2, width=16), folder / "adain.safetensors", wide)
    return services.shared(folder, model_memory_mb=1)


@pytest.fixture
def folder(every_network: Path, tmp_path: Path) -> Path:
    """A folder that a test may change, of small networks alone: the service is ready at once."""
    return shutil.copytree(every_network, tmp_path / "checkpoints", ignore=shutil.ignore_patterns("adain*"))


def state(service: Service, model_id: str) -> str:
    models = service.client.get("/models").json()["models"]
    return next((model["state"] for model in models if model["id"] == model_id), "not listed")


def style_ids(service: Service) -> list[str]:
    return [style["id"] for style in service.client.get("/styles").json()["styles"]]


# ---- networks of every kind ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("style_id", LEARNED)
def test_an_id_finds_its_network(post: Post, style_id: str) -> None:
    answer = post(style_id=style_id, alpha=0.8)
    picture(answer)
    assert answer.headers["x-stylize-model"] == LEARNED[style_id]


def test_uploads_go_to_adain(post: Post) -> None:
    answer = post(styles=(STYLE,))
    picture(answer)
    assert answer.headers["x-stylize-model"] == "adain"


def test_styles_of_one_network_mix(post: Post) -> None:
    def painted(**fields: object) -> httpx.Response:
        return picture(post(format="png", seed=fields.pop("seed", []), **fields), "png")

    sea, mixed = painted(style_id="sea"), painted(style_id=["sea", "sky", "sand"], weights="1,1,2")
    assert largest_difference(sea, mixed) > 3
    assert largest_difference(sea, painted(style_id=["sea", "sky"], weights="1,0")) <= 1
    assert largest_difference(painted(style_id="moss", seed=1), painted(style_id=["moss", "rust"], seed=1)) > 3


def test_what_does_not_mix_is_refused(post: Post) -> None:
    problem(post(style_id=["ink", "ink"]), 422, "style_id", "got 2 styles, but the network 'ink' mixes none: send one")
    problem(post(style_id="ink", weights="1"), 422, "weights", "the network 'ink' takes no weights")
    across = "the styles belong to different networks (coast, noisy): mix within one"
    problem(post(style_id=["sea", "moss"]), 422, "style_id", across)
    problem(post(styles=(STYLE,), style_id="sea"), 422, "style_id", "different networks (adain, coast)")


def test_a_seed_paints_the_same_again(post: Post) -> None:
    drawn = post(style_id="moss", format="png")
    seed = int(drawn.headers["x-stylize-seed"])
    assert 0 <= seed < 2**31
    given = post(style_id="moss", format="png", seed=seed)
    assert given.headers["x-stylize-seed"] == str(seed)
    assert largest_difference(picture(drawn, "png"), picture(given, "png")) <= 1
    other = post(style_id="moss", format="png", seed=(seed + 1) % 2**31)
    assert largest_difference(picture(drawn, "png"), picture(other, "png")) > 3
    assert "x-stylize-seed" not in post(style_id="sea").headers


@pytest.mark.parametrize("seed", ["-1", str(2**31), "1.5", "lucky"])
def test_a_seed_that_is_not_allowed(post: Post, seed: str) -> None:
    problem(post(style_id="moss", seed=seed), 422, "seed", f"got {seed!r}")


def test_a_seed_where_there_is_no_noise(post: Post) -> None:
    for style_id in ("first", "sea", "ink"):
        problem(post(style_id=style_id, seed=1), 422, "seed", "takes no seed: leave it out, or take a style whose")


def test_styles_and_models_say_what_they_are(client: httpx.Client) -> None:
    styles = {style["id"]: style for style in client.get("/styles").json()["styles"]}
    kinds = {style_id: style["kind"] for style_id, style in styles.items()}
    assert kinds == {"first": "shipped", "second": "shipped", "old": "learned", **dict.fromkeys(LEARNED, "learned")}
    assert styles["moss"]["controls"] == ["weights", "alpha", "seed", "mask", "color"]
    common = ["mask", "color"]
    listed = [
        (model["id"], model["network"], model["norm"], model["styles"], model["controls"], model["state"])
        for model in client.get("/models").json()["models"]
    ]
    assert listed == [
        ("adain", "adain", "adaptive", 2, ["style", "weights", "alpha", *common, "style_size"], "available"),
        ("coast", "residual", "conditional", 3, ["weights", "alpha", *common], "available"),
        ("ink", "residual", "instance", 1, ["alpha", *common], "available"),
        ("noisy", "pyramid", "conditional", 2, ["weights", "alpha", "seed", *common], "available"),
        ("old", "residual", "batch", 1, ["alpha", *common], "available"),
    ]


# ---- a folder that changes ----------------------------------------------------------------------------------------


def test_what_changes_in_the_folder_is_served_without_a_restart(
    start_service: Callable[..., Service], folder: Path
) -> None:
    service = start_service(checkpoints=folder)
    post = poster(service.client)
    problem(post(style_id="dawn"), 404, "style_id")

    learned_checkpoint(folder / "added.safetensors", "dawn", seed=1)
    before = picture(post(style_id="dawn", format="png"), "png")
    assert "dawn" in style_ids(service)

    learned_checkpoint(folder / "added.safetensors", "dawn", "dusk", seed=2)
    picture(post(style_id="dusk"))
    after = picture(post(style_id="dawn", format="png"), "png")
    assert largest_difference(before, after) > 10

    (folder / "added.safetensors").unlink()
    wait_for(lambda: "dawn" not in style_ids(service))
    problem(post(style_id="dawn"), 404, "style_id")
    picture(post(style_id="ink"))


def test_a_file_that_is_being_copied_harms_nothing(start_service: Callable[..., Service], folder: Path) -> None:
    service = start_service(checkpoints=folder)
    post = poster(service.client)
    whole = learned_checkpoint(folder.parent / "elsewhere.safetensors", "dawn").read_bytes()
    added = folder / "added.safetensors"
    for part in (0, 5, len(whole) // 3, len(whole) - 1):
        added.write_bytes(whole[:part])
        problem(post(style_id="dawn"), 404, "style_id")
        assert state(service, "added").startswith("added.safetensors: ")
        picture(post(style_id="ink"))
    reason = "added.safetensors: damaged, or still being copied: it is not as long as its header says"
    assert state(service, "added") == reason
    added.write_bytes(whole)
    picture(post(style_id="dawn"))
    wait_for(lambda: state(service, "added") == "available")


def test_damage_that_only_a_worker_finds(start_service: Callable[..., Service], folder: Path) -> None:
    coast = folder / "coast.safetensors"
    whole = coast.read_bytes()
    service = start_service(checkpoints=folder, lease_ms=600)
    post = poster(service.client)
    picture(post(style_id="sea"))

    coast.write_bytes(whole[:-3] + b"???")
    wait_for(lambda: post(style_id="sea").status_code == 503, 5)
    for _ in range(2):
        answer = post(style_id="sea")
        body = problem(answer, 503, None, "the network 'coast' cannot be used: coast.safetensors: damaged, fetch it")
        assert body["title"] == "Network unavailable"
        assert int(answer.headers["retry-after"]) > 0
    picture(post(style_id="ink"))
    wait_for(lambda: state(service, "coast").startswith("coast.safetensors: damaged, fetch it again"))
    assert state(service, "ink") == "available"
    assert [worker.poll() for worker in service.workers] == [None], "the worker has lived through it"

    coast.write_bytes(whole)
    wait_for(lambda: post(style_id="sea").status_code == 200, 5)
    wait_for(lambda: state(service, "coast") == "available")


def test_a_damaged_network_for_uploads_does_not_keep_the_others_from_being_served(
    start_service: Callable[..., Service], folder: Path, tiny_checkpoints: Path
) -> None:
    adain = folder / "adain.safetensors"
    adain.write_bytes((tiny_checkpoints / adain.name).read_bytes()[:-1])
    service = start_service(checkpoints=folder, default_model="adain")
    post = poster(service.client)
    picture(post(style_id="sea"))
    unusable = "the network for uploaded styles cannot be used: adain.safetensors: damaged"
    problem(post(styles=(STYLE,)), 503, "style", unusable)
    adain.unlink()
    problem(post(styles=(STYLE,)), 422, "style", "there is no network for uploaded styles here")
