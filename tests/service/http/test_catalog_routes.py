"""``GET /styles`` and ``GET /models``, against running processes."""

import httpx
from answers import picture, problem


def test_the_styles_are_listed_and_cached(client: httpx.Client) -> None:
    answer = client.get("/styles")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {
        "styles": [client.get(f"/styles/{name}").json() for name in ("first", "second")],
        "next": None,
    }
    etag = answer.headers["etag"]
    for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        unchanged = client.get("/styles", headers={"If-None-Match": known})
        assert (unchanged.status_code, unchanged.content, unchanged.headers["etag"]) == (304, b"", etag)
    assert client.get("/styles", headers={"If-None-Match": '"other"'}).status_code == 200


def test_a_style(client: httpx.Client) -> None:
    style = client.get("/styles/first").json()
    assert style == {
        "id": "first",
        "title": "First",
        "artist": "Nobody",
        "year": 1900,
        "rights": "Free",
        "model": "adain",
        "models": ["adain"],
        "kind": "shipped",
        "controls": ["style", "weights", "alpha", "mask", "color", "style_size"],
        "preview": "/styles/first/preview",
        "image": None,
        "origin": "",
    }
    assert client.get("/styles/second").json()["preview"] is None
    problem(client.get("/styles/third"), 404, None, "there is no style 'third': GET /styles lists them")
    problem(client.get("/styles/..%2Fadain"), 404, None)


def test_a_preview(client: httpx.Client) -> None:
    answer = client.get("/styles/first/preview")
    picture(answer, "webp", (16, 16))
    again = client.get("/styles/first/preview", headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304
    problem(client.get("/styles/second/preview"), 404, None, "the style 'second' has no preview")
    problem(client.get("/styles/third/preview"), 404, None, "there is no style 'third'")


def test_the_models_are_cached(client: httpx.Client) -> None:
    answer = client.get("/models")
    assert answer.headers["content-type"] == "application/json"
    again = client.get("/models", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_the_models(client: httpx.Client) -> None:
    (model,) = client.get("/models").json()["models"]
    assert (model["id"], model["network"], model["norm"], model["styles"]) == ("adain", "adain", "adaptive", 2)
    assert (model["state"], model["licence"]) == ("available", "Apache-2.0")
    assert (model["any_style"], model["is_default"]) == (True, True)
    assert model["parameters"] > 50_000
