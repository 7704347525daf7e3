import csv
from pathlib import Path

import pytest
import torch
from PIL import Image
from rich.console import Console
from tiny import ADAIN, adain, images, vgg_file
from torch import nn
from typer.testing import CliRunner

from experiments import batch_vs_instance, resolution
from experiments.__main__ import app
from experiments.batch_vs_instance import change, with_contrast
from experiments.decoders import OwnScaleAndShift, concatenated, decoder_with, restyled, wide_decoder
from experiments.methods import read_pairings
from experiments.plots import smoothed
from experiments.results import Findings, markdown_table, publish
from experiments.training import Curve
from experiments.why_instance import filtered, with_equal_luminance
from model_store import checkpoint
from model_store.adain import mirrored_decoder
from model_store.checkpoint_metadata import CheckpointMetadata, NamedStyle
from model_store.layers import BatchNorm, InstanceNorm
from model_store.network import StyleNetwork
from model_store.pyramid import PyramidGenerator
from model_store.residual import ResidualGenerator
from model_store.runtime import Runtime
from model_store.statistics import instance_statistics
from train import generator
from train.sheet import LEADING_PX, MARGIN_PX, TEXT_PX

pytestmark = pytest.mark.slow

TRAINING = "--content {0}/photos --steps 2 --crop 32 --batch-size 2 --workers 0"
COMMON = "--vgg {0}/vgg.safetensors --device cpu --dtype float32"
HELD_OUT = "--pairs {0}/pairs.csv --photo {0}/photos/02.png"
EXPERIMENTS = {
    "batch-vs-instance": f"{TRAINING} {HELD_OUT} --style {{0}}/paintings/00.png --size 32 --limit 1",
    "why-instance": f"{TRAINING} --style {{0}}/paintings/00.png --photo-px 40 --photos 2"
    " --painter {0}/networks/adain.safetensors --painter-style first",
    "decoder": f"{TRAINING} {HELD_OUT} --style {{0}}/paintings --painting {{0}}/paintings/00.png --size 32 --limit 1",
    "methods": f"{HELD_OUT} --styles {{0}}/styles.csv --style-root {{0}}/paintings --checkpoints {{0}}/networks"
    " --size 64 --count 2 --size 32 --count 1 --gatys-steps 1 --gatys-steps 3 --repeats 2",
    "resolution": f"{HELD_OUT} --checkpoint {{0}}/networks/adain.safetensors --style-id first"
    " --painting {0}/paintings/00.png --size 32 --size 64 --limit 2 --repeats 2",
}
ENVIRONMENT = {"device", "threads", "dtype", "torch", "python", "seed"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Photos, paintings, pairs, VGG weights, and networks that know one painting or both."""
    folder = tmp_path_factory.mktemp("experiments")
    images(folder / "photos", 3, seed=0)
    images(folder / "paintings", 2, seed=1)
    vgg_file(folder / "vgg.safetensors")
    table(
        folder / "pairs.csv",
        ("name", "content", "style"),
        *((f"{i}", f"photos/{i:02}.png", f"paintings/{i:02}.png") for i in range(2)),
    )
    files = {"first-cin": "00.png", "second-cin": "01.png", "second-pyramid": "01.png"}
    table(
        folder / "styles.csv",
        ("id", "file", "title", "artist", "year", "rights"),
        *((style_id, file, style_id, "Nobody", "", "free") for style_id, file in files.items()),
    )
    networks = folder / "networks"
    save(adain(styles=2), networks / "adain.safetensors", "adain", ["first", "second"], **ADAIN)
    conditional = {"norm": "conditional", "width": 4, "blocks": 1}
    save(
        ResidualGenerator(styles=2, **conditional),
        networks / "many.safetensors",
        "residual",
        ["first-cin", "second-cin"],
        **conditional,
    )
    instance = {"norm": "instance", "channels": 2, "scales": 3}
    save(
        PyramidGenerator(styles=1, **instance),
        networks / "pyramid.safetensors",
        "pyramid",
        ["second-pyramid"],
        **instance,
    )
    return folder


def table(path: Path, *rows: tuple[str, ...]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)


def save(network: StyleNetwork, path: Path, name: str, ids: list[str], **arguments: object) -> None:
    styles = tuple(NamedStyle(id=one, title=one, artist="Nobody", year=None, rights="free") for one in ids)
    checkpoint.save(
        network, path, CheckpointMetadata(network=name, arguments={"styles": len(ids), **arguments}, styles=styles)
    )


def run(folder: Path, name: str, out: Path, *more: object):
    arguments = f"{COMMON} {EXPERIMENTS[name]}".format(folder).split()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batch_vs_instance, "GRID_PX", 32)
        patch.setattr(generator, "STYLE_PX", 32)
        return CliRunner().invoke(app, [name, *arguments, "--out", str(out), *map(str, more)])


def read(path: Path) -> list[dict[str, str]]:
    """Rows without the times."""
    with path.open(newline="") as file:
        return [{name: cell for name, cell in row.items() if not name.endswith("_s")} for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def results(folder) -> dict[str, Path]:
    """By experiment, the folder of its results; each is run when first asked for."""

    class Results(dict[str, Path]):
        def __missing__(self, name: str) -> Path:
            out = folder / name
            result = run(folder, name, out)
            assert result.exit_code == 0, result.output
            assert f"{name}.md and the files beside it" in result.stdout
            self[name] = out
            return out

    return Results()


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("batch-vs-instance", {"-contrast.csv", "-curves.csv", "-curves.png", "-contrast.png", "-pictures.webp"}),
        ("why-instance", {"-curves.csv", "-curves.png"}),
        ("decoder", {"-curves.csv", "-curves.png", "-pictures.webp"}),
        ("methods", {"-distances.png", "-pictures.webp"}),
        ("resolution", {"-pictures.webp"}),
    ],
)
def test_an_experiment_leaves_a_page_tables_and_pictures(results, name, files):
    out = results[name]
    assert {path.name for path in out.iterdir()} == {f"{name}{ending}" for ending in {".csv", ".md", *files}}
    page = (out / f"{name}.md").read_text()
    for path in out.iterdir():
        assert path.stat().st_size > 0
        if path.suffix in (".png", ".webp"):
            Image.open(path).verify()
            assert f"]({path.name})" in page
    rows = read(out / f"{name}.csv")
    assert all(row.keys() >= ENVIRONMENT for row in rows)


def test_batch_vs_instance_has_both_generators_with_both_norms(results):
    out = results["batch-vs-instance"]
    networks = [f"{network}, {norm} norm" for network in ("pyramid", "residual") for norm in ("batch", "instance")]
    rows = read(out / "batch-vs-instance.csv")
    assert [row["network"] for row in rows] == networks
    assert {"content", "style", "tv", "total", "training_style", "steps", "crop_px", "style_image"} <= rows[0].keys()
    contrasts = read(out / "batch-vs-instance-contrast.csv")
    assert [(row["network"], row["contrast"]) for row in contrasts] == [
        (network, contrast) for network in ("the photo itself", *networks) for contrast in ("0.4", "0.7", "1", "1.5")
    ]
    assert {row["change"] for row in contrasts if row["contrast"] == "1"} == {"0"}
    curves = read(out / "batch-vs-instance-curves.csv")
    assert [(row["training"], row["step"]) for row in curves] == [(label, step) for label in networks for step in "12"]
    first = [row for row in curves if row["step"] == "1"]
    assert len({row["style"] for row in first}) == 4, "each its own network"


def test_why_instance_has_three_sets_of_photos(results):
    out = results["why-instance"]
    sets = ["original", "luminance equalised", "pre-stylised"]
    rows = read(out / "why-instance.csv")
    assert [row["content_set"] for row in rows] == sets
    assert len({row["instance_content"] for row in rows}) == 3, "the photos of no two sets are the same"
    assert {row["pre_stylised_in"] for row in rows} == {"first"}
    curves = read(out / "why-instance-curves.csv")
    assert [(row["content_set"], row["training"]) for row in curves[::2]] == [
        (name, f"{norm} norm") for name in sets for norm in ("batch", "instance")
    ]


def test_decoder_has_four_of_them(results):
    rows = read(results["decoder"] / "decoder.csv")
    assert [row["decoder"] for row in rows] == [
        "AdaIN, no norm",
        "AdaIN, instance norm",
        "AdaIN, batch norm",
        "concatenation",
    ]
    assert len({row["style"] for row in rows}) == 4


def test_methods_paint_the_pairs_that_all_know_and_name_what_is_not_there(results):
    rows = read(results["methods"] / "methods.csv")
    assert [(row["method"], row["networks"]) for row in rows[:8]] == [
        ("content image itself", ""),
        ("optimisation, 1 steps", "vgg"),
        ("optimisation, 3 steps", "vgg"),
        ("pyramid, instance norm", "pyramid"),
        ("residual, instance norm", "missing"),
        ("residual, conditional", "many"),
        ("AdaIN", "adain"),
        ("predicted conditional (swift)", "missing"),
    ]
    assert [row["size_px"] for row in rows] == ["64"] * 8 + ["32"] * 8
    assert {row["styles"] for row in rows} == {"01"}, "the pyramid knows the second painting only"
    present = [row for row in rows if row["networks"] != "missing"]
    assert [row["pairs"] for row in present] == ["2"] * 6 + ["1"] * 6
    runs = {(row["method"], row["size_px"]): row["runs"] for row in rows}
    assert runs["AdaIN", "64"] == "4" and runs["optimisation, 3 steps", "64"] == "2"
    untouched, optimised = rows[0], rows[2]
    assert untouched["content"] == "0" and float(optimised["style"]) < float(untouched["style"])


def test_resolution_has_a_row_a_size(results):
    rows = read(results["resolution"] / "resolution.csv")
    assert [row["size_px"] for row in rows] == ["32", "64"]
    assert all(float(row["style"]) > 0 for row in rows)
    with Image.open(results["resolution"] / "resolution-pictures.webp") as grid:
        assert grid.size == (3 * (24 + 8) + 8, 2 * (24 + 18 + 8) + 8), "three columns of two squares and captions"


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_same_seed_gives_the_same_numbers(folder, results, tmp_path, name):
    before = results[name]
    assert run(folder, name, tmp_path).exit_code == 0
    for path in before.glob("*.csv"):
        assert read(path) == read(tmp_path / path.name)


@pytest.mark.parametrize(
    ("name", "arguments", "code", "reason"),
    [
        ("batch-vs-instance", ("--size", 40), 2, "--size 40: give a multiple of 32, at least 32"),
        ("batch-vs-instance", ("--steps", 0), 2, "--steps 0: give at least 1"),
        ("batch-vs-instance", ("--style", "none.png"), 1, "none.png: cannot be read as an image"),
        ("why-instance", ("--painter-style", "night"), 1, "no style 'night'; it has first, second"),
        ("why-instance", ("--content", "none"), 1, "none: no such folder"),
        ("decoder", ("--pairs", "none.csv"), 1, "none.csv: cannot be read"),
        ("decoder", ("--vgg", "vgg17"), 1, "vgg17: no such file, and no known weights"),
        ("decoder", ("--dtype", "float16"), 2, "--dtype float16: gradients overflow in it"),
        ("methods", ("--size", 96), 2, "got 3 --size and 2 --count: give one count for each size"),
        ("methods", ("--checkpoints", "none"), 1, "none: no such folder of checkpoints"),
        ("resolution", ("--checkpoint", "none.safetensors"), 1, "none.safetensors: No such file"),
        ("resolution", ("--style-id", "night"), 1, "no style 'night'; it has first, second"),
    ],
)
def test_what_cannot_work_is_said_in_one_line(folder, tmp_path, name, arguments, code, reason):
    result = run(folder, name, tmp_path / "out", *arguments)
    assert result.exit_code == code, result.output
    assert reason in result.stderr
    assert result.stderr.startswith("error: ") and result.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_networks_that_share_no_style_cannot_be_compared(folder, tmp_path):
    rows = [("first-cin", "00.png"), ("second-pyramid", "01.png")]
    columns = ("id", "file", "title", "artist", "year", "rights")
    table(tmp_path / "styles.csv", columns, *((one, file, one, "Nobody", "", "free") for one, file in rows))
    result = run(folder, "methods", tmp_path / "out", "--styles", tmp_path / "styles.csv")
    assert result.exit_code == 1
    assert "none of its styles is common to all of these: pyramid, instance norm; residual" in result.stderr


def photo(seed: int = 0, side_px: int = 32) -> torch.Tensor:
    return torch.rand(1, 3, side_px, side_px, generator=torch.Generator().manual_seed(seed)) * 0.5 + 0.25


@pytest.mark.parametrize("contrast", [0.4, 1.0, 1.5])
def test_a_photo_changes_by_what_its_contrast_does(contrast):
    before = photo()
    after = with_contrast(before, contrast)
    assert after.mean().item() == pytest.approx(before.mean().item(), abs=1e-5)
    assert change([after], [before]) == pytest.approx(abs(contrast - 1), abs=1e-5)


def test_contrast_is_clipped():
    after = with_contrast(photo(), 9)
    assert after.min() == 0 and after.max() == 1


def test_instance_norm_does_not_see_the_contrast_and_batch_norm_does():
    changes = {}
    for norm in ("instance", "batch"):
        torch.manual_seed(0)
        network = ResidualGenerator(norm, 1, width=4, blocks=1)
        with torch.no_grad():
            for _ in range(50):
                network.paint(photo(), network.stored_style(0))  # until batch norm has its running statistics
            network.eval()
            before, after = (network(one, network.stored_style(0)) for one in (photo(), with_contrast(photo(), 0.4)))
        changes[norm] = change([after], [before])
    assert changes["instance"] < 0.01 < 0.1 < changes["batch"]


def test_equal_luminance_is_a_flat_histogram_and_keeps_the_colours():
    ramp = torch.linspace(0.4, 0.6, 64).expand(64, 64).mul(255).round().byte().numpy()
    dull = Image.merge("RGB", (Image.fromarray(ramp),) * 3)
    equal = with_equal_luminance(dull)
    assert equal.getextrema() == ((0, 255),) * 3
    red = with_equal_luminance(Image.merge("RGB", (Image.fromarray(ramp), *(Image.new("L", (64, 64), 90),) * 2)))
    pixel = red.getpixel((32, 32))
    assert pixel[0] > pixel[1] and pixel[0] > pixel[2]


def test_filtered_photos_have_the_shorter_side_and_the_filter(folder, tmp_path):
    paths = filtered(sorted((folder / "photos").iterdir()), lambda image: image.rotate(180), 40, tmp_path / "new")
    assert len(paths) == 3
    with Image.open(paths[0]) as after, Image.open(folder / "photos/00.png") as before:
        assert after.size == (53, 40)
        straight = before.convert("RGB").resize((53, 40), Image.Resampling.BICUBIC)
        assert after.rotate(180).tobytes() == straight.tobytes()


@pytest.mark.parametrize("norm", [InstanceNorm, BatchNorm])
def test_a_decoder_gets_a_norm_after_every_convolution_but_the_last(norm):
    decoder, plain = decoder_with(norm, "vgg16"), mirrored_decoder("vgg16")
    convs = [layer for layer in plain if not isinstance(layer, nn.ReLU)]
    norms = [layer for layer in decoder if isinstance(layer, OwnScaleAndShift)]
    assert len(norms) == len(convs) - 1 and all(type(layer.norm) is norm for layer in norms)
    assert len(decoder) == len(plain) + len(norms)
    assert isinstance(decoder[-1], nn.Conv2d) and isinstance(decoder[-2], nn.ReLU)
    assert decoder(torch.rand(2, 512, 2, 2)).shape == (2, 3, 16, 16)


def test_features_are_restyled_as_adain_does_it_or_set_side_by_side():
    content, style = torch.rand(2, 512, 4, 4), torch.rand(2, 512, 4, 4) * 3 + 1
    for wanted, got in zip(instance_statistics(style), instance_statistics(restyled(content, style)), strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-3, atol=1e-3)
    both = concatenated(content, style)
    assert torch.equal(both[:, :512], content) and torch.equal(both[:, 512:], style)
    assert wide_decoder("vgg19")(both).shape == (2, 3, 32, 32)


def test_pairs_differ_in_both_pictures_before_they_differ_in_one(folder):
    contents, styles = (sorted((folder / kind).iterdir()) for kind in ("photos", "paintings"))
    pairs = read_pairings(contents, styles, 9, 32, Runtime(torch.device("cpu"), torch.float32))
    assert [pair.style.name for pair in pairs] == ["00.png", "01.png", "00.png", "01.png", "00.png", "01.png"]
    assert len({(pair.content.sum().item(), pair.style) for pair in pairs}) == 6


def test_the_end_of_a_curve_is_its_last_tenth():
    curve = Curve("x", tuple({"style": float(step)} for step in range(20)), 1.0)
    assert curve.end("style") == 18.5 and curve.of("style")[:3] == [0, 1, 2]
    assert smoothed([1, 2, 3, 4], 2) == [1, 1.5, 2.5, 3.5]


def test_tables_say_what_was_not_measured(tmp_path):
    rows = [{"method": "a", "style": 0.12345, "paint_s": 2000.4}, {"method": "b", "style": None, "paint_s": None}]
    assert markdown_table(rows).splitlines() == [
        "| method | style | paint s |",
        "| --- | ---: | ---: |",
        "| a | 0.123 | 2000 |",
        "| b | – | – |",
    ]
    publish(Findings("x", "X", {"seed": 1}, {"First": rows, "Second table": rows}), tmp_path, Console(quiet=True))
    assert (tmp_path / "x.csv").read_text() == "method,style,paint_s,seed\na,0.12345,2000.4,1\nb,,,1\n"
    assert {path.name for path in tmp_path.iterdir()} == {"x.csv", "x-second.csv", "x.md"}


def test_the_grid_shows_the_middle_pixel_by_pixel(monkeypatch):
    class Copy:
        def paint(self, picture: torch.Tensor) -> torch.Tensor:
            return picture

    monkeypatch.setattr(resolution, "GRID_PX", 32)
    noise = Image.effect_noise((90, 60), 80).convert("RGB")
    grid = resolution.image_grid(Copy(), noise, [48, 90])
    left, top = MARGIN_PX + 2 * (32 + MARGIN_PX), MARGIN_PX + 32 + TEXT_PX + LEADING_PX + MARGIN_PX
    middle = noise.crop((29, 14, 61, 46))
    assert grid.crop((left, top, left + 32, top + 32)).tobytes() == middle.tobytes()
