/** The styles of the mix as a list, with their shares; an upload can be kept from here. */

import { $, announce, el, icon, showText } from "./dom.js";
import { ask, listStyles } from "./api.js";
import { slotOf } from "./gallery.js";
import { weights } from "./mix.js";
import { showPreview } from "./previews.js";
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
      { class: "icon-button", type: "button", "aria-label": `Remove ${slot.title}`, onclick: () => store.dispatch({ type: "remove", key: slot.key }) },
      icon("close"),
    );
    const facts = el("span", { class: "slot-facts" }, el("b", {}), " ", byWhom(slot), keep);
    return el("li", { class: "slot" }, image, el("span", { class: "slot-title", title: slot.title }, slot.title), facts, el("span", { class: "slot-tools" }, remove));
  }

  function drawShares() {
    const { slots, point, note: text } = store.get().mix;
    const shares = weights(slots.length, point);
    [...list.children].forEach((item, index) => {
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
      store.dispatch({ type: "registered", key: slot.key, slot: slotOf(style) });
      store.dispatch({ type: "catalog", models: store.get().catalog.models, styles: await listStyles() });
      form.hidden = true;
      announce(`${style.title} is kept, and stands in the gallery`);
    } catch (problem) {
      showText(error, /** @type {any} */ (problem).detail ?? String(problem));
      announce(error.textContent, true);
    } finally {
      button.disabled = false;
    }
  });
  $("#keep-cancel").addEventListener("click", () => (form.hidden = true));
  store.subscribe((state, before) => {
    if (state.mix.slots !== before.mix.slots) draw();
    else if (state.mix !== before.mix) drawShares();
  });
}
