"""Everybody can use the page: axe finds no fault, on wide and narrow screens, dark and light; touch works."""

from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from processes import Service, photo
from studio import NARROW, WIDE, Studio, file

pytestmark = pytest.mark.browser


def faults(studio: Studio) -> list[str]:
    found = Axe().run(studio.page).response["violations"]
    return [
        f"{fault['id']} ({fault['impact']}): {node['target']} {node['failureSummary']}"
        for fault in found
        for node in fault["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_fault_on_wide_screens(open_studio: Callable[..., Studio], scheme: str) -> None:
    studio = open_studio(viewport=WIDE, color_scheme=scheme)
    page = studio.page
    assert faults(studio) == [], "at the start"
    studio.choose("first")
    studio.mix_in("second")
    page.click("#mask-mode")
    page.click("#copy-curl")
    page.click("#state summary")
    assert faults(studio) == [], "with a mix, masks, code and state"
    page.click("#mask-done")
    page.set_input_files("#photo-file", file("letter.txt", b"Dear Sir or Madam", "text/plain"))
    page.wait_for_selector("#notice.is-error")
    with studio.next_picture():
        page.set_input_files("#style-file", file("mine.png", photo(80, 80)))
    page.click("#slots .link")
    page.click("#wall-grow")
    assert faults(studio) == [], "with an error, a form and the whole wall"
    page.click("#help")
    assert faults(studio) == [], "with the keys"
    page.keyboard.press("Escape")
    page.evaluate("document.querySelector('#key-dialog').showModal()")
    assert faults(studio) == [], "with the dialog"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [820, 390])
def test_axe_finds_no_fault_on_narrow_screens(open_studio: Callable[..., Studio], width: int, scheme: str) -> None:
    studio = open_studio(viewport={"width": width, "height": 844}, has_touch=True, color_scheme=scheme)
    page = studio.page
    with studio.next_picture():
        studio.card("first").locator(".card-pick").tap()
    for panel in ("", "mix", "look", "recent", "export"):
        page.locator(f'[data-shows="{panel}"]').tap()
        assert faults(studio) == [], panel
    page.locator("#mask-mode").tap()
    assert faults(studio) == [], "masks"


SHOWN = """() => [".wall", ".mix", ".look", ".tray", ".export"]
  .filter((name) => document.querySelector(name).checkVisibility())"""


def test_narrow_screens_have_one_panel_at_a_time(open_studio: Callable[..., Studio]) -> None:
    studio = open_studio(viewport=NARROW, has_touch=True)
    page = studio.page
    with studio.next_picture():
        studio.card("first").locator(".card-pick").tap()
    for panel, shown in {"": ".wall", "mix": ".mix", "look": ".look", "recent": ".tray", "export": ".export"}.items():
        page.locator(f'[data-shows="{panel}"]').tap()
        assert page.evaluate(SHOWN) == [shown]
        assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
        assert page.evaluate(TOO_SMALL) == [], "44 pixels for a finger"


def area(studio: Studio) -> float:
    """The share of the window that the picture has."""
    return studio.page.evaluate(
        """() => {
          const box = (id) => document.querySelector(id).getBoundingClientRect();
          const [frame, viewport] = [box("#frame"), box("#viewport")];
          const width = Math.min(frame.right, viewport.right) - Math.max(frame.left, viewport.left);
          const height = Math.min(frame.bottom, viewport.bottom) - Math.max(frame.top, viewport.top);
          return width * height / (innerWidth * innerHeight);
        }"""
    )


@pytest.mark.parametrize(("size", "share"), [(WIDE, 0.5), (NARROW, 0.55)])
def test_the_picture_has_the_room(open_studio: Callable[..., Studio], size: dict[str, int], share: float) -> None:
    assert area(open_studio(viewport=size)) >= share


TOO_SMALL = """() => [...document.querySelectorAll("button, select, input, summary, a")].filter((node) => {
  const {width, height} = node.getBoundingClientRect();
  const target = getComputedStyle(node, "::after");
  const grown = target.content !== "none" && target.position === "absolute" ? 8 : 0;
  const isShown = node.checkVisibility({opacityProperty: false}) && width > 1 && !node.classList.contains("skip");
  return isShown && (Math.min(width, height) + grown < 44);
}).map((node) => node.id || node.className || node.outerHTML.slice(0, 80))"""


@pytest.mark.parametrize("width", [1440, 1024, 861, 320])
def test_everything_stays_on_the_page(open_studio: Callable[..., Studio], width: int) -> None:
    studio = open_studio(viewport={"width": width, "height": 768})
    page = studio.page
    for selector in (".stage", ".wall", ".zoom", "#choose-photo", "#mask-mode"):
        box = page.locator(selector).bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= width, selector
        assert box["y"] + box["height"] <= 768, selector
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_between_wide_and_narrow_the_controls_are_a_drawer(open_studio: Callable[..., Studio]) -> None:
    studio = open_studio(viewport={"width": 1024, "height": 768})
    page = studio.page
    assert not page.locator("#alpha").is_visible()
    page.click("#adjust")
    assert page.locator("#alpha").is_visible() and page.get_attribute("#adjust", "aria-expanded") == "true"
    page.focus("#alpha")
    page.keyboard.press("Escape")
    assert not page.locator("#alpha").is_visible()


def test_on_a_phone_held_sideways_the_panel_is_beside_the_picture(open_studio: Callable[..., Studio]) -> None:
    studio = open_studio(viewport={"width": 844, "height": 390}, has_touch=True)
    page = studio.page
    with studio.next_picture():
        studio.card("first").locator(".card-pick").tap()
    assert page.locator("#frame").bounding_box()["height"] > 60
    for name in ("mix", "look", "export"):
        page.locator(f"[data-shows={name}]").tap()
        panel = page.locator(f".{name}").bounding_box()
        assert panel["height"] > 60 and panel["width"] > 300
        assert panel["x"] >= page.locator(".stage").bounding_box()["width"]


def test_the_divider_stands_in_the_window_at_any_zoom(studio: Studio) -> None:
    page = studio.page
    studio.choose("first")
    window: Any = page.locator("#viewport").bounding_box()
    middle = window["y"] + window["height"] / 2
    knob: Any = page.locator("#divider").bounding_box()
    page.mouse.move(knob["x"] + knob["width"] / 2, middle)
    page.mouse.down()
    page.mouse.move(window["x"] + window["width"] * 0.5, middle, steps=5)
    page.mouse.up()
    assert page.get_attribute("#divider", "aria-valuenow") == "50"
    cut = "parseFloat(document.querySelector('#frame').style.getPropertyValue('--cut'))"
    assert page.evaluate(cut) == pytest.approx(50, abs=1), "the photo is seen to the left"
    page.mouse.move(window["x"] + window["width"] * 0.25, middle)
    page.mouse.wheel(0, -600)
    page.wait_for_function("() => parseInt(document.querySelector('#zoom-level').value) > 300")
    assert page.get_attribute("#divider", "aria-valuenow") == "50"
    assert page.evaluate(cut) < 45, "another place of the picture is there now"


def test_zoom_counts_the_pixels_of_the_picture(studio: Studio) -> None:
    page = studio.page
    studio.choose("first")
    whole = page.locator("#frame").bounding_box()
    page.click("#zoom-one")
    assert page.input_value("#zoom-level") == "100 %"
    assert page.locator("#frame").bounding_box()["width"] == pytest.approx(512, abs=1)
    page.fill("#zoom-level", "400")
    page.keyboard.press("Enter")
    assert page.input_value("#zoom-level") == "400 %"
    frame: Any = page.locator("#frame").bounding_box()
    assert frame["width"] == pytest.approx(2048, abs=2)
    page.mouse.move(400, 300)
    page.mouse.down()
    page.mouse.move(350, 300, steps=4)
    page.mouse.up()
    assert page.locator("#frame").bounding_box()["x"] == pytest.approx(frame["x"] - 50, abs=1), "it is moved"
    page.click("#zoom-fit")
    assert page.locator("#frame").bounding_box() == pytest.approx(whole)
    page.click("#compare")
    assert not page.locator("#divider").is_visible()


PINCH = """() => {
  const viewport = document.querySelector("#viewport");
  viewport.setPointerCapture = () => {};
  const send = (type, id, x, y) => viewport.dispatchEvent(new PointerEvent(type, {
    pointerId: id, pointerType: "touch", clientX: x, clientY: y, button: type === "pointerdown" ? 0 : -1, bubbles: true,
  }));
  send("pointerdown", 1, 150, 300);
  send("pointerdown", 2, 250, 300);
  send("pointermove", 1, 100, 300);
  send("pointermove", 2, 300, 300);
  send("pointerup", 1, 100, 300);
  send("pointerup", 2, 300, 300);
}"""


def test_two_fingers_zoom_even_while_masks_are_painted(open_studio: Callable[..., Studio]) -> None:
    studio = open_studio(viewport=NARROW, has_touch=True)
    page = studio.page
    with studio.next_picture():
        studio.card("sea").locator(".card-pick").tap()
    for is_masking in (False, True):
        if is_masking:
            page.locator("#mask-mode").tap()
        before = page.locator("#frame").bounding_box()["width"]
        page.evaluate(PINCH)
        assert page.locator("#frame").bounding_box()["width"] == pytest.approx(2 * before, rel=0.05)
    assert page.is_disabled("#mask-clear"), "nothing was painted"


def test_the_theme_is_changed_and_remembered(studio: Studio) -> None:
    page = studio.page
    wall = "getComputedStyle(document.body).backgroundColor"
    before = page.evaluate(wall)
    page.click("#theme")
    dark = page.evaluate(wall)
    assert dark != before
    page.reload()
    page.wait_for_selector(".card")
    assert page.evaluate(wall) == dark


def test_who_wants_no_motion_sees_none(open_studio: Callable[..., Studio]) -> None:
    studio = open_studio(reduced_motion="reduce")
    studio.choose("first")
    assert studio.page.get_attribute("#divider", "aria-valuenow") == "30"
    moving = "document.getAnimations().filter((animation) => animation.playState === 'running').length"
    assert studio.page.evaluate(moving) == 0


def test_the_skip_link_and_the_sliders_say_what_they_mean(open_studio: Callable[..., Studio]) -> None:
    studio = open_studio(viewport=NARROW)
    page = studio.page
    page.focus(".skip")
    page.keyboard.press("Enter")
    assert page.locator("#mix").is_visible()
    page.click('[data-shows="look"]')
    page.fill("#alpha", "0.4")
    assert page.get_attribute("#alpha", "aria-valuetext") == "40 %"
    assert page.get_attribute("#strokes", "aria-valuetext") == "512 px"


FORBIDDEN = """for (const name of ["localStorage", "sessionStorage", "indexedDB"])
  Object.defineProperty(window, name, {get() { throw new DOMException("no", "SecurityError"); }});"""


def test_it_works_where_nothing_may_be_stored(chromium, studio_service: Service) -> None:
    with chromium.new_context(reduced_motion="reduce") as context:
        context.add_init_script(FORBIDDEN)
        studio = Studio(context, studio_service.url).open()
        studio.page.click("#theme")
        studio.choose("first")
        assert studio.complaints == []
