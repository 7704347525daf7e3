"""From a request's fields to a job's parameters."""

import json
import re
from dataclasses import replace
from pathlib import Path

import image_files as files
import pytest
from pydantic import ValidationError
from pytest import approx

from model_store.catalog import Catalog, ModelEntry, all_controls, style_entries
from model_store.checkpoint_metadata import NamedStyle
from service.errors import InvalidField, ModelUnavailable, NotAcceptable, NotFound, PayloadTooLarge, UnsupportedImage
from service.http.forms import StylizeForm, check_fields
from service.request import StylePart, StylizeParameters, StylizeRequest
from service.resolve import resolve
from service.settings import Settings


def model(model_id: str, *style_ids: str, controls: tuple[str, ...], problem: str | None = None) -> ModelEntry:
    styles = tuple(NamedStyle(id=style_id, title="", artist="", year=None, rights="") for style_id in style_ids)
    return ModelEntry(id=model_id, path=Path(), network=model_id, styles=styles, controls=controls, problem=problem)


def catalog(*models: ModelEntry) -> Catalog:
    return Catalog(models, style_entries(models, Path("nowhere")))


ADAIN = model("adain", "first", "second", controls=all_controls(("style", "weights", "alpha")))
LEARNED = (
    model("wave", "great-wave", "small-wave", controls=all_controls(("weights", "alpha"))),
    model("ink", "ink", controls=all_controls(("alpha",))),
    model("noisy", "moss", "rust", controls=all_controls(("weights", "alpha", "seed"))),
    model("plain", "plain", controls=()),
)
CATALOG = catalog(ADAIN, *LEARNED)
SETTINGS = Settings(
    default_model="adain",
    max_size_px=1024,
    max_original_px=1200,
    tile_above_pixels=500_000,
    max_image_pixels=1_000_000,
    max_body_bytes=2**20,
)
PHOTO = files.saved(files.photo(300, 200), "jpeg")
STYLE = files.saved(files.photo(64, 64, seed=2), "png")
MASK = files.saved(files.photo(30, 20).convert("L"), "png")
LEAST = {"content": PHOTO, "style_id": ["first"]}


def request(**changes: object) -> StylizeRequest[bytes]:
    return StylizeRequest[bytes].model_validate({**LEAST, **changes})


def parameters(known: Catalog = CATALOG, accept: str | None = None, **changes: object) -> StylizeParameters:
    return resolve(request(**changes), known, SETTINGS, request_id="r1", accept=accept)


def refusal(kind: type[Exception], field: str | None, known: Catalog = CATALOG, **changes: object) -> str:
    with pytest.raises(kind) as caught:
        parameters(known, **changes)
    assert caught.value.field == field
    assert len(caught.value.detail) < 300
    return str(caught.value.detail)


def invalid(field: str, value: object) -> str:
    with pytest.raises(ValidationError) as caught:
        request(**{field: value})
    (problem,) = caught.value.errors()
    assert problem["loc"] == (field,)
    return problem["msg"]


def test_the_least_that_can_be_asked() -> None:
    assert parameters() == StylizeParameters(
        request_id="r1",
        model="adain",
        width=512,
        height=341,
        styles=(StylePart(weight=1.0, style_id="first"),),
        alpha=1.0,
        format="jpeg",
        quality=None,
        seed=None,
        decoded_pixels=60_000,
    )


def test_a_mix_names_uploads_first_and_its_weights_sum_to_one() -> None:
    asked = request(style=[STYLE, PHOTO], style_id=["second"], weights="1, 2,5")
    assert resolve(asked, CATALOG, SETTINGS, request_id="r1").styles == (
        StylePart(weight=1 / 8, upload="style-0"),
        StylePart(weight=2 / 8, upload="style-1"),
        StylePart(weight=5 / 8, style_id="second"),
    )
    assert asked.blobs() == {"content": PHOTO, "style-0": STYLE, "style-1": PHOTO}


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        (None, (0.5, 0.5)),
        ("1,1", (0.5, 0.5)),
        ("0,7", (0, 1)),
        ("1e-3,3e-3", (0.25, 0.75)),
        ("1e300,1e300", (0.5, 0.5)),
    ],
)
def test_weights(weights: str | None, expected: tuple[float, ...]) -> None:
    parts = parameters(style_id=["first", "second"], weights=weights).styles
    assert [part.weight for part in parts] == approx(expected)


@pytest.mark.parametrize("weights", ["", "a,b", "1;2", "1,", "1,2,", "1 2"])
def test_weights_that_are_no_numbers(weights: str) -> None:
    message = refusal(InvalidField, "weights", style_id=["first", "second"], weights=weights)
    assert message == f"got {weights!r}: weights are numbers separated by commas, such as 3,1"


@pytest.mark.parametrize("weights", ["1", "1,2,3", ",".join("1" * 999)])
def test_weights_of_another_count(weights: str) -> None:
    message = refusal(InvalidField, "weights", style_id=["first", "second"], weights=weights)
    assert message == f"got {weights.count(',') + 1} weights for 2 styles: give one for each, uploads first"


@pytest.mark.parametrize("weights", ["-1,2", "0,0", "nan,1", "inf,1", "1e308,1e308", "-0.1,0"])
def test_weights_out_of_range(weights: str) -> None:
    message = refusal(InvalidField, "weights", style_id=["first", "second"], weights=weights)
    assert message.startswith(f"got {weights!r}: weights must")


@pytest.mark.parametrize("alpha", [-0.01, 1.01, float("nan"), float("inf")])
def test_alpha_out_of_range(alpha: float) -> None:
    assert re.fullmatch("Input should be (greater|less) than or equal to [01]", invalid("alpha", alpha))


@pytest.mark.parametrize(
    ("size", "expected"),
    [("64", (64, 43)), ("512", (512, 341)), ("1024", (1024, 683)), ("original", (300, 200)), ("0512", (512, 341))],
)
def test_the_result_keeps_the_aspect(size: str, expected: tuple[int, int]) -> None:
    answer = parameters(size=size)
    assert (answer.width, answer.height) == expected


def test_the_size_is_that_of_the_upright_picture() -> None:
    answer = parameters(content=files.oriented(6, image=files.photo(200, 300)), size="original")
    assert (answer.width, answer.height) == (200, 300)


@pytest.mark.parametrize(
    "size",
    ["0", "63", "1025", "99999", "-512", "512.0", "5e2", "big", "", "Original", "٥١٢", "00000064000", "9" * 5000],
)
def test_a_size_that_is_not_allowed(size: str) -> None:
    message = refusal(InvalidField, "size", size=size)
    assert message.endswith("the longer side must be from 64 to 1024 pixels, or `original`")
    assert message.startswith(f"got '{size[:60]}")


def test_an_original_that_is_too_large() -> None:
    assert parameters(content=files.saved(files.photo(1100, 500)), size="original").width == 1100
    message = refusal(InvalidField, "size", content=files.saved(files.photo(1300, 500)), size="original")
    assert message == "the original is 1300 × 500 pixels, at most 1200 are allowed: name a size"


@pytest.mark.parametrize(
    ("shape", "size", "result"),
    [((320, 40), "64", "64 × 8"), ((1, 1), "original", "1 × 1"), ((90, 12), "original", "90 × 12")],
)
def test_a_result_too_narrow_for_the_networks(shape: tuple[int, int], size: str, result: str) -> None:
    message = refusal(InvalidField, "size", content=files.saved(files.photo(*shape)), size=size)
    assert message.startswith(f"the result would be {result} pixels, its shorter side must have at least 16")
    assert "ask for a larger size" in message


def test_a_tiny_photo_can_be_enlarged() -> None:
    answer = parameters(content=files.saved(files.photo(1, 1)), size="64")
    assert (answer.width, answer.height) == (64, 64)


def test_no_style() -> None:
    assert refusal(InvalidField, "style", style_id=[]).startswith("no style given: send a style image as `style`")


def test_too_many_styles() -> None:
    message = refusal(InvalidField, "style", style=[STYLE] * 2, style_id=["first"] * 3)
    assert message == "got 5 styles, at most 4 are allowed: send fewer"


@pytest.mark.parametrize("style_id", ["starry", "", "../../etc/passwd", "x" * 5000])
def test_an_unknown_style(style_id: str) -> None:
    message = refusal(NotFound, "style_id", style_id=[style_id])
    assert message.startswith(f"there is no style '{style_id[:60]}")
    assert "GET /styles lists them" in message


def test_an_id_knows_its_network() -> None:
    assert parameters(style_id=["great-wave"]).model == "wave"


@pytest.mark.parametrize(
    "changes", [{"style_id": ["first", "great-wave"]}, {"style": [STYLE], "style_id": ["great-wave"]}]
)
def test_styles_of_different_networks_do_not_mix(changes: dict) -> None:
    assert refusal(InvalidField, "style_id", **changes).startswith(
        "the styles belong to different networks (adain, wave): mix within one"
    )


def test_styles_of_one_learned_network_mix() -> None:
    answer = parameters(style_id=["small-wave", "great-wave"], weights="1,3")
    assert answer.model == "wave"
    assert answer.styles == (
        StylePart(weight=0.25, style_id="small-wave"),
        StylePart(weight=0.75, style_id="great-wave"),
    )


def test_a_network_that_knows_one_style_mixes_none() -> None:
    message = refusal(InvalidField, "style_id", style_id=["ink", "ink"])
    assert message == "got 2 styles, but the network 'ink' mixes none: send one"


@pytest.mark.parametrize(
    ("style_id", "changes"),
    [
        ("ink", {"weights": "1"}),
        ("ink", {"seed": 0}),
        ("first", {"seed": 7}),
        ("great-wave", {"seed": 7}),
        ("plain", {"alpha": 0.5}),
        ("plain", {"color": "luminance"}),
    ],
)
def test_a_field_that_the_network_does_not_heed_is_refused(style_id: str, changes: dict) -> None:
    (field,) = changes
    message = refusal(InvalidField, field, style_id=[style_id], **changes)
    (model_id,) = CATALOG.style(style_id).models
    assert message == f"the network {model_id!r} takes no {field}: leave it out, or take a style whose controls name it"


def test_a_seed_is_given_or_drawn() -> None:
    assert parameters(style_id=["moss"], seed=0).seed == 0
    assert parameters(style_id=["moss", "rust"], seed=2**31 - 1).seed == 2**31 - 1
    drawn = {parameters(style_id=["moss"]).seed for _ in range(5)}
    assert len(drawn) > 1 and all(seed is not None and 0 <= seed < 2**31 for seed in drawn)
    assert parameters(style_id=["first"]).seed is None


@pytest.mark.parametrize("seed", [-1, 2**31, 10**30])
def test_a_seed_out_of_range(seed: int) -> None:
    bound = "greater than or equal to 0" if seed < 0 else "less than or equal to 2147483647"
    assert invalid("seed", seed) == f"Input should be {bound}"


@pytest.mark.parametrize("others", [(), (model("adain", "first", controls=("weights", "alpha")),)])
def test_an_upload_where_no_network_takes_it(others: tuple[ModelEntry, ...]) -> None:
    message = refusal(InvalidField, "style", catalog(*others, *LEARNED), style=[STYLE], style_id=[])
    assert message == "there is no network for uploaded styles here: send an id from GET /styles"


def test_an_upload_where_its_network_is_damaged() -> None:
    damaged = model("adain", controls=(), problem="adain.safetensors: damaged")
    message = refusal(ModelUnavailable, "style", catalog(damaged, *LEARNED), style=[STYLE], style_id=[])
    assert message == "the network for uploaded styles cannot be used: adain.safetensors: damaged"


# ---- colour, masks, stroke size, tiles ----------------------------------------------------------------------------


def test_what_is_not_asked_for_is_the_default() -> None:
    answer = parameters()
    assert (answer.color, answer.style_size, answer.tiled) == ("style", 512, False)
    assert [part.mask for part in answer.styles] == [None]


@pytest.mark.parametrize("color", ["style", "luminance"])
def test_a_color_for_styles_with_ids(color: str) -> None:
    for style_id in ("first", "great-wave", "ink", "moss"):
        assert parameters(style_id=[style_id], color=color).color == color


@pytest.mark.parametrize("uploads", [[], [STYLE]])
def test_match_needs_the_picture_of_every_style(uploads: list[bytes]) -> None:
    message = refusal(InvalidField, "color", style=uploads, style_id=["second"], color="match")
    assert message.startswith("match recolours a style's painting before it is encoded, and for 'second' there is none")
    assert message.endswith("ask for luminance, or send the painting itself as `style`")
    assert parameters(style=[STYLE], style_id=[], color="match").color == "match"


def test_an_unknown_color() -> None:
    assert invalid("color", "sepia") == "Input should be 'style', 'match' or 'luminance'"


def test_an_unknown_method() -> None:
    assert invalid("method", "magic") == "Value error, allowed are feedforward, gatys"


@pytest.mark.parametrize("method", ["feedforward", "gatys"])
def test_steps_are_for_optimisations(method: str) -> None:
    changes = {"style": [STYLE], "style_id": [], "method": method, "steps": 5}
    if method == "gatys":
        assert parameters(**changes).steps == 5
    else:
        assert "takes no steps: leave it out, or send method=gatys" in refusal(InvalidField, "steps", **changes)


def test_every_style_has_its_mask() -> None:
    answer = parameters(style=[STYLE], style_id=["first"], mask=[MASK, MASK])
    assert [(part.upload, part.style_id, part.mask) for part in answer.styles] == [
        ("style-0", None, "mask-0"),
        (None, "first", "mask-1"),
    ]
    blobs = request(style=[STYLE], mask=[MASK, PHOTO]).blobs()
    assert blobs == {"content": PHOTO, "style-0": STYLE, "mask-0": MASK, "mask-1": PHOTO}


@pytest.mark.parametrize("count", [1, 3])
def test_a_wrong_number_of_masks(count: int) -> None:
    message = refusal(InvalidField, "mask", style_id=["first", "second"], mask=[MASK] * count)
    assert message == f"got {count} masks for 2 styles: send one for each, uploads first, then ids, or none"


@pytest.mark.parametrize(("data", "kind"), [(b"", InvalidField), (b"text", UnsupportedImage)])
def test_masks_are_checked_as_files(data: bytes, kind: type[Exception]) -> None:
    refusal(kind, "mask", mask=[data])


@pytest.mark.parametrize("size", [64, 700, 1024])
def test_a_size_for_the_style(size: int) -> None:
    for style_ids in ([], ["first"]):
        assert parameters(style=[STYLE], style_id=style_ids, style_size=size).style_size == size


@pytest.mark.parametrize("size", [0, -1, 63, 1025])
def test_a_size_for_the_style_that_is_not_allowed(size: int) -> None:
    message = refusal(InvalidField, "style_size", style=[STYLE], style_id=[], style_size=size)
    assert message == f"got {size}: the longer side must be from 64 to 1024 pixels"


@pytest.mark.parametrize("style_id", ["first", "ink"])
def test_a_size_for_a_style_without_its_painting(style_id: str) -> None:
    message = refusal(InvalidField, "style_size", style_id=[style_id], style_size=256)
    assert message.startswith(f"style_size is for paintings that are encoded, and for {style_id!r} there is none")
    assert message.endswith("leave it out, or send the painting itself as `style`")


def test_a_style_that_would_be_too_narrow() -> None:
    narrow = files.saved(files.photo(400, 50))
    message = refusal(InvalidField, "style_size", style=[narrow], style_id=[], style_size=64)
    assert message.startswith("the style would be 64 × 8 pixels, its shorter side must have at least 16")


@pytest.mark.parametrize(
    ("changes", "tiled"),
    [
        ({"size": "512"}, False),
        ({"size": "865"}, False),
        ({"size": "867"}, True),
        ({"style": [STYLE], "style_id": [], "style_size": 707}, False),
        ({"style": [STYLE], "style_id": [], "style_size": 708}, True),
    ],
)
def test_large_pictures_and_large_styles_are_tiled(changes: dict, tiled: bool) -> None:
    assert parameters(**changes).tiled is tiled


# ---- named styles whose painting lies beside the checkpoints ------------------------------------------------------

WITH_PAINTINGS = Catalog(
    CATALOG.models,
    tuple(
        replace(style, style_image=Path("wave.webp")) if style.id in ("first", "great-wave") else style
        for style in CATALOG.styles
    ),
)


@pytest.mark.parametrize(
    ("changes", "from_painting"),
    [
        ({}, False),
        ({"color": "luminance", "alpha": 0.5}, False),
        ({"style_size": 512}, False),
        ({"style_size": 256}, True),
        ({"color": "match"}, True),
        ({"method": "gatys"}, True),
    ],
)
def test_a_painting_is_encoded_where_numbers_will_not_do(changes: dict, from_painting: bool) -> None:
    answer = parameters(WITH_PAINTINGS, style_id=["first"], **changes)
    assert answer.styles == (StylePart(weight=1, style_id="first", from_painting=from_painting),)
    assert answer.model == "adain"


def test_in_a_mix_a_size_is_for_the_paintings_that_are_there() -> None:
    parts = parameters(WITH_PAINTINGS, style_id=["first", "second"], style_size=256).styles
    assert [part.from_painting for part in parts] == [True, False]
    refusal(InvalidField, "style_size", WITH_PAINTINGS, style_id=["second"], style_size=256)
    message = refusal(InvalidField, "color", WITH_PAINTINGS, style_id=["first", "second"], color="match")
    assert "for 'second' there is none" in message


def test_a_network_that_encodes_nothing_has_no_use_for_a_painting() -> None:
    refusal(InvalidField, "style_size", WITH_PAINTINGS, style_id=["great-wave"], style_size=256)
    refusal(InvalidField, "color", WITH_PAINTINGS, style_id=["great-wave"], color="match")


def test_an_optimisation_looks_at_paintings_whatever_network_knows_their_styles() -> None:
    answer = parameters(WITH_PAINTINGS, style=[STYLE], style_id=["great-wave", "first"], method="gatys")
    assert (answer.model, [part.from_painting for part in answer.styles]) == ("adain", [False, True, True])
    message = refusal(InvalidField, "style_id", WITH_PAINTINGS, style_id=["first", "second"], method="gatys")
    assert message.startswith("got 'second': the painting of this style is not here, and the method gatys needs it")
    refusal(NotFound, "style_id", WITH_PAINTINGS, style_id=["first", "nope"], method="gatys")
    message = refusal(InvalidField, "method", catalog(*LEARNED), style_id=["ink"], method="gatys")
    assert message.startswith("the method gatys needs a network that takes style images, and there is none here")


@pytest.mark.parametrize(("size", "tiled"), [(707, False), (708, True)])
def test_a_large_painting_is_tiled(size: int, tiled: bool) -> None:
    assert parameters(WITH_PAINTINGS, style_id=["first"], style_size=size).tiled is tiled


def test_the_format_follows_the_photo_the_header_and_the_field() -> None:
    clear = files.saved(files.transparent())
    assert parameters(content=clear).format == "png"
    assert parameters(content=clear, accept="image/webp").format == "webp"
    assert parameters(content=clear, accept="image/webp", format="jpg").format == "jpeg"
    with pytest.raises(NotAcceptable):
        parameters(accept="text/html")
    assert "allowed are jpeg, png, webp, avif" in refusal(InvalidField, "format", format="gif")


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", InvalidField),
        (b"just text", UnsupportedImage),
        (files.huge_png(), InvalidField),
        (files.animation("webp"), InvalidField),
        (bytes(2**20 + 1), PayloadTooLarge),
    ],
)
def test_files_are_checked_and_the_message_says_which(data: bytes, kind: type[Exception]) -> None:
    refusal(kind, "content", content=data)
    refusal(kind, "style", style=[STYLE, data])


FIELDS = tuple(StylizeForm.model_fields)
REPEATED = ("style", "style_id", "mask")


def sent(*names: str) -> list[tuple[str, str]]:
    return [(name, "x") for name in names]


def test_a_misspelt_field_is_not_ignored() -> None:
    check_fields(sent(*FIELDS), FIELDS, REPEATED)
    with pytest.raises(InvalidField, match="unknown field 'alhpa': known are content, style, style_id") as caught:
        check_fields(sent("content", "alhpa", "style"), FIELDS, REPEATED)
    assert caught.value.field == "alhpa"
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        request(alhpa=1)


def test_a_repeated_field_is_not_ignored() -> None:
    check_fields(sent("content", "style", "style", "style_id", "style_id"), FIELDS, REPEATED)
    with pytest.raises(InvalidField, match="got this field 3 times: send it once") as caught:
        check_fields(sent("content", "size", "size", "style", "size"), FIELDS, REPEATED)
    assert caught.value.field == "size"


# ---- what travels -------------------------------------------------------------------------------------------------


def test_what_travels_leaves_defaults_out_and_is_read_again() -> None:
    least = parameters()
    assert least.travelling() == {
        "request_id": "r1",
        "model": "adain",
        "width": 512,
        "height": 341,
        "styles": [{"weight": 1.0, "style_id": "first"}],
        "format": "jpeg",
        "decoded_pixels": 60_000,
    }
    everything = parameters(
        **{"style": [STYLE], "style_id": [], "alpha": 0.5, "color": "match", "mask": [MASK], "style_size": 99},
        **{"quality": 7, "format": "webp", "weights": "3"},
    )
    for answer in (least, everything, parameters(style_id=["moss"])):
        assert StylizeParameters.model_validate(json.loads(json.dumps(answer.travelling()))) == answer


def test_what_a_newer_version_wrote_beside_it_is_ignored() -> None:
    answer = parameters(alpha=0.5)
    newer = answer.travelling() | {"grain": 0.3, "styles": [{"weight": 1.0, "style_id": "first", "angle": 90}]}
    assert StylizeParameters.model_validate(newer) == answer
