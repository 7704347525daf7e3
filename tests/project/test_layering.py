"""The arrows between packages and between the service's rooms, in each module and through the modules it imports."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from paths import ROOT

PACKAGES = ("model_store", "service", "stylize_client", "train", "experiments", "bench")
TORCH = {"torch", "torchvision", "safetensors", "numpy"}
TRAINING = {"torch", "torchvision", "numpy", "PIL", "safetensors", "typer", "rich", "tensorboard", "matplotlib"}

BASE = {"errors", "settings", "setting_types", "api_keys", "logs", "tasks", "formats", "images", "request"}
"""Modules beside the rooms. They import one another and no room."""

RESOLVE = {"resolve", "model_choice"}
"""Modules that make the room ``resolve``: from a request to a job."""

ROOMS = {
    "queue": BASE,
    "resolve": BASE,
    "http": BASE | {"resolve", "queue"},
    "engine": {"errors", "request"},
    "worker": BASE | {"engine", "queue"},
}
"""Rooms of the service, and what each may import of the others; ``serve``, ``cli`` and ``__main__`` may use all."""


# ---- the graph ----------------------------------------------------------------------------------------------------


@cache
def modules() -> dict[str, Path]:
    """All our modules by full name."""
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes below, without those that only a type checker sees."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            for other in child.orelse:
                yield from (other, *statements(other))
            continue
        yield child
        yield from statements(child)


@cache
def imports(module: str) -> frozenset[str]:
    """Modules that one of ours imports, anywhere in it: ours by full name, with their packages; others by package."""
    names: set[str] = set()
    for node in statements(ast.parse(modules()[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import"
            full = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= {node.module or ""} | {name for name in full if name in modules()}
    found: set[str] = set()
    for name in names:
        root, *rest = name.split(".")
        if root not in PACKAGES:
            found.add(root)
            continue
        assert name in modules(), f"{module} imports {name}, which is not there"
        found |= {".".join([root, *rest[:depth]]) for depth in range(len(rest) + 1)}
    return frozenset(found - {module})


def reached(*starts: str) -> dict[str, tuple[str, ...]]:
    """Everything that modules import, directly or through others, each with a way that leads there."""
    ways: dict[str, tuple[str, ...]] = {start: (start,) for start in starts}
    waiting = list(starts)
    while waiting:
        module = waiting.pop(0)
        for name in sorted(imports(module)) if module in modules() else ():
            if name not in ways:
                ways[name] = (*ways[module], name)
                waiting.append(name)
    return ways


def of_package(name: str) -> list[str]:
    """The package and all modules in it."""
    found = [module for module in modules() if module == name or module.startswith(f"{name}.")]
    assert found, f"there is no {name}"
    return found


def foreign(starts: list[str]) -> set[str]:
    """Packages of others that modules reach, directly or through others."""
    return {name for name in reached(*starts) if name.split(".")[0] not in {*PACKAGES, *sys.stdlib_module_names}}


def ways_to(starts: list[str], *targets: str) -> list[str]:
    """How modules reach what they must not reach."""
    return [" → ".join(way) for name, way in reached(*starts).items() if name.startswith(targets)]


def test_imports_are_found_wherever_they_stand_but_not_those_for_type_checkers(tmp_path, monkeypatch):
    path = tmp_path / "module.py"
    path.write_text(
        "from typing import TYPE_CHECKING\nimport redis.asyncio\nfrom service.queue import keys\n"
        "if TYPE_CHECKING:\n    import torch\nelse:\n    import numpy\n"
        "def later():\n    from PIL import Image\n"
    )
    real = modules()
    monkeypatch.setitem(globals(), "modules", lambda: {**real, "module": path})
    ours = {"service", "service.queue", "service.queue.keys"}
    assert imports.__wrapped__("module") == {"typing", "redis", "numpy", "PIL"} | ours


# ---- between packages ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("package", "forbidden"),
    [
        ("service", ("train", "experiments", "bench")),
        ("train", ("service", "experiments", "bench", "stylize_client")),
        ("experiments", ("service", "bench", "stylize_client")),
        ("model_store", ("service", "train", "experiments", "bench", "stylize_client")),
        ("stylize_client", ("service", "train", "experiments", "bench", "model_store")),
    ],
)
def test_packages_import_along_the_arrows_only(package, forbidden):
    assert not ways_to(of_package(package), *forbidden)


def test_the_client_reaches_httpx_alone():
    assert foreign(of_package("stylize_client")) == {"httpx"}


@pytest.mark.parametrize("module", ["catalog", "catalog_watch", "checkpoint_metadata", "paintings"])
def test_the_catalog_reaches_the_standard_library_alone(module):
    assert foreign([f"model_store.{module}"]) == set()


def test_image_files_reach_pillow_alone():
    assert foreign(["model_store.image_files"]) == {"PIL"}


def test_training_reaches_no_other_package():
    assert foreign([*of_package("model_store"), *of_package("train"), *of_package("experiments")]) <= TRAINING


# ---- between the service's rooms ----------------------------------------------------------------------------------


def room(module: str) -> str:
    """The room that a module of the service stands in; a module beside the rooms is its own."""
    name = [*module.split("."), ""][1]
    return "resolve" if name in RESOLVE else name


def arrows() -> set[tuple[str, str]]:
    """(room, module of another room) of all imports in the service; the rooms' ``__init__`` import nothing."""
    return {
        (room(module), name)
        for module in of_package("service")
        for name in imports(module)
        if name.startswith("service.") and room(name) != room(module) and modules()[name].name != "__init__.py"
    }


def may_import(name: str) -> set[str]:
    return BASE if name in BASE else ROOMS.get(name, {*BASE, *ROOMS, "serve", "cli"})


def test_every_room_has_its_rule():
    assert {room(module) for module in of_package("service")} - {""} == {*BASE, *ROOMS, "serve", "cli", "__main__"}


def test_arrows_between_rooms_go_down_only():
    assert not {(start, name) for start, name in arrows() if room(name) not in may_import(start)}


def test_no_two_rooms_import_each_other():
    pairs = {(start, room(name)) for start, name in arrows() if start not in BASE}
    assert not {(start, end) for start, end in pairs if (end, start) in pairs}


def test_nothing_that_the_http_app_reaches_is_torch():
    assert not ways_to(["service.http.app"], *TORCH, "service.engine", "service.worker")


def test_nothing_that_the_engine_reaches_is_redis():
    assert not ways_to(of_package("service.engine"), "redis", "service.queue", "service.http", "service.worker")


def test_the_queue_reaches_no_web_framework():
    assert not ways_to(of_package("service.queue"), "fastapi", "starlette", "uvicorn")


def test_torch_is_where_it_is_needed():
    with_torch = {room(module) for module in of_package("service") if imports(module) & TORCH}
    assert with_torch <= {"engine", "worker"}


def test_redis_is_the_queues():
    with_redis = {room(module) for module in of_package("service") if "redis" in imports(module)}
    assert with_redis == {"queue"}
    named = re.compile(r"\{(self\.)?prefix\}")
    naming = [module for module in of_package("service") if named.search(modules()[module].read_text())]
    assert naming == ["service.queue.keys"], "one module names the keys"


@pytest.mark.processes
def test_the_http_process_starts_without_torch():
    code = f"import sys, service.http.app; print(sorted({TORCH!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
