"""Which networks are on the device: loaded when used, within a limit, in the state of their files."""

import logging
from pathlib import Path

import pytest
import torch
from tiny import learned_checkpoint

from model_store import catalog_watch, checkpoint
from model_store.catalog_watch import CatalogWatch
from model_store.network import StyleNetwork
from model_store.runtime import Runtime, to_runtime
from service.engine.model_cache import ModelCache
from service.errors import ModelUnavailable

FP32 = Runtime(torch.device("cpu"), torch.float32)
NAMES = ("one", "two", "three")


@pytest.fixture(autouse=True)
def every_question_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog_watch, "LOOK_EVERY_S", -1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three networks of the same size."""
    for seed, name in enumerate(NAMES):
        learned_checkpoint(tmp_path / f"{name}.safetensors", name, seed=seed)
    return tmp_path


def cache_of(folder: Path, limit_bytes: float = float("inf"), runtime: Runtime = FP32) -> ModelCache:
    return ModelCache(CatalogWatch(folder), runtime, limit_bytes)


def size_of(folder: Path) -> int:
    return cache_of(folder).get("one").size_bytes


def damage(path: Path) -> None:
    """One bit of the data: only who reads the whole file can tell."""
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


def test_a_network_is_loaded_when_it_is_used(folder: Path) -> None:
    loaded = cache_of(folder)
    assert loaded.ids == ()
    resident = loaded.get("two")
    assert loaded.ids == ("two",)
    assert resident.entry.styles[0].id == "two"
    assert loaded.get("two") is resident


def test_the_size_is_that_on_the_device(folder: Path) -> None:
    state = checkpoint.load(folder / "one.safetensors").state_dict()
    convs = sum(tensor.numel() for name, tensor in state.items() if "conv" in name)
    tables = sum(tensor.numel() for tensor in state.values()) - convs
    assert cache_of(folder).get("one").size_bytes == 4 * (convs + tables)
    half = cache_of(folder, runtime=Runtime(torch.device("cpu"), torch.bfloat16))
    assert half.get("one").size_bytes == 2 * convs + 4 * tables
    assert half.size_bytes == half.get("one").size_bytes


def test_the_one_not_used_for_longest_leaves(folder: Path) -> None:
    loaded = cache_of(folder, 2 * size_of(folder))
    for name in ("one", "two", "one", "three"):
        loaded.get(name)
    assert loaded.ids == ("one", "three")
    loaded.get("two")
    assert loaded.ids == ("three", "two")
    assert loaded.size_bytes <= 2 * size_of(folder)


def test_one_larger_than_the_limit_is_there_alone(folder: Path) -> None:
    loaded = cache_of(folder, size_of(folder) - 1)
    for name in NAMES:
        assert loaded.get(name).entry.id == name
        assert loaded.ids == (name,)


def test_a_replaced_file_is_loaded_again_and_a_removed_one_leaves(folder: Path) -> None:
    loaded = cache_of(folder)
    before = loaded.get("one")
    loaded.get("two")
    learned_checkpoint(folder / "one.safetensors", "one", "other", seed=7)
    after = loaded.get("one")
    assert [style.id for style in after.entry.styles] == ["one", "other"]
    assert after.network is not before.network and len(loaded.ids) == 2
    (folder / "two.safetensors").unlink()
    loaded.get("one")
    assert loaded.ids == ("one",)
    with pytest.raises(ModelUnavailable, match="unknown model 'two': known are one, three"):
        loaded.get("two")


def test_a_damaged_file_harms_no_other_and_is_tried_once(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    damage(folder / "two.safetensors")
    loaded = cache_of(folder)
    assert loaded.problems == {}, "its header is sound"
    for _ in range(3):
        with pytest.raises(
            ModelUnavailable, match=r"the network 'two' cannot be used: two\.safetensors: damaged"
        ) as err:
            loaded.get("two")
        assert str(folder) not in err.value.detail
        assert loaded.get("one").entry.id == "one"
    errors = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(errors) == 1 and errors[0].startswith("a checkpoint cannot be used: two.safetensors: damaged")
    assert list(loaded.problems) == ["two"] and loaded.problems["two"].startswith("two.safetensors: damaged")


def test_a_mended_file_is_used_at_once(folder: Path) -> None:
    whole = (folder / "two.safetensors").read_bytes()
    damage(folder / "two.safetensors")
    loaded = cache_of(folder)
    with pytest.raises(ModelUnavailable):
        loaded.get("two")
    (folder / "two.safetensors").write_bytes(whole)
    assert loaded.problems == {}
    assert loaded.get("two").entry.id == "two"


def test_a_file_that_becomes_damaged_is_not_painted_with(folder: Path) -> None:
    loaded = cache_of(folder)
    loaded.get("two")
    damage(folder / "two.safetensors")
    with pytest.raises(ModelUnavailable, match="damaged"):
        loaded.get("two")
    assert loaded.ids == ()


def test_what_the_header_shows_is_a_problem_too(folder: Path) -> None:
    (folder / "two.safetensors").write_bytes((folder / "two.safetensors").read_bytes()[:-1])
    loaded = cache_of(folder)
    assert loaded.problems == {
        "two": "two.safetensors: damaged, or still being copied: it is not as long as its header says"
    }
    with pytest.raises(ModelUnavailable, match=r"the model 'two' cannot be used: .*still being copied"):
        loaded.get("two")


def test_a_file_that_is_replaced_while_it_is_read_is_neither_used_nor_blamed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def replace_and_prepare(network: StyleNetwork, runtime: Runtime) -> StyleNetwork:
        learned_checkpoint(folder / "one.safetensors", "another", seed=9)
        return to_runtime(network, runtime)

    monkeypatch.setattr("service.engine.model_cache.to_runtime", replace_and_prepare)
    loaded = cache_of(folder)
    with pytest.raises(ModelUnavailable, match="the checkpoint of 'one' is being replaced or removed: try again"):
        loaded.get("one")
    assert (loaded.ids, loaded.problems) == ((), {})


def test_a_load_that_fails_in_an_unforeseen_way_is_not_tried_again_either(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    def fail(network: StyleNetwork, runtime: Runtime) -> StyleNetwork:
        tried.append(network)
        raise ZeroDivisionError("secret of /srv")

    monkeypatch.setattr("service.engine.model_cache.to_runtime", fail)
    loaded = cache_of(folder)
    for _ in range(2):
        with pytest.raises(ModelUnavailable, match=r"one\.safetensors: it cannot be loaded \(ZeroDivisionError\)$"):
            loaded.get("one")
    assert len(tried) == 1
    assert loaded.problems == {"one": "one.safetensors: it cannot be loaded (ZeroDivisionError)"}


def test_a_folder_that_goes_away_leaves_what_is_loaded(folder: Path) -> None:
    loaded = cache_of(folder)
    resident = loaded.get("one")
    folder.rename(folder.with_name("away"))
    assert loaded.get("one") is resident
    with pytest.raises(ModelUnavailable, match="being replaced or removed: try again"):
        loaded.get("two")


def test_the_catalog_is_looked_at_before_a_load(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog_watch, "LOOK_EVERY_S", 1000)
    loaded = cache_of(folder)
    learned_checkpoint(folder / "one.safetensors", "another", seed=9)
    assert loaded.get("one").entry.styles[0].id == "another"
