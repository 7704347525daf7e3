"""Weights of other programs in the folder of checkpoints: named, and never opened."""

import logging
import shutil
from pathlib import Path

import pytest

from model_store import catalog_watch
from model_store.catalog import CatalogError, read_catalog
from model_store.catalog_watch import CatalogWatch


def test_a_foreign_checkpoint_is_named(
    tmp_path: Path, tiny_checkpoints: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog_watch, "LOOK_EVERY_S", 0)
    folder = shutil.copytree(tiny_checkpoints, tmp_path / "checkpoints")
    watch = CatalogWatch(folder)
    before = watch.now()
    (folder / "candy.pth").write_bytes(b"\x80\x02pickle")
    (folder / "Mosaic.T7").write_bytes(b"")
    with caplog.at_level(logging.ERROR):
        watch.look()
    names = {model.id: model.problem for model in watch.now().models if model.problem is not None}
    assert set(names) == {"candy.pth", "Mosaic.T7"}
    for name, problem in names.items():
        assert problem is not None
        assert problem.startswith(f"{name}: only .safetensors files are served: train a network here, and export it")
        assert problem in caplog.text
    assert watch.now().styles == before.styles
    with pytest.raises(CatalogError, match=r"'candy\.pth' cannot be used: candy\.pth: only \.safetensors"):
        read_catalog(folder).model("candy.pth")
