"""The page's pure functions, in the browser that runs them."""

import shutil
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
        {"id": "shown", "image": "/styles/shown/image", "preview": None, "controls": ["style", "alpha"]},
        {"id": "numbers", "image": None, "preview": None, "controls": ["style", "alpha"]},
        {"id": "learned", "image": "/styles/learned/image", "preview": None, "controls": ["alpha"]},
    ]
    found = page.module("paintings", "({slotOf}, styles) => styles.map((style) => slotOf(style).hasPicture)", styles)
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


def test_a_painting_is_one_card_with_all_its_networks(page: Studio) -> None:
    models = [
        {"id": "own", "is_default": False, "any_style": False, "controls": ["alpha"]},
        {"id": "table", "is_default": False, "any_style": False, "controls": ["weights"]},
        {"id": "any", "is_default": True, "any_style": True, "controls": ["style", "weights"]},
    ]
    controls = {"own": ["alpha"], "table": ["weights"], "any": ["style", "weights"]}

    def style(key: str, title: str, model: str, kind: str = "learned") -> dict[str, object]:
        return {
            "id": key, "title": title, "artist": "Hokusai", "year": 1831, "kind": kind,
            "model": model, "models": [model],
            "controls": controls[model], "image": f"/styles/{key}/image", "preview": None,
        }  # fmt: skip

    styles = [
        style("wave-in", "The Wave", "own"),
        style("wave-cin", "the wävé", "table"),
        style("fuji", "Red Fuji", "any"),
        style("wave", "The Wave", "any"),
        style("mine", "The Wave", "any", "registered"),
    ]
    found, goes, networks = page.module(
        "paintings",
        """({paintingsOf, slotOf, variantFor, networksOf}, styles, models) => {
          const paintings = paintingsOf(styles, models, [], (style) => slotOf(style, new Set(["wave"]), "web/"));
          const wave = paintings[2];
          const others = [{models: ["table"]}];
          return [
            paintings.map(({key, isOwn, variants}) => [key, isOwn, variants.map(({key, picture}) => [key, picture])]),
            [variantFor(wave, []).key, variantFor(wave, others).key, variantFor(wave, [{models: ["other"]}]).key],
            networksOf(paintings, wave.variants[1]).map(({slot, model}) => [slot.key, model]),
          ];
        }""",
        styles,
        models,
    )
    picture = "web/paintings/wave.webp"
    assert found == [
        ["mine", True, [["mine", "/styles/mine/image"]]],
        ["fuji", False, [["fuji", "/styles/fuji/image"]]],
        ["wave", False, [["wave", picture], ["wave-cin", picture], ["wave-in", picture]]],
    ]
    assert goes == ["wave", "wave-cin", "wave"]
    assert networks == [["wave", "any"], ["wave-cin", "table"], ["wave-in", "own"]]


def test_paintings_are_found_by_movement_and_colour(page: Studio) -> None:
    found = page.module(
        "paintings",
        """({paintingsOf, slotOf, matches}) => {
          const artist = "Katsushika Hokusai";
          const style = {id: "a", title: "Wave", artist, year: 1831, models: ["swift"], controls: []};
          const [painting] = paintingsOf([style], [], [], (one) => slotOf(one));
          const ask = (words) => matches(painting, words, ["blue", "white light"]);
          return ["", "ukiyo", "UKIYO blue", "wave 1831 swift", "cubism", "blue red"].map(ask);
        }""",
    )
    assert found == [True, True, True, True, False, False]


@pytest.mark.parametrize(
    ("rgb", "name"),
    [
        ((20, 40, 160), "blue"),
        ((200, 30, 30), "red"),
        ((240, 200, 40), "yellow"),
        ((110, 70, 30), "brown"),
        ((10, 12, 10), "black"),
        ((250, 250, 245), "white"),
        ((120, 121, 119), "grey"),
        ((40, 140, 60), "green"),
    ],
)
def test_colours_have_names(page: Studio, rgb: tuple[int, int, int], name: str) -> None:
    assert name in page.module("colours", "({colourName}, rgb) => colourName(...rgb)", rgb)


TIMELINE = """({reduce, INITIAL}, actions) => {
  const slot = (key) => ({key, models: ["m"], controls: ["weights", "mask"]});
  const stroke = {target: "a", points: [[0, 0]], size: 0.1, softness: 0};
  const make = ({slot: key, stroke: is, ...action}) =>
    ({...action, ...(key ? {slot: slot(key)} : {}), ...(is ? {stroke} : {})});
  const states = [INITIAL];
  for (const action of actions) states.push(reduce(states.at(-1), make(action)));
  return states.map(({mix, look, mask, timeline}) => [
    mix.slots.map(({key}) => key).join(""), look.alpha, mask.strokes.map(({target}) => target).join(""),
    timeline.past.length, timeline.future.length,
  ]);
}"""


def test_everything_is_undone_and_a_moving_slider_is_one_step(page: Studio) -> None:
    alpha = {"type": "look", "live": True, "change": {"alpha": 0.5}}
    actions = [
        {"type": "choose", "slot": "a"},
        {"type": "toggle", "slot": "b"},
        {"type": "stroke", "stroke": True},
        alpha,
        {**alpha, "change": {"alpha": 0.4}},
        {"type": "look", "live": False, "change": {"alpha": 0.4}},
        {"type": "look", "live": False, "change": {"alpha": 0.3}},
        *[{"type": "undo"}] * 4,
        {"type": "redo"},
        {"type": "redo"},
        {"type": "choose", "slot": "c"},
    ]
    states = page.module("state", TIMELINE, actions)
    assert states[1:8] == [
        ["a", 1, "", 1, 0],
        ["ab", 1, "", 2, 0],
        ["ab", 1, "a", 3, 0],
        ["ab", 0.5, "a", 4, 0],
        ["ab", 0.4, "a", 4, 0],
        ["ab", 0.4, "a", 4, 0],
        ["ab", 0.3, "a", 5, 0],
    ]
    assert states[8:12] == [["ab", 0.4, "a", 4, 1], ["ab", 1, "a", 3, 2], ["ab", 1, "", 2, 3], ["a", 1, "", 1, 4]]
    assert states[12:14] == [["ab", 1, "", 2, 3], ["ab", 1, "a", 3, 2]]
    assert states[14] == ["ac", 1, "a", 4, 0], "what was undone is gone, the mask is still there"


def test_a_style_that_is_chosen_takes_the_selected_ones_place_and_mask(page: Studio) -> None:
    stroke = {"type": "stroke", "stroke": True}
    mixed = [{"type": "choose", "slot": "a"}, {"type": "toggle", "slot": "b"}, stroke, {"type": "select", "key": "a"}]
    states = page.module("state", TIMELINE, [*mixed, {"type": "choose", "slot": "c"}, {"type": "choose", "slot": "d"}])
    assert states[-2:] == [["cb", 1, "c", 4, 0], ["db", 1, "d", 5, 0]]


def test_a_look_goes_into_a_link_and_comes_back(page: Studio) -> None:
    link, back, nothing, own = page.module(
        "link",
        """({toLink, fromLink}) => {
          const slot = (id) => ({id, key: id});
          const look = {alpha: 0.4, color: "match", size: "768", strokes: 256, seed: 1};
          const mix = {slots: [slot("first"), slot("second")], point: {x: 0.3, y: 0.5}};
          const link = toLink({mix, look});
          return [link, fromLink(link), fromLink("#other"), toLink({mix: {...mix, slots: [slot(null)]}, look})];
        }""",
    )
    assert link == "#style=first,second&at=0.3,0.5&alpha=0.4&color=match&size=768&stroke=256"
    assert back == {
        "ids": ["first", "second"],
        "point": {"x": 0.3, "y": 0.5},
        "model": None,
        "look": {"alpha": 0.4, "color": "match", "size": "768", "strokes": 256},
    }
    assert nothing is None and own == ""


@pytest.mark.parametrize("hash", ["#style=a&at=2,x&alpha=9&color=plaid&size=1e9&stroke=-1&seed=no", "#style="])
def test_a_link_with_nonsense_has_the_usual_look(page: Studio, hash: str) -> None:
    assert page.module("link", "({fromLink}, hash) => fromLink(hash).look", hash) == {}


def test_previews_are_as_large_as_the_last_ones_were_quick(page: Studio) -> None:
    sizes = page.module(
        "preview-size",
        """({createPreviewSize}) => {
          const sizes = createPreviewSize();
          const found = [sizes.moving()];
          for (const [px, ms] of [[256, 60], [256, 800], [96, 90], [96, 10], [128, 14], [160, 22]]) {
            sizes.learn(px, ms);
            found.push(sizes.moving());
          }
          return found;
        }""",
    )
    assert sizes[:3] == [256, 256, 96]
    assert sizes[-1] > 96


def test_tiles_land_on_the_painted_preview(page: Studio) -> None:
    done, waiting = page.module(
        "landing",
        """async ({landed}) => {
          const picture = async (draw) => {
            const canvas = new OffscreenCanvas(64, 32);
            draw(canvas.getContext("2d"));
            return canvas.convertToBlob({type: "image/png"});
          };
          const fill = (colour, width = 64) => (context) => {
            context.fillStyle = colour;
            context.fillRect(0, 0, width, 32);
          };
          const [photo, preview] = [await picture(fill("#808080")), await picture(fill("#00ff00"))];
          const soFar = await picture((context) => { fill("#808080")(context); fill("#ff0000", 32)(context); });
          const bitmap = await createImageBitmap(await landed(soFar, preview, photo));
          const context = new OffscreenCanvas(64, 32).getContext("2d");
          context.drawImage(bitmap, 0, 0);
          const at = (x) => [...context.getImageData(x, 16, 1, 1).data.slice(0, 3)];
          return [at(12), at(52)];
        }""",
    )
    assert done[0] > 200 and done[1] < 60, "the tile"
    assert waiting[1] > 200 and waiting[0] < 60, "the preview where there is none yet"


def test_problems_are_said_as_people_speak(page: Studio) -> None:
    said = page.module(
        "spoken",
        """({spoken}) => [
          [503, "Queue full", "it would wait for about 31 s"],
          [503, "No worker", "no worker is running"],
          [422, "Invalid", "size: 9 is too small"],
        ].map(([status, title, detail]) => spoken({status, title, detail}))""",
    )
    assert said == [
        "Everybody is painting at once.",
        "Nobody is there to paint: no worker is running.",
        "size: 9 is too small",
    ]


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


def test_a_mask_is_inverted_and_imported(page: Studio) -> None:
    alone, mixed, imported = page.module(
        "mask-strokes",
        """({drawMasks}) => {
          const stroke = (target, more) => ({target, points: [], size: 1, softness: 0, ...more});
          const dab = stroke("a", {points: [[0.5, 0.5]], size: 0.3});
          const at = (mask, x, y) => mask.getContext("2d").getImageData(x, y, 1, 1).data[3];
          const both = (keys, strokes) => {
            const masks = drawMasks({strokes, elsewhere: null}, keys, 64, 64);
            return keys.map((key) => [at(masks.get(key), 2, 2), at(masks.get(key), 32, 32)]);
          };
          const image = new ImageData(new Uint8ClampedArray([255, 255, 255, 255, 255, 255, 255, 0]), 2, 1);
          const half = drawMasks({strokes: [stroke("a", {image})], elsewhere: null}, ["a"], 64, 64).get("a");
          return [
            both(["a"], [dab, stroke("a", {inverts: true})]),
            both(["b", "a"], [dab, stroke("a", {inverts: true})]),
            [at(half, 4, 32), at(half, 60, 32)],
          ];
        }""",
    )
    assert alone == [[255, 0]]
    assert mixed == [[0, 255], [255, 0]]
    assert imported == [255, 0]


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


NODE = shutil.which("node")
COMMANDS = {
    "curl": ["bash", "-c"],
    "python": [sys.executable, "-c"],
    "javascript": [str(NODE), "--input-type=module", "--eval"],
}


@pytest.mark.parametrize("language", COMMANDS)
def test_copied_code_paints_the_same(page: Studio, studio_service: Service, tmp_path: Path, language: str) -> None:
    if language == "javascript" and NODE is None:
        pytest.skip("needs Node.js")
    code = snippet(page, language, studio_service.url, tmp_path)
    command = [*COMMANDS[language], code]
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
    script = page.module("snippets", "({javascript}, fields, place) => javascript(fields, place)", fields, place)
    assert "STYLIZE_KEY" in script and '"http://host/below" + job.links.result' in script
    assert "STYLIZE_KEY" in python and '"http://host/below" + job["links"]["result"]' in python


def test_a_title_from_right_to_left_does_not_turn_the_words_beside_it(page: Studio) -> None:
    titles = ["Nachtwache", "رسم", "קו"]
    told = page.module("words", "({titleOf}, titles) => titleOf({slots: titles.map((title) => ({title}))})", titles)
    assert told == "Nachtwache + \u2068رسم\u2069 + \u2068קו\u2069"
