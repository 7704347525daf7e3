"""Titles in any script, and what would make them look like something else."""

import pytest
from paths import SHARED

from service.http.forms import _one_line

TITLES = ["نقاشی‌های ایرانی", "क्‍ष चित्र", "ציור‏ שמן", "👨‍👩‍👧", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "❤️‍🔥", "Café", "水墨", "สีน้ำ"]


@pytest.mark.parametrize("title", TITLES)
def test_letters_joiners_and_emoji_are_kept(title: str) -> None:
    assert _one_line(f"  {title}\n") == title


def test_titles_from_the_field() -> None:
    path = SHARED / "field" / "titles.txt"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    for title in path.read_text().splitlines():
        assert _one_line(title) == title


@pytest.mark.parametrize("character", ["\0", "\x1b", "\x7f", "\x9b", "\ud800", "\u202e", "\u202a", "\u2066", "\u2069"])
def test_control_characters_and_overrides_are_refused(character: str) -> None:
    with pytest.raises(ValueError, match="control characters, or overrides of the writing direction: leave them out"):
        _one_line(f"a{character}b")


@pytest.mark.parametrize("text", ["", "  ", "\u200d", "\u200e\u200f", "\ufeff"])
def test_a_title_of_which_nothing_can_be_seen_is_empty(text: str) -> None:
    assert _one_line(text) == ""
