"""``POST /stylize``: what is answered with a picture and what with a problem, against running processes."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import image_files as files
import numpy as np
import pytest
from answers import LIMIT, PHOTO, STYLE, Post, largest_difference, picture, problem
from PIL import Image


@pytest.fixture(scope="module")
def temporary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("temporary")


@pytest.fixture(scope="module", autouse=True)
def private_folder_for_temporary_files(temporary: Path) -> Iterator[None]:
    """Before the service starts, so that nobody else writes where its processes do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(temporary))
        yield


# ---- what is answered with a picture ------------------------------------------------------------------------------


def test_a_style_by_id(post: Post) -> None:
    answer = post()
    picture(answer)
    assert answer.headers["x-stylize-model"] == "adain"
    assert int(answer.headers["x-stylize-batch-size"]) >= 1
    assert answer.headers["vary"] == "Accept"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert re.fullmatch(r"[\w.-]{1,64}", answer.headers["x-request-id"])
    stages = re.findall(r"(\w+);dur=(\d+\.\d)(?:, |$)", answer.headers["server-timing"])
    assert [stage for stage, _ in stages] == ["queue", "decode", "model", "encode"]


def test_an_uploaded_style_paints_another_picture(post: Post) -> None:
    by_id, by_upload = post(format="png"), post(styles=(STYLE,), format="png")
    one, other = picture(by_id, "png"), picture(by_upload, "png")
    assert largest_difference(one, other) > 3


def test_the_same_request_gives_the_same_picture(post: Post) -> None:
    one, other = (post(styles=(STYLE,), style_id="second", weights="1,3", format="png") for _ in range(2))
    assert largest_difference(picture(one, "png"), picture(other, "png")) <= 1


def test_weights_and_alpha_change_the_picture(post: Post) -> None:
    wanted = [
        {"weights": "1,0"},
        {"weights": "1,3"},
        {"weights": "0,1"},
        {"weights": "1,0", "alpha": 0.5},
        {"weights": "1,0", "alpha": 0},
    ]
    pictures = [picture(post(style_id=["first", "second"], format="png", **more), "png") for more in wanted]
    for index, one in enumerate(pictures):
        assert all(largest_difference(one, other) > 3 for other in pictures[:index])
    assert largest_difference(picture(post(format="png"), "png"), pictures[0]) <= 1, "a weight of 0 does not count"


def test_four_styles(post: Post) -> None:
    picture(post(styles=(STYLE, PHOTO), style_id=["first", "second"], weights="1,2,3,4"))


@pytest.mark.parametrize(
    ("size", "expected"), [("64", (64, 43)), ("97", (97, 65)), ("original", (120, 80)), (None, (512, 341))]
)
def test_the_size_is_exact(post: Post, size: str | None, expected: tuple[int, int]) -> None:
    picture(post(size=[] if size is None else size), size=expected)


@pytest.mark.parametrize("format", files.FORMATS)
def test_every_format_by_field_and_by_header(post: Post, format: str) -> None:
    picture(post(format=format), format)
    picture(post(headers={"Accept": f"image/{format}"}), format)


def test_the_field_wins_over_the_header(post: Post) -> None:
    picture(post(format="webp", headers={"Accept": "image/png"}), "webp")


def test_quality_costs_bytes(post: Post) -> None:
    assert len(post(quality=20).content) < len(post(quality=95).content)


def test_transparency_is_kept_as_png(post: Post) -> None:
    image = picture(post(files.saved(files.transparent())), "png")
    assert image.mode == "RGBA"
    assert image.getpixel((2, 2))[3] == 0
    assert image.getpixel((32, 21))[3] == 255
    assert picture(post(files.saved(files.transparent()), format="jpeg")).mode == "RGB"


@pytest.mark.parametrize(
    ("content", "format"),
    [
        (files.cmyk_jpeg(), "jpeg"),
        (files.grey16(40_000), "jpeg"),
        (files.rgb16((60_000, 30_000, 0)), "jpeg"),
        (files.saved(files.photo().convert("L"), "jpeg"), "jpeg"),
        (files.palette(with_alpha=False), "jpeg"),
        (files.palette(with_alpha=True), "png"),
        (files.stereo_jpeg(), "jpeg"),
        (files.saved(files.photo(), "avif"), "jpeg"),
        (files.saved(files.photo(), "webp"), "jpeg"),
    ],
    ids=["CMYK", "grey-16-bit", "RGB-16-bit", "grey", "palette", "palette-with-alpha", "MPO", "avif", "webp"],
)
def test_every_kind_of_photo_works(post: Post, content: bytes, format: str) -> None:
    picture(post(content), format)
    picture(post(PHOTO, styles=(content,)))


def test_a_rotated_photo_comes_back_upright(post: Post) -> None:
    picture(post(files.oriented(6, image=files.photo(80, 120))), size=(43, 64))


def test_no_metadata_comes_back(post: Post) -> None:
    for format in files.FORMATS:
        answer = post(files.with_metadata("jpeg"), format=format)
        assert picture(answer, format).info.keys() & {"exif", "icc_profile", "xmp", "comment"} == set()
        assert b"SECRET" not in answer.content


# ---- what is answered with a problem ------------------------------------------------------------------------------


def test_no_photo(post: Post) -> None:
    problem(post(None, styles=(STYLE,)), 422, "content", "this field is missing: send it as a part of a multipart")


def test_no_style(client: httpx.Client) -> None:
    answer = client.post("/stylize", files={"content": PHOTO})
    problem(answer, 422, "style", "no style given", "or an id from GET /styles")


def test_an_unknown_style(post: Post) -> None:
    problem(post(style_id="starry"), 404, "style_id", "there is no style 'starry': GET /styles lists them")


@pytest.mark.parametrize(
    ("fields", "field", "phrases"),
    [
        ({"alpha": "1.5"}, "alpha", ["got '1.5'", "less than or equal to 1"]),
        ({"alpha": "-0.1"}, "alpha", ["got '-0.1'", "greater than or equal to 0"]),
        ({"alpha": "nan"}, "alpha", ["got 'nan'", "equal to 1"]),
        ({"alpha": "strong"}, "alpha", ["got 'strong'", "a valid number"]),
        ({"size": "0"}, "size", ["got '0'", "from 64 to 4096 pixels, or `original`"]),
        ({"size": "63"}, "size", ["got '63'", "from 64 to 4096"]),
        ({"size": "99999"}, "size", ["got '99999'", "from 64 to 4096"]),
        ({"size": "00000064000"}, "size", ["from 64 to 4096"]),
        ({"size": "big"}, "size", ["got 'big'", "from 64 to 4096"]),
        ({"weights": "one"}, "weights", ["got 'one'", "numbers separated by commas, such as 3,1"]),
        ({"weights": "1,2"}, "weights", ["got 2 weights for 1 styles: give one for each"]),
        ({"weights": "-1"}, "weights", ["got '-1'", "must not be negative"]),
        ({"weights": "nan"}, "weights", ["got 'nan'", "must be finite"]),
        ({"weights": "-inf"}, "weights", ["got '-inf'", "must be finite"]),
        ({"style_id": ["first"] * 2, "weights": "1e308,1e308"}, "weights", ["finite, and so must be their sum"]),
        ({"weights": "0"}, "weights", ["got '0'", "not all zero"]),
        ({"format": "gif"}, "format", ["got 'gif': allowed are jpeg, png, webp, avif"]),
        ({"quality": "0"}, "quality", ["got '0'", "greater than or equal to 1"]),
        ({"quality": "best"}, "quality", ["got 'best'", "a valid integer"]),
        ({"style_id": ["first"] * 5}, "style", ["got 5 styles, at most 4 are allowed: send fewer"]),
        ({"alhpa": "1"}, "alhpa", ["unknown field 'alhpa': known are content, style"]),
        ({"size": ["64", "128"]}, "size", ["got this field 2 times: send it once"]),
    ],
)
def test_a_bad_value(post: Post, fields: dict, field: str, phrases: list[str]) -> None:
    assert problem(post(**fields), 422, field, *phrases)["title"] == "Invalid value"


EMPTY = ("alpha", "color", "format", "method", "model", "quality", "seed", "size", "steps", "style_size", "weights")


@pytest.mark.parametrize("field", [*EMPTY, "style_id"])
def test_an_empty_value(post: Post, field: str) -> None:
    problem(post(**{"style_id": "first", field: ""}), 422, field, "this field is empty: leave it out")


def test_empty_values_of_a_style(client: httpx.Client) -> None:
    for field, value in (("title", {"title": ""}), ("year", {"title": "Wave", "artist": "", "year": ""})):
        answer = client.post("/styles", files={"image": STYLE}, data=value)
        problem(answer, 422, field, "this field is empty")


@pytest.mark.parametrize(
    ("method", "path", "name", "phrase"),
    [
        ("POST", "/stylize?alpha=0.2", "alpha", "unknown parameter 'alpha' in the address: there are none here"),
        ("POST", "/stylize?size=", "size", "unknown parameter"),
        ("POST", "/styles?title=Wave", "title", "unknown parameter"),
        ("GET", "/styles?limt=5", "limt", "known are limit, cursor, kind, model"),
        ("GET", "/styles?limit=1&limit=2", "limit", "got this parameter 2 times: send it once"),
    ],
)
def test_a_parameter_that_would_be_ignored(
    client: httpx.Client, method: str, path: str, name: str, phrase: str
) -> None:
    files_, fields = {"content": PHOTO, "style": STYLE}, {"size": "64"}
    if path.startswith("/styles"):
        files_, fields = {"image": STYLE}, {"title": "Wave"}
    body = {"files": files_, "data": fields} if method == "POST" else {}
    problem(client.request(method, path, **body), 422, name, phrase)


def test_several_bad_values_are_all_named(post: Post) -> None:
    body = post(alpha=7, quality=0).json()
    assert {entry["field"] for entry in body["errors"]} == {"alpha", "quality"}


@pytest.mark.parametrize(
    ("data", "status", "phrases"),
    [
        (b"", 422, ["the file is empty: send an image (jpeg, png, webp, avif)"]),
        (b"I am not a photo.\n", 415, ["got a text, allowed are jpeg, png, webp, avif: convert the file"]),
        (files.saved(files.photo(), "GIF"), 415, ["got a GIF"]),
        (
            files.truncated(files.saved(files.photo(400, 300), "jpeg")),
            422,
            ["ends early or is damaged: send the whole"],
        ),
        (files.truncated(files.saved(files.photo(400, 300), "avif")), 422, ["damaged: send the whole"]),
        (files.huge_png(), 422, ["got 30000 × 30000 pixels", "at most 67108864 are allowed: send a smaller"]),
        (files.huge_webp(), 422, ["got 16383 × 16383 pixels"]),
        (files.animation("webp"), 422, ["an animation of 3 frames: send one frame"]),
        (files.animation("png"), 422, ["an animation of 3 frames"]),
        (files.saved(files.photo(900, 100)), 422, ["got 900 × 100 pixels, at most 8:1 is allowed: crop the image"]),
    ],
    ids=["empty", "text", "gif", "cut-jpeg", "cut-avif", "huge-png", "huge-webp", "animated-webp", "apng", "long"],
)
def test_a_bad_file(post: Post, data: bytes, status: int, phrases: list[str]) -> None:
    problem(post(data), status, "content", *phrases)
    problem(post(styles=(STYLE, data)), status, "style", "style 2 of 2: ", *phrases)


def test_a_result_too_narrow_for_the_network(post: Post) -> None:
    answer = post(files.saved(files.photo(320, 40)))
    problem(answer, 422, "size", "the result would be 64 × 8 pixels", "ask for a larger size")
    answer = post(files.saved(files.photo(5, 5)), size="original")
    problem(answer, 422, "size", "the result would be 5 × 5 pixels")


@pytest.mark.parametrize("accept", ["text/html", "application/json", "image/gif", "image/*;q=0"])
def test_an_answer_that_the_client_does_not_accept(post: Post, accept: str) -> None:
    problem(post(headers={"Accept": accept}), 406, None, accept, "we write image/jpeg", "or send `format`")


def test_text_where_a_file_belongs(client: httpx.Client) -> None:
    answer = client.post("/stylize", files={"content": (None, "photo.jpg")}, data={"style_id": "first"})
    problem(answer, 422, "content", "got text, allowed is a file")
    answer = client.post("/stylize", files={"content": PHOTO, "style": (None, "first")})
    problem(answer, 422, "style", "got text, allowed is a file")


def test_a_body_of_another_type(client: httpx.Client) -> None:
    answer = client.post("/stylize", json={"content": "photo.jpg", "style_id": "first"})
    problem(answer, 422, "content", "multipart/form-data")
    problem(client.post("/stylize"), 422, "content", "multipart/form-data")


@pytest.mark.parametrize("kind", ["multipart/form-data", "multipart/form-data; boundary=other"])
def test_a_body_that_is_not_what_its_header_says(client: httpx.Client, kind: str) -> None:
    answer = client.post("/stylize", content=b"--mine\r\nnothing", headers={"Content-Type": kind})
    assert problem(answer, 400, None, "send multipart/form-data, with the boundary")["title"] == "Malformed request"


def test_a_body_that_is_too_large_by_its_header(post: Post) -> None:
    body = problem(post(PHOTO + bytes(40 * 2**20)), 413, None, f"at most {LIMIT} bytes are allowed: send smaller")
    assert re.match(r"the request has 419\d{5} bytes", body["detail"])
    picture(post())


def test_a_body_that_turns_out_to_be_too_large(client: httpx.Client) -> None:
    sent = 0

    def parts() -> Iterator[bytes]:
        nonlocal sent
        yield b'--b\r\nContent-Disposition: form-data; name="content"; filename="a.jpg"\r\n\r\n'
        while sent < 40 * 2**20:
            sent += 2**18
            yield bytes(2**18)
        yield b"\r\n--b--\r\n"

    answer = client.post("/stylize", content=parts(), headers={"Content-Type": "multipart/form-data; boundary=b"})
    problem(answer, 413, None, f"the request has more than {LIMIT} bytes, at most {LIMIT} bytes are allowed")


def test_an_unknown_path(client: httpx.Client) -> None:
    problem(client.get("/stylise"), 404, None, "there is nothing at '/stylise': /docs lists what there is")


def test_a_wrong_method(client: httpx.Client) -> None:
    answer = client.get("/stylize")
    problem(answer, 405, None, "GET is not possible at '/stylize', allowed is POST")
    assert answer.headers["allow"] == "POST, OPTIONS"


def test_no_temporary_file_stays(temporary: Path, client: httpx.Client, post: Post) -> None:
    """Uploads above a megabyte are spooled to disk while they are read."""
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (800, 800, 3), dtype=np.uint8))
    large = files.saved(noise, "png")
    assert len(large) > 1.5 * 2**20
    picture(post(large, styles=(large,)), size=(64, 64))
    problem(post(large, size="7"), 422, "size")
    problem(post(large + bytes(LIMIT)), 413, None)
    assert os.listdir(temporary) == []
