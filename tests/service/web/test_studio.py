"""The page in Chromium: from a cold start to a painted picture, alone and by keyboard."""

from collections.abc import Callable
from zipfile import ZipFile

import pytest
from PIL import Image
from processes import photo
from studio import Studio, file

pytestmark = pytest.mark.browser


def test_it_arrives_painted(open_studio: Callable[..., Studio]) -> None:
    studio = open_studio("")
    studio.page.wait_for_selector("#download:enabled")
    assert studio.shown("#before").size == (1800, 1266)
    assert studio.shown().size == (512, 360)
    assert studio.card("first").get_attribute("class") == "card is-chosen"
    assert studio.page.url.endswith("/#style=first"), "the address holds the look"
    assert studio.page.is_disabled("#undo"), "there is nothing before it"


def test_photo_and_wall_are_there_and_one_click_paints(studio: Studio) -> None:
    keys = studio.page.eval_on_selector_all(".card", "(cards) => cards.map(({dataset}) => dataset.key)")
    assert keys[:2] == ["first", "second"], "what takes any painting comes first"
    assert set(keys) == {"first", "second", "sea", "sky", "sand", "ink", "old", "moss", "rust"}
    assert studio.card("first").locator(".card-pick").get_attribute("title") == "First\nNobody, 1900"
    studio.choose("first")
    assert studio.shown().size == (512, 360)
    assert studio.text("#label-title") == "First"
    assert "Nobody, 1900 · 512 × 360 · adain" in studio.text("#label-facts")
    sizes = studio.page.evaluate(
        "performance.getEntriesByType('resource').filter(({name}) => name.endsWith('/stylize')).length"
    )
    assert sizes >= 2, "a preview first, then the full size"


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


def test_the_wall_is_searched_without_accents_and_by_colour(studio: Studio) -> None:
    studio.page.fill("#filter", "secönd 1900")
    assert studio.page.locator(".card").count() == 1
    studio.page.fill("#filter", "nothing like it")
    assert "No painting" in studio.text("#gallery")
    studio.page.fill("#filter", "red")
    studio.page.wait_for_function("() => document.querySelectorAll('.card').length === 1")
    assert studio.card("first").count() == 1, "its preview is red"


def test_stars_are_kept(studio: Studio) -> None:
    studio.card("sky").hover()
    studio.card("sky").locator(".card-star").click()
    studio.page.click("#starred")
    assert studio.page.locator(".card").count() == 1
    studio.page.reload()
    studio.page.wait_for_selector(".card")
    studio.page.click("#starred")
    assert studio.card("sky").count() == studio.page.locator(".card").count() == 1
    studio.card("sky").hover()
    studio.card("sky").locator(".card-star").click()
    assert studio.page.locator(".card").count() == 0


def test_the_wall_paints_itself_in_the_photo(studio: Studio) -> None:
    mine = studio.card("moss").locator(".card-mine")
    mine.wait_for(state="attached")
    studio.page.wait_for_function(
        "() => document.querySelector('.card[data-key=moss] .card-mine').src.startsWith('blob:')"
    )
    size = mine.evaluate("(image) => [image.naturalWidth, image.naturalHeight]")
    assert max(size) == 128
    assert mine.evaluate("(image) => getComputedStyle(image).opacity") == "0", "the painting is shown"
    studio.page.click("#in-my-photo")
    assert mine.evaluate("(image) => getComputedStyle(image).opacity") == "1"
    old = mine.get_attribute("src")
    studio.page.set_input_files("#photo-file", file("beach.png", photo(60, 90, seed=5)))
    studio.page.wait_for_function(
        """(old) => {
          const {src} = document.querySelector(".card[data-key=moss] .card-mine");
          return src.startsWith("blob:") && src !== old;
        }""",
        arg=old,
    )


def test_surprise_paints_something(studio: Studio) -> None:
    with studio.next_picture():
        studio.page.click("#surprise")
    assert studio.page.locator(".card.is-chosen").count() >= 1
    assert studio.page.is_enabled("#undo")


def test_a_sample_is_chosen(studio: Studio) -> None:
    studio.page.click("#choose-photo")
    studio.page.click('#samples [title="An astronaut"]')
    studio.page.wait_for_function("() => document.querySelector('#before').alt.includes('face.webp')")
    assert studio.shown("#before").size == (512, 512)
    assert not studio.page.locator("#photo-menu").is_visible()


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
    tab_to("choose-photo")
    tab_to("filter")
    tab_to("card-pick")
    with studio.next_picture():
        press("Enter")
    press("ArrowRight")
    tab_to("card-add")
    with studio.next_picture():
        press("Enter")
    tab_to("pad-point")
    value = studio.page.get_attribute("#pad-point", "aria-valuetext")
    with studio.next_picture():
        press("ArrowRight")
    assert studio.page.get_attribute("#pad-point", "aria-valuetext") != value
    tab_to("alpha")
    with studio.next_picture():
        press("ArrowLeft")
    assert studio.text("#alpha-value") == "99 %"
    studio.page.focus("#viewport")
    tab_to("divider")
    before = studio.page.get_attribute("#divider", "aria-valuenow")
    press("ArrowRight")
    assert studio.page.get_attribute("#divider", "aria-valuenow") != before
    press("c")
    assert not studio.page.locator("#divider").is_visible()
    press("c")
    press("Shift+?")
    assert studio.page.locator("#help-dialog").is_visible()
    press("c")
    press("Escape")
    assert studio.page.locator("#divider").is_visible(), "a dialog has the keys"
    assert studio.complaints == []


def test_the_space_bar_shows_the_photo_as_long_as_it_is_held(studio: Studio) -> None:
    studio.choose("first")
    cut = "document.querySelector('#frame').style.getPropertyValue('--cut')"
    before = studio.page.evaluate(cut)
    studio.page.focus("#viewport")
    studio.page.keyboard.down("Space")
    assert studio.page.evaluate(cut) == "100%"
    studio.page.keyboard.up("Space")
    assert studio.page.evaluate(cut) == before


def test_everything_is_undone_and_done_again(studio: Studio) -> None:
    studio.choose("first")
    first = studio.pixels()
    studio.mix_in("second")
    with studio.next_picture():
        studio.page.fill("#alpha", "0.4")
    assert studio.text("#alpha-value") == "40 %"
    with studio.known_picture():
        studio.page.click("#undo")
    assert studio.text("#alpha-value") == "100 %"
    with studio.known_picture():
        studio.page.keyboard.press("Control+z")
    assert studio.page.locator("#slots li").count() == 1
    assert (studio.pixels() == first).all()
    with studio.known_picture():
        studio.page.keyboard.press("Control+Shift+z")
    assert studio.page.locator("#slots li").count() == 2
    studio.page.focus("#filter")
    studio.page.keyboard.press("Control+z")
    assert studio.page.locator("#slots li").count() == 2, "a text field has an undoing of its own"


def test_a_link_holds_the_look(studio: Studio, open_studio: Callable[..., Studio]) -> None:
    studio.choose("first")
    studio.mix_in("second")
    with studio.next_picture():
        studio.page.fill("#alpha", "0.4")
    look = studio.page.evaluate("location.hash")
    assert look == "#style=first,second&at=0.5,0.5&alpha=0.4"
    picture = studio.pixels()
    other = open_studio(look)
    other.page.wait_for_selector("#download:enabled")
    assert (other.pixels() == picture).all()
    with other.next_picture():
        other.page.evaluate("location.hash = '#style=second'")
    assert other.text("#label-title") == "Second"
    with other.known_picture():
        other.page.click("#undo")


def test_a_reload_continues_where_one_was(studio: Studio) -> None:
    page = studio.page
    page.set_input_files("#photo-file", file("beach.png", photo(60, 90, seed=5)))
    page.wait_for_function("() => document.querySelector('#before').alt.includes('beach.png')")
    with studio.next_picture():
        page.set_input_files("#style-file", file("mine.png", photo(80, 80)))
    with studio.next_picture():
        page.fill("#alpha", "0.6")
    picture = studio.pixels()
    page.wait_for_function("() => new Promise((done) => setTimeout(() => done(true), 900))")
    page.reload()
    page.wait_for_selector("#download:enabled")
    assert page.get_attribute("#before", "alt") == "The photo: beach.png"
    assert studio.text("#label-title") == "mine"
    assert studio.text("#alpha-value") == "60 %"
    assert page.locator("#history li").count() == 2
    assert (studio.pixels() == picture).all()
    assert "where you were" in studio.text("#notice-text")
    with studio.next_picture():
        page.fill("#alpha", "0.3")
    assert not page.locator("#notice").is_visible()


def test_two_recent_pictures_stand_side_by_side(studio: Studio) -> None:
    studio.choose("first")
    first = studio.page.get_attribute("#after", "src")
    studio.choose("moss")
    studio.page.locator("#history li").last.hover()
    studio.page.locator("#history .against").last.click()
    assert studio.page.get_attribute("#before", "src") == first
    assert studio.text("#reference-tag") == "First"
    studio.page.locator("#history .against").last.click()
    assert studio.text("#reference-tag") == "Photo"


def test_a_picture_comes_back_with_its_settings(studio: Studio) -> None:
    studio.choose("first")
    first = studio.pixels()
    studio.choose("moss")
    studio.page.locator("#history li").last.locator("button").first.click()
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
            studio.set_size(size)
        with studio.page.expect_download() as download:
            studio.page.click("#download")
        assert download.value.suggested_filename == f"animal-first.{format}"
        download.value.save_as(tmp_path / format)
        with Image.open(tmp_path / format) as saved:
            assert saved.format == format.upper()
            assert max(saved.size) == int(size)


def test_another_format_is_made_when_it_is_taken(studio: Studio, tmp_path) -> None:
    studio.choose("first")
    studio.page.select_option("#format", "png")
    assert studio.page.is_enabled("#download")
    for _ in range(2):
        with studio.page.expect_download() as download:
            studio.page.click("#download")
        download.value.save_as(tmp_path / "painted")
        with Image.open(tmp_path / "painted") as saved:
            assert (saved.format, saved.size) == ("PNG", (512, 360))
    assert studio.page.locator("#history li").count() == 1


def test_the_export_size_is_not_the_size_that_is_painted(studio: Studio, tmp_path) -> None:
    studio.choose("first")
    studio.page.select_option("#export-size", "photo")
    studio.page.select_option("#format", "webp")
    with studio.page.expect_download() as download:
        studio.page.click("#download")
    download.value.save_as(tmp_path / "large")
    with Image.open(tmp_path / "large") as saved:
        assert (saved.format, saved.size) == ("WEBP", (1800, 1266))
    assert studio.shown().size == (512, 360)


def test_the_picture_is_an_image_that_is_copied_and_opened(open_studio: Callable[..., Studio]) -> None:
    studio = open_studio(permissions=["clipboard-read", "clipboard-write"])
    studio.choose("first")
    box = studio.page.locator("#frame").bounding_box()
    below = studio.page.evaluate(
        "([x, y]) => document.elementFromPoint(x, y).id", [box["x"] + box["width"] * 0.7, box["y"] + 80]
    )
    assert below == "after", "the browser's own menu is that of an image"
    studio.page.click("#copy-picture")
    studio.page.wait_for_selector("#copy-picture.is-done")
    types = studio.page.evaluate("navigator.clipboard.read().then(([item]) => item.types)")
    assert types == ["image/png"]
    assert studio.page.get_attribute("#open-picture", "href") == studio.page.get_attribute("#after", "src")


def test_many_photos_become_one_zip(studio: Studio, tmp_path) -> None:
    studio.choose("first")
    files = [
        file("one.png", photo(60, 40)),
        file("two.png", photo(40, 60)),
        file("letter.txt", b"Dear Sir", "text/plain"),
    ]
    studio.page.set_input_files("#photo-file", files)
    studio.page.wait_for_function("() => document.querySelectorAll('#batch-list li').length === 3")
    with studio.page.expect_download() as download:
        studio.page.click("#batch-start")
    assert download.value.suggested_filename == "first.zip"
    download.value.save_as(tmp_path / "all.zip")
    with ZipFile(tmp_path / "all.zip") as pictures:
        assert pictures.namelist() == ["01-one.jpg", "02-two.jpg"]
        with Image.open(pictures.open("02-two.jpg")) as second:
            assert second.size == (341, 512)
    assert "cannot read" in studio.text("#batch-list")


def test_a_contact_sheet_shows_three_styles_in_four_strengths(studio: Studio) -> None:
    studio.choose("first")
    studio.page.click("#contact")
    studio.page.wait_for_selector("#contact-save:enabled")
    assert studio.page.locator(".contact-cell img[src]").count() == 12
    with studio.page.expect_download() as download:
        studio.page.click("#contact-save")
    assert download.value.suggested_filename == "contact-sheet.jpg"
    with studio.next_picture():
        studio.page.locator(".contact-cell").nth(5).click()
    assert studio.text("#alpha-value") == "50 %" and studio.text("#label-title") == "Second"


def test_without_a_style_the_photo_is_shown(studio: Studio) -> None:
    studio.choose("first")
    studio.page.click('[aria-label="Remove First"]')
    studio.page.wait_for_selector("#after", state="hidden")
    assert studio.text("#label-title") == "A photo, not painted yet"
    assert studio.text("#label-facts") == "Take a painting: one click paints it."
    assert studio.page.is_disabled("#download")
