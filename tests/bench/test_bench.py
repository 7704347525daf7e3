"""Every function that ``python -m bench`` calls, once, at tiny sizes and with a random network."""

from io import StringIO

import pytest
import torch
from paths import ROOT
from PIL import Image
from rich.console import Console
from studio import chromium_path
from tiny import ADAIN, SWIFT, adain, add_painting, learned_checkpoint, swift

from bench import gallery
from bench.chaos import measure_chaos, print_chaos
from bench.controls import measure_controls, print_controls
from bench.engine import OURS, REFERENCE, Way, measure_engine, print_engine
from bench.hostile import measure_hostile, print_hostile
from bench.large import measure_large, print_large, styles_of_each_kind
from bench.overload import measure_overload, print_overload
from bench.pictures import SHAPES_PX, painting, photo, request_mix
from bench.reference import ReferencePainter, reference_networks
from bench.remote import Remote, RemoteError
from bench.service import measure_service, print_service
from bench.soak import SoakReport, measure_soak, print_soak
from bench.studio import WINDOWS, measure_studio, print_studio
from model_store import checkpoint
from model_store.catalog import Catalog, default_folder, read_catalog
from model_store.checkpoint_metadata import CheckpointMetadata, NamedStyle
from model_store.runtime import Runtime
from service.engine.stylize_input import StyleImage, StylizeInput
from service.engine.stylizer import Stylizer
from service.settings import Settings

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("checkpoints") / "adain.safetensors"
    style = NamedStyle(id="made-up", title="Made up", artist="", year=None, rights="")
    metadata = CheckpointMetadata(network="adain", arguments={**ADAIN, "styles": 1}, styles=(style,))
    checkpoint.save(adain(styles=1), path, metadata)
    return path.parent


@pytest.fixture(autouse=True)
def ours_alone(monkeypatch):
    for name in ("STYLIZE_REDIS_URL", "STYLIZE_DEVICE", "STYLIZE_DTYPE", "STYLIZE_BACKEND"):
        monkeypatch.delenv(name, raising=False)


def printed(show, report) -> str:
    text = StringIO()
    show(report, Console(file=text, width=160))
    return text.getvalue()


def test_the_baseline_computes_what_our_network_computes(folder):
    path = folder / "adain.safetensors"
    network = checkpoint.load(path)
    encoder, decoder = reference_networks(network)
    content = torch.rand(2, 3, 40, 48)
    with torch.no_grad():
        torch.testing.assert_close(encoder(content), network.encode(content), atol=1e-3, rtol=1e-4)
        features = network.encode(content)
        torch.testing.assert_close(decoder(features), network.decode(features), atol=1e-4, rtol=1e-4)


def test_the_baseline_paints_our_picture(folder):
    contents, styles = [photo(64, 64)], [painting(64, 64)]
    (expected,) = ReferencePainter(folder / "adain.safetensors", "cpu").paint(contents, styles)
    stylizer = Stylizer(folder, Runtime(torch.device("cpu"), torch.float32), 4)
    (painted,) = stylizer.paint("adain", [StylizeInput(contents[0], [(1.0, StyleImage("it", styles[0], None))], 1.0)])
    # The reference divides the variance by n − 1, over 64 values here.
    differences = [abs(a - b) for a, b in zip(expected.tobytes(), painted.tobytes(), strict=True)]
    assert sum(differences) / len(differences) < 3


def test_engine(folder):
    report = measure_engine(Settings(), folder, sides_px=[32], batches=[2], case_budget_s=0)
    (case,) = report.cases
    assert {len(seconds) for seconds in case.seconds.values()} == {3}
    assert set(report.facts) == {way.contestant for way in case.seconds}
    assert Way("swift, torch", is_new=True) in case.seconds and report.is_random
    assert case.ratio(OURS, REFERENCE) > 0
    assert case.largest_difference < 64, "the two paint with the same weights"
    text = printed(print_engine, report)
    assert "32 px" in text and "swift, torch, new style" in text and "random weights" in text


def test_controls(folder, every_network):
    seconds = measure_controls(Settings(), every_network, rounds=2, side_px=64)
    assert list(seconds) == ["adain", "coast"]
    assert all(len(measured) == 2 for by_name in seconds.values() for measured in by_name.values())
    text = printed(print_controls, seconds)
    assert "4 styles, 4 masks" in text and "ratio to plain" in text


def test_large_pictures(folder, every_network):
    small = Settings(tile_px=64)
    both, tiles = measure_large(small, folder, megapixels=[1 / 64, 1 / 32], one_pass_up_to=1 / 64)
    assert both.differences is not None and both.differences[0] <= 4
    assert both.differences[1] <= both.differences[0]
    assert tiles.one_pass is None and tiles.differences is None
    assert tiles.tiled.stages.total_s > 0
    (noisy,) = measure_large(small, every_network, megapixels=[1 / 64], named=("noisy", "moss"))
    assert noisy.model == "noisy" and noisy.differences is not None and noisy.differences[0] <= 4
    assert styles_of_each_kind(read_catalog(every_network)) == [
        *(("adain", "first"), ("old", "old"), ("noisy", "moss"), ("ink", "ink"), ("coast", "sea")),
    ]
    text = printed(print_large, [both, tiles])
    assert "s per" in text and "wanted ≤ 4295: met" in text


def test_every_picture_of_the_documentation_can_be_made(tmp_path):
    named = {"adain": gallery.ADAIN, "coast": gallery.CONDITIONAL, "waves": (gallery.PYRAMID,)}
    shipped = read_catalog(default_folder())
    assert {name for names in named.values() for name in names} <= {style.id for style in shipped.styles}
    (folder := tmp_path / "checkpoints").mkdir()
    styles = tuple(NamedStyle(id=name, title=name, artist="", year=None, rights="") for name in gallery.ADAIN)
    metadata = CheckpointMetadata(network="adain", arguments={**ADAIN, "styles": 4}, styles=styles)
    checkpoint.save(adain(styles=4), folder / "adain.safetensors", metadata)
    learned_checkpoint(folder / "coast.safetensors", *gallery.CONDITIONAL)
    learned_checkpoint(folder / "waves.safetensors", gallery.PYRAMID, network="pyramid")
    gallery.make_gallery(tmp_path / "figures", folder, size_px=128)
    written = {path.stem: path for path in (tmp_path / "figures").glob("*.jpg")}
    assert set(written) == {path.stem for path in (ROOT / "docs" / "controls").glob("*.jpg")}
    for path in written.values():
        with Image.open(path) as picture:
            assert min(picture.size) > 200


def test_the_mix_has_every_shape_and_both_kinds_of_style(folder):
    asks = request_mix(read_catalog(folder))
    assert {(ask.width, ask.height) for ask in asks} == set(SHAPES_PX)
    assert sum(ask.upload is not None for ask in asks) == sum(ask.style_id is not None for ask in asks) == len(asks) / 2
    assert asks == request_mix(read_catalog(folder))
    assert all(ask.upload for ask in request_mix(Catalog(())))


def test_service(folder):
    report = measure_service(Settings(), folder, {1: 1, 4: 1}, [(64, 64), (80, 64)], api_starts=1)
    measured = report.measured
    assert len(measured.pairs) == 8
    assert [len(load.responses) for load in measured.loads] == [8, 8]
    assert report.api is None or not report.api.has_torch
    text = printed(print_service, report)
    assert "bare loop" in text and "libtorch" in text


def test_hostile(folder):
    endured = measure_hostile(Settings(), folder, size_bytes=200_000, wide_px=256, at_once=3, alone_s=0.2)
    statuses = [dict(one.statuses) for one in endured]
    assert statuses == [{}, *[{"422": 1}] * 3, {"200": 8}, {"200": 3}, {}]
    assert all(one.waits_ms and min(one.peaks_mb.values()) > 10 for one in endured)
    assert "wanted ≤ 250 ms" in printed(print_hostile, endured)


def test_soak(folder):
    report = measure_soak(Settings(), folder, minutes=0.08, longest_px=80)
    assert report.requests > 4 and set(report.resident_mb) == {"worker", "api", "queue"}
    assert all(min(values) > 1 for values in report.resident_mb.values())
    assert "MB a minute" in printed(print_soak, report)
    minutes = [second / 60 for second in range(60)]
    grows = SoakReport(minutes, {"worker": [100 + 10 * minute for minute in minutes], "api": [80.0] * 60})
    assert (round(grows.slope("worker"), 3), grows.slope("api"), grows.is_flat) == (10, 0, False)
    assert "missed" in printed(print_soak, grows)


def test_overload(folder):
    (flood,) = measure_overload(Settings(), folder, times=[3], flood_s=1, shapes_px=[(64, 64)])
    assert {answer.status for answer in flood.answers} <= {200, 503} and flood.useful_per_s > 0
    assert len(flood.answers) > 2 * flood.capacity_per_s
    assert "wanted ≥ 0.95" in printed(print_overload, [flood])


def test_chaos(folder):
    faults = [(0.2, "a worker is killed"), (0.4, "the queue is killed and started")]
    report = measure_chaos(Settings(), folder, span_s=4, clients=4, faults=faults)
    assert [fault for _, fault in report.faults] == [fault for _, fault in faults]
    assert report.count("right") > 4 and report.before.memory_mb["worker"] > 0
    assert "left: met" in printed(print_chaos, report)


def test_what_fails_in_the_other_process_is_said():
    with Remote(dict) as remote:
        remote.call("update", {"a": 1})
        assert remote.call("get", "a") == 1
        with pytest.raises(RemoteError, match="no_such"):
            remote.call("no_such")
    with Remote(int, "x") as remote, pytest.raises(RemoteError, match="invalid literal"):
        remote.call("bit_length")


@pytest.mark.browser
@pytest.mark.timeout(400)
def test_the_page_is_measured_and_its_pictures_are_taken(tmp_path):
    chromium_path()
    sizes = {**SWIFT, "vgg_width": 24}  # paints in a moment, and is optimised slowly enough to be cancelled
    styles = tuple(NamedStyle(id=f"made-{n}", title=f"Made {n}", artist="", year=None, rights="") for n in range(4))
    metadata = CheckpointMetadata(network="swift", arguments={**sizes, "styles": 4}, styles=styles)
    (tmp_path / "checkpoints").mkdir()
    checkpoint.save(swift(styles=4, **sizes), tmp_path / "checkpoints/swift.safetensors", metadata)
    add_painting(tmp_path / "checkpoints", painting(256, 256), *(style.id for style in styles))
    screens, narrow = tmp_path / "screens", {"narrow": WINDOWS["narrow"]}
    visits = measure_studio(
        Settings(), tmp_path / "checkpoints", rounds=1, screens=screens, say=lambda _: None, windows=narrow
    )
    (visit,) = visits
    assert 10_000 < visit.code_bytes < 80_000
    assert visit.usable_s < visit.arrived_s and 0 < visit.first_s <= visit.full_s
    assert "previews per second" in printed(print_studio, visits)
    states = ("start", "mix", "dark", "masks", "job", "wall", "error")
    assert {path.name for path in screens.iterdir()} == {f"narrow-{state}.webp" for state in states}
