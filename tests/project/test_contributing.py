"""The tasks of ``CONTRIBUTING.md``, done with the files that it names; see also ``test_versions``."""

import re
from dataclasses import dataclass
from pathlib import Path

import image_files as files
import pytest
import tiny
import torch
from paths import ROOT

from model_store.catalog import read_catalog
from model_store.checkpoint import NETWORKS, load
from model_store.checkpoint_metadata import read_metadata
from model_store.residual import ResidualGenerator
from model_store.runtime import Runtime
from service.engine.stylize_input import StylizeInput
from service.engine.stylizer import Stylizer
from service.queue.records import Accepted
from train.card import model_card
from train.generator import new_network


def test_the_files_are_there() -> None:
    named = re.findall(
        r"`((?:service|model_store|stylize_client|tests|train)/[\w/]*(?:\.\w+)?)`",
        (ROOT / "CONTRIBUTING.md").read_text(),
    )
    assert len(named) > 5
    assert [name for name in named if not (ROOT / name).exists()] == []


@dataclass(frozen=True)
class NewerAccepted(Accepted):
    priority: int = 3


def test_a_field_of_a_record_needs_its_line() -> None:
    plain = Accepted(1.5, "request", "png", None)
    newer = NewerAccepted(1.5, "request", "png", None, priority=7)
    assert NewerAccepted.from_json(newer.to_json().encode()) == newer
    assert NewerAccepted.from_json(plain.to_json().encode()).priority == 3
    assert Accepted.from_json(newer.to_json().encode()) == plain


class Mine(ResidualGenerator):
    """A network of its own: a file of ``model_store`` would hold it."""


def test_a_network_with_learned_styles_needs_its_class_and_its_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(NETWORKS, "mine", Mine)
    monkeypatch.setitem(tiny.LEARNED, "mine", tiny.LEARNED["residual"])
    path = tiny.learned_checkpoint(tmp_path / "mine.safetensors", "sea", "sky", network="mine")
    assert type(load(path)) is Mine

    plan = new_network("mine", {"norm": "conditional", "styles": 2, **tiny.LEARNED["mine"]}, path, seed=0)
    assert type(plan.network) is Mine
    assert "The network `mine`" in model_card(read_metadata(path), "mine")

    model = read_catalog(tmp_path).model("mine")
    assert {"weights", "alpha", "mask", "color"} <= set(model.controls)
    stylizer = Stylizer(tmp_path, Runtime(torch.device("cpu"), torch.float32), 8)
    mix = StylizeInput(files.photo(64, 48), [(0.5, "sea"), (0.5, "sky")], 1.0)
    (output,) = stylizer.paint("mine", [mix])
    assert output.size == (64, 48)
    *_, last = stylizer.paint_tiled("mine", mix)
    assert last.output.size == (64, 48)
