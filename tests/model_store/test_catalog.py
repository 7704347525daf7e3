import json
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from model_store.catalog import CatalogError, default_folder, file_fingerprint, read_catalog
from model_store.checkpoint_metadata import (
    MAX_HEADER_BYTES,
    CheckpointError,
    CheckpointMetadata,
    NamedStyle,
    read_metadata,
)


def named(style_id: str) -> NamedStyle:
    return NamedStyle(id=style_id, title=style_id.title(), artist="Someone", year=1888, rights="public domain")


def metadata(*style_ids: str) -> CheckpointMetadata:
    return CheckpointMetadata(
        network="adain",
        arguments={"architecture": "vgg16", "styles": len(style_ids)},
        styles=tuple(named(style_id) for style_id in style_ids),
        training={"steps": 4000},
        controls=("style", "alpha"),
        parameters=7,
    )


def write(path: Path, metadata: object, data: bytes = b"", **tensors: object) -> Path:
    table = json.dumps({"__metadata__": metadata, **tensors}).encode()
    path.write_bytes(struct.pack("<Q", len(table)) + table + data)
    return path


def document(**changes: object) -> dict[str, str]:
    return {"stylize": json.dumps(json.loads(metadata("wave").to_metadata()["stylize"]) | changes)}


def test_a_header_survives_the_round_trip(tmp_path):
    assert read_metadata(write(tmp_path / "a.safetensors", metadata("wave", "night").to_metadata())) == metadata(
        "wave", "night"
    )


def test_models_and_styles_are_listed_with_their_place(tmp_path):
    write(tmp_path / "one.safetensors", metadata("wave", "night").to_metadata())
    write(tmp_path / "two.safetensors", metadata("garden").to_metadata())
    (tmp_path / "previews").mkdir()
    (tmp_path / "previews/night.webp").write_bytes(b"a picture")
    catalog = read_catalog(tmp_path)
    assert [(style.id, style.models) for style in catalog.styles] == [
        ("wave", ("one",)),
        ("night", ("one",)),
        ("garden", ("two",)),
    ]
    assert [style.id for style in catalog.model("one").styles] == ["wave", "night"]
    assert catalog.style("night").preview == tmp_path / "previews/night.webp"
    assert catalog.style("wave").preview is None
    model = catalog.model("two")
    assert (model.path, model.network, model.parameters) == (tmp_path / "two.safetensors", "adain", 7)
    assert (
        model.training == {"steps": 4000}
        and model.controls == ("style", "alpha", "mask", "color", "style_size")
        and model.problem is None
    )


def test_unknown_names_list_the_known_ones(tmp_path):
    write(tmp_path / "one.safetensors", metadata("wave", "night").to_metadata())
    with pytest.raises(CatalogError, match="unknown style 'dawn': known are night, wave"):
        read_catalog(tmp_path).style("dawn")
    with pytest.raises(CatalogError, match="unknown model 'two': known are one"):
        read_catalog(tmp_path).model("two")


def test_no_folder_is_an_error_and_an_empty_one_is_not(tmp_path):
    with pytest.raises(CatalogError, match="no such folder"):
        read_catalog(tmp_path / "missing")
    assert read_catalog(tmp_path).models == ()
    with pytest.raises(CatalogError, match="unknown style 'wave': there are none"):
        read_catalog(tmp_path).style("wave")


BROKEN = {
    "empty": (b"", "cut short at 0 bytes"),
    "text": (b"this is a text, not a checkpoint", "not a safetensors file, or cut short"),
    "giant length": (struct.pack("<Q", 2**63) + b"{}", "not a safetensors file, or cut short"),
    "cut metadata": (struct.pack("<Q", 100) + b'{"a":', "cut short at 13 bytes"),
    "no JSON": (struct.pack("<Q", 5) + b"{oops", "its header is not JSON"),
    "no UTF-8": (struct.pack("<Q", 4) + b"\x80\x80\x80\x80", "decode"),
    "too deep": (struct.pack("<Q", 200_000) + b"[" * 200_000, "recursion|not JSON"),
    "a list": (struct.pack("<Q", 2) + b"[]", "not a checkpoint of ours"),
    "not ours": (struct.pack("<Q", 2) + b"{}", "not a checkpoint of ours"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_a_problem_of_its_own(name, tmp_path):
    content, reason = BROKEN[name]
    (tmp_path / "broken.safetensors").write_bytes(content)
    write(tmp_path / "good.safetensors", metadata("wave").to_metadata())
    catalog = read_catalog(tmp_path)
    assert [model.id for model in catalog.models] == ["broken", "good"]
    assert [style.id for style in catalog.styles] == ["wave"]
    with pytest.raises(CatalogError, match=f"the model 'broken' cannot be used: .*broken.safetensors: .*({reason})"):
        catalog.model("broken")


def test_a_header_of_a_giant_file_is_not_read_into_memory(tmp_path):
    path = tmp_path / "giant.safetensors"
    with path.open("wb") as file:  # sparse: takes no space
        file.write(struct.pack("<Q", 2**33))
        file.truncate(2**34)
    with pytest.raises(CheckpointError, match=f"claims {2**33} bytes, at most {MAX_HEADER_BYTES}"):
        read_metadata(path)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"format": 2}, "its format is 2, this program reads 1: export it again"),
        ({"colour": "red"}, "unknown field 'colour'"),
        ({"network": 3}, "the field 'network' of its header is 3"),
        ({"parameters": True}, "the field 'parameters' of its header is True"),
        ({"styles": ["wave"]}, "'wave', which is no style"),
        ({"styles": [vars(named("wave")), vars(named("wave"))]}, "it has 2 styles 'wave'"),
        ({"styles": [vars(named("../../etc/passwd"))]}, "style id '../../etc/passwd'"),
        ({"styles": []}, "it names 0 styles, but stores 1"),
    ],
)
def test_a_header_that_is_not_ours_says_why(changes, reason, tmp_path):
    write(tmp_path / "a.safetensors", document(**changes))
    (model,) = read_catalog(tmp_path).models
    assert model.problem is not None and reason in model.problem


def tensor(start: object, end: object) -> dict:
    return {"dtype": "U8", "shape": [1], "data_offsets": [start, end]}


def test_a_file_is_as_long_as_its_header_says(tmp_path):
    path, stored = tmp_path / "a.safetensors", metadata("wave").to_metadata()
    tensors = {"two": tensor(4, 10), "one": tensor(0, 4)}  # in any order
    assert read_metadata(write(path, stored, bytes(10), **tensors)) == metadata("wave")
    for length in (0, 4, 9, 11):
        with pytest.raises(CheckpointError, match="damaged, or still being copied: it is not as long as its header"):
            read_metadata(write(path, stored, bytes(length), **tensors))


@pytest.mark.parametrize("entry", [None, [], {}, {"data_offsets": [0]}, tensor("0", "4"), tensor(0, 4.0)])
def test_a_tensor_without_a_place_is_named(entry, tmp_path):
    path = write(tmp_path / "a.safetensors", metadata("wave").to_metadata(), bytes(4), weights=entry)
    with pytest.raises(CheckpointError, match="does not say where the tensor 'weights' is"):
        read_metadata(path)


def test_a_problem_is_fit_for_clients(tmp_path):
    """A line of bounded length, that names the file and not the folder."""
    write(tmp_path / "long.safetensors", document(network=["x\n"] * 1000))
    (tmp_path / "folder.safetensors").mkdir()
    (tmp_path / "link.safetensors").symlink_to(tmp_path / "nowhere")
    folder, link, long = (model.problem for model in read_catalog(tmp_path).models)
    assert (folder, link) == (
        "folder.safetensors: Is a directory",
        "link.safetensors: No such file or directory",
    )
    assert long.startswith("long.safetensors: the field 'network' of its header is ['x")
    assert len(long) == 300 and long.endswith("…") and "\n" not in long


def test_an_entry_knows_which_state_of_the_file_it_describes(tmp_path):
    path = write(tmp_path / "a.safetensors", metadata("wave").to_metadata())
    (model,) = read_catalog(tmp_path).models
    assert model.fingerprint == file_fingerprint(path) is not None
    path.unlink()
    assert file_fingerprint(path) is None


def test_a_missing_field_is_named(tmp_path):
    fields = json.loads(document()["stylize"])
    del fields["sha256"]
    with pytest.raises(CheckpointError, match="its header lacks the field 'sha256'"):
        read_metadata(write(tmp_path / "a.safetensors", {"stylize": json.dumps(fields)}))


def test_a_style_of_several_models_is_listed_once(tmp_path):
    """Those for any style come first, whatever they are called; a damaged one knows nothing."""
    learned = replace(metadata("wave", "dawn"), controls=("weights", "alpha"))
    write(tmp_path / "a.safetensors", learned.to_metadata())
    write(tmp_path / "b.safetensors", metadata("night", "wave").to_metadata())
    write(tmp_path / "c.safetensors", metadata("wave").to_metadata())
    write(tmp_path / "d.safetensors", metadata("wave").to_metadata(), b"too long")
    catalog = read_catalog(tmp_path)
    assert [(style.id, style.models) for style in catalog.styles] == [
        ("night", ("b",)),
        ("wave", ("b", "c", "a")),
        ("dawn", ("a",)),
    ]
    assert [model.id for model in catalog.any_style] == ["b", "c"]


@pytest.mark.processes
def test_the_catalog_needs_no_torch():
    code = (
        "import sys, model_store.catalog_watch;"
        "print(sorted({'torch', 'numpy', 'safetensors', 'PIL'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_shipped_checkpoint_is_usable():
    if not default_folder().is_dir():
        pytest.skip("no checkpoint is shipped yet")
    for model in read_catalog(default_folder()).models:
        assert model.problem is None
        assert model.path.with_suffix(".md").is_file(), "every checkpoint comes with its model card"
    assert all(style.preview for style in read_catalog(default_folder()).styles)
