"""The facade over the networks: a batch is its single runs, and uploads are encoded once."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import image_files as files
import numpy as np
import pytest
import tiny
import torch
from PIL import Image

from model_store import checkpoint
from model_store.adain import AdaIN
from model_store.catalog import CatalogError
from model_store.checkpoint_metadata import CheckpointMetadata, NamedStyle
from model_store.pixels import to_images, to_tensor
from model_store.runtime import Runtime
from model_store.statistics import instance_statistics
from model_store.style import Style
from service.engine.style_cache import StyleCache
from service.engine.stylize_input import StyleImage, StylizeInput
from service.engine.stylizer import Stylizer
from service.errors import ModelUnavailable

CPU = torch.device("cpu")
Make = Callable[..., Stylizer]


@pytest.fixture(scope="module")
def make(tiny_checkpoints: Path) -> Make:
    """A stylizer of its own for each test: what it remembers is what is tested."""

    def make(dtype: torch.dtype = torch.float32, entries: int = 8) -> Stylizer:
        stylizer = Stylizer(tiny_checkpoints, Runtime(CPU, dtype), entries)
        last = network_of(stylizer).decoder[-1]
        last.weight.mul_(contrast)  # random weights paint in the dark, where all pictures are alike
        last.bias.fill_(0.5)
        return stylizer

    contrast = 1.0
    (dark,) = make().paint("adain", [painting("first")])
    contrast = 0.2 * 255 / float(np.asarray(dark).std())

    return make


def network_of(stylizer: Stylizer) -> AdaIN:
    network = stylizer._models.get("adain").network
    assert isinstance(network, AdaIN)
    return network


def upload(seed: int, width: int = 48, height: int = 40) -> StyleImage:
    return StyleImage(f"digest-{seed}", files.photo(width, height, seed))


def painting(
    *styles: str | StyleImage, seed: int = 1, alpha: float = 1.0, size: tuple[int, int] = (48, 40)
) -> StylizeInput:
    """A photo of its own; of several styles, each weighs one more than the one before."""
    return StylizeInput(files.photo(*size, seed), [(1.0 + index, style) for index, style in enumerate(styles)], alpha)


def largest_difference(one: Image.Image, other: Image.Image) -> int:
    assert one.size == other.size
    return int(np.abs(np.asarray(one, dtype=int) - np.asarray(other, dtype=int)).max())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
@pytest.mark.parametrize("size", [(48, 40), (53, 39)], ids=["multiples", "odd"])
def test_a_batch_equals_its_single_runs(make: Make, dtype: torch.dtype, size: tuple[int, int]) -> None:
    batch = [
        painting("first", seed=1, size=size),
        painting("second", seed=2, alpha=0.4, size=size),
        painting("first", upload(9), seed=3, size=size),
        painting(upload(8, 64, 33), seed=4, alpha=0.0, size=size),
        painting(upload(9), "second", upload(8, 64, 33), seed=5, alpha=0.7, size=size),
    ]
    together = make(dtype).paint("adain", batch)
    alone = [make(dtype).paint("adain", [item])[0] for item in batch]
    assert [image.size for image in together] == [size] * 5
    assert max(largest_difference(one, other) for one, other in zip(together, alone, strict=True)) <= 1
    spread = [np.asarray(image).std() for image in together]
    assert min(spread) > 10, "a flat picture would prove nothing"


def test_the_order_of_a_batch_does_not_matter(make: Make) -> None:
    stylizer = make()
    batch = [painting("first", seed=seed) for seed in range(3)] + [painting("second", seed=7)]
    forwards, backwards = stylizer.paint("adain", batch), stylizer.paint("adain", batch[::-1])
    assert max(map(largest_difference, forwards, backwards[::-1])) <= 1


def test_alpha_zero_is_the_same_for_every_style(make: Make) -> None:
    stylizer = make()
    one, other = stylizer.paint("adain", [painting("first", alpha=0.0), painting(upload(5), alpha=0.0)])
    assert largest_difference(one, other) <= 1
    content = to_tensor([painting("first").content], stylizer.runtime.device)
    network = network_of(stylizer)
    (reconstruction,) = to_images(network.decode(network.encode(content)))
    assert largest_difference(one, reconstruction) <= 1


def test_alpha_and_style_change_the_picture(make: Make) -> None:
    batch = [painting("first"), painting("second"), painting("first", alpha=0.5)]
    first, second, half = make().paint("adain", batch)
    assert largest_difference(first, second) > 10
    assert largest_difference(first, half) > 5


def test_a_mix_is_weighed(make: Make) -> None:
    photo = files.photo(48, 40)
    all_first = StylizeInput(photo, [(1.0, "first"), (0.0, "second")], 1.0)
    stylizer = make()
    pure, same = stylizer.paint("adain", [StylizeInput(photo, [(1.0, "first")], 1.0), all_first])
    assert largest_difference(pure, same) <= 1
    network = network_of(stylizer)
    (mixed,) = stylizer.paint("adain", [StylizeInput(photo, [(1.0, "first"), (3.0, "second")], 1.0)])
    first, second = network.stored_style(0), network.stored_style(1)
    style = Style(
        (0.25 * first.scales[0] + 0.75 * second.scales[0],), (0.25 * first.shifts[0] + 0.75 * second.shifts[0],)
    )
    with torch.inference_mode():
        (expected,) = to_images(network.paint(to_tensor([photo], stylizer.runtime.device), style))
    assert largest_difference(mixed, expected) <= 1


def test_a_stored_style_is_the_statistics_of_its_image(make: Make) -> None:
    """Painted by id or by upload: the same style gives the same picture."""
    stylizer = make()
    network = network_of(stylizer)
    image = files.photo(64, 64, seed=6)
    with torch.inference_mode():
        mean, std = instance_statistics(network.encode(to_tensor([image], stylizer.runtime.device)))
    network.style_scales[0], network.style_shifts[0] = std.flatten(), mean.flatten()
    stored, uploaded = stylizer.paint("adain", [painting("first"), painting(StyleImage("d", image))])
    assert largest_difference(stored, uploaded) <= 1


def test_an_upload_is_encoded_once(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    stylizer = make()
    network = network_of(stylizer)
    encoded = []
    encode_style = network.encode_style
    monkeypatch.setattr(network, "encode_style", lambda images: encoded.append(images.shape) or encode_style(images))
    first = stylizer.paint("adain", [painting(upload(1)), painting(upload(1)), painting(upload(2), upload(1))])
    assert len(encoded) == 2
    again = stylizer.paint("adain", [painting(upload(1))])
    assert len(encoded) == 2
    remembered = stylizer.remembered("adain", "digest-1")
    assert remembered is not None
    by_memory = stylizer.paint("adain", [painting(replace(remembered, digest="forgotten meanwhile"))])
    assert len(encoded) == 2
    assert largest_difference(first[0], again[0]) <= 1
    assert largest_difference(first[0], by_memory[0]) <= 1


def test_what_is_remembered_is_bounded(make: Make) -> None:
    stylizer = make(entries=2)
    for seed in (1, 2, 3):
        stylizer.paint("adain", [painting(upload(seed))])
    known = [stylizer.remembered("adain", f"digest-{seed}") is not None for seed in (1, 2, 3)]
    assert known == [False, True, True]
    assert stylizer.remembered("another", "digest-3") is None


def test_a_batch_may_bring_more_styles_than_are_remembered(make: Make) -> None:
    batch = [painting(upload(seed), upload(seed + 1), seed=seed) for seed in range(3)]
    few, many = make(entries=1).paint("adain", batch), make(entries=8).paint("adain", batch)
    assert max(map(largest_difference, few, many)) <= 1


def test_the_cache_forgets_what_was_not_used_for_longest() -> None:
    cache, style = StyleCache(2), Style((torch.ones(1, 2),), (torch.zeros(1, 2),))
    for digest in "ab":
        cache.put(("adain", digest), style)
    assert cache.get(("adain", "a")) is not None
    cache.put(("adain", "c"), style)
    assert [cache.get(("adain", digest)) is not None for digest in "abc"] == [True, False, True]
    cache.clear()
    assert cache.get(("adain", "a")) is None


def test_the_cache_gives_back_what_it_was_given_and_has_its_memory_from_the_beginning() -> None:
    def style(value: int, *widths: int) -> Style:
        scales = tuple(torch.full((1, width), float(value + layer)) for layer, width in enumerate(widths))
        return Style(scales, tuple(-scale for scale in scales))

    cache = StyleCache(3)
    kinds = {"adain": (512,), "swift": (3, 5, 2)}
    for value in range(20):
        name = ("adain", "swift")[value % 2]
        cache.put((name, str(value)), style(value, *kinds[name]))
        for earlier in range(value - 2, value + 1):
            name = ("adain", "swift")[earlier % 2]
            if (found := cache.get((name, str(earlier)))) is not None:
                expected = style(earlier, *kinds[name])
                assert all(map(torch.equal, found.scales + found.shifts, expected.scales + expected.shifts))
        if value == 3:
            kept, tables = cache.get(("swift", "3")), [table.data_ptr() for table in cache._tables.values()]
    assert [table.data_ptr() for table in cache._tables.values()] == tables
    assert kept is not None and torch.equal(kept.scales[0], torch.full((1, 3), 3.0)), "a copy outlives its place"
    cache.put(("adain", "19"), style(7, 512))
    cache.put(("swift", "19"), style(8, 3, 5, 2))
    again = cache.get(("swift", "19"))
    assert again is not None and again.shifts[2][0, 0] == -10


def test_warming_up_leaves_nothing_behind(make: Make) -> None:
    stylizer = make()
    stylizer.warm_up()
    assert stylizer.remembered("adain", "warm-up") is None


def test_pixels_survive_the_way_to_tensors_and_back() -> None:
    images = [files.photo(17, 11, seed) for seed in range(2)]
    tensor = to_tensor(images)
    assert tensor.shape == (2, 3, 11, 17)
    assert [largest_difference(*pair) for pair in zip(images, to_images(tensor), strict=True)] == [0, 0]
    beyond = torch.tensor([-3.0, 7.0, 0.5]).reshape(1, 3, 1, 1)
    assert to_images(beyond)[0].getpixel((0, 0)) == (0, 255, 128)


@pytest.mark.parametrize("shape", [(16, 16), (16, 128), (17, 16), (128, 17)])
def test_the_smallest_results_have_statistics(make: Make, shape: tuple[int, int]) -> None:
    (image,) = make().paint("adain", [painting(upload(1), size=shape)])
    assert image.size == shape


# ---- networks of every kind ---------------------------------------------------------------------------------------


@pytest.fixture
def folder(every_network: Path, tmp_path: Path) -> Path:
    """A folder that a test may change."""
    return shutil.copytree(every_network, tmp_path / "checkpoints")


def of(folder: Path, dtype: torch.dtype = torch.float32, **options: float) -> Stylizer:
    return Stylizer(folder, Runtime(CPU, dtype), 8, **{"warm_up_px": 64, **options})


LEARNED = {"coast": ("sea", "sky", "sand"), "ink": ("ink",), "old": ("old",), "noisy": ("moss", "rust")}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
@pytest.mark.parametrize("size", [(64, 48), (53, 39), (16, 16)], ids=["multiples", "odd", "smallest"])
@pytest.mark.parametrize("model", LEARNED)
def test_a_batch_of_learned_styles_equals_its_single_runs(
    every_network: Path, model: str, size: tuple[int, int], dtype: torch.dtype
) -> None:
    first, last = LEARNED[model][0], LEARNED[model][-1]
    batch = [
        replace(painting(first, seed=1, size=size), seed=11),
        replace(painting(last, seed=2, size=size, alpha=0.4), seed=2**31 - 1),
        replace(painting(first, last, seed=3, size=size), seed=0),
        replace(painting(first, seed=1, size=size), seed=11),
    ]
    stylizer = of(every_network, dtype)
    together = stylizer.paint(model, batch)
    alone = [stylizer.paint(model, [item])[0] for item in batch]
    assert [image.size for image in together] == [size] * 4
    assert max(map(largest_difference, together, alone)) <= 1
    assert largest_difference(together[0], together[3]) <= 1, "the same request twice"
    assert largest_difference(together[0], together[1]) > 10
    assert np.asarray(together[0]).std() > 10, "a flat picture would prove nothing"


@pytest.mark.parametrize("model", LEARNED)
def test_half_precision_changes_little(every_network: Path, model: str) -> None:
    batch = [replace(painting(style, size=(64, 48)), seed=5) for style in LEARNED[model]]
    exact, half = (of(every_network, dtype).paint(model, batch) for dtype in (torch.float32, torch.bfloat16))
    for one, other in zip(exact, half, strict=True):
        assert np.abs(np.asarray(one, dtype=int) - np.asarray(other, dtype=int)).mean() < 3


@pytest.mark.parametrize("model", ["adain", "coast", "noisy"])
def test_convolutions_are_in_half_and_everything_else_is_not(every_network: Path, model: str) -> None:
    network = of(every_network, torch.bfloat16)._models.get(model).network
    convs = {name for name, module in network.named_modules() if isinstance(module, torch.nn.Conv2d)}
    for name, tensor in (*network.named_parameters(), *network.named_buffers()):
        is_of_conv = name.rpartition(".")[0] in convs
        assert tensor.dtype == (torch.bfloat16 if is_of_conv else torch.float32), name
        assert tensor.dim() < 4 or not is_of_conv or tensor.is_contiguous(memory_format=torch.channels_last), name


def test_a_seed_is_one_picture(every_network: Path) -> None:
    stylizer = of(every_network)
    one, again, other = stylizer.paint("noisy", [replace(painting("moss"), seed=seed) for seed in (1, 1, 2)])
    assert largest_difference(one, again) <= 1
    assert largest_difference(one, other) > 3
    (elsewhere,) = of(every_network).paint("noisy", [replace(painting("moss"), seed=1)])
    assert largest_difference(one, elsewhere) <= 1


def test_learned_styles_mix_by_weight(every_network: Path) -> None:
    photo = files.photo(48, 40)
    mixes = [[(1.0, "sea")], [(1.0, "sea"), (0.0, "sky")], [(1.0, "sky")], [(1.0, "sea"), (1.0, "sky")]]
    sea, only_sea, sky, both = of(every_network).paint("coast", [StylizeInput(photo, mix, 1.0) for mix in mixes])
    assert largest_difference(sea, only_sea) <= 1
    assert min(largest_difference(both, sea), largest_difference(both, sky)) > 10


# ---- a folder that changes ----------------------------------------------------------------------------------------


def test_warming_up_loads_the_network_for_uploads_alone(every_network: Path) -> None:
    stylizer = of(every_network)
    assert stylizer.models == (), "nothing is loaded before it is used"
    stylizer.warm_up()
    assert stylizer.models == ("adain",)


@pytest.mark.parametrize("harm", ["damaged", "cut", "missing"])
def test_warming_up_without_that_network_takes_another(folder: Path, harm: str) -> None:
    path = folder / "adain.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[:-3] + b"???" if harm == "damaged" else content[:-3])
    if harm == "missing":
        path.unlink()
    stylizer = of(folder)
    stylizer.warm_up()
    assert stylizer.models == ("coast",)
    assert list(stylizer.problems) == ([] if harm == "missing" else ["adain"])


def test_a_limit_of_memory_is_kept(every_network: Path) -> None:
    stylizer = of(every_network, model_memory_bytes=2**18)
    stylizer.paint("adain", [painting("first")])  # 0.5 MB
    assert stylizer.models == ("adain",)
    for model in ("coast", "ink"):
        stylizer.paint(model, [painting(LEARNED[model][0])])
    assert stylizer.models == ("coast", "ink")


def replace_adain(folder: Path, seed: int, styles: tuple[str, ...] = ("first", "second")) -> None:
    network = tiny.adain(len(styles), seed)
    named = tuple(NamedStyle(id=name, title="", artist="", year=None, rights="") for name in styles)
    header = CheckpointMetadata(network="adain", arguments={**tiny.ADAIN, "styles": len(styles)}, styles=named)
    checkpoint.save(network, folder / "adain.safetensors", header)


def test_remembered_styles_do_not_survive_their_network(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("model_store.catalog_watch.LOOK_EVERY_S", -1)
    stylizer = of(folder)
    stylizer.paint("adain", [painting(upload(1))])
    remembered = stylizer.remembered("adain", "digest-1")
    assert remembered is not None
    replace_adain(folder, seed=5)
    assert stylizer.remembered("adain", "digest-1") is None
    (painted,) = stylizer.paint("adain", [painting(upload(1))])
    (expected,) = of(folder).paint("adain", [painting(upload(1))])
    assert largest_difference(painted, expected) <= 1
    (with_both,) = stylizer.paint("adain", [painting(remembered)])  # was prepared before, and is encoded anew meanwhile
    assert largest_difference(with_both, expected) <= 1
    with pytest.raises(ModelUnavailable, match="the network 'adain' was replaced while this waited: send it again"):
        stylizer.paint("adain", [painting(replace(remembered, digest="another"))])


def test_a_style_that_is_new_is_painted_at_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("model_store.catalog_watch.LOOK_EVERY_S", 1000)
    stylizer = of(folder)
    stylizer.paint("ink", [painting("ink")])
    tiny.learned_checkpoint(folder / "ink.safetensors", "ink", "more")
    assert stylizer.paint("ink", [painting("more")])


def test_a_style_that_is_gone_fails_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("model_store.catalog_watch.LOOK_EVERY_S", -1)
    stylizer = of(folder)
    replace_adain(folder, seed=5, styles=("second",))
    with pytest.raises(ModelUnavailable, match="the network 'adain' has no style 'first' now: GET /styles lists them"):
        stylizer.paint("adain", [painting("first")])
    assert stylizer.paint("adain", [painting("second")])


def test_an_upload_for_a_network_that_takes_none_fails(every_network: Path) -> None:
    with pytest.raises(ModelUnavailable, match="the network 'coast' was replaced"):
        of(every_network).paint("coast", [painting(upload(1))])


def test_a_folder_without_a_usable_checkpoint_says_so(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="no usable checkpoint"):
        Stylizer(tmp_path, Runtime(CPU, torch.float32), 8)
    (tmp_path / "broken.safetensors").write_bytes(b"nonsense")
    with pytest.raises(CatalogError, match=r"no usable checkpoint \(.*broken"):
        Stylizer(tmp_path, Runtime(CPU, torch.float32), 8)


def test_a_folder_whose_checkpoints_all_turn_out_to_be_damaged_says_so(tmp_path: Path) -> None:
    path = tiny.learned_checkpoint(tmp_path / "coast.safetensors", "sea")
    path.write_bytes(path.read_bytes()[:-3] + b"???")
    with pytest.raises(CatalogError, match=r"no usable checkpoint \(coast\.safetensors: damaged"):
        of(tmp_path).warm_up()


# ---- colour, masks, tiles -----------------------------------------------------------------------------------------


def mask(left: int, right: int, size: tuple[int, int] = (48, 40)) -> Image.Image:
    image = Image.new("L", size, 0)
    image.paste(255, (left, 0, right, size[1]))
    return image


EVERYTHING = [
    painting("first", seed=1),
    replace(painting("second", seed=2, alpha=0.6), color="luminance"),
    replace(painting(upload(9), seed=3), color="match"),
    replace(painting("first", "second", seed=4), masks=(mask(0, 20), mask(20, 48))),
    replace(painting(upload(9), upload(8), seed=5), color="match", masks=(mask(0, 30), mask(10, 40))),
    replace(painting("second", "first", upload(9), seed=6, alpha=0.5), color="luminance"),
]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
def test_a_batch_of_all_controls_equals_its_single_runs(make: Make, dtype: torch.dtype) -> None:
    together = make(dtype).paint("adain", EVERYTHING)
    alone = [make(dtype).paint("adain", [item])[0] for item in EVERYTHING]
    assert max(map(largest_difference, together, alone)) <= 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
@pytest.mark.parametrize("model", LEARNED)
def test_a_batch_with_masks_of_learned_styles_equals_its_single_runs(
    every_network: Path, model: str, dtype: torch.dtype
) -> None:
    style = LEARNED[model][0]
    batch = [
        replace(painting(style, seed=1), seed=1),
        replace(painting(style, seed=2, alpha=0.5), seed=2, masks=(mask(0, 20),)),
        replace(painting(style, seed=3), seed=3, color="luminance"),
        replace(painting(style, style, seed=4), seed=4, masks=(mask(0, 20), mask(5, 48))),
    ]
    stylizer = of(every_network, dtype)
    together, alone = stylizer.paint(model, batch), [stylizer.paint(model, [item])[0] for item in batch]
    assert max(map(largest_difference, together, alone)) <= 1


def test_a_recoloured_style_is_not_remembered(make: Make) -> None:
    stylizer = make()
    matched = replace(painting(upload(9)), color="match")
    (first,) = stylizer.paint("adain", [matched])
    assert stylizer.remembered("adain", "digest-9") is None
    (plain,) = stylizer.paint("adain", [painting(upload(9))])
    (again,) = stylizer.paint("adain", [matched])
    assert largest_difference(first, again) <= 1 and largest_difference(first, plain) > 3


def in_tiles(stylizer: Stylizer, model: str, item: StylizeInput) -> Image.Image:
    told = list(stylizer.paint_tiled(model, item))
    assert [progress.step for progress in told] == list(range(1, told[-1].steps + 1))
    return told[-1].output


LARGE = [
    painting("first", seed=1, size=(150, 101)),
    replace(painting(upload(9, 140, 90), seed=2, alpha=0.7, size=(150, 101)), color="match"),
    replace(
        painting("first", upload(8, 60, 200), seed=3, size=(150, 101)),
        color="luminance",
        masks=(mask(0, 90, (150, 101)), mask(70, 130, (150, 101))),
    ),
]


@pytest.mark.parametrize("item", LARGE, ids=["plain", "match", "luminance-masks"])
def test_tiles_are_the_picture_of_one_pass(make: Make, item: StylizeInput) -> None:
    whole, stylizer = make(), make()
    stylizer._tile_px = 64
    (expected,) = whole.paint("adain", [item])
    assert largest_difference(in_tiles(stylizer, "adain", item), expected) <= 2
    assert np.asarray(expected).std() > 10


@pytest.mark.parametrize("model", LEARNED)
def test_tiles_of_learned_styles_are_the_picture_of_one_pass(every_network: Path, model: str) -> None:
    stylizer = of(every_network, tile_px=64)
    item = replace(painting(*LEARNED[model][:2], size=(150, 101), alpha=0.8), seed=3, color="luminance")
    (expected,) = stylizer.paint(model, [item])
    assert largest_difference(in_tiles(stylizer, model, item), expected) <= 2


def test_what_tiles_encode_is_remembered_but_for_recoloured_styles(make: Make) -> None:
    stylizer = make()
    in_tiles(stylizer, "adain", replace(painting(upload(9)), color="match"))
    assert stylizer.remembered("adain", "digest-9") is None
    in_tiles(stylizer, "adain", painting(upload(9)))
    remembered = stylizer.remembered("adain", "digest-9")
    assert remembered is not None
    (by_memory,) = stylizer.paint("adain", [painting(remembered)])
    (expected,) = make().paint("adain", [painting(upload(9))])
    assert largest_difference(by_memory, expected) <= 1


def test_tiles_leave_gradients_and_the_thread_as_they_were(make: Make) -> None:
    stylizer = make()
    tiles = stylizer.paint_tiled("adain", painting("first"))
    next(tiles)
    assert not torch.is_inference_mode_enabled()
    tiles.close()
