"""Budgets of size: a room, a file and a function stay small enough to be read."""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from paths import ROOT

CODE = ("model_store", "service", "stylize_client", "train", "experiments", "bench")
FILE_LINES, FUNCTION_LINES = 300, 40
REQUEST = ("request.py", "resolve.py", "model_choice.py", "mix.py", "optimisation.py", "which.py")
ROOMS = {
    "request, http, queue, worker, engine": (5000, (*REQUEST, "http", "queue", "worker", "engine")),
    "all of service": (8500, (".",)),
}
"""Most lines of Python of these parts of ``service/`` together."""

EXCEPTIONS = {
    "request, http, queue, worker, engine": 7080,
    "all of service": 10210,
}
"""What is beyond its budget, and how many lines it may have until it is mended."""


def lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def modules(folder: Path) -> list[Path]:
    return [folder] if folder.suffix == ".py" else sorted(folder.rglob("*.py"))


def part_lines(parts: Iterable[str]) -> dict[str, int]:
    """Lines of each of these files and folders of ``service/``, as far as they are there."""
    paths = {part: ROOT / "service" / part for part in parts}
    return {part: sum(map(lines, modules(path))) for part, path in paths.items() if path.exists()}


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Functions of a module and how many lines each has, signature and docstring included."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            yield node.name, node.end_lineno - node.lineno + 1


def too_long() -> dict[str, int]:
    """Files and functions beyond their budgets, ``path`` or ``path:function``, and their lines."""
    found: dict[str, int] = {}
    for path in (path for package in CODE for path in modules(ROOT / package)):
        name = path.relative_to(ROOT).as_posix()
        if lines(path) > FILE_LINES:
            found[name] = lines(path)
        found |= {f"{name}:{function}": count for function, count in functions(path) if count > FUNCTION_LINES}
    return found


def test_rooms_keep_their_budgets(capsys: pytest.CaptureFixture[str]) -> None:
    for room, (budget, parts) in ROOMS.items():
        counts = part_lines(parts)
        total = sum(counts.values())
        with capsys.disabled():
            print(f"\n\nLines of Python, {room}: {total:,} of {budget:,}")
            for part, count in counts.items():
                print(f"  {part:<20}{count:>6,}")
        assert total <= max(budget, EXCEPTIONS.get(room, 0))
        assert room not in EXCEPTIONS or total > budget, f"{room} keeps its budget: take it out of EXCEPTIONS"


def test_files_and_functions_keep_their_budgets() -> None:
    found = too_long()
    assert {name: count for name, count in found.items() if count > EXCEPTIONS.get(name, 0)} == {}
    kept = sorted(EXCEPTIONS.keys() - found.keys() - ROOMS.keys())
    assert kept == [], "these keep their budgets: take them out of EXCEPTIONS"
