"""Long jobs, errors and keys on the page."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from processes import Service, photo, wait_for
from services import Services
from studio import Studio, file, opener

from service.api_keys import new_key

pytestmark = pytest.mark.browser


def own_style(studio: Studio) -> None:
    """Take a painting of one's own, at the smallest size: there are steps to come."""
    studio.set_size("256")
    with studio.next_picture():
        studio.page.set_input_files("#style-file", file("mine.png", photo(96, 96)))


def optimise(studio: Studio, steps: int) -> None:
    """Begin the longest of jobs, with a painting of one's own."""
    if not studio.page.locator(".slot-title", has_text="mine").count():
        own_style(studio)
    studio.page.locator(".more summary").click()
    studio.page.fill("#steps", str(steps))
    studio.page.locator(".more summary").click()
    studio.page.click("#optimise")


def running(studio: Studio) -> None:
    studio.page.wait_for_function("() => document.querySelector('#jobs')?.textContent.includes('Step')")


def test_a_job_shows_its_progress_and_its_picture(studio: Studio) -> None:
    own_style(studio)
    with studio.next_picture():
        optimise(studio, 200)
        studio.page.wait_for_function("() => document.querySelector('#jobs').textContent.includes('of 200')")
        studio.page.wait_for_function("() => document.title.includes('%')")
    assert studio.shown().size == (256, 180)
    assert studio.page.locator("#jobs li").count() == 0
    assert studio.page.title() == "Stylize"
    with studio.known_picture():
        studio.page.click("#undo")
    with studio.known_picture():
        studio.page.click("#redo")
    assert studio.complaints == []


def test_a_large_picture_is_quick_at_first_and_whole_as_a_job(studio: Studio) -> None:
    studio.page.set_input_files("#photo-file", file("large.png", photo(1400, 1000)))
    studio.page.wait_for_function("() => document.querySelector('#before').alt.includes('large.png')")
    studio.choose("ink")
    accepted: list[int] = []
    studio.page.on(
        "response", lambda answer: accepted.append(answer.status) if answer.url.endswith("/stylize") else None
    )
    studio.set_size("original")
    studio.page.wait_for_function("() => document.querySelector('#after').naturalWidth === 768")
    studio.page.wait_for_selector("#full-size:not([hidden])")
    assert studio.text("#full-size") == "Paint all 1400 × 1000 pixels"
    assert 202 not in accepted
    studio.page.click("#full-size")
    studio.page.wait_for_function("() => document.querySelector('#after').naturalWidth === 1400")
    assert studio.shown().size == (1400, 1000)
    assert 202 in accepted
    assert not studio.page.locator("#full-size").is_visible()


def test_a_download_of_what_is_large_waits_for_its_job(studio: Studio, tmp_path: Path) -> None:
    studio.page.set_input_files("#photo-file", file("large.png", photo(1400, 1000)))
    studio.page.wait_for_function("() => document.querySelector('#before').alt.includes('large.png')")
    studio.choose("ink")
    with studio.next_picture():
        studio.set_size("original")
    with studio.page.expect_download() as download:
        studio.page.click("#download")
    download.value.save_as(tmp_path / "painted.jpg")
    with Image.open(tmp_path / "painted.jpg") as saved:
        assert saved.size == (1400, 1000)


def test_a_job_is_cancelled_and_the_picture_before_is_there_again(studio: Studio) -> None:
    deleted: list[str] = []
    studio.page.on("request", lambda request: deleted.append(request.url) if request.method == "DELETE" else None)
    optimise(studio, 300)
    running(studio)
    studio.page.wait_for_selector("#after.is-preview")
    studio.page.click("#jobs [aria-label^=Cancel]")
    wait_for(lambda: studio.page.evaluate("1") and deleted)
    assert "/jobs/" in deleted[0]
    assert studio.page.locator("#jobs li").count() == 0
    assert studio.page.locator("#history li").count() == 1, "only that of one pass"
    studio.page.wait_for_selector("#after:not(.is-preview)")
    assert studio.text("#label-title") == "mine" and "Preview" not in studio.text("#label-facts")


def test_several_jobs_go_on_whatever_else_is_done(studio: Studio) -> None:
    optimise(studio, 300)
    running(studio)
    optimise(studio, 300)
    assert studio.page.locator("#jobs li").count() == 2
    studio.choose("first")
    assert studio.text("#label-title") == "First"
    assert studio.page.locator("#jobs li").count() == 2, "another style ends none"
    studio.page.locator("#history li").last.locator("button").first.click()
    assert studio.page.locator("#jobs li").count() == 2
    for _ in range(2):
        studio.page.locator("#jobs [aria-label^=Cancel]").first.click()
    assert studio.page.locator("#jobs li").count() == 0
    assert studio.complaints == []


def test_what_is_ready_while_one_does_something_else_waits_to_be_used(studio: Studio) -> None:
    own_style(studio)
    with studio.next_picture():
        optimise(studio, 10)
        studio.card("first").locator(".card-pick").click()
        studio.page.wait_for_selector("#history .is-new")
    assert studio.text("#label-title") == "First"
    studio.page.click("#history .is-new")
    studio.page.wait_for_function("() => document.querySelector('#label-title').textContent === 'mine'")
    assert studio.page.locator("#history .is-new").count() == 0


def test_what_cannot_be_optimised_says_why(studio: Studio) -> None:
    studio.choose("first")
    assert studio.page.is_disabled("#optimise")
    assert "the painting itself is needed" in studio.text("#method-hint")
    own_style(studio)
    assert studio.page.is_enabled("#optimise")


def test_steps_and_format_do_not_paint_and_a_file_is_converted(studio: Studio, tmp_path: Path) -> None:
    own_style(studio)
    with studio.next_picture():
        optimise(studio, 10)
    studio.page.select_option("#format", "png")
    with studio.page.expect_download() as download:
        studio.page.click("#download")
    download.value.save_as(tmp_path / "painted.png")
    with Image.open(tmp_path / "painted.png") as saved:
        assert (saved.format, saved.size) == ("PNG", (256, 180))
    studio.page.locator(".more summary").click()
    studio.page.fill("#steps", "20")
    studio.page.wait_for_timeout(500)
    assert studio.page.locator("#history li").count() == 2
    assert studio.page.is_enabled("#download")


def test_a_file_that_is_no_picture_is_answered_in_the_services_own_words(studio: Studio) -> None:
    text = file("letter.txt", b"Dear Sir or Madam", "text/plain")
    studio.page.set_input_files("#photo-file", text)
    studio.page.wait_for_selector("#notice.is-error")
    said = studio.page.evaluate("document.querySelector('#announce-error').textContent")
    assert said == "That file is no picture that can be read here."
    assert studio.text("#notice-text").startswith(said)
    assert "jpeg" in studio.text("#notice-text small"), "and what the service said"
    studio.page.click("#notice-close")
    studio.page.set_input_files("#style-file", text)
    studio.page.wait_for_selector("#style-error:not([hidden])")
    assert "jpeg" in studio.text("#style-error")
    assert studio.text("#style-error").startswith("letter.txt: ")
    assert studio.shown("#before").size == (1800, 1266), "the photo is still there"
    studio.choose("first")
    assert not studio.page.locator("#style-error").is_visible()


WALL_IS_PAINTED = """() => document.querySelectorAll(".card-mine[src]").length >= 7"""
"""Of the cards in view; what the wall asks for would fill the queue, too."""


def test_a_full_queue_says_so_and_tries_again(chromium, services: Services, every_network: Path) -> None:
    with services.starter(every_network) as start:
        service = start(request_timeout_s=6)
        studio = opener(chromium, service)()
        studio.page.wait_for_function(WALL_IS_PAINTED)
        studio.page.wait_for_timeout(1000)
        service.workers[0].send_signal(signal.SIGSTOP)
        service.say_that_jobs_take(3.5)
        accepted = service.client.post(
            "/stylize",
            headers={"Prefer": "respond-async"},
            files={"content": ("photo.png", photo())},
            data={"style_id": "first", "size": "64"},
        )
        assert accepted.status_code == 202
        studio.card("second").locator(".card-pick").click()
        studio.page.wait_for_function(
            "() => document.querySelector('#notice-text').textContent.includes('Trying again')"
        )
        assert "it would wait for about" in studio.text("#notice-text small")
        assert studio.page.locator("#history li").count() == 0
        service.workers[0].send_signal(signal.SIGCONT)
        studio.page.wait_for_selector("#history li")
        studio.page.wait_for_selector("#notice", state="hidden")


def test_without_a_worker_the_corner_says_so(chromium, api_alone: Service) -> None:
    studio = opener(chromium, api_alone)()
    studio.page.wait_for_selector('#state-dot[data-state="down"]')
    assert studio.text("#state-text") == "No worker"
    studio.card("first").locator(".card-pick").click()
    studio.page.wait_for_function(
        "() => document.querySelector('#notice-text').textContent.includes('no worker is running')"
    )


def test_a_problem_of_a_field_stands_at_the_field(open_studio: Callable[..., Studio]) -> None:
    studio = open_studio()
    studio.choose("first")
    studio.choose("moss")
    studio.page.evaluate("location.hash = '#style=moss&seed=7'")
    studio.page.wait_for_function("() => document.querySelector('#seed').value === '7'")
    problem = {
        "title": "Invalid",
        "status": 422,
        "detail": "seed: 8 is odd",
        "errors": [{"field": "seed", "detail": "odd"}],
    }
    studio.page.route("**/stylize", lambda route: route.fulfill(status=422, json=problem))
    studio.page.fill("#seed", "8")
    studio.page.locator("#seed").dispatch_event("change")
    studio.page.wait_for_selector('[data-field="seed"] .field-error:not([hidden])')
    assert studio.text('[data-field="seed"] .field-error') == "seed: 8 is odd"
    studio.page.unroute("**/stylize")
    with studio.next_picture():
        studio.page.fill("#seed", "9")
        studio.page.locator("#seed").dispatch_event("change")
    assert not studio.page.locator('[data-field="seed"] .field-error').is_visible()


def test_where_keys_are_needed_the_page_asks_for_one(chromium, services: Services, every_network: Path) -> None:
    secret, key = new_key("someone")
    with services.starter(every_network) as start:
        service = start(api_keys=str(key))
        context = chromium.new_context(reduced_motion="reduce")
        studio = Studio(context, service.url)
        studio.page.goto(service.url)
        studio.page.wait_for_selector("#key-dialog[open]")
        studio.page.fill("#key-form input", "stylize_wrong")
        studio.page.keyboard.press("Enter")
        studio.page.wait_for_selector("#key-error:not([hidden])")
        assert "not known" in studio.text("#key-error")
        studio.page.fill("#key-form input", secret)
        studio.page.keyboard.press("Enter")
        studio.page.wait_for_selector(".card")
        studio.page.wait_for_function(
            "() => document.querySelector('.card[data-key=first] img').src.startsWith('blob:')"
        )
        studio.page.wait_for_selector("#history li")
        studio.page.click("#copy-curl")
        studio.page.wait_for_selector("#snippet:not([hidden])")
        assert "$STYLIZE_KEY" in studio.text("#snippet") and secret not in studio.text("#snippet")
        assert studio.page.evaluate("Object.keys(localStorage).length") == 0
        context.close()


def test_where_the_styles_do_not_come_the_gallery_says_so(chromium, studio_service: Service) -> None:
    with chromium.new_context(reduced_motion="reduce") as context:
        studio = Studio(context, studio_service.url)
        studio.page.route("**/styles?*", lambda route: route.fulfill(status=500, body="no"))
        studio.page.goto(studio.url)
        studio.page.wait_for_selector("#before:not([hidden])")
        studio.page.wait_for_selector(".gallery-failure")
        assert "500" in studio.text("#gallery")
        assert studio.page.get_attribute("#gallery", "aria-busy") == "false"
        studio.page.unroute("**/styles?*")
        studio.page.click(".gallery-failure button")
        studio.page.wait_for_selector(".card.is-chosen")
        studio.page.wait_for_selector("#history li", state="attached")


def test_without_the_sample_the_page_says_so(chromium, studio_service: Service) -> None:
    with chromium.new_context(reduced_motion="reduce") as context:
        studio = Studio(context, studio_service.url)
        studio.page.route("**/photos/animal.webp", lambda route: route.fulfill(status=404, body="no"))
        studio.page.goto(studio.url)
        studio.page.wait_for_selector("#notice.is-error")
        assert "sample photo" in studio.text("#notice-text")
        studio.page.unroute("**/photos/animal.webp")
        studio.page.click("#notice-action")
        studio.page.wait_for_selector("#before:not([hidden])")
