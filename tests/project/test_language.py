"""Docstrings and comments are plain technical English: how they begin, and words that they do not have."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("model_store", "train", "experiments", "bench", "stylize_client", "service")

BEGINNING = re.compile(r"(Of|What|How|Whether|Who|Whose|Which|Why)\b")
"""A docstring, and the description of an argument, begins with a verb or names the thing."""

ENTRY = re.compile(r"^\s+\w+(?: \(.*\))?: (.*)$", re.MULTILINE)
"""An entry of a docstring's section of arguments, attributes or errors."""

WORDS = re.compile(r"\b(shall|heed\w*|by turns|on the line|lets go|nobody waits for)\b", re.IGNORECASE)
"""Words of a private language. The glossary is that of the project's style guide."""


def docstrings(source: str) -> Iterator[tuple[int, str]]:
    """Line and text of each docstring, also of those that stand below an assignment."""
    for node in ast.walk(ast.parse(source)):
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(text := node.value.value, str)
        ):
            yield node.lineno, text


def comments(source: str) -> Iterator[tuple[int, str]]:
    """Line and text of each comment."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def faults(path: Path) -> list[str]:
    source, name, found = path.read_text(encoding="utf-8"), path.relative_to(ROOT), []
    for line, text in docstrings(source):
        for part in [text, *(entry[1] for entry in ENTRY.finditer(text))]:
            if match := BEGINNING.match(part):
                found.append(f"{name}:{line}: begins with {match[0]!r}: {part:.60}")
    for line, text in [*docstrings(source), *comments(source)]:
        found += [f"{name}:{line}: has {match[0]!r}" for match in WORDS.finditer(text)]
    return found


@pytest.mark.parametrize("package", PACKAGES)
def test_docstrings_and_comments_are_plain(package: str) -> None:
    checked = sorted((ROOT / package).rglob("*.py"))
    assert checked and not [fault for path in checked for fault in faults(path)]


@pytest.mark.parametrize(
    ("source", "reasons"),
    [
        ('"""Of a picture."""', ["begins with 'Of'"]),
        ('x = 1\n"""What it is."""', ["begins with 'What'"]),
        ('def f(size):\n    """Do it.\n\n    Args:\n        size: How large.\n    """', ["begins with 'How'"]),
        ("x = 1  # it heeds the mask", ["has 'heeds'"]),
        ('"""Each shall wait."""', ["has 'shall'"]),
        ('"""Offset of a tile, which a network heard of."""\nx = "What?"', []),
    ],
)
def test_faults_are_found(source: str, reasons: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    (tmp_path / "a.py").write_text(source)
    found = faults(tmp_path / "a.py")
    assert len(found) == len(reasons) and all(reason in one for reason, one in zip(reasons, found, strict=True))
