"""The page's pure functions, in the browser that runs them."""

import subprocess
import sys
from pathlib import Path

import pytest
from processes import Service, photo
from studio import Studio

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def page(chromium, studio_service: Service) -> Studio:
    return Studio(chromium.new_context(), studio_service.url).open()


@pytest.mark.parametrize(
    ("count", "point", "expected"),
    [
        (0, (0.5, 0.5), []),
        (1, (0.2, 0.9), [1]),
        (2, (0.25, 0.9), [0.75, 0.25]),
        (3, (0.5, 0), [0.5, 0.5, 0]),
        (3, (0.25, 0.5), [0.375, 0.125, 0.5]),
        (4, (0, 0), [1, 0, 0, 0]),
        (4, (1, 1), [0, 0, 0, 1]),
        (4, (0.25, 0.5), [0.375, 0.125, 0.375, 0.125]),
    ],
)
def test_weights_of_the_pad(page: Studio, count: int, point: tuple[float, float], expected: list[float]) -> None:
    weights = page.module("mix", "(mix, count, [x, y]) => mix.weights(count, {x, y})", count, point)
    assert weights == pytest.approx(expected)
    assert sum(weights) == pytest.approx(1 if count else 0)


def test_mixes_stay_within_one_network_and_begin_in_equal_shares(page: Studio) -> None:
    keys, notes, shares = page.module(
        "mix",
        """({toggled, weights}) => {
          const slot = ([key, ...models]) => ({key, models, controls: ["weights"]});
          const mixes = [{slots: [], point: {x: 0, y: 0}, note: ""}];
          for (const style of ["a1", "b12", "c1", "d1", "e1", "a1", "z2"])
            mixes.push(toggled(mixes.at(-1), slot(style)));
          return [
            mixes.map(({slots}) => slots.map(({key}) => key).join("")),
            mixes.map(({note}) => note),
            mixes.map(({slots, point}) => weights(slots.length, point)),
          ];
        }""",
    )
    assert keys == ["", "a", "ab", "abc", "abcd", "abcd", "bcd", "z"]
    assert "Take one out" in notes[5] and "different networks" in notes[7] and not any(notes[:5])
    for mixed in shares[1:]:
        assert mixed == pytest.approx([1 / len(mixed)] * len(mixed))


def test_a_painting_is_of_use_where_it_is_and_the_network_encodes_it(page: Studio) -> None:
    styles = [
        {"id": "shown", "image": "/styles/shown/image", "controls": ["style", "alpha"]},
        {"id": "numbers", "image": None, "controls": ["style", "alpha"]},
        {"id": "learned", "image": "/styles/learned/image", "controls": ["alpha"]},
    ]
    found = page.module("gallery", "({slotOf}, styles) => styles.map((style) => slotOf(style).hasPicture)", styles)
    assert found == [True, False, False]


def test_one_request_at_a_time_and_the_newest_wins(page: Studio) -> None:
    sent, shown, most = page.module(
        "live",
        """async ({createLive}) => {
          let [running, most, finish] = [0, 0, null];
          const [sent, shown] = [[], []];
          const live = createLive({
            send: (order, signal) => new Promise((resolve, reject) => {
              sent.push(order.what);
              most = Math.max(most, ++running);
              finish = () => (running--, resolve(order.what));
              signal.addEventListener("abort", () => (running--, reject(signal.reason)));
            }),
            show: (order) => shown.push(order.what),
            fail: (order, error) => shown.push(String(error)),
          });
          const next = () => new Promise((resolve) => setTimeout(resolve));
          const preview = (what, isLive = true, then = null) => live.ask({what, isLive, mayWait: true, then});
          const full = (what) => ({what, isLive: false, mayWait: false, then: null});
          for (const what of [1, 2, 3, 4]) preview(what);          // a control moves while 1 is painted
          finish(); await next();                                  // 1 is shown, 2 and 3 are never sent
          preview(5, false, full("FULL 5"));                       // released
          finish(); await next();                                  // 4 is shown, it is the newest there is
          finish(); await next();                                  // 5, and then it in full
          preview(6, false, full("FULL 6")); await next();         // which nobody wants any more
          finish(); await next();
          finish(); await next();
          return [sent, shown, most];
        }""",
    )
    assert sent == [1, 4, 5, "FULL 5", 6, "FULL 6"]
    assert shown == [1, 4, 5, 6, "FULL 6"]
    assert most == 1


def test_events_come_in_pieces(page: Studio) -> None:
    events = page.module(
        "sse",
        """async ({events}, pieces) => {
          const encoder = new TextEncoder();
          const body = new ReadableStream({start(controller) {
            for (const piece of pieces) controller.enqueue(encoder.encode(piece));
            controller.close();
          }});
          const found = [];
          for await (const event of events(body)) found.push(event);
          return found;
        }""",
        [
            "retry: 2000\n\n",
            'event: state\ndata: {"a"',
            ": 1}\nid: x\n",
            '\n: still there\n\nevent: progress\ndata: {"b": "ü"}\n\n',
        ],
    )
    assert events == [{"event": "state", "data": {"a": 1}}, {"event": "progress", "data": {"b": "ü"}}]


def test_a_mask_is_whole_everywhere(page: Studio) -> None:
    corner, middle, elsewhere = page.module(
        "mask-strokes",
        """({drawMasks}) => {
          const stroke = {target: "b", points: [[0.5, 0.5]], size: 0.3, softness: 0};
          const masks = [...drawMasks({strokes: [stroke], elsewhere: null}, ["a", "b"], 64, 64).values()];
          const alone = drawMasks({strokes: [{...stroke, target: "a"}], elsewhere: null}, ["a"], 64, 64).get("a");
          const at = (mask, x, y) => mask.getContext("2d").getImageData(x, y, 1, 1).data[3];
          return [masks.map((mask) => at(mask, 2, 2)), masks.map((mask) => at(mask, 32, 32)), at(alone, 2, 2)];
        }""",
    )
    assert (corner, middle, elsewhere) == ([255, 0], [0, 255], 0)


NASTY = 'it\'s a "photo"; $(touch x), 50%.png'


def snippet(page: Studio, language: str, url: str, folder: Path, name: str = NASTY) -> str:
    (folder / name).write_bytes(photo())
    fields = [
        {"name": "content", "file": {"role": "content", "key": "", "name": name}},
        {"name": "style_id", "value": "first"},
        {"name": "style_id", "value": "second"},
        {"name": "weights", "value": "0.25,0.75"},
        {"name": "size", "value": "64"},
        {"name": "format", "value": "png"},
    ]
    place = {"url": f"{url}/stylize", "sample": None, "needsKey": False, "isJob": False, "output": "painted.png"}
    return page.module("snippets", f"({{{language}}}, fields, place) => {language}(fields, place)", fields, place)


@pytest.mark.parametrize("language", ["curl", "python"])
def test_copied_code_paints_the_same(page: Studio, studio_service: Service, tmp_path: Path, language: str) -> None:
    code = snippet(page, language, studio_service.url, tmp_path)
    command = ["bash", "-c", code] if language == "curl" else [sys.executable, "-c", code]
    subprocess.run(command, cwd=tmp_path, check=True)
    expected = studio_service.client.post(
        "/stylize",
        files={"content": ("photo.png", photo())},
        data={"style_id": ["first", "second"], "weights": "0.25,0.75", "size": "64", "format": "png"},
    )
    assert (tmp_path / "painted.png").read_bytes() == expected.content


def test_code_with_a_key_and_a_job(page: Studio) -> None:
    place = {
        "url": "http://host/below/stylize",
        "sample": "http://host/below/sample.jpg",
        "needsKey": True,
        "isJob": True,
        "output": "painted.jpg",
    }
    fields = [{"name": "content", "file": {"role": "content", "key": "", "name": "sample.jpg"}}]
    curl = page.module("snippets", "({curl}, fields, place) => curl(fields, place)", fields, place)
    assert "curl -O http://host/below/sample.jpg" in curl and "$STYLIZE_KEY" in curl and "respond-async" in curl
    python = page.module("snippets", "({python}, fields, place) => python(fields, place)", fields, place)
    compile(python, "snippet", "exec")
    assert "STYLIZE_KEY" in python and '"http://host/below" + job["links"]["result"]' in python
