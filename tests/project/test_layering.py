"""The arrows between the rooms: service → model_store ← train, and who may import torch."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from paths import ROOT

OURS = {"model_store", "service", "stylize_client", "train", "experiments", "bench"}
TORCH = {"torch", "torchvision", "safetensors", "numpy"}
TRAINING = {"torch", "torchvision", "numpy", "PIL", "safetensors", "typer", "rich", "tensorboard", "matplotlib"}


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imports(path: Path) -> set[str]:
    """Full names of the modules that a file imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def roots(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imports(path)}


def foreign(path: Path) -> set[str]:
    return roots(path) - OURS - set(sys.stdlib_module_names)


@pytest.mark.parametrize(
    ("package", "forbidden"),
    [
        ("service", {"train", "experiments", "bench"}),
        ("train", {"service", "experiments", "bench"}),
        ("experiments", {"service", "bench"}),
        ("model_store", {"service", "train", "experiments", "bench"}),
    ],
)
def test_rooms_import_along_the_arrows_only(package, forbidden):
    assert modules(package)
    wrong = {str(path.relative_to(ROOT)): roots(path) & forbidden for path in modules(package)}
    assert not {path: names for path, names in wrong.items() if names}


@pytest.mark.parametrize("module", ["catalog", "catalog_watch", "checkpoint_metadata", "paintings"])
def test_the_catalog_is_standard_library_only(module):
    path = ROOT / f"model_store/{module}.py"
    assert roots(path) - {"model_store"} <= set(sys.stdlib_module_names)
    assert not foreign(ROOT / "model_store/__init__.py")


def test_image_files_need_pillow_alone():
    waiting, seen = ["model_store.image_files"], set()
    while waiting:
        if (module := waiting.pop()) in seen:
            continue
        seen.add(module)
        path = ROOT / f"{module.replace('.', '/')}.py"
        if path.exists():  # else a name that is imported from a module
            assert foreign(path) <= {"PIL"}, path
            waiting += [name for name in imports(path) if name.startswith("model_store.")]
    assert {"model_store.colour_profile", "model_store.file_formats.png"} <= seen


def test_the_client_needs_httpx_alone():
    paths = modules("stylize_client")
    assert paths
    assert {name for path in paths for name in foreign(path)} == {"httpx"}
    assert not {str(path): roots(path) & OURS for path in paths if roots(path) & OURS - {"stylize_client"}}


def test_only_the_stylizer_and_the_worker_import_torch():
    allowed = {"service/engine/stylizer.py", "service/worker/pipeline.py", "service/engine/backends/openvino.py"}
    with_torch = {
        str(path.relative_to(ROOT))
        for path in modules("service")
        if roots(path) & {"torch", "torchvision", "safetensors"}
    }
    assert with_torch <= allowed


def test_only_the_stores_talk_to_redis_and_one_module_names_the_keys():
    stores = {"queue", "records", "styles", "heartbeat", "answer_store", "limits"}
    importing = {path.stem: imports(path) for path in modules("service")}
    assert {name for name, names in importing.items() if "service.queue.keys.Keys" in names} == stores
    assert {name for name, names in importing.items() if "service.queue.redis_client" in names} == stores
    assert {name for name, names in importing.items() if "redis" in {root.partition(".")[0] for root in names}} == {
        "redis_client",
    }
    named = re.compile(r"\{(self\.)?prefix\}")
    assert [path.stem for path in modules("service") if named.search(path.read_text())] == ["keys"]


@pytest.mark.parametrize("package", ["model_store", "train", "experiments"])
def test_training_needs_no_other_package(package):
    wrong = {str(path.relative_to(ROOT)): foreign(path) - TRAINING for path in modules(package)}
    assert not {path: names for path, names in wrong.items() if names}


def test_the_http_process_starts_without_torch():
    if not (ROOT / "service/http/app.py").exists():
        pytest.skip("service/http/app.py is not there yet")
    code = f"import sys, service.http.app; print(sorted({TORCH!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
