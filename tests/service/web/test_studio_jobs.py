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


def optimise(studio: Studio, steps: int) -> None:
    """Begin the longest of jobs, with a painting of one's own."""
    with studio.next_picture():
        studio.page.set_input_files("#style-file", file("mine.png", photo(96, 96)))
    studio.page.check("[name=method][value=gatys]", force=True)
    studio.page.fill("#steps", str(steps))
    studio.page.click("#optimise")


def test_a_job_shows_its_progress_and_its_picture(studio: Studio) -> None:
    with studio.next_picture():
        optimise(studio, 10)
        studio.page.wait_for_selector("#notice-progress:not([hidden])")
        studio.page.wait_for_function("() => document.querySelector('#notice-text').textContent.includes('of 10')")
    assert studio.shown().size == (512, 360)
    assert not studio.page.locator("#notice").is_visible()
    assert studio.complaints == []


def test_a_large_original_is_a_job_too(studio: Studio) -> None:
    studio.page.set_input_files("#photo-file", file("large.png", photo(1400, 1000)))
    studio.page.wait_for_function("() => document.querySelector('#before').alt.includes('large.png')")
    studio.choose("ink")
    accepted: list[int] = []
    studio.page.on(
        "response", lambda answer: accepted.append(answer.status) if answer.url.endswith("/stylize") else None
    )
    with studio.next_picture():
        studio.page.select_option("#size", "original")
    assert studio.shown().size == (1400, 1000)
    assert accepted == [202], "a job, and no preview before it: that would look the same"


def test_a_job_is_cancelled(studio: Studio) -> None:
    deleted: list[str] = []
    studio.page.on("request", lambda request: deleted.append(request.url) if request.method == "DELETE" else None)
    optimise(studio, 300)
    studio.page.wait_for_function("() => document.querySelector('#notice-text').textContent.includes('step')")
    studio.page.wait_for_selector("#after.is-preview")
    studio.page.click("#notice-action")
    wait_for(lambda: studio.page.evaluate("1") and deleted)
    assert "/jobs/" in deleted[0]
    assert studio.page.locator("#history li").count() == 1, "only that of one pass"
    assert studio.text("#notice-text") == "Cancelled."
    studio.page.wait_for_selector("#after:not(.is-preview)")
    assert studio.text("#label-title") == "mine", "the painting before is there again"
    assert studio.text("#notice-action") == "Paint it"
    studio.page.click("#notice-action")
    studio.page.wait_for_selector("#notice-progress:not([hidden])")
    studio.page.click("#notice-action")
    studio.page.click("#notice-close")
    assert not studio.page.locator("#notice").is_visible()


def test_a_cancelled_job_of_another_photo_leaves_that_photo(studio: Studio) -> None:
    optimise(studio, 300)
    studio.page.set_input_files("#photo-file", file("other.png", photo(90, 60, seed=7)))
    studio.page.wait_for_function("() => document.querySelector('#before').alt.includes('other.png')")
    studio.page.wait_for_selector("#after.is-preview")
    studio.page.click("#optimise")
    studio.page.wait_for_selector("#notice-progress:not([hidden])")
    studio.page.click("#notice-action")
    studio.page.wait_for_selector("#after", state="hidden")
    assert studio.text("#label-title") == "A photo, not painted yet"


def test_optimise_ends_where_the_style_cannot_be_optimised(studio: Studio) -> None:
    with studio.next_picture():
        studio.page.set_input_files("#style-file", file("mine.png", photo(96, 96)))
    studio.page.check("[name=method][value=gatys]", force=True)
    assert studio.text("#masks-intro") == "Optimise takes no masks."
    assert studio.page.is_disabled("#mask-mode")
    studio.choose("first")
    assert studio.shown().size == (512, 360)
    assert studio.page.is_enabled("#mask-mode")


def test_a_recent_picture_stops_what_is_running(studio: Studio) -> None:
    deleted: list[str] = []
    studio.page.on("request", lambda request: deleted.append(request.url) if request.method == "DELETE" else None)
    optimise(studio, 300)
    studio.page.wait_for_function("() => document.querySelector('#notice-text').textContent.includes('step')")
    studio.page.locator("#history button").last.click()
    wait_for(lambda: studio.page.evaluate("1") and deleted)
    studio.page.wait_for_selector("#after:not(.is-preview)")
    assert not studio.page.locator("#notice").is_visible()
    assert studio.page.is_enabled("#download")
    assert "mine" in studio.text("#label-title") and "Preview" not in studio.text("#label-facts")


def test_steps_and_format_do_not_paint_and_a_file_is_converted(studio: Studio, tmp_path: Path) -> None:
    with studio.next_picture():
        optimise(studio, 10)
        studio.page.wait_for_selector("#notice-progress:not([hidden])")
    studio.page.wait_for_function("() => document.querySelector('#label-facts').textContent !== 'Preview'")
    count = studio.count_requests("/stylize")
    studio.page.select_option("#format", "png")
    with studio.page.expect_download() as download:
        studio.page.click("#download")
    download.value.save_as(tmp_path / "painted.png")
    with Image.open(tmp_path / "painted.png") as saved:
        assert (saved.format, saved.size) == ("PNG", (512, 360))
    studio.page.fill("#steps", "20")
    assert studio.page.is_disabled("#download")
    studio.page.wait_for_timeout(500)
    assert studio.count_requests("/stylize") == count


def test_a_file_that_is_no_picture_is_answered_in_the_services_own_words(studio: Studio) -> None:
    text = file("letter.txt", b"Dear Sir or Madam", "text/plain")
    studio.page.set_input_files("#photo-file", text)
    studio.page.wait_for_selector("#notice.is-error")
    answer = studio.page.evaluate("document.querySelector('#announce-error').textContent")
    assert studio.text("#notice-text") == answer
    assert "jpeg" in answer
    studio.page.click("#notice-close")
    studio.page.set_input_files("#style-file", text)
    studio.page.wait_for_selector("#style-error:not([hidden])")
    assert "jpeg" in studio.text("#style-error")
    assert studio.text("#style-error").startswith("letter.txt: ")
    assert studio.shown("#before").size == (1600, 1125), "the photo is still there"
    studio.choose("first")
    assert not studio.page.locator("#style-error").is_visible()


def test_a_full_queue_says_so_and_tries_again(chromium, services: Services, every_network: Path) -> None:
    with services.starter(every_network) as start:
        service = start(max_queue=1)
        studio = opener(chromium, service)()
        service.workers[0].send_signal(signal.SIGSTOP)
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
        assert "jobs are waiting already" in studio.text("#notice-text")
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
    studio.page.evaluate("document.querySelector('#size').append(new Option('9999 px', '9999'))")
    studio.page.select_option("#size", "9999")
    studio.page.wait_for_selector('[data-field="size"] .field-error:not([hidden])')
    assert "9999" in studio.text('[data-field="size"] .field-error')
    with studio.next_picture():
        studio.page.select_option("#size", "256")
    assert not studio.page.locator('[data-field="size"] .field-error').is_visible()


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
        studio.choose("first")
        studio.page.click("#copy-curl")
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
        studio.page.wait_for_selector(".card")


def test_without_the_sample_the_page_says_so(chromium, studio_service: Service) -> None:
    with chromium.new_context(reduced_motion="reduce") as context:
        studio = Studio(context, studio_service.url)
        studio.page.route("**/sample.jpg", lambda route: route.fulfill(status=404, body="no"))
        studio.page.goto(studio.url)
        studio.page.wait_for_selector("#notice.is-error")
        assert "sample photo" in studio.text("#notice-text")
        studio.page.unroute("**/sample.jpg")
        studio.page.click("#notice-action")
        studio.page.wait_for_selector("#before:not([hidden])")
