"""Masks on the page: what is painted is where the style applies."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from studio import Studio, file

pytestmark = pytest.mark.browser


def point(studio: Studio, x: float, y: float) -> tuple[float, float]:
    box = studio.page.locator("#frame").bounding_box()
    return box["x"] + box["width"] * x, box["y"] + box["height"] * y


def drag(studio: Studio, *places: tuple[float, float]) -> None:
    mouse = studio.page.mouse
    mouse.move(*point(studio, *places[0]))
    mouse.down()
    for place in places[1:]:
        mouse.move(*point(studio, *place), steps=4)
    mouse.up()


@pytest.fixture
def masking(studio: Studio) -> Studio:
    """With a style of a generator: where it does not apply, the picture is the photo itself."""
    studio.choose("sea")
    studio.page.click("#mask-mode")
    return studio


def photo_like(studio: Studio, picture: np.ndarray) -> np.ndarray:
    """The photo at the size of a picture, as the browser scales it."""
    image = studio.shown("#before").resize((picture.shape[1], picture.shape[0]))
    return np.asarray(image, dtype=int)


def test_a_painted_mask_changes_only_its_region(masking: Studio) -> None:
    studio = masking
    full = studio.pixels()
    with studio.next_picture():
        drag(studio, (0.15, 0.3), (0.15, 0.7))
    picture = studio.pixels()
    original = photo_like(studio, picture)
    right = np.s_[:, picture.shape[1] // 2 :]
    left = np.s_[120:220, 60:90]
    assert np.abs(picture[right] - original[right]).mean() < 4, "the photo is as it was"
    assert np.abs(picture[left] - original[left]).mean() > 20, "the style is there"
    assert np.abs(full[right] - original[right]).mean() > 20, "it was everywhere before"
    assert studio.complaints == []


def test_undo_erase_fill_and_clear(masking: Studio) -> None:
    studio = masking
    page = studio.page
    with studio.next_picture():
        drag(studio, (0.3, 0.5), (0.4, 0.5))
    one = studio.pixels()
    with studio.next_picture():
        drag(studio, (0.7, 0.5), (0.8, 0.5))
    assert np.abs(studio.pixels() - one).max() > 20
    with studio.known_picture():
        page.click("#undo")
    assert (studio.pixels() == one).all()
    page.click("#mask-erase")
    with studio.next_picture():
        drag(studio, (0.4, 0.5), (0.45, 0.5))
    assert np.abs(studio.pixels() - one).max() > 20
    page.click("#mask-erase")
    with studio.next_picture():
        page.click("#mask-fill")
    assert page.is_enabled("#mask-clear")
    with studio.known_picture():
        page.click("#mask-clear")
    assert page.is_disabled("#mask-clear")


def test_the_mask_is_inverted_and_imported_and_alt_erases(masking: Studio) -> None:
    studio = masking
    with studio.next_picture():
        drag(studio, (0.25, 0.3), (0.25, 0.7))
    left = studio.pixels()
    with studio.next_picture():
        studio.page.click("#mask-invert")
    inverted = studio.pixels()
    original = photo_like(studio, inverted)
    assert np.abs(inverted[150:210, 120:135] - original[150:210, 120:135]).mean() < 6, (
        "the photo is where the style was"
    )
    assert np.abs(inverted[:, 300:] - left[:, 300:]).mean() > 20
    with studio.known_picture():
        studio.page.click("#mask-clear")
    half = np.zeros((20, 40), np.uint8)
    half[:, :20] = 255
    picture = BytesIO()
    Image.fromarray(half).save(picture, "PNG")
    with studio.next_picture():
        studio.page.set_input_files("#mask-file", file("half.png", picture.getvalue()))
    imported = studio.pixels()
    assert (
        np.abs(imported[:, 300:] - original[:, 300:]).mean() < 4 < np.abs(imported[:, :200] - original[:, :200]).mean()
    )
    studio.page.keyboard.down("Alt")
    with studio.next_picture():
        drag(studio, (0.25, 0.3), (0.25, 0.7))
    studio.page.keyboard.up("Alt")
    erased = studio.pixels()
    assert np.abs(erased[150:210, 120:135] - original[150:210, 120:135]).mean() < 6


def test_the_picture_is_moved_while_it_is_painted(masking: Studio) -> None:
    page = masking.page
    page.keyboard.press("+")
    page.keyboard.press("+")
    page.keyboard.press("]")
    assert page.input_value("#brush-size") == "17"
    before = page.locator("#frame").bounding_box()
    page.focus("#viewport")
    page.keyboard.down("Space")
    drag(masking, (0.5, 0.5), (0.4, 0.5))
    page.keyboard.up("Space")
    assert page.locator("#frame").bounding_box()["x"] < before["x"] - 20
    assert page.is_disabled("#mask-clear"), "nothing was painted"


def test_two_styles_share_the_picture(masking: Studio) -> None:
    studio = masking
    studio.mix_in("sky")
    assert studio.page.locator("#elsewhere").input_value() == "sea", "the first is everywhere else"
    assert studio.page.is_checked('[name=mask-target][value="sky"]')
    with studio.next_picture():
        drag(studio, (0.7, 0.4), (0.7, 0.8))
    overlay = studio.page.evaluate(
        """() => {
          const canvas = document.querySelector("#mask-overlay");
          const pixels = canvas.getContext("2d");
          const at = (x, y) => [...pixels.getImageData(canvas.width * x, canvas.height * y, 1, 1).data];
          const row = [...Array(100).keys()].map((x) => at(0.5 + x / 250, 0.5));
          return [at(0.7, 0.5), row.find(([, , , alpha]) => alpha > 0)];
        }"""
    )
    assert overlay[0][3] == 0, "there is no veil"
    assert overlay[1][3] == 255 and overlay[1][2] > overlay[1][0], "an outline has the style's tint"
    with studio.next_picture():
        studio.page.select_option("#elsewhere", "photo")


def test_masks_by_keyboard_and_as_files(masking: Studio) -> None:
    studio = masking
    studio.page.focus("#viewport")
    for _ in range(5):
        studio.page.keyboard.press("ArrowLeft")
    with studio.next_picture():
        studio.page.keyboard.press("Enter")
    with studio.page.expect_download() as download:
        studio.page.click("#save-masks")
    assert download.value.suggested_filename == "mask-1.png"
    studio.page.click("#copy-curl")
    studio.page.wait_for_selector("#snippet:not([hidden])")
    assert "mask=@mask-1.png" in studio.text("#snippet")
    studio.page.click("#mask-mode")
    assert not studio.page.locator("#mask-overlay").is_visible()


def test_another_style_keeps_the_masks(masking: Studio) -> None:
    studio = masking
    with studio.next_picture():
        drag(studio, (0.2, 0.3), (0.2, 0.7))
    studio.choose("sky")
    assert studio.page.is_enabled("#mask-clear")
    picture = studio.pixels()
    assert np.abs(picture[:, 300:] - photo_like(studio, picture)[:, 300:]).mean() < 4


def test_undoing_in_a_text_field_leaves_the_mask(masking: Studio) -> None:
    studio = masking
    with studio.next_picture():
        drag(studio, (0.3, 0.5), (0.4, 0.5))
    assert "keep the photo's look" in studio.text("#masks-intro")
    studio.page.focus("#filter")
    studio.page.keyboard.press("Control+z")
    assert studio.page.is_enabled("#mask-clear")
    studio.page.focus("#viewport")
    studio.page.keyboard.press("Control+z")
    assert studio.page.is_disabled("#mask-clear")
