"""Styles and controls on the page: one's own paintings, mixes, and what each network supports."""

from base64 import b64encode
from collections.abc import Callable

import numpy as np
import pytest
from processes import Service, photo, wait_for
from studio import DROP, PAINTING, PASTE, Studio, file

pytestmark = pytest.mark.browser

COUNTED = """() => {
  const real = window.fetch;
  Object.assign(window, {sizes: [], most: 0});
  let running = 0;
  window.fetch = async (address, options) => {
    const size = options?.body?.get?.("size");
    if (!size || options.body.get("format") === "webp") return real(address, options);
    window.sizes.push(size);
    window.most = Math.max(window.most, ++running);
    return real(address, options).finally(() => running--);
  };
}"""
"""Notes the sizes that are asked for, and how many requests run at once; the wall's own are left out."""


def test_a_dropped_painting_becomes_a_style_and_is_kept(studio: Studio) -> None:
    page = studio.page
    with studio.next_picture():
        page.evaluate(DROP, ["harbour.jpg", "image/jpeg", b64encode(PAINTING.read_bytes()).decode(), "style"])
    assert studio.text("#label-title") == "harbour"
    assert studio.text(".card-title >> nth=0") == "harbour", "one's own come first"
    page.click("#slots .link")
    page.fill("#keep input[name=title]", "Harbour at dusk")
    page.fill("#keep input[name=artist]", "Me")
    page.fill("#keep input[name=year]", "1999")
    page.click("#keep button[type=submit]")
    page.wait_for_function("() => document.querySelector('#slots').textContent.includes('Me, 1999')")
    page.wait_for_selector('.card.is-chosen[data-key^="harbour-at-dusk"]')
    assert page.locator("#slots .link").count() == 0
    assert page.is_enabled("#download"), "it is the same picture"
    key = page.locator('.card.is-chosen[data-key^="harbour-at-dusk"]').get_attribute("data-key")
    delete = studio.card(key).locator(".card-delete")
    delete.focus()
    delete.click()
    assert "Press again" in delete.get_attribute("aria-label")
    assert delete.inner_text() == "Delete?"
    delete.click()
    wait_for(lambda: studio.card(key).count() == 0)
    assert studio.complaints == []


def test_what_cannot_be_kept_says_why_at_the_form(studio: Studio) -> None:
    with studio.next_picture():
        studio.page.set_input_files("#style-file", file("mine.png", photo(80, 80)))
    studio.page.click("#slots .link")
    studio.page.fill("#keep input[name=year]", "9999")
    studio.page.click("#keep button[type=submit]")
    studio.page.wait_for_selector("#keep-error:not([hidden])")
    assert "9999" in studio.text("#keep-error")
    assert studio.text("#keep-error") == studio.page.evaluate("document.querySelector('#announce-error').textContent")


def test_what_cannot_be_deleted_says_why_until_a_style_is_chosen(
    studio_service: Service, open_studio: Callable[..., Studio]
) -> None:
    style = studio_service.client.post("/styles", files={"image": ("mine.png", photo(80, 80))}, data={"title": "Mine"})
    key = style.json()["id"]
    studio = open_studio()
    studio.page.route(f"**/styles/{key}", lambda route: route.fulfill(status=500, body="no"))
    assert "Unknown" not in studio.card(key).inner_text()
    for _ in range(2):
        studio.card(key).locator(".card-delete").focus()
        studio.card(key).locator(".card-delete").click()
    studio.page.wait_for_selector("#style-error:not([hidden])")
    assert "500" in studio.text("#style-error")
    studio.choose("first")
    assert not studio.page.locator("#style-error").is_visible()
    studio_service.client.delete(f"/styles/{key}")


def test_a_pasted_picture_is_the_photo_or_where_the_focus_is_a_style(studio: Studio) -> None:
    paste = [b64encode(photo(80, 60, seed=4)).decode()]
    studio.page.evaluate(PASTE, ["pasted.png", "image/png", *paste])
    studio.page.wait_for_function("() => document.querySelector('#before').alt.includes('pasted.png')")
    studio.page.focus("#filter")
    with studio.next_picture():
        studio.page.evaluate(PASTE, ["brush.png", "image/png", *paste])
    assert studio.text("#label-title") == "brush"


def test_the_point_and_the_strength_change_the_picture(studio: Studio) -> None:
    studio.choose("first")
    only = studio.pixels()
    studio.mix_in("second")
    middle = studio.pixels()
    assert np.abs(middle - only).max() > 5
    box = studio.page.locator("#pad").bounding_box()
    with studio.next_picture():
        studio.page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 20)
        studio.page.mouse.down()
        studio.page.mouse.move(box["x"] + box["width"] * 0.2, box["y"] + 20, steps=6)
        studio.page.mouse.move(box["x"] - 40, box["y"] + 20, steps=3)
        studio.page.mouse.up()
    assert studio.text("#slots b >> nth=0") == "100 %"
    assert np.abs(studio.pixels() - only).max() <= 1, "at its corner it is the style alone"
    with studio.next_picture():
        studio.page.fill("#alpha", "0")
    assert np.abs(studio.pixels() - only).max() > 5


def test_while_a_slider_moves_small_previews_follow_one_at_a_time(studio: Studio) -> None:
    studio.choose("first")
    studio.page.evaluate(COUNTED)
    with studio.next_picture():
        studio.page.evaluate(
            """async () => {
              const slider = document.querySelector("#alpha");
              for (let step = 0; step < 40; step++) {
                slider.value = String(1 - step / 50);
                slider.dispatchEvent(new Event("input", {bubbles: true}));
                await new Promise((resolve) => setTimeout(resolve, 25));
              }
              slider.dispatchEvent(new Event("change", {bubbles: true}));
            }"""
        )
    sizes, most = studio.page.evaluate("[sizes, most]")
    assert most == 1
    assert sizes.count("512") == 1 and sizes[-1] == "512"
    previews = [int(size) for size in sizes[:-1]]
    assert 2 <= len(previews) <= 41
    assert previews[-1] == 256 and all(96 <= size <= 256 for size in previews), "at rest it is the largest"
    assert studio.shown().size == (512, 360)


def test_a_click_swaps_the_selected_style_of_a_mix(studio: Studio) -> None:
    studio.choose("sea")
    studio.mix_in("sky")
    studio.page.check('[aria-label^="Replace Sea"]', force=True)
    studio.choose("sand")
    assert studio.page.locator(".slot-title").all_inner_texts() == ["Sand", "Sky"]
    assert studio.text("#pad-corners b >> nth=0") == "50 %"
    with studio.next_picture():
        studio.card("first").locator(".card-pick").click()
    assert "different networks" in studio.text("#mix-note")
    assert studio.page.locator("#slots li").count() == 1
    with studio.known_picture():
        studio.page.click("#undo")
    assert studio.page.locator("#slots li").count() == 2


def test_shares_stand_on_the_cards_and_the_pad(studio: Studio) -> None:
    studio.choose("first")
    studio.mix_in("second")
    assert studio.card("first").locator(".card-share").inner_text() == "50 %"
    with studio.next_picture():
        studio.page.focus("#pad-point")
        studio.page.keyboard.press("ArrowRight")
    assert studio.card("second").locator(".card-share").inner_text() == "55 %"
    assert studio.page.locator(".pad-name").all_inner_texts() == ["First\n45 %", "Second\n55 %"]


def test_a_style_of_another_network_starts_a_new_mix_and_says_so(studio: Studio) -> None:
    studio.choose("first")
    studio.mix_in("sea")
    assert "different networks" in studio.text("#mix-note")
    assert studio.page.locator("#slots li").count() == 1
    studio.mix_in("sky")
    assert not studio.page.locator("#mix-note").is_visible()
    assert studio.page.locator("#slots li").count() == 2
    studio.page.click('[aria-label="Remove Sea"]')
    assert studio.page.locator("#slots li").count() == 1


def test_only_what_the_network_supports_can_be_set(studio: Studio) -> None:
    page = studio.page
    studio.choose("first")
    assert page.is_disabled("#strokes") and page.is_disabled("[name=color][value=match]")
    assert "any painting" in studio.text("#strokes-hint"), "it says why"
    assert not page.locator("#seed-field").is_visible()
    studio.choose("moss")
    assert page.locator("#seed-field").is_visible()
    before = studio.pixels()
    with studio.next_picture():
        page.click("#dice")
    assert np.abs(studio.pixels() - before).max() > 0
    with studio.next_picture():
        page.set_input_files("#style-file", file("mine.png", photo(80, 80)))
    assert page.is_enabled("#strokes") and page.is_enabled("[name=color][value=match]")
    for name in ("match", "luminance"):
        with studio.next_picture():
            page.check(f"[name=color][value={name}]", force=True)
    with studio.next_picture():
        page.fill("#strokes", "7")
    assert studio.text("#strokes-value") == "128 px"
    assert studio.complaints == []


def test_code_is_copied_for_exactly_these_settings(open_studio: Callable[..., Studio]) -> None:
    studio = open_studio(permissions=["clipboard-read", "clipboard-write"])
    studio.choose("first")
    studio.mix_in("second")
    with studio.next_picture():
        studio.page.fill("#alpha", "0.4")
    studio.page.click("#copy-curl")
    studio.page.wait_for_function("() => document.querySelector('#copy-curl').textContent.includes('Copied')")
    code = studio.page.evaluate("navigator.clipboard.readText()")
    assert code == studio.page.locator("#snippet").inner_text()
    for part in (
        "style_id=first",
        "style_id=second",
        "weights=0.5,0.5",
        "alpha=0.4",
        "size=512",
        f"{studio.url}/stylize",
    ):
        assert part in code
    assert "curl -O" in code.splitlines()[0], "the sample can be fetched"
