"""``train generator`` and ``train add-style``, from the folder of photos to the checkpoint that is served."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from tiny import images, vgg_file
from typer.testing import CliRunner

from model_store import checkpoint
from model_store.catalog import read_catalog
from model_store.checkpoint_metadata import read_metadata
from model_store.generator import Generator
from train import export as exporting
from train.__main__ import app
from train.data import list_images
from train.generator import GeneratorTask, loss_network, new_network, style_images, window
from train.recipes import GENERATOR_RECIPES
from train.state import load_state

pytestmark = pytest.mark.slow

QUICK = ("--crop", 32, "--batch-size", 2, "--workers", 0, "--dtype", "float32", "--device", "cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Photos, paintings, VGG weights, a table of styles, and the state of a conditional network's training."""
    folder = tmp_path_factory.mktemp("train")
    images(folder / "photos", 3, seed=0)
    images(folder / "paintings", 3, seed=1)
    vgg_file(folder / "vgg.safetensors")
    table(folder / "pairs.csv", ("name", "content", "style"), ("0", "photos/00.png", "paintings/00.png"))
    table(
        folder / "styles.csv",
        ("id", "file", "title", "artist", "year", "rights"),
        ("wave", "00.png", "The Wave", "Hokusai", "1831", "public domain"),
        ("night", "01.png", "The Night", "Someone", "", "public domain"),
        ("garden", "02.png", "The Garden", "Someone", "", "public domain"),
    )
    result = train(folder, "--only", "wave", "--only", "night")
    assert result.exit_code == 0, result.output
    return folder


def table(path: Path, *rows: tuple[str, ...]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)


def run(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def common(folder: Path, steps: int) -> tuple[object, ...]:
    return ("--content", folder / "photos", "--vgg", folder / "vgg.safetensors", "--steps", steps, *QUICK)


def train(folder: Path, *more: object, out: str = "out", steps: int = 2, styles: bool = True):
    named = ("--styles", folder / "styles.csv", "--style-root", folder / "paintings") if styles else ()
    return run("generator", *common(folder, steps), *named, "--out", folder / out, *more)


def add_style(folder: Path, model: Path, *more: object, out: str = "added"):
    named = ("--styles", folder / "styles.csv", "--style-root", folder / "paintings")
    return run("add-style", *common(folder, 2), "--model", model, *named, "--out", folder / out, *more)


def export(folder: Path, state: Path, out: Path, *more: object):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exporting, "PAINT_PX", 64)
        return run("export", "--state", state, "--out", out, *QUICK[-4:], *more)


@pytest.fixture(scope="module")
def exported(folder) -> Path:
    out = folder / "checkpoints/residual.safetensors"
    measure = ("--pairs", folder / "pairs.csv", "--vgg", folder / "vgg.safetensors", "--size", 64)
    pictures = ("--styles", folder / "styles.csv", "--style-root", folder / "paintings")
    preview = ("--preview-photo", folder / "photos/00.png")
    result = export(folder, folder / "out/state.pt", out, *measure, *pictures, *preview)
    assert result.exit_code == 0, result.output
    return out


def test_a_state_says_which_styles_it_learns(folder):
    state = load_state(folder / "out/state.pt", "residual")
    assert [style["id"] for style in state.data["styles"]] == ["wave", "night"]
    assert state.data["styles"][0]["file"] == "paintings/00.png"
    assert state.arguments == {"norm": "conditional", "styles": 2}
    assert set(state.losses) == {"content", "style", "tv"}


@pytest.mark.parametrize("network", ["residual", "pyramid"])
def test_resume_equals_an_uninterrupted_training(folder, network):
    options = ("--network", network, "--norm", "instance", "--only", "wave")
    straight, cut = f"straight-{network}", f"cut-{network}"
    assert train(folder, *options, out=straight).exit_code == 0
    assert train(folder, *options, "--max-minutes", 0, out=cut).exit_code == 0
    assert load_state(folder / cut / "state.pt").step == 1
    assert train(folder, *options, "--resume", out=cut).exit_code == 0
    resumed, whole = (load_state(folder / out / "state.pt").network for out in (cut, straight))
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)


def test_a_training_lowers_the_loss_of_every_style(folder):
    """Enough steps to see it, each with both styles of a fixed batch."""
    recipe = GENERATOR_RECIPES["short"]
    plan = new_network("residual", {"norm": "conditional", "styles": 2}, None, seed=0)
    pictures = style_images(list_images([folder / "paintings"])[:2])
    task = GeneratorTask(plan, loss_network(folder / "vgg.safetensors", recipe), recipe, pictures)
    task.to(torch.device("cpu"))
    optimizer = torch.optim.Adam(plan.network.parameters(), lr=2e-3)
    photos = torch.rand(2, 3, 32, 32)
    draws = torch.tensor([[0, 1], [1, 2]])

    def style_losses() -> list[float]:
        with torch.no_grad():
            return [task.losses(photos[:1], draws[row : row + 1])["style"].item() for row in (0, 1)]

    before = style_losses()
    for _ in range(25):
        loss = task.losses(photos, draws)["style"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert all(after < 0.7 * earlier for after, earlier in zip(style_losses(), before, strict=True))


def test_a_window_applies_to_output_and_content_alike(folder):
    """Of a network that repaints the photo, every window has the photo's content; that of all of it is no window."""
    recipe = replace(GENERATOR_RECIPES["windows"], window=0.5)
    plan = new_network("residual", {"norm": "instance", "styles": 1}, None, seed=0)
    vgg = loss_network(folder / "vgg.safetensors", recipe)
    seen: list[tuple[int, ...]] = []
    vgg.register_forward_pre_hook(lambda _, arguments: seen.append(tuple(arguments[0].shape)))
    task = GeneratorTask(plan, vgg, recipe, style_images(list_images([folder / "paintings"])[:1]))
    task.to(torch.device("cpu"))
    seen.clear()
    task._paint = lambda content, style: content
    losses = [task.losses(torch.rand(1, 3, 64, 48), torch.tensor([[0, seed]])) for seed in range(3)]
    assert seen == [(1, 3, 32, 24)] * 6
    assert all(loss["content"] == 0 for loss in losses)
    assert len({loss["style"].item() for loss in losses}) == 3


def test_windows_reach_every_place_and_a_seed_decides_which():
    places = [window(64, 40, 0.6, seed) for seed in range(400)]
    assert {(rows.stop - rows.start, columns.stop - columns.start) for rows, columns in places} == {(38, 24)}
    assert {rows.start for rows, _ in places} == set(range(27))
    assert {columns.start for _, columns in places} == set(range(17))
    assert places == [window(64, 40, 0.6, seed) for seed in range(400)]
    assert window(64, 40, 1.0, 5) == (slice(0, 64), slice(0, 40))


def test_an_exported_generator_knows_its_styles_by_row(folder, exported):
    catalog = read_catalog(exported.parent)
    model = catalog.model("residual")
    assert (model.network, model.norm, model.controls) == (
        "residual",
        "conditional",
        ("weights", "alpha", "mask", "color"),
    )
    assert [(style.id, style.year) for style in model.styles] == [("wave", 1831), ("night", None)]
    for style in catalog.styles:
        with Image.open(style.preview) as preview:
            assert preview.format == "WEBP"
    assert model.measured["pairs"] == 2, "one photo, but each style occurs"
    assert model.training["recipe"] == "custom" and model.training["style_loss"] == "gram"
    card = exported.with_suffix(".md").read_text()
    for fact in ("residual generator", "Dumoulin", "2 of 2 steps", "gram of relu1_1", "| `wave` |", "tv 1"):
        assert fact in card, fact
    assert str(folder) not in card


def test_a_generator_is_measured_against_the_pictures_of_its_styles(folder, exported):
    arguments = ("evaluate", "--checkpoint", exported, "--pairs", folder / "pairs.csv", "--size", 64)
    vgg = ("--vgg", folder / "vgg.safetensors", *QUICK[-4:])
    result = run(*arguments, *vgg)
    assert result.exit_code == 1 and "has no image of the learned style 'wave'" in result.stderr
    result = run(*arguments, *vgg, "--styles", folder / "styles.csv", "--style-root", folder / "paintings")
    assert result.exit_code == 0 and "Median over 2 pairs" in result.stdout


def test_one_style_of_several_is_evaluated_alone(folder, exported):
    arguments = ("evaluate", "--checkpoint", exported, "--pairs", folder / "pairs.csv", "--size", 64)
    pictures = ("--styles", folder / "styles.csv", "--style-root", folder / "paintings")
    vgg = ("--vgg", folder / "vgg.safetensors", *QUICK[-4:])
    result = run(*arguments, *vgg, *pictures, "--only", "night")
    assert result.exit_code == 0, result.output
    assert "1 pair" in result.output
    result = run(*arguments, *vgg, *pictures, "--only", "dawn")
    assert result.exit_code == 1 and "--only dawn: the network has wave, night" in result.stderr


def test_a_style_is_added_and_nothing_else_changes(folder, exported):
    result = add_style(folder, exported, "--only", "garden")
    assert result.exit_code == 0, result.output
    out = folder / "more/residual.safetensors"
    assert export(folder, folder / "added/state.pt", out).exit_code == 0
    before, after = checkpoint.load(exported, Generator), checkpoint.load(out, Generator)
    assert [style.id for style in read_metadata(out).styles] == ["wave", "night", "garden"]
    tables = {id(norm.scale) for norm in after.norms} | {id(norm.shift) for norm in after.norms}
    moved = 0.0
    for (name, old), new in zip(before.named_parameters(), after.parameters(), strict=True):
        if id(new) in tables:
            assert torch.equal(new[:2], old), f"{name}: a row that was there is learned no further"
            moved += (new[2] - old.mean(dim=0)).abs().sum().item()
        else:
            assert torch.equal(new, old), name
    assert moved > 0.1, "the new row learns"


def test_add_style_takes_one_style_and_a_conditional_network(folder, exported):
    result = add_style(folder, exported, out="none")
    assert result.exit_code == 2 and "got 3 styles: one is added at a time" in result.stderr
    assert train(folder, "--norm", "instance", "--only", "wave", out="single", steps=1).exit_code == 0
    single = folder / "single/residual.safetensors"
    assert export(folder, folder / "single/state.pt", single).exit_code == 0
    result = add_style(folder, single, "--only", "garden", out="none")
    assert result.exit_code == 1 and "only a conditional generator learns further styles" in result.stderr
    assert not (folder / "none").exists()


def test_a_per_style_network_starts_from_a_style_of_a_conditional_one(folder, exported):
    start = ("--norm", "instance", "--only", "night", "--init", exported, "--init-style", "night")
    result = train(folder, *start, "--peak-lr", 1e-9, out="from-night", steps=1)
    assert result.exit_code == 0, result.output
    given, got = checkpoint.load(exported, Generator), load_state(folder / "from-night/state.pt").network
    for name, tensor in given.state_dict().items():
        wanted = tensor[1:2] if name.endswith((".scale", ".shift")) else tensor
        torch.testing.assert_close(got[name], wanted, atol=1e-6, rtol=0)


def test_the_style_weight_is_the_one_asked_for(folder):
    assert train(folder, "--only", "wave", "--style-weight", 4, out="weight", steps=1).exit_code == 0
    assert load_state(folder / "weight/state.pt").recipe.weights == {"content": 1.0, "style": 4.0, "tv": 1.0}


def test_styles_can_be_given_as_files(folder):
    files = ("--style", folder / "paintings/00.png", "--style", folder / "paintings/01.png")
    assert train(folder, *files, out="files", steps=1, styles=False).exit_code == 0
    assert [style["id"] for style in load_state(folder / "files/state.pt").data["styles"]] == ["00", "01"]


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (("--network", "adain"), 2, "--network adain: no network that learns its styles; known are residual, pyramid"),
        (("--norm", "instance"), 2, "--norm instance: got 3 styles for instance norm"),
        (("--norm", "group"), 2, "unknown norm 'group'"),
        (("--only", "dawn"), 2, "--only dawn: "),
        (("--style", "a.png"), 2, "give the styles either as --style"),
        (("--recipe", "long"), 2, "unknown recipe 'long'"),
        (("--recipe", "ulyanov"), 1, "up to relu4_2 needs the tensor features.19.weight"),
        (("--init", "missing.safetensors"), 1, "missing.safetensors: No such file"),
        (("--init-style", "wave", "--init", "{exported}", "--network", "pyramid"), 1, "this needs a PyramidGenerator"),
        (("--init-style", "dawn", "--init", "{exported}"), 2, "--init-style dawn: "),
    ],
)
def test_what_cannot_work_is_said_in_one_line(folder, exported, arguments, code, reason):
    filled = [argument.format(exported=exported) for argument in arguments]
    result = train(folder, *filled, out="new")
    assert result.exit_code == code, result.output
    assert reason in result.stderr
    assert result.stderr.startswith("error: ") and result.stderr.count("\n") == 1
    assert not (folder / "new").exists()
