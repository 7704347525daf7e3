"""What becomes of files over HTTP beyond their pixels: profiles, orientation, metadata, transparency, formats."""

from pathlib import Path

import httpx
import image_files as files
import numpy as np
import pytest
from answers import STYLE, Post, largest_difference, picture
from controls import SIZE, painted, send
from PIL import Image
from processes import Service
from services import Services


@pytest.fixture(scope="module")
def service(services: Services, bright_networks: Path) -> Service:
    """With generators: at strength 0 they answer with the photo, as it was understood."""
    return services.shared(bright_networks)


def understood(client: httpx.Client, content: bytes, **fields: object) -> Image.Image:
    """The photo as it comes back from a generator of strength 0."""
    return painted(client, content=content, style_id="sea", alpha=0, **fields)


@pytest.mark.parametrize("format", ["jpeg", "png", "webp", "avif"])
def test_colour_profiles_are_converted_and_dropped(client: httpx.Client, format: str) -> None:
    red = Image.new("RGB", SIZE, files.RED)
    plain, swapped = (
        understood(client, files.saved(red, format, **options))
        for options in ({}, {"icc_profile": files.swapped_profile()})
    )
    assert np.asarray(plain)[20, 30].argmax() == 0 and np.asarray(swapped)[20, 30].argmax() == 1
    assert "icc_profile" not in swapped.info


@pytest.mark.parametrize("format", ["jpeg", "png", "webp", "avif"])
@pytest.mark.parametrize("written", ["jpeg", "png", "webp", "avif"])
def test_no_metadata_of_any_format_reaches_any_other(client: httpx.Client, format: str, written: str) -> None:
    secret = files.with_metadata(format)
    answer = send(client, (secret,), content=secret, format=written)
    assert picture(answer, written, SIZE).info.keys() & {"exif", "icc_profile", "xmp", "comment"} == set()
    assert b"SECRET" not in answer.content


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_applied_once(client: httpx.Client, orientation: int) -> None:
    image = understood(client, files.oriented(orientation))
    found = files.corner_colours(image)
    assert np.abs(np.subtract(found, files.CORNERS)).max() < 60
    assert not image.getexif()


def test_a_style_is_read_upright_and_in_srgb(client: httpx.Client) -> None:
    upright, turned = (painted(client, (files.oriented(orientation, "webp"),)) for orientation in (1, 6))
    sideways = painted(client, (files.saved(files.corners().rotate(90, expand=True), "webp", lossless=True),))
    assert largest_difference(upright, turned) <= 2 < largest_difference(upright, sideways)
    swapped = files.saved(files.corners(), "webp", lossless=True, icc_profile=files.swapped_profile())
    assert largest_difference(upright, painted(client, (swapped,))) > 3


@pytest.mark.parametrize("format", ["png", "webp", "avif"])
def test_transparency_in_every_format_that_has_it(client: httpx.Client, format: str) -> None:
    photo = files.saved(files.transparent(), format)
    by_field = send(client, content=photo, style_id="first", format=format)
    by_header = send(client, content=photo, style_id="first", format=[], headers={"Accept": f"image/{format}"})
    for answer in (by_field, by_header):
        image = picture(answer, format, SIZE)
        assert image.mode == "RGBA" and image.getpixel((2, 2))[3] < 8 and image.getpixel((32, 21))[3] > 247
    assert send(client, content=photo, style_id="first", format=[]).headers["content-type"] == "image/png"


def test_avif_in_all_places_and_out(client: httpx.Client) -> None:
    content, mask = files.saved(files.photo(120, 80), "avif"), files.saved(Image.new("L", (90, 60), 200), "avif")
    answer = send(client, (files.saved(files.photo(64, 64, seed=3), "avif"),), (mask,), content=content, format="avif")
    picture(answer, "avif", SIZE)


def test_answers_say_that_they_depend_on_accept(client: httpx.Client, post: Post) -> None:
    for headers, fields, format in (
        ({}, {}, "jpeg"),
        ({"Accept": "*/*"}, {}, "jpeg"),
        ({"Accept": "image/webp,image/png;q=0.5"}, {}, "webp"),
        ({"Accept": "image/png"}, {"format": "avif"}, "avif"),
    ):
        answer = post(styles=(STYLE,), headers=headers, **fields)
        picture(answer, format)
        assert answer.headers["vary"] == "Accept"
    page = post(headers={"Origin": str(client.base_url)})
    assert "accept" in page.headers["vary"].lower()
