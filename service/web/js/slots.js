/** The styles of the mix as a list, with their shares; an upload can be kept from here. */

import { $, announce, el, icon, showText } from "./dom.js";
import { ask } from "./api.js";
import { reloadStyles, toSlot } from "./catalog.js";
import { weights } from "./mix.js";
import { networksOf } from "./paintings.js";
import { showPreview } from "./previews.js";
import { selectedKey } from "./state.js";
import { byWhom } from "./words.js";

/** @param {import("./state.js").Store} store */
export function createSlots(store) {
  const [list, empty, note, form, error] = ["#slots", "#mix-empty", "#mix-note", "#keep", "#keep-error"].map((id) => $(id));
  let keeping = "";

  function draw() {
    const { mix } = store.get();
    empty.hidden = mix.slots.length > 0;
    list.replaceChildren(...mix.slots.map(row));
    if (!mix.slots.some(({ key }) => key === keeping)) form.hidden = true;
    drawShares();
  }

  /** @param {import("./mix.js").Slot} slot */
  function row(slot) {
    const image = el("img", { class: "slot-picture", alt: "" });
    showPreview(image, slot);
    const keep = slot.id === null ? el("button", { class: "link", type: "button", onclick: () => open(slot) }, "Keep this style") : null;
    const remove = el(
      "button",
      { class: "icon-button", type: "button", "aria-label": `Remove ${slot.title}`, title: "Take out of the mix", onclick: () => store.dispatch({ type: "remove", key: slot.key }) },
      icon("close"),
    );
    const input = el("input", { type: "radio", name: "selected", class: "slot-select", "aria-label": `Replace ${slot.title} with the next click on the wall`, onchange: () => store.dispatch({ type: "select", key: slot.key }) });
    const title = el("span", { class: "slot-title", title: slot.title }, slot.title);
    const facts = el("span", { class: "slot-facts" }, el("b", {}), el("span", {}, byWhom(slot)), keep);
    return el("li", { class: "slot", "data-key": slot.key }, el("label", { class: "slot-choice" }, input, image, el("span", { class: "slot-words" }, title, facts)), remove, networkChoice(slot));
  }

  /** Which of a painting's networks paints it; nothing where there is one. */
  function networkChoice(/** @type {import("./mix.js").Slot} */ slot) {
    const choices = networksOf(store.get().catalog.paintings, slot);
    if (choices.length < 2) return null;
    const current = choices.findIndex((choice) => choice.slot.key === slot.key && (slot.use ?? usual(choices, slot)) === choice.model);
    const select = el("select", { class: "slot-network", "aria-label": `Network for ${slot.title}` }, ...choices.map(({ model }, index) => el("option", { value: index, selected: index === current }, model)));
    select.addEventListener("change", () => {
      const choice = choices[Number(select.value)];
      const use = choice.model === usual(choices, choice.slot) ? undefined : choice.model;
      store.dispatch({ type: "swap", key: slot.key, slot: { ...choice.slot, use } });
    });
    return select;
  }

  const usual = (/** @type {{slot: import("./mix.js").Slot, model: string}[]} */ choices, /** @type {import("./mix.js").Slot} */ slot) => {
    const models = choices.filter((choice) => choice.slot.key === slot.key).map(({ model }) => model);
    return models.find((model) => store.get().catalog.models.some(({ id, is_default }) => id === model && is_default)) ?? slot.models[0];
  };

  function drawShares() {
    const { slots, point, note: text } = store.get().mix;
    const shares = weights(slots.length, point);
    const selected = selectedKey(store.get());
    list.classList.toggle("is-mix", slots.length > 1);
    [...list.children].forEach((item, index) => {
      $(".slot-select", item).checked = item.dataset.key === selected;
      $("b", item).textContent = slots.length > 1 ? `${Math.round(shares[index] * 100)} %` : "";
    });
    if (text && note.textContent !== text) announce(text);
    showText(note, text);
  }

  /** @param {import("./mix.js").Slot} slot */
  function open(slot) {
    keeping = slot.key;
    form.hidden = false;
    form.elements.title.value = slot.title;
    form.elements.artist.value = form.elements.year.value = "";
    showText(error, "");
    form.elements.title.select();
    form.elements.title.focus();
  }

  form.addEventListener("submit", async (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    const slot = store.get().mix.slots.find(({ key }) => key === keeping);
    if (!slot?.upload) return;
    const data = new FormData();
    data.append("image", slot.upload.blob, slot.upload.name);
    for (const name of ["title", "artist", "year"]) {
      const value = form.elements[name].value.trim();
      if (value) data.append(name, value);
    }
    const button = $("button[type=submit]", form);
    button.disabled = true;
    try {
      const style = await (await ask("/styles", { method: "POST", body: data })).json();
      store.dispatch({ type: "registered", key: slot.key, slot: toSlot(style) });
      await reloadStyles(store);
      form.hidden = true;
      announce(`${style.title} is kept, and hangs on the wall`);
    } catch (problem) {
      showText(error, /** @type {any} */ (problem).detail ?? String(problem));
      announce(error.textContent, true);
    } finally {
      button.disabled = false;
    }
  });
  $("#keep-cancel").addEventListener("click", () => (form.hidden = true));
  store.subscribe((state, before) => {
    if (state.mix.slots !== before.mix.slots || state.catalog !== before.catalog) draw();
    else if (state.mix !== before.mix || state.selected !== before.selected) drawShares();
  });
}
