/** The cards of the wall: what one looks like, and how keys and fingers move over them. */

import { $, announce, el, icon, showText } from "./dom.js";
import { ask } from "./api.js";
import { reloadStyles } from "./catalog.js";
import { showPreview } from "./previews.js";
import { byWhom } from "./words.js";

const SURE_WITHIN_MS = 4000;
const LONG_PRESS_MS = 450;

/**
 * @typedef {import("./paintings.js").Painting} Painting
 * @typedef {{isIn: boolean, canMix: boolean, share: number | null, hasStar: boolean}} Marks
 *
 * @param {HTMLElement} list
 * @param {object} ends
 * @param {(painting: Painting) => void} ends.choose
 * @param {(painting: Painting) => void} ends.toggle
 * @param {(painting: Painting) => void} ends.star
 * @param {import("./state.js").Store} ends.store
 */
export function createCards(list, { choose, toggle, star, store }) {
  let focused = "";
  /** @type {Map<string, Painting>} */
  let paintings = new Map();

  const cards = () => /** @type {any[]} */ ([...list.querySelectorAll(".card")]);

  /** @param {Painting} painting */
  function card(painting) {
    const { key, title, artist, year, movement, variants } = painting;
    const image = el("img", { alt: "", decoding: "async", width: 192, height: 128 });
    showPreview(image, variants[0]);
    const about = [title, byWhom({ artist, year }), movement].filter(Boolean).join("\n");
    const pick = el(
      "button",
      { class: "card-pick", type: "button", title: about, onclick: () => choose(painting) },
      el("span", { class: "card-picture" }, image, el("img", { class: "card-mine", alt: "", hidden: true }), el("b", { class: "card-share", hidden: true })),
      el("span", { class: "card-title" }, title || key),
    );
    const button = (/** @type {string} */ name, /** @type {string} */ sign, /** @type {() => void} */ act) =>
      el("button", { class: `card-${name}`, type: "button", onclick: act }, icon(sign));
    const end = variants[0].kind === "registered" ? deleteButton(variants[0]) : button("star", "star", () => star(painting));
    const item = el("li", { class: "card", "data-key": key }, pick, button("add", "plus", () => toggle(painting)), end);
    item.addEventListener("focusin", () => moveTo(key));
    longPress(pick, item);
    return item;
  }

  /** A finger that rests on a card sees the photo painted with it, and chooses nothing. */
  function longPress(/** @type {HTMLElement} */ pick, /** @type {HTMLElement} */ item) {
    let timer = 0;
    pick.addEventListener("pointerdown", (event) => {
      if (event.pointerType !== "mouse") timer = window.setTimeout(() => item.classList.add("is-held"), LONG_PRESS_MS);
    });
    for (const name of ["pointerup", "pointercancel", "pointerleave"]) {
      pick.addEventListener(name, () => {
        clearTimeout(timer);
        setTimeout(() => item.classList.remove("is-held"));
      });
    }
    pick.addEventListener("click", (event) => item.classList.contains("is-held") && event.stopImmediatePropagation(), true);
    pick.addEventListener("contextmenu", (event) => item.classList.contains("is-held") && event.preventDefault());
  }

  /** The first press asks, the second deletes. */
  function deleteButton(/** @type {import("./mix.js").Slot} */ slot) {
    let isSure = false;
    const label = (/** @type {string} */ text) => (button.setAttribute("aria-label", text), (button.title = text));
    const button = el("button", { class: "card-delete", type: "button", onclick: press }, icon("trash"));
    label(`Delete ${slot.title}`);
    function calm() {
      isSure = false;
      label(`Delete ${slot.title}`);
      button.classList.remove("is-sure");
      button.replaceChildren(icon("trash"));
    }
    async function press() {
      if (!isSure) {
        isSure = true;
        label(`Press again to delete ${slot.title}`);
        button.classList.add("is-sure");
        button.replaceChildren("Delete?");
        announce(`Press again to delete ${slot.title}`);
        setTimeout(calm, SURE_WITHIN_MS);
        return;
      }
      try {
        await ask(`/styles/${encodeURIComponent(slot.id ?? "")}`, { method: "DELETE" });
        store.dispatch({ type: "remove", key: slot.key });
        await reloadStyles(store);
        announce(`${slot.title} is deleted`);
      } catch (problem) {
        const text = /** @type {any} */ (problem).detail ?? String(problem);
        showText($("#style-error"), text);
        announce(text, true);
      }
    }
    return button;
  }

  /** Only one card is a stop of the Tab key. */
  function moveTo(/** @type {string} */ key) {
    const all = cards();
    const current = all.find((item) => item.dataset.key === key) ?? all[0];
    if (!current) return;
    focused = current.dataset.key;
    for (const item of all) {
      for (const button of item.querySelectorAll("button")) button.tabIndex = item === current ? 0 : -1;
    }
  }

  list.addEventListener("keydown", (event) => {
    const item = /** @type {Element} */ (event.target).closest(".card");
    if (!item) return;
    const all = cards();
    const top = all[0].offsetTop;
    const columns = Math.max(1, all.filter((other) => other.offsetTop === top).length);
    const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns, Home: -all.length, End: all.length };
    const step = steps[/** @type {keyof typeof steps} */ (event.key)];
    if (!step || (columns === all.length && event.key.startsWith("Arrow") && Math.abs(step) > 1)) return;
    event.preventDefault();
    $(".card-pick", all[Math.min(all.length - 1, Math.max(0, all.indexOf(item) + step))]).focus();
  });

  return {
    /** @param {Painting[]} wanted */
    draw(wanted) {
      const own = el("li", { class: "own" }, el("button", { class: "own-style", type: "button", id: "choose-style", title: "Choose, drop or paste a painting of your own", onclick: () => $("#style-file").click() }, icon("plus"), el("span", {}, "Your painting")));
      paintings = new Map(wanted.map((painting) => [painting.key, painting]));
      const before = new Map(cards().map((item) => [item.dataset.key, item]));
      const items = wanted.map((painting) => before.get(painting.key) ?? card(painting));
      list.replaceChildren(el("ul", { class: "cards" }, own, ...items));
    },
    /** @param {(painting: Painting) => Marks} marksOf */
    mark(marksOf) {
      for (const item of cards()) {
        const painting = /** @type {Painting} */ (paintings.get(item.dataset.key));
        const { isIn, canMix, share, hasStar } = marksOf(painting);
        const [add, badge, starred] = [$(".card-add", item), $(".card-share", item), $(".card-star", item)];
        item.classList.toggle("is-chosen", isIn);
        $(".card-pick", item).setAttribute("aria-pressed", String(isIn));
        add.hidden = !canMix;
        add.setAttribute("aria-label", isIn ? `Take ${painting.title} out of the mix` : `Mix ${painting.title} in`);
        add.title = isIn ? "Take out of the mix" : "Mix in";
        add.replaceChildren(icon(isIn ? "minus" : "plus"));
        badge.hidden = share === null;
        badge.textContent = `${share} %`;
        starred?.setAttribute("aria-label", hasStar ? `Take the star from ${painting.title}` : `Give ${painting.title} a star`);
        starred?.setAttribute("aria-pressed", String(hasStar));
        if (starred) starred.title = hasStar ? "Take the star away" : "Give it a star";
      }
      moveTo(focused);
    },
  };
}
