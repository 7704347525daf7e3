/** The styles, by network: a click paints with one, its plus mixes it in. Arrow keys move between them. */

import { $, announce, el, icon, showText } from "./dom.js";
import { ask, listStyles } from "./api.js";
import { showPreview } from "./previews.js";
import { byWhom } from "./words.js";

const SURE_WITHIN_MS = 4000;

/**
 * A style of `GET /styles` as part of a mix.
 * @param {any} style
 * @returns {import("./mix.js").Slot}
 */
export const slotOf = (style) => ({ ...style, key: style.id, hasPicture: style.image !== null && style.controls.includes("style"), upload: null });

/**
 * Styles in groups, in the order of the wall: one's own, then by network.
 * @param {any[]} styles
 * @param {any[]} models
 * @param {import("./mix.js").Slot[]} uploads
 * @returns {{title: string, facts: string, slots: import("./mix.js").Slot[]}[]}
 */
export function groups(styles, models, uploads) {
  const own = [...uploads, ...styles.filter(({ kind }) => kind === "registered").reverse().map(slotOf)];
  const found = [{ title: "Yours", facts: "mix with Any painting", slots: own }];
  const single = { title: "Learned one by one", facts: "a network each", slots: /** @type {any[]} */ ([]) };
  for (const model of models) {
    const slots = styles.filter((style) => style.model === model.id && style.kind !== "registered").map(slotOf);
    if (!model.controls.includes("weights")) single.slots.push(...slots);
    else if (model.any_style) found.push({ title: "Any painting", facts: `${model.id} · mix freely`, slots });
    else found.push({ title: "Learned together", facts: `${model.id} · mix freely`, slots });
  }
  return [...found, single].filter(({ slots }) => slots.length > 0);
}

/** @param {import("./state.js").Store} store */
export function createGallery(store) {
  const [list, filter] = [$("#gallery"), $("#filter")];
  let focused = "";
  /** @type {{text: string, again: () => void} | null} Why there are no styles. */
  let failure = null;

  function draw() {
    const { catalog, uploads } = store.get();
    const wanted = plain(filter.value).split(/\s+/);
    const isWanted = (/** @type {any} */ slot) => wanted.every((word) => plain(`${slot.title} ${byWhom(slot)}`).includes(word));
    const shown = groups(catalog.styles, catalog.models, uploads)
      .map((group) => ({ ...group, slots: group.slots.filter(isWanted) }))
      .filter(({ slots }) => slots.length > 0);
    list.replaceChildren(...shown.map(groupView));
    list.setAttribute("aria-busy", String(!catalog.isLoaded && !failure));
    if (failure && !catalog.isLoaded) list.append(failureView(failure));
    if (shown.length === 0 && catalog.isLoaded) list.append(el("p", { class: "gallery-empty" }, "No style has these words."));
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

  /** @param {{title: string, facts: string, slots: import("./mix.js").Slot[]}} group */
  function groupView({ title, facts, slots }) {
    const head = el("div", { class: "group-head" }, el("h3", {}, title), el("p", {}, facts));
    return el("section", { "aria-label": title }, head, el("ul", { class: "cards" }, ...slots.map(card)));
  }

  /** @param {import("./mix.js").Slot} slot */
  function card(slot) {
    const image = el("img", { alt: "", loading: "lazy", decoding: "async", width: 256, height: 171 });
    showPreview(image, slot);
    const pick = el(
      "button",
      { class: "card-pick", type: "button", title: slot.title, onclick: () => store.dispatch({ type: "choose", slot }) },
      el("span", { class: "card-picture" }, image),
      el("span", { class: "card-title", dir: "auto" }, slot.title),
      el("span", { class: "card-by" }, el("span", {}, slot.artist || (slot.upload ? "In this tab" : "")), el("span", {}, slot.year ? String(slot.year) : "")),
    );
    const add = el("button", { class: "card-add", type: "button", onclick: () => store.dispatch({ type: "toggle", slot }) }, icon("plus"));
    const item = el("li", { class: "card", "data-key": slot.key }, pick, add, slot.kind === "registered" ? deleteButton(slot) : null);
    item.addEventListener("focusin", () => moveTo(slot.key));
    return item;
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
        store.dispatch({ type: "catalog", models: store.get().catalog.models, styles: await listStyles() });
        announce(`${slot.title} is deleted`);
      } catch (problem) {
        const text = /** @type {any} */ (problem).detail ?? String(problem);
        showText($("#style-error"), text);
        announce(text, true);
      }
    }
    return button;
  }

  /** Which are part of the mix; and one of all cards takes the focus. */
  function mark() {
    const { mix } = store.get();
    const keys = mix.slots.map(({ key }) => key);
    const canMix = (/** @type {string} */ key) => keys.length > 0 && !(keys.length === 1 && keys[0] === key);
    for (const item of cards()) {
      const isIn = keys.includes(item.dataset.key);
      const title = $(".card-title", item).textContent;
      item.classList.toggle("is-chosen", isIn);
      $(".card-pick", item).setAttribute("aria-pressed", String(isIn));
      const add = $(".card-add", item);
      add.hidden = !canMix(item.dataset.key);
      add.setAttribute("aria-label", isIn ? `Take ${title} out of the mix` : `Mix ${title} in`);
      add.title = isIn ? "Take out of the mix" : "Mix in";
      add.replaceChildren(icon(isIn ? "minus" : "plus"));
    }
    moveTo(focused);
  }

  const cards = () => /** @type {any[]} */ ([...list.querySelectorAll(".card")]);

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

  list.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    const item = /** @type {Element} */ (event.target).closest(".card");
    if (!item) return;
    const all = cards();
    const columns = getComputedStyle(/** @type {Element} */ (item.parentElement)).gridTemplateColumns.split(" ").length;
    const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns, Home: -all.length, End: all.length };
    const step = steps[/** @type {keyof typeof steps} */ (event.key)];
    if (!step) return;
    event.preventDefault();
    $(".card-pick", all[Math.min(all.length - 1, Math.max(0, all.indexOf(item) + step))]).focus();
  });
  filter.addEventListener("input", draw);
  store.subscribe((state, before) => {
    if (state.catalog !== before.catalog || state.uploads !== before.uploads) draw();
    else if (state.mix !== before.mix) mark();
  });

  return {
    /** The styles could not be loaded. @param {string} text @param {() => void} again */
    showFailure(text, again) {
      failure = { text, again };
      draw();
      announce(text, true);
    },
  };
}

const plain = (/** @type {string} */ text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase().trim();
