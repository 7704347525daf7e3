"""Colour, masks and stroke size over HTTP: what they change, in every combination, and what is refused."""

from pathlib import Path

import httpx
import image_files as files
import numpy as np
import pytest
from answers import PHOTO, STYLE, largest_difference, picture, problem
from controls import BLACK, LEFT, RIGHT, SIZE, WHITE, chroma, half_mask, painted, send
from PIL import Image
from processes import Service
from services import Services

OTHER = files.saved(files.photo(64, 48, seed=9), "png")
GREY = (128, 128, 128)


@pytest.fixture(scope="module")
def service(services: Services, bright_networks: Path) -> Service:
    return services.shared(bright_networks)


# ---- colour -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("style_id", ["first", "sea", "ink", "old", "moss"])
def test_luminance_keeps_the_photos_chroma_with_every_network(client: httpx.Client, style_id: str) -> None:
    photo = files.saved(Image.blend(files.photo(64, 43), Image.new("RGB", SIZE, GREY), 0.7))
    seed = {"seed": 1} if style_id == "moss" else {}
    plain, kept = (
        painted(client, content=photo, style_id=style_id, color=color, **seed) for color in ("style", "luminance")
    )
    wanted = chroma(Image.open(files.BytesIO(photo)))
    found = chroma(kept)
    inside = (np.asarray(kept).min(axis=2) > 2) & (np.asarray(kept).max(axis=2) < 253)
    assert inside.mean() > 0.1
    assert np.abs(found - wanted)[inside].max() <= 2
    assert np.abs(chroma(plain) - wanted).mean() > 3 * np.abs(found - wanted).mean()


def test_match_encodes_a_recoloured_style(client: httpx.Client) -> None:
    plain, matched = (painted(client, (STYLE,), color=color) for color in ("style", "match"))
    assert largest_difference(plain, matched) > 3
    assert largest_difference(painted(client, (STYLE,)), plain) <= 1


def test_a_matched_style_is_not_remembered_for_another_photo(client: httpx.Client) -> None:
    """The same file, for two photos and without a match: each of the four answers is what a fresh request gets."""
    warm = files.saved(Image.blend(files.photo(64, 43), Image.new("RGB", SIZE, (250, 120, 20)), 0.8))
    cold = files.saved(Image.blend(files.photo(64, 43), Image.new("RGB", SIZE, (20, 60, 200)), 0.8))
    for _ in range(2):
        one = painted(client, (STYLE,), content=warm, color="match")
        other = painted(client, (STYLE,), content=cold, color="match")
        plain = painted(client, (STYLE,), content=cold)
        again = painted(client, (STYLE,), content=warm, color="match")
        assert largest_difference(one, again) <= 1
        assert min(largest_difference(other, plain), largest_difference(one, other)) > 3


@pytest.mark.parametrize("with_upload", [False, True])
def test_match_is_refused_for_styles_without_a_picture(client: httpx.Client, with_upload: bool) -> None:
    answer = send(client, (STYLE,) if with_upload else (), style_id="first", color="match")
    problem(answer, 422, "color", "for 'first' there is none", "ask for luminance, or send the painting")
    problem(send(client, style_id="sea", color="match"), 422, "color", "ask for luminance")


def test_an_unknown_color(client: httpx.Client) -> None:
    problem(send(client, style_id="first", color="sepia"), 422, "color", "got 'sepia'", "'match' or 'luminance'")


# ---- masks --------------------------------------------------------------------------------------------------------


def test_a_white_mask_is_no_mask(client: httpx.Client) -> None:
    for style_id in ("first", "sea", "ink", "old"):
        one, other = painted(client, style_id=style_id), painted(client, (), (WHITE,), style_id=style_id)
        assert largest_difference(one, other) <= 1
    assert largest_difference(painted(client, (STYLE,)), painted(client, (STYLE,), (WHITE,))) <= 1


def test_two_styles_each_in_its_half(client: httpx.Client) -> None:
    both = np.asarray(painted(client, (), (LEFT, RIGHT), style_id=["first", "second"]), dtype=float)
    swapped = np.asarray(painted(client, (), (RIGHT, LEFT), style_id=["first", "second"]), dtype=float)
    alone = [np.asarray(painted(client, (), (WHITE,), style_id=name), dtype=float) for name in ("first", "second")]
    for part in (slice(0, 16), slice(48, 64)):
        nearer, farther = (both, swapped) if part.start == 0 else (swapped, both)
        first = [np.abs(image - alone[0])[:, part].mean() for image in (nearer, farther)]
        assert first[0] < first[1] / 2


def test_what_no_mask_covers_keeps_the_photo(client: httpx.Client) -> None:
    photo = np.asarray(Image.open(files.BytesIO(PHOTO)).resize(SIZE, Image.Resampling.LANCZOS), dtype=float)
    half = np.asarray(painted(client, (), (LEFT,), style_id="sea"), dtype=float)
    assert np.abs(half - photo)[:, 33:].max() <= 3 and np.abs(half - photo)[:, :30].mean() > 10


def test_weights_decide_where_masks_overlap(client: httpx.Client) -> None:
    def two(weights: str) -> Image.Image:
        return painted(client, (), (WHITE, WHITE), style_id=["first", "second"], weights=weights)

    assert largest_difference(two("1,0"), painted(client, style_id="first")) <= 1
    mixed = painted(client, style_id=["first", "second"], weights="1,3")
    assert largest_difference(two("1,3"), mixed) <= 1
    assert largest_difference(two("1,3"), two("1,1")) > 3


def test_a_mask_of_another_size_orientation_and_format(client: httpx.Client) -> None:
    def by(mask: bytes) -> Image.Image:
        return painted(client, (), (mask,), style_id="first")

    sharp = by(LEFT)
    assert largest_difference(sharp, by(half_mask(True, (640, 430)))) <= 2
    upright = Image.open(files.BytesIO(LEFT))
    assert largest_difference(sharp, by(files.oriented(6, "webp", upright.convert("RGB")))) <= 2
    cut_out = Image.merge("LA", (Image.new("L", SIZE, 255), upright))
    assert largest_difference(sharp, by(files.saved(cut_out))) <= 1, "what is transparent is black"
    assert largest_difference(sharp, by(RIGHT)) > 3


def test_a_batch_of_everything_at_once(client: httpx.Client) -> None:
    """Colour, masks, weights, strength and stroke size in one request; the same again is the same picture."""
    fields = {"weights": "1,2,1", "alpha": 0.8, "color": "luminance", "style_size": 96}
    soft = files.saved(Image.linear_gradient("L").resize(SIZE))
    one, again = (painted(client, (STYLE, OTHER, PHOTO), (LEFT, RIGHT, soft), **fields) for _ in range(2))
    assert largest_difference(one, again) <= 1
    picture(send(client, (STYLE, OTHER), (LEFT, soft), color="match", alpha=0.5), "png", SIZE)


@pytest.mark.parametrize(
    ("masks", "status", "phrases"),
    [
        ((LEFT, RIGHT), 422, ["got 2 masks for 1 styles: send one for each, uploads first, then ids, or none"]),
        ((BLACK,), 422, ["all masks are black", "make those places light where a style is to apply"]),
        ((b"",), 422, ["the file is empty"]),
        ((b"white everywhere",), 415, ["got a text, allowed are jpeg, png, webp, avif"]),
        ((files.truncated(files.saved(files.photo(400, 300), "jpeg")),), 422, ["ends early or is damaged"]),
        ((files.huge_png(),), 422, ["got 30000 × 30000 pixels"]),
    ],
    ids=["count", "black", "empty", "text", "cut", "huge"],
)
def test_masks_that_are_refused(
    client: httpx.Client, masks: tuple[bytes, ...], status: int, phrases: list[str]
) -> None:
    problem(send(client, (), masks, style_id="first"), status, "mask", *phrases)


def test_the_mask_that_is_refused_is_named(client: httpx.Client) -> None:
    for bad in (b"white", files.truncated(files.saved(files.photo(400, 300), "jpeg"))):
        answer = send(client, (), (WHITE, bad), style_id=["first", "second"])
        problem(answer, answer.status_code, "mask", "mask 2 of 2: ")


def test_masks_whose_only_light_style_weighs_nothing(client: httpx.Client) -> None:
    answer = send(client, (), (WHITE, BLACK), style_id=["first", "second"], weights="0,1")
    problem(answer, 422, "mask", "all styles of positive weight are black", "no style would be anywhere")


def test_one_mask_for_two_styles(client: httpx.Client) -> None:
    problem(send(client, (STYLE,), (LEFT,), style_id="first"), 422, "mask", "got 1 masks for 2 styles")


# ---- stroke size --------------------------------------------------------------------------------------------------


def test_the_size_of_the_style_changes_the_picture_and_is_remembered_apart(client: httpx.Client) -> None:
    small, large, default = (
        painted(client, (OTHER,), **({"style_size": size} if size else {})) for size in (64, 200, None)
    )
    assert min(largest_difference(small, large), largest_difference(large, default)) > 3
    assert largest_difference(small, painted(client, (OTHER,), style_size=64)) <= 1
    assert largest_difference(default, painted(client, (OTHER,), style_size=512)) <= 1


def test_sizes_of_styles_that_are_refused(client: httpx.Client) -> None:
    for size in (63, 0, -1, 4097):
        problem(send(client, (STYLE,), style_size=size), 422, "style_size", f"got {size}", "from 64 to 4096 pixels")
    problem(send(client, (STYLE,), style_size="big"), 422, "style_size", "got 'big'", "valid integer")
    for style_id in ("first", "sea"):
        answer = send(client, style_id=style_id, style_size=256)
        problem(answer, 422, "style_size", "leave it out, or send the painting itself")


# ---- tiles --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tiling(services: Services, bright_networks: Path) -> Service:
    """Its worker paints in tiles whatever has more than 64 × 64 pixels, the same networks as the other's."""
    return services.shared(bright_networks, tile_above_pixels=64 * 64, tile_px=64)


@pytest.mark.parametrize(
    ("styles", "masks", "fields"),
    [
        ((), (), {"style_id": "first"}),
        ((), (), {"style_id": "sea", "alpha": 0.7}),
        ((), (), {"style_id": "moss", "seed": 3, "color": "luminance"}),
        ((STYLE,), (), {"color": "match", "style_size": 150}),
        ((STYLE,), (LEFT, RIGHT), {"style_id": "second", "weights": "1,2", "color": "luminance", "alpha": 0.8}),
        ((), (LEFT, RIGHT), {"style_id": ["sea", "sky"], "weights": "1,2", "color": "luminance", "alpha": 0.8}),
    ],
    ids=["adain", "residual", "pyramid", "match", "masks", "generator"],
)
def test_tiles_are_the_picture_of_one_pass(
    tiling: Service, service: Service, styles: tuple[bytes, ...], masks: tuple[bytes, ...], fields: dict
) -> None:
    one, other = (
        picture(send(each.client, styles, masks, size="original", **fields), "png", (120, 80))
        for each in (tiling, service)
    )
    # Where workers compute in bf16, it is its rounding that remains; tests in fp32 are in test_tiling.
    assert largest_difference(one, other) <= 8
    assert np.abs(np.asarray(one, dtype=int) - np.asarray(other, dtype=int)).mean() < 1


def test_a_transparent_photo_in_tiles_stays_transparent(tiling: Service) -> None:
    image = picture(
        send(tiling.client, content=files.saved(files.transparent(150, 90)), style_id="sea", size="original"),
        "png",
        (150, 90),
    )
    assert image.mode == "RGBA" and image.getpixel((2, 2))[3] == 0 and image.getpixel((75, 45))[3] == 255


def test_originals_and_sizes_up_to_the_limits(client: httpx.Client) -> None:
    """With the settings as they come: this original is large enough for tiles."""
    large = files.saved(files.photo(4300, 600), "jpeg", quality=50)
    picture(send(client, content=large, style_id="sea", size="original"), "png", (4300, 600))
    answer = send(client, content=large, style_id="sea", size="4097")
    problem(answer, 422, "size", "got '4097'", "from 64 to 4096 pixels, or `original`")
    long = files.saved(Image.new("RGB", (8200, 1100)), "png")
    answer = send(client, content=long, style_id="sea", size="original")
    problem(answer, 422, "size", "the original is 8200 × 1100 pixels, at most 8192 are allowed: name a size")
