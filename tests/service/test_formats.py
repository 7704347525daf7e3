"""Which format a client gets."""

import pytest

from service.errors import InvalidField, NotAcceptable
from service.formats import choose_format


@pytest.mark.parametrize("accept", [None, "", "*/*", "image/*", "nonsense", "image/*;q=0.5, text/html"])
def test_without_a_preference_transparency_decides(accept: str | None) -> None:
    assert choose_format(accept, None, content_has_alpha=False) == "jpeg"
    assert choose_format(accept, None, content_has_alpha=True) == "png"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("image/webp", "webp"),
        ("IMAGE/AVIF", "avif"),
        ("image/png, image/webp;q=0.9", "png"),
        ("image/png;q=0.3, image/webp;q=0.9", "webp"),
        ("image/png;q=0.3 , */*;q=0.9", "jpeg"),
        ("image/jpeg;q=0, */*", "png"),
        ("image/jpeg;q=0, image/png;q=0, image/*;q=0.1", "webp"),
        ("image/avif,image/webp,image/png,image/*;q=0.8,*/*;q=0.5", "png"),
        ("text/html, image/webp;q=0.1", "webp"),
        ("image/webp;q=high, image/png;q=0.1", "png"),
        ("image/webp; level=1; q=0.7, image/png;q=0.6", "webp"),
        ("image/png;q=0.5, */*;q=nan", "png"),
    ],
)
def test_accept_is_heeded(accept: str, expected: str) -> None:
    assert choose_format(accept, None, content_has_alpha=False) == expected


@pytest.mark.parametrize("accept", ["application/json", "text/html, image/gif", "image/*;q=0", "*/*;q=0", "image/jxl"])
def test_accept_allows_nothing_that_we_write(accept: str) -> None:
    with pytest.raises(NotAcceptable) as caught:
        choose_format(accept, None, content_has_alpha=False)
    assert accept in caught.value.detail
    assert "we write image/jpeg, image/png, image/webp, image/avif" in caught.value.detail


@pytest.mark.parametrize(
    ("override", "expected"), [("png", "png"), ("JPG", "jpeg"), ("jpeg", "jpeg"), ("Avif", "avif")]
)
def test_the_field_wins_over_the_header(override: str, expected: str) -> None:
    assert choose_format("application/json", override, content_has_alpha=True) == expected


@pytest.mark.parametrize("override", ["gif", "", "image/png", "x" * 500])
def test_an_unknown_format_lists_the_known(override: str) -> None:
    with pytest.raises(InvalidField, match="allowed are jpeg, png, webp, avif") as caught:
        choose_format(None, override, content_has_alpha=False)
    assert caught.value.field == "format"
    assert len(caught.value.detail) < 200


def test_the_type_of_errors_says_nothing_of_pictures() -> None:
    assert choose_format("application/problem+json", None, False) == "jpeg"
    assert choose_format("application/problem+json, image/webp", None, False) == "webp"
    with pytest.raises(NotAcceptable):
        choose_format("application/problem+json, text/html", None, False)
