"""The page in Chromium: from a cold start to a painted picture, alone and by keyboard."""

from collections.abc import Callable

import pytest
from PIL import Image
from processes import photo
from studio import Studio, file

pytestmark = pytest.mark.browser


def test_photo_and_gallery_are_there_and_one_click_paints(studio: Studio) -> None:
    assert studio.shown("#before").size == (1600, 1125)
    assert studio.page.locator(".group-head h3").all_inner_texts() == [
        "Any painting",
        "Learned together",
        "Learned together",
        "Learned one by one",
    ]
    assert "Nobody" in studio.card("first").inner_text() and "1900" in studio.card("first").inner_text()
    studio.choose("first")
    assert studio.shown().size == (512, 360)
    assert studio.text("#label-title") == "First"
    assert "Nobody, 1900 · 512 × 360 · adain" in studio.text("#label-facts")
    assert studio.count_requests("/stylize") == 2, "a preview first, then the full size"


def test_it_asks_nobody_else_and_nothing_complains(studio: Studio) -> None:
    studio.choose("first")
    studio.mix_in("second")
    studio.choose("sea")
    assert not [url for url in studio.requests if not url.startswith((studio.url, "blob:"))]
    assert studio.complaints == []


def test_the_corner_shows_the_service(studio: Studio) -> None:
    studio.page.wait_for_selector('#state-dot[data-state="ready"]')
    studio.choose("first")
    studio.page.locator("#state summary").click()
    assert "Requests in the queue" in studio.text("#state-facts")
    for stage in ("waiting", "reading", "painting", "writing"):
        assert stage in studio.text("#stages")
    studio.page.keyboard.press("Escape")
    assert not studio.page.locator("#state-facts").is_visible()


def test_the_gallery_is_searched_without_accents(open_studio: Callable[..., Studio]) -> None:
    studio = open_studio()
    studio.page.fill("#filter", "secönd 1900")
    assert studio.page.locator(".card").count() == 1
    studio.page.fill("#filter", "nothing like it")
    assert "No style" in studio.text("#gallery")


def test_a_photo_is_chosen(studio: Studio) -> None:
    studio.page.set_input_files("#photo-file", file("beach.png", photo(60, 90, seed=5)))
    studio.page.wait_for_function("() => document.querySelector('#before').alt.includes('beach.png')")
    studio.choose("first")
    assert studio.shown().size == (341, 512)


def test_everything_by_keyboard(studio: Studio) -> None:
    press = studio.page.keyboard.press

    def focused() -> str:
        return studio.page.evaluate("document.activeElement.id || document.activeElement.className")

    def tab_to(name: str) -> None:
        for _ in range(40):
            press("Tab")
            if focused() == name:
                return
        raise AssertionError(f"{name} is not reached, but {focused()}")

    tab_to("skip")
    tab_to("filter")
    tab_to("card-pick")
    with studio.next_picture():
        press("Enter")
    press("ArrowRight")
    tab_to("card-add")
    with studio.next_picture():
        press("Enter")
    tab_to("divider")
    before = studio.page.get_attribute("#divider", "aria-valuenow")
    press("ArrowRight")
    assert studio.page.get_attribute("#divider", "aria-valuenow") != before
    tab_to("compare")
    press("Space")
    assert not studio.page.locator("#divider").is_visible()
    tab_to("pad-point")
    value = studio.page.get_attribute("#pad-point", "aria-valuetext")
    with studio.next_picture():
        press("ArrowRight")
    assert studio.page.get_attribute("#pad-point", "aria-valuetext") != value
    tab_to("alpha")
    with studio.next_picture():
        press("ArrowLeft")
    assert studio.text("#alpha-value") == "99 %"
    assert studio.complaints == []


def test_a_picture_comes_back_with_its_settings(studio: Studio) -> None:
    studio.choose("first")
    first = studio.pixels()
    studio.choose("moss")
    studio.page.locator("#history button").last.click()
    studio.page.wait_for_function("() => document.querySelector('#label-title').textContent === 'First'")
    studio.page.wait_for_selector('.card.is-chosen[data-key="first"]')
    studio.page.wait_for_function("() => document.querySelector('#after').alt.endsWith('First')")
    assert (studio.pixels() == first).all()
    assert studio.page.locator("#history li").count() == 2


def test_size_and_format_of_the_download(studio: Studio, tmp_path) -> None:
    studio.choose("first")
    for format, size in (("webp", "256"), ("png", "768")):
        studio.page.select_option("#format", format)
        with studio.next_picture():
            studio.page.select_option("#size", size)
        with studio.page.expect_download() as download:
            studio.page.click("#download")
        assert download.value.suggested_filename == f"sample-first.{format}"
        download.value.save_as(tmp_path / format)
        with Image.open(tmp_path / format) as saved:
            assert saved.format == format.upper()
            assert max(saved.size) == int(size)


def test_another_format_is_made_when_it_is_taken(studio: Studio, tmp_path) -> None:
    studio.choose("first")
    count = studio.count_requests("/stylize")
    studio.page.select_option("#format", "png")
    assert studio.page.is_enabled("#download")
    assert studio.count_requests("/stylize") == count
    for _ in range(2):
        with studio.page.expect_download() as download:
            studio.page.click("#download")
        download.value.save_as(tmp_path / "painted")
        with Image.open(tmp_path / "painted") as saved:
            assert (saved.format, saved.size) == ("PNG", (512, 360))
    assert studio.count_requests("/stylize") == count + 1, "once"
    assert studio.page.locator("#history li").count() == 1


def test_without_a_style_the_photo_is_shown(studio: Studio) -> None:
    studio.choose("first")
    studio.page.click('[aria-label="Remove First"]')
    studio.page.wait_for_selector("#after", state="hidden")
    assert studio.text("#label-title") == "A photo, not painted yet"
    assert studio.text("#label-facts") == "Take a style: one click paints it."
    assert studio.page.is_disabled("#download")
