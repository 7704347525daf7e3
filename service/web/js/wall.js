/** The paintings along the foot: a click paints with one, its plus mixes it in. Arrow keys move between them. */

import { $, announce, el, showText } from "./dom.js";
import { coloursOf } from "./colours.js";
import { matches, variantFor } from "./paintings.js";
import { pictureUrl } from "./previews.js";
import { selectedKey } from "./state.js";
import { weights } from "./mix.js";
import { lasting } from "./storage.js";
import { createCards } from "./wall-cards.js";

const STARS = "stylize-stars";
const SEARCH_LOADS = 6;

/** @typedef {import("./paintings.js").Painting} Painting */

/** @param {import("./state.js").Store} store */
export function createWall(store) {
  const [list, filter, starred, mine, grow, wall] = [$("#gallery"), $("#filter"), $("#starred"), $("#in-my-photo"), $("#wall-grow"), $("#styles")];
  const stars = new Set((lasting.get(STARS) ?? "").split(" ").filter(Boolean));
  /** @type {Map<string, string[]>} */
  const colours = new Map();
  /** @type {{text: string, again: () => void} | null} Why there are no styles. */
  let failure = null;
  let areLooking = false;

  const cards = createCards(list, {
    choose: (painting) => store.dispatch({ type: "choose", slot: variantFor(painting, others()) }),
    toggle(painting) {
      const { slots } = store.get().mix;
      store.dispatch({ type: "toggle", slot: painting.variants.find(({ key }) => slots.some((slot) => slot.key === key)) ?? variantFor(painting, slots) });
    },
    star(painting) {
      if (!stars.delete(painting.key)) stars.add(painting.key);
      lasting.set(STARS, [...stars].join(" "));
      mark();
      if (starred.getAttribute("aria-pressed") === "true") draw();
    },
    store,
  });

  /** The styles that a new one must go with: the mix without the one that it replaces. */
  function others() {
    const key = selectedKey(store.get());
    return store.get().mix.slots.filter((slot) => slot.key !== key);
  }

  const all = () => {
    const { catalog, uploads } = store.get();
    const own = uploads.map((slot) => ({ key: slot.key, title: slot.title, artist: "", year: null, movement: "", isOwn: true, variants: [slot] }));
    return [...own, ...catalog.paintings];
  };

  const shown = () => all().filter((painting) => (starred.getAttribute("aria-pressed") !== "true" || stars.has(painting.key)) && matches(painting, filter.value, colours.get(painting.key)));

  function draw() {
    const { catalog } = store.get();
    const paintings = shown();
    list.setAttribute("aria-busy", String(!catalog.isLoaded && !failure));
    if (failure && !catalog.isLoaded) return list.replaceChildren(failureView(failure));
    cards.draw(paintings);
    if (paintings.length === 0 && catalog.isLoaded) list.append(el("p", { class: "gallery-empty" }, starred.getAttribute("aria-pressed") === "true" ? "No painting with a star and these words." : "No painting has these words."));
    mark();
  }

  function failureView(/** @type {{text: string, again: () => void}} */ { text, again }) {
    const retry = () => {
      failure = null;
      draw();
      again();
    };
    const button = el("button", { class: "button", type: "button", onclick: retry }, "Try again");
    return el("div", { class: "gallery-failure" }, el("p", { class: "field-error" }, text), button);
  }

  /** Which are part of the mix, and with what share. */
  function mark() {
    const { mix } = store.get();
    const shares = weights(mix.slots.length, mix.point);
    cards.mark((painting) => {
      const index = mix.slots.findIndex((slot) => painting.variants.some(({ key }) => key === slot.key));
      const canMix = mix.slots.length > 0 && !(mix.slots.length === 1 && index === 0);
      return { isIn: index >= 0, canMix, share: index >= 0 && mix.slots.length > 1 ? Math.round(shares[index] * 100) : null, hasStar: stars.has(painting.key) };
    });
  }

  /** Colours are looked at when somebody searches: until then not every painting need be loaded. */
  async function lookAtColours() {
    if (areLooking) return;
    areLooking = true;
    const waiting = all().filter(({ key }) => !colours.has(key));
    await Promise.all(Array.from({ length: SEARCH_LOADS }, async () => {
      for (let painting = waiting.shift(); painting; painting = waiting.shift()) {
        const image = Object.assign(new Image(), { src: await pictureUrl(painting.variants[0]) });
        colours.set(painting.key, await image.decode().then(() => coloursOf(image)).catch(() => []));
      }
    }));
    areLooking = false;
    if (filter.value) draw();
  }

  /** @param {HTMLElement} button @param {(is: boolean) => void} then */
  function toggles(button, then) {
    button.addEventListener("click", () => {
      const is = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(is));
      then(is);
    });
  }

  toggles(starred, draw);
  toggles(mine, (is) => wall.classList.toggle("is-mine", is));
  grow.addEventListener("click", () => {
    const is = document.body.classList.toggle("has-grown-wall");
    grow.setAttribute("aria-expanded", String(is));
  });
  filter.addEventListener("input", () => {
    draw();
    lookAtColours();
  });
  list.addEventListener("wheel", (/** @type {WheelEvent} */ event) => {
    if (document.body.classList.contains("has-grown-wall") || Math.abs(event.deltaX) > Math.abs(event.deltaY) || event.ctrlKey) return;
    event.preventDefault();
    list.scrollLeft += event.deltaY;
  }, { passive: false });
  store.subscribe((state, before, action) => {
    if (["choose", "toggle", "upload"].includes(action.type)) showText($("#style-error"), "");
    if (state.catalog !== before.catalog || state.uploads !== before.uploads) draw();
    else if (state.mix !== before.mix) mark();
  });

  return {
    all,
    shown,
    /** The styles did not come. @param {string} text @param {() => void} again */
    showFailure(text, again) {
      failure = { text, again };
      draw();
      announce(text, true);
    },
  };
}

/** @typedef {ReturnType<typeof createWall>} Wall */
