"""Controls together, over HTTP: registered styles with each of them, luminance and strength of a generator, masks and
transparency, and the network that is asked for by name."""

from pathlib import Path

import httpx
import image_files as files
import numpy as np
import pytest
from answers import PHOTO, STYLE, largest_difference, picture, problem
from controls import (
    BLACK,
    LEFT,
    RIGHT,
    SIZE,
    WHITE,
    chroma,
    half_mask,
    luminance,
    opened,
    painted,
    registered_style,
    send,
)
from PIL import Image
from processes import Service
from services import Services

PAINTING = files.saved(files.photo(96, 64, seed=5), "jpeg", quality=90)
DULL = files.saved(Image.blend(files.photo(64, 43), Image.new("RGB", SIZE, (128, 128, 128)), 0.7))
"""A photo with room for other luminances: no chroma of it is cut off."""


@pytest.fixture(scope="module")
def service(services: Services, bright_networks: Path) -> Service:
    return services.shared(bright_networks)


@pytest.fixture(scope="module")
def mine(client: httpx.Client) -> str:
    """The id of a registered style."""
    return registered_style(client, PAINTING)


def apart(one: Image.Image, other: Image.Image) -> float:
    """On average: a registered painting is kept as a JPEG of its own, so it is near its upload and not the same."""
    return float(np.abs(np.asarray(one, dtype=float) - np.asarray(other, dtype=float)).mean())


# ---- registered styles --------------------------------------------------------------------------------------------


def test_a_registered_style_is_recoloured_to_each_photo(client: httpx.Client, mine: str) -> None:
    warm = files.saved(Image.blend(files.photo(64, 43), Image.new("RGB", SIZE, (250, 120, 20)), 0.8))
    for content in (warm, DULL):
        plain, matched = (painted(client, content=content, style_id=mine, color=color) for color in ("style", "match"))
        by_upload = painted(client, (PAINTING,), content=content, color="match")
        assert apart(matched, plain) > 3 * apart(matched, by_upload)
        assert largest_difference(plain, painted(client, content=content, style_id=mine)) <= 1, "not remembered"


def test_a_registered_style_has_strokes_of_every_size(client: httpx.Client, mine: str) -> None:
    small, large = (painted(client, style_id=mine, style_size=size) for size in (64, 300))
    default, usual = painted(client, style_id=mine), painted(client, style_id=mine, style_size=512)
    assert min(largest_difference(small, large), largest_difference(large, default)) > 3
    assert largest_difference(default, usual) <= 2, "the size is the usual one"
    assert apart(small, painted(client, (PAINTING,), style_size=64)) < apart(small, default)


def test_a_mix_of_an_upload_a_shipped_and_a_registered_style(client: httpx.Client, mine: str) -> None:
    def mixed(weights: str) -> Image.Image:
        return painted(client, (STYLE,), style_id=["second", mine], weights=weights)

    assert largest_difference(mixed("1,0,0"), painted(client, (STYLE,))) <= 1
    assert largest_difference(mixed("0,1,0"), painted(client, style_id="second")) <= 1
    assert largest_difference(mixed("0,0,1"), painted(client, style_id=mine)) <= 1
    assert largest_difference(mixed("1,2,1"), mixed("2,0,1")) > 3


def test_a_registered_style_has_a_mask(client: httpx.Client, mine: str) -> None:
    def placed(*masks: bytes) -> Image.Image:
        return painted(client, (), masks, style_id=[mine, "second"])

    assert largest_difference(placed(WHITE, BLACK), painted(client, style_id=mine)) <= 2
    assert largest_difference(placed(BLACK, WHITE), painted(client, style_id="second")) <= 2
    assert largest_difference(placed(LEFT, RIGHT), placed(RIGHT, LEFT)) > 3


def test_every_control_of_a_registered_style_at_once(client: httpx.Client, mine: str) -> None:
    fields = {"style_id": mine, "weights": "1,2", "alpha": 0.8, "color": "match", "style_size": 100, "model": "adain"}
    one, again = (painted(client, (STYLE,), (LEFT, RIGHT), **fields) for _ in range(2))
    assert largest_difference(one, again) <= 1


def test_what_a_shipped_style_beside_it_cannot_have(client: httpx.Client, mine: str) -> None:
    answer = send(client, style_id=[mine, "first"], color="match")
    problem(answer, 422, "color", "for 'first' there is none to encode: ask for luminance")


def test_a_size_is_for_the_styles_that_have_a_picture(client: httpx.Client, mine: str) -> None:
    small, default = (painted(client, style_id=[mine, "first"], **size) for size in ({"style_size": 64}, {}))
    assert largest_difference(small, default) > 3
    one, other = (painted(client, style_id=[mine, "first"], weights="0,1", **size) for size in ({"style_size": 64}, {}))
    assert largest_difference(one, other) <= 1


# ---- the network by name ------------------------------------------------------------------------------------------


def test_a_network_that_has_the_styles(client: httpx.Client, mine: str) -> None:
    for styles, fields, model in (
        ((STYLE,), {}, "adain"),
        ((), {"style_id": "first"}, "adain"),
        ((), {"style_id": mine}, "adain"),
        ((STYLE,), {"style_id": [mine, "first"]}, "adain"),
        ((), {"style_id": ["sea", "sky"]}, "coast"),
    ):
        answer = send(client, styles, model=model, **fields)
        named, unnamed = picture(answer, "png", SIZE), painted(client, styles, **fields)
        assert answer.headers["x-stylize-model"] == model
        assert largest_difference(named, unnamed) <= 1


def test_a_network_that_is_not_there_or_does_not_fit(client: httpx.Client, mine: str) -> None:
    problem(send(client, (STYLE,), model="nope"), 404, "model", "there is no network 'nope': known are adain, coast, i")
    for styles, fields, model in (
        ((STYLE,), {}, "coast"),
        ((), {"style_id": mine}, "coast"),
        ((), {"style_id": "sea"}, "adain"),
        ((), {"style_id": "sea"}, "noisy"),
    ):
        answer = send(client, styles, model=model, **fields)
        problem(answer, 422, "model", f"got '{model}', which cannot paint these styles", "leave `model` out")


# ---- mixes and strength -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weights", ["1", "7", "0.01"])
@pytest.mark.parametrize("style_id", ["first", "sea"])
def test_a_mix_of_one_is_the_style(client: httpx.Client, style_id: str, weights: str) -> None:
    alone = painted(client, style_id=style_id)
    assert largest_difference(painted(client, style_id=style_id, weights=weights), alone) <= 1


def test_a_style_twice_is_the_style(client: httpx.Client) -> None:
    assert largest_difference(painted(client, style_id=["sea", "sea"]), painted(client, style_id="sea")) <= 1
    assert largest_difference(painted(client, (STYLE, STYLE)), painted(client, (STYLE,))) <= 1


@pytest.mark.parametrize("style_id", ["sea", "ink", "old", "moss"])
def test_the_strength_of_a_generator_fades_painting_and_photo(client: httpx.Client, style_id: str) -> None:
    seed = {"seed": 5} if style_id == "moss" else {}
    none, half, full = (
        np.asarray(painted(client, style_id=style_id, alpha=alpha, **seed), dtype=float) for alpha in (0, 0.5, 1)
    )
    assert np.abs(none - np.asarray(opened(PHOTO), dtype=float)).max() <= 3, "the photo itself"
    assert np.abs(half - (none + full) / 2).max() <= 1
    assert np.abs(full - none).mean() > 10


def test_the_strength_of_adain_ends_at_what_its_decoder_makes_of_the_photo(client: httpx.Client) -> None:
    """The same for every style, and not the photo: the features are the photo's, the pixels are the decoder's."""
    one, other = painted(client, style_id="first", alpha=0), painted(client, (STYLE,), alpha=0)
    assert largest_difference(one, other) <= 1
    assert largest_difference(one, opened(PHOTO)) > 3


def test_luminance_of_a_generator_with_strength_mix_and_masks(client: httpx.Client) -> None:
    """It comes last: the luminance of the whole picture without it, the chroma of the photo."""
    fields = {"content": DULL, "style_id": ["sea", "sky"], "weights": "1,3", "alpha": 0.6}
    soft = files.saved(Image.linear_gradient("L").resize(SIZE))
    for masks in ((), (LEFT, RIGHT), (WHITE, soft)):
        plain, kept = (painted(client, (), masks, color=color, **fields) for color in ("style", "luminance"))
        pixels = np.asarray(kept)
        inside = (pixels.min(axis=2) > 2) & (pixels.max(axis=2) < 253)
        assert inside.mean() > 0.1
        assert np.abs(luminance(kept) - luminance(plain))[inside].max() <= 2
        assert np.abs(chroma(kept) - chroma(opened(DULL)))[inside].max() <= 2
        assert largest_difference(plain, kept) > 3


# ---- masks and transparency ---------------------------------------------------------------------------------------


def test_a_mask_of_another_shape_is_stretched(client: httpx.Client) -> None:
    sharp = painted(client, (), (LEFT,), style_id="sea")
    for size in ((430, 430), (100, 400)):
        assert apart(sharp, painted(client, (), (half_mask(True, size),), style_id="sea")) < 1


@pytest.mark.parametrize("style_id", ["first", "sea"])
def test_masks_leave_transparency_as_it_is(client: httpx.Client, style_id: str) -> None:
    photo = files.saved(files.transparent(64, 43))
    whole = painted(client, content=photo, style_id=style_id)
    half = painted(client, (), (LEFT,), content=photo, style_id=style_id)
    assert half.mode == whole.mode == "RGBA"
    assert largest_difference(half.getchannel("A"), whole.getchannel("A")) == 0
    assert half.getchannel("A").getextrema() == (0, 255)
    assert largest_difference(half.convert("RGB"), whole.convert("RGB")) > 3
