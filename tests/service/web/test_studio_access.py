"""Everybody can use the page: axe finds no serious fault, on wide and narrow screens, dark and light; touch works."""

from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from processes import Service, photo
from studio import NARROW, WIDE, Studio, file

pytestmark = pytest.mark.browser

SERIOUS = ("serious", "critical")


def faults(studio: Studio) -> list[str]:
    found = Axe().run(studio.page).response["violations"]
    return [
        f"{fault['id']} ({fault['impact']}): {node['target']} {node['failureSummary']}"
        for fault in found
        for node in fault["nodes"]
        if fault["impact"] in SERIOUS
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault(open_studio: Callable[..., Studio], scheme: str) -> None:
    studio = open_studio(viewport=WIDE, color_scheme=scheme)
    page = studio.page
    assert faults(studio) == [], "at the start"
    studio.choose("first")
    studio.mix_in("second")
    page.click("#mask-mode")
    page.click("#copy-curl")
    page.click("#state summary")
    assert faults(studio) == [], "with a mix, masks, code and state"
    page.click("#mask-mode")
    page.set_input_files("#photo-file", file("letter.txt", b"Dear Sir or Madam", "text/plain"))
    page.wait_for_selector("#notice.is-error")
    with studio.next_picture():
        page.set_input_files("#style-file", file("mine.png", photo(80, 80)))
    page.click("#slots .link")
    page.evaluate("document.querySelector('#key-dialog').showModal()")
    assert faults(studio) == [], "with an error, a form and the dialog"


@pytest.mark.parametrize("panel", ["styles", "mix", "masks", "export"])
def test_narrow_screens_have_one_panel_at_a_time(open_studio: Callable[..., Studio], panel: str) -> None:
    studio = open_studio(viewport=NARROW, has_touch=True)
    page = studio.page
    with studio.next_picture():
        studio.card("first").locator(".card-pick").tap()
    page.locator(f"[data-shows={panel}]").tap()
    shown = [
        name for name in ("styles", "mix", "masks", "export") if page.locator(f".panel[data-panel={name}]").is_visible()
    ]
    assert shown == [panel]
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
    small = page.evaluate(TOO_SMALL)
    assert small == [], "44 pixels for a finger"
    assert faults(studio) == []


TOO_SMALL = """() => [...document.querySelectorAll("button, select, input, summary, a")].filter((node) => {
  const {width, height} = node.getBoundingClientRect();
  const target = getComputedStyle(node, "::after");
  const grown = target.content !== "none" && target.position === "absolute" ? 8 : 0;
  const isShown = node.checkVisibility({opacityProperty: false}) && width > 1 && !node.classList.contains("skip");
  return isShown && (Math.min(width, height) + grown < 44);
}).map((node) => node.id || node.className || node.outerHTML.slice(0, 80))"""


@pytest.mark.parametrize("width", [1024, 900, 861, 320])
def test_the_tools_stay_on_the_stage(open_studio: Callable[..., Studio], width: int) -> None:
    studio = open_studio(viewport={"width": width, "height": 768})
    stage, *inner = (
        studio.page.locator(selector).bounding_box() for selector in (".stage", ".tools", "#choose-photo", "#download")
    )
    for box in inner:
        assert stage["x"] <= box["x"] and box["x"] + box["width"] <= stage["x"] + stage["width"]
        assert box["y"] + box["height"] <= stage["y"] + stage["height"]
    assert studio.page.evaluate("document.documentElement.scrollWidth") <= width
    if width == 320:
        assert studio.page.locator(".tools").bounding_box()["height"] < 50, "in one row"


def test_on_a_phone_held_sideways_the_panel_is_beside_the_picture(open_studio: Callable[..., Studio]) -> None:
    studio = open_studio(viewport={"width": 844, "height": 390}, has_touch=True)
    page = studio.page
    with studio.next_picture():
        studio.card("first").locator(".card-pick").tap()
    assert page.locator("#frame").bounding_box()["height"] > 60
    for name in ("styles", "mix", "masks", "export"):
        page.locator(f"[data-shows={name}]").tap()
        panel = page.locator(f".panel[data-panel={name}]").bounding_box()
        assert panel["height"] > 60 and panel["width"] > 300
        assert panel["x"] >= page.locator(".stage").bounding_box()["width"]


def test_the_divider_is_dragged_and_the_picture_zoomed(studio: Studio) -> None:
    page = studio.page
    studio.choose("first")
    frame: Any = page.locator("#frame").bounding_box()
    middle = frame["y"] + frame["height"] / 2
    knob: Any = page.locator("#divider").bounding_box()
    page.mouse.move(knob["x"] + knob["width"] / 2, middle)
    page.mouse.down()
    page.mouse.move(frame["x"] + frame["width"] * 0.75, middle, steps=5)
    page.mouse.up()
    assert page.get_attribute("#divider", "aria-valuenow") == "75"
    clip = page.evaluate("getComputedStyle(document.querySelector('#after')).clipPath")
    assert "75%" in clip, "the photo is seen to the left"
    page.mouse.move(frame["x"] + 10, middle)
    page.mouse.wheel(0, -600)
    page.wait_for_function("() => parseInt(document.querySelector('#zoom-fit').textContent) > 200")
    left = page.locator("#frame").bounding_box()["x"]
    page.mouse.down()
    page.mouse.move(frame["x"] - 60, middle, steps=4)
    page.mouse.up()
    assert page.locator("#frame").bounding_box()["x"] < left, "it is moved"
    page.click("#zoom-fit")
    assert page.inner_text("#zoom-fit") == "100%"
    assert page.locator("#frame").bounding_box() == pytest.approx(frame)
    page.click("#compare")
    assert not page.locator("#divider").is_visible()


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
    page.fill("#alpha", "0.4")
    assert page.get_attribute("#alpha", "aria-valuetext") == "40 %"
    assert page.get_attribute("#strokes", "aria-valuetext") == "512 px"


FORBIDDEN = """for (const name of ["localStorage", "sessionStorage"])
  Object.defineProperty(window, name, {get() { throw new DOMException("no", "SecurityError"); }});"""


def test_it_works_where_nothing_may_be_stored(chromium, studio_service: Service) -> None:
    with chromium.new_context(reduced_motion="reduce") as context:
        context.add_init_script(FORBIDDEN)
        studio = Studio(context, studio_service.url).open()
        studio.page.click("#theme")
        studio.choose("first")
        assert studio.complaints == []
