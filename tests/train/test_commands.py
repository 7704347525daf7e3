import csv
import multiprocessing
from pathlib import Path

import pytest
import torch
from paths import SHARED
from PIL import Image
from tiny import images, vgg_file
from typer.testing import CliRunner

from model_store import checkpoint
from model_store.catalog import read_catalog
from model_store.checkpoint_metadata import read_metadata
from train import export as exporting
from train.__main__ import app
from train.state import load_state

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Photos, paintings, VGG weights, pairs, styles, and the state of a training of three steps."""
    folder = tmp_path_factory.mktemp("train")
    images(folder / "photos", 3, seed=0)
    images(folder / "paintings", 3, seed=1)
    vgg_file(folder / "vgg.safetensors")
    rows = [(f"{i}", f"photos/{i:02}.png", f"paintings/{i:02}.png") for i in range(3)]
    table(folder / "pairs.csv", ("name", "content", "style"), *rows)
    table(folder / "reference.csv", ("system", "content", "style", "note"), ("somebody's", "0.5", "0.125", "a note"))
    table(
        folder / "styles.csv",
        ("id", "file", "title", "artist", "year", "rights"),
        ("wave", "00.png", "The Wave", "Hokusai", "1831", "public domain: Hokusai died 1849"),
        ("night", "01.png", "The Night", "Someone", "", "public domain"),
    )
    table(folder / "origins.csv", ("file", "origin"), ("00.png", "A museum"), ("01.png", "A collection"))
    assert train(folder).exit_code == 0
    return folder


def table(path: Path, *rows: tuple[str, ...]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)


def run(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def train(folder: Path, *more: object, out: str = "out", steps: int = 3):
    data = ("--content", folder / "photos", "--style", folder / "paintings", "--vgg", folder / "vgg.safetensors")
    sizes = ("--steps", steps, "--crop", 32, "--batch-size", 2, "--workers", 0, "--dtype", "float32", "--device", "cpu")
    return run("adain", *data, "--out", folder / out, *sizes, *more)


def test_a_training_says_what_it_was_trained_on(folder):
    state = load_state(folder / "out/state.pt", "adain")
    name = folder.name
    assert state.data == {"content": {f"{name}/photos": 3}, "style": {f"{name}/paintings": 3}, "seed": 0}
    assert state.step == state.steps == 3


def test_resume_goes_on_and_equals_an_uninterrupted_training(folder):
    assert train(folder, "--max-minutes", 0, out="cut").exit_code == 0
    assert load_state(folder / "cut/state.pt").step == 1
    assert train(folder, "--resume", out="cut").exit_code == 0
    resumed, straight = (load_state(folder / out / "state.pt").network for out in ("cut", "out"))
    assert all(torch.equal(resumed[name], straight[name]) for name in straight)


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (("--resume",), 1, "new/state.pt: no such file; a training writes it"),
        (("--content", "missing"), 1, "missing: no such folder"),
        (("--recipe", "long"), 2, "unknown recipe 'long': known are short, longer, full"),
        (("--crop", 33), 2, "--crop 33: give a multiple of 8"),
        (("--steps", 0), 2, "--steps 0: give at least 1"),
        (("--style-weight", 0), 2, "--style-weight 0.0: give a positive number"),
        (("--dtype", "int8"), 2, "unknown number type 'int8': use auto, float32"),
        (("--device", "cuda:99"), 2, "device 'cuda:99' asked for, but torch sees"),
        (("--init", "missing.safetensors"), 1, "missing.safetensors: No such file"),
        (("--vgg", "vgg17"), 1, "vgg17: no such file, and no known weights"),
    ],
)
def test_what_cannot_work_is_said_in_one_line(folder, arguments, code, reason):
    result = train(folder, *arguments, out="new")
    assert result.exit_code == code, result.output
    assert reason in result.stderr
    assert result.stderr.startswith("error: ") and result.stderr.count("\n") == 1
    assert not (folder / "new").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        ((), 2, "out/state.pt exists: add --resume to go on with it, or give another --out"),
        (("--resume", "--peak-lr", 0.5), 1, "its recipe: "),
        (("--resume", "--steps", 9), 1, "its steps: 3; asked for: 9"),
        (("--resume", "--seed", 5), 1, "trained on "),
    ],
)
def test_a_state_is_neither_overwritten_nor_continued_as_another_training(folder, arguments, code, reason):
    before = (folder / "out/state.pt").read_bytes()
    result = train(folder, *arguments)
    assert result.exit_code == code and reason in result.stderr and result.stderr.count("\n") == 1
    assert (folder / "out/state.pt").read_bytes() == before


def test_a_vgg_file_that_lacks_a_tensor_is_named(folder, tmp_path):
    path = vgg_file(tmp_path / "vgg.safetensors", leave_out="features.5.weight")
    result = train(folder, "--vgg", path, out="new")
    assert result.exit_code == 1 and "features.5.weight (conv2_1), which is missing" in result.stderr


def test_more_processes_than_a_batch_can_share_are_refused(folder, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "3")
    result = train(folder, out="new")
    assert result.exit_code == 2 and "3 processes cannot divide batches of 2 pairs equally" in result.stderr


def test_an_error_in_a_loader_process_is_one_line_too(folder, tmp_path):
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "torn.jpg").write_bytes(b"torn")
    result = run(
        *("adain", "--content", folder / "photos", "--style", broken, "--vgg", folder / "vgg.safetensors"),
        *("--out", tmp_path / "out", "--workers", 1, "--crop", 32, "--device", "cpu"),
    )
    assert result.exit_code == 1
    assert "error: " in result.stderr and "broken: 100 images in a row cannot be read" in result.stderr
    assert "Traceback" not in result.output
    assert not multiprocessing.active_children(), "a loader that is left alive would keep the process from ending"


def test_evaluate_prints_distances_next_to_the_references(folder):
    result = run(
        *("evaluate", "--checkpoint", folder / "out/state.pt", "--pairs", folder / "pairs.csv"),
        *("--vgg", folder / "vgg.safetensors", "--size", 64, "--limit", 2, "--dtype", "float32"),
        *("--reference", folder / "reference.csv", "--grid", folder / "grid.jpg", "--device", "cpu"),
    )
    assert result.exit_code == 0, result.output
    assert "Median over 2 pairs at 64 px" in result.stdout
    untouched = next(line for line in result.stdout.splitlines() if "content image itself" in line)
    assert " 0.000 " in untouched
    assert "somebody's" in result.stdout and "0.125" in result.stdout
    with Image.open(folder / "grid.jpg") as grid:
        assert grid.size == (3 * 64, 2 * 64)


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([("name", "content"), ("a", "b")], "lacks the column 'style'"),
        ([("name", "content", "style")], "no rows in it"),
        ([("name", "content", "style"), ("a", "photos/none.png", "b")], "none.png: cannot be read as an image"),
    ],
)
def test_evaluate_names_what_is_wrong_with_the_pairs(folder, rows, reason):
    table(folder / "bad.csv", *rows)
    weights = ("--vgg", folder / "vgg.safetensors", "--checkpoint", folder / "out/state.pt")
    result = run("evaluate", "--pairs", folder / "bad.csv", *weights, "--size", 64)
    assert result.exit_code == 1 and reason in result.stderr and result.stderr.count("\n") == 1


def export(folder: Path, state: Path, out: Path, *more: object):
    styles = ("--styles", folder / "styles.csv", "--style-root", folder / "paintings")
    preview = ("--preview-photo", folder / "photos/00.png")
    return run(
        "export", "--state", state, "--out", out, *styles, *preview, "--device", "cpu", "--dtype", "float32", *more
    )


@pytest.fixture(scope="module")
def exported(folder) -> Path:
    measure = ("--pairs", folder / "pairs.csv", "--vgg", folder / "vgg.safetensors", "--size", 64)
    notes = ("--data-rights", "ours", "--note", "a note", "--paintings", folder / "origins.csv")
    out = folder / "checkpoints/adain.safetensors"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exporting, "PAINT_PX", 256)
        result = export(folder, folder / "out/state.pt", out, *measure, *notes)
    assert result.exit_code == 0, result.output
    return out


def test_export_writes_what_the_service_serves(folder, exported):
    catalog = read_catalog(exported.parent)
    model = catalog.model("adain")
    assert [style.id for style in model.styles] == ["wave", "night"]
    assert (catalog.style("wave").year, catalog.style("night").year) == (1831, None)
    assert "Simonyan" in model.attribution and "CC BY 4.0" in model.attribution
    assert model.training["step"] == 3 and model.training["data"]["rights"] == "ours"
    assert model.training["note"] == "a note"
    assert model.measured["pairs"] == 3 and model.measured["style"] > 0 and model.measured["untouched_content"] == 0
    for style in catalog.styles:
        with Image.open(style.preview) as preview:
            assert preview.format == "WEBP" and preview.size == (256, 193)
    assert catalog.style("wave").style_image == exported.parent / "paintings/wave.webp"
    assert catalog.style("wave").origin == "A museum"
    assert catalog.style("night").style_image is None, "nobody knows whose it is"


def test_a_named_style_is_that_of_its_picture(folder, exported):
    from model_store.pixels import to_tensor
    from train.images import fit_longer_side, read_image

    network = checkpoint.load(exported)
    encoded = network.encode_style(to_tensor([fit_longer_side(read_image(folder / "paintings/01.png"), 512)]))
    torch.testing.assert_close(network.stored_style(1).scales[0], encoded.scales[0], rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(network.stored_style(1).shifts[0], encoded.shifts[0], rtol=1e-3, atol=1e-3)


def test_the_model_card_says_what_it_is_and_where_it_comes_from(folder, exported):
    card = exported.with_suffix(".md").read_text()
    for fact in (
        "AdaIN",
        "VGG-16",
        "Simonyan",
        "CC BY 4.0",
        "3 of 3 steps",
        "/photos`",
        "rights: ours",
        "| `wave` |",
        "style",
    ):
        assert fact in card
    assert str(folder) not in card


def test_a_checkpoint_takes_more_styles(folder, exported, tmp_path):
    table(
        tmp_path / "more.csv",
        ("id", "file", "title", "artist", "year", "rights"),
        ("night", "02.png", "Another Night", "Someone", "1900", "public domain"),
        ("garden", "02.png", "The Garden", "Someone", "", "public domain"),
    )
    before = checkpoint.load(exported)
    out = tmp_path / "adain.safetensors"
    result = run(
        *("export", "--state", exported, "--out", out, "--styles", tmp_path / "more.csv"),
        *("--style-root", folder / "paintings", "--device", "cpu"),
    )
    assert result.exit_code == 0, result.output
    header, after = read_metadata(out), checkpoint.load(out)
    assert [(style.id, style.title) for style in header.styles] == [
        ("wave", "The Wave"),
        ("night", "Another Night"),
        ("garden", "The Garden"),
    ]
    assert header.measured == read_metadata(exported).measured
    assert torch.equal(after.style_scales[0], before.style_scales[0]), "a style that stays is not rounded twice"
    assert torch.equal(after.style_scales[1], after.style_scales[2])
    assert all(torch.equal(a, b) for a, b in zip(after.decoder.parameters(), before.decoder.parameters(), strict=True))


def test_a_training_starts_from_an_exported_checkpoint(folder, exported):
    data = ("--content", folder / "photos", "--style", folder / "paintings", "--out", folder / "second")
    sizes = ("--steps", 1, "--crop", 32, "--batch-size", 2, "--workers", 0, "--peak-lr", 1e-9, "--device", "cpu")
    result = run("adain", *data, *sizes, "--init", exported, "--dtype", "float32")
    assert result.exit_code == 0, result.output
    trained, given = load_state(folder / "second/state.pt"), checkpoint.load(exported).state_dict()
    assert trained.arguments["styles"] == 0
    for name, tensor in trained.network.items():
        if not name.startswith("style_"):
            torch.testing.assert_close(tensor, given[name], atol=1e-6, rtol=0)


def test_a_resumed_training_has_its_own_weights(folder, exported):
    start = ("--init", exported)
    assert train(folder, *start, out="whole").exit_code == 0
    assert train(folder, *start, "--max-minutes", 0, out="halves").exit_code == 0
    assert train(folder, *start, "--resume", out="halves").exit_code == 0
    whole, halves = (load_state(folder / out / "state.pt").network for out in ("whole", "halves"))
    assert all(torch.equal(whole[name], halves[name]) for name in whole)


def test_init_takes_no_vgg_of_another_architecture(folder, exported, tmp_path):
    weights = vgg_file(tmp_path / "vgg19.safetensors", "vgg19")
    result = train(folder, "--vgg", weights, "--init", exported, out="new")
    assert result.exit_code == 1 and "is no vgg16, which" in result.stderr


def test_styles_that_cannot_be_are_named(folder):
    table(folder / "bad.csv", ("id", "file", "title", "artist", "year", "rights"), ("A B", "00.png", "", "", "", ""))
    result = run(
        "export", "--state", folder / "out/state.pt", "--styles", folder / "bad.csv", "--out", folder / "x.safetensors"
    )
    assert result.exit_code == 1 and "the id 'A B' is taken, or not made of" in result.stderr


def test_the_metric_is_that_of_the_reference():
    """One pair of the shared data, at a quarter of the size: a guard; all pairs are ``train evaluate``'s to do."""
    weights, pairs = SHARED / "weights/vgg16_features.safetensors", SHARED / "data/val/pairs.csv"
    if not pairs.exists():
        pytest.skip(f"{pairs} is not there")
    from tiny import adain

    from model_store.runtime import Runtime
    from model_store.vgg import load_vgg
    from train.evaluate import evaluate_pairs
    from train.tables import read_pairs

    cpu = Runtime(torch.device("cpu"), torch.float32)
    (evaluated,) = evaluate_pairs(adain(), load_vgg(weights), read_pairs(pairs)[:1], 128, cpu)
    assert evaluated.untouched.content == 0
    assert 0 < evaluated.untouched.style < 1


def test_swift_is_trained_exported_and_shown(folder):
    data = ("--content", folder / "photos", "--style", folder / "paintings", "--vgg", folder / "vgg.safetensors")
    sizes = ("--steps", 2, "--crop", 32, "--batch-size", 2, "--workers", 0, "--dtype", "float32", "--device", "cpu")
    done = run("swift", *data, "--out", folder / "swift", *sizes)
    assert done.exit_code == 0, done.output
    checkpoint_file = folder / "exported/swift.safetensors"
    styles = ("--styles", folder / "styles.csv", "--style-root", folder / "paintings")
    pairs = ("--pairs", folder / "pairs.csv", "--vgg", folder / "vgg.safetensors", "--size", 64, "--device", "cpu")
    done = run("export", "--state", folder / "swift/state.pt", "--out", checkpoint_file, *styles, *pairs)
    assert done.exit_code == 0, done.output
    card = checkpoint_file.with_suffix(".md").read_text()
    assert (
        "Ghiasi et al. 2017" in card
        and "moving average" in card
        and "mixing of the styles, probabilities: mixed 0.12" in card
    )
    assert [style.id for style in read_metadata(checkpoint_file).styles] == ["wave", "night"]

    shown = [("--photo", folder / f"photos/{i:02}.png") for i in range(2)]
    shown += [("--painting", folder / f"paintings/{i:02}.png") for i in range(3)]
    grid = folder / "matrix.png"
    sizes = ("--size", 64, "--cell", 32, "--device", "cpu", "--dtype", "float32")
    done = run(
        "matrix", "--checkpoint", checkpoint_file, "--out", grid, *sizes, *(part for pair in shown for part in pair)
    )
    assert done.exit_code == 0, done.output
    with Image.open(grid) as image:
        assert image.size == (4 * (32 + 8) + 8, 3 * (32 + 8) + 8)
