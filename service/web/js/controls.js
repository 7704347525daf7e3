/** Strength, colours, detail, strokes, seed, and painting finely. What the network does not support says why. */

import { $, showText } from "./dom.js";
import { hasPictures, supports } from "./mix.js";

const MAX_SEED = 2 ** 31 - 1;
const NEEDS_PICTURE = "This network learned the style from the painting: only those that take any painting can change this.";
const NOT_HERE = "The network of this style has no such control.";
/** Longer sides, from coarse to fine. */
const SIZES = ["256", "512", "768", "1024", "1536", "2048", "original"];
const STEP_S = 0.8;

/** @param {number} strokes From 64 to 2048 px, in steps of a quarter of an octave. */
const rounded = (strokes) => Math.round(strokes / 4) * 4;

/**
 * @param {import("./state.js").Store} store
 * @param {() => void} optimise
 */
export function createControls(store, optimise) {
  const [alpha, strokes, size, seed, steps, format, exportSize] = ["alpha", "strokes", "size", "seed", "steps", "format", "export-size"].map((id) => $(`#${id}`));
  const radios = (/** @type {string} */ name) => /** @type {HTMLInputElement[]} */ ([...document.querySelectorAll(`input[name="${name}"]`)]);
  const set = (/** @type {object} */ change, live = false) => store.dispatch({ type: "look", change, live });

  /** A slider: the picture follows while it moves. */
  function slider(/** @type {any} */ input, /** @type {(value: number) => object} */ change) {
    input.addEventListener("input", () => set(change(input.valueAsNumber), true));
    input.addEventListener("change", () => set(change(input.valueAsNumber)));
  }
  slider(alpha, (value) => ({ alpha: value }));
  slider(strokes, (value) => ({ strokes: rounded(2 ** value) }));
  size.addEventListener("input", () => ($("#size-value").textContent = sizeWords(SIZES[size.valueAsNumber])));
  size.addEventListener("change", () => set({ size: SIZES[size.valueAsNumber] }));
  steps.addEventListener("input", () => set({ steps: steps.valueAsNumber }));
  format.addEventListener("change", () => set({ format: format.value }));
  exportSize.addEventListener("change", () => set({ exportSize: exportSize.value }));
  for (const radio of radios("color")) radio.addEventListener("change", () => set({ color: radio.value }));
  seed.addEventListener("change", () => set({ seed: Math.min(MAX_SEED, Number(seed.value.replace(/\D/g, "")) || 0) }));
  $("#dice").addEventListener("click", () => set({ seed: crypto.getRandomValues(new Uint32Array(1))[0] % 100000 }));
  $("#optimise").addEventListener("click", optimise);

  function draw() {
    const { look, mix } = store.get();
    const isEmpty = mix.slots.length === 0;
    const hasAll = isEmpty || hasPictures(mix);
    alpha.value = String(look.alpha);
    $("#alpha-value").textContent = `${Math.round(look.alpha * 100)} %`;
    strokes.value = String(Math.log2(look.strokes));
    $("#strokes-value").textContent = `${look.strokes} px`;
    size.value = String(nearest(look.size));
    $("#size-value").textContent = sizeWords(look.size);
    steps.value = String(look.steps);
    $("#steps-value").textContent = String(look.steps);
    for (const input of [alpha, strokes, size, steps]) fillTrack(input);
    seed.value = String(look.seed);
    format.value = look.format;
    exportSize.value = look.exportSize;

    allow(alpha, isEmpty || supports(mix, "alpha"), $("#alpha-hint"), NOT_HERE);
    allow(strokes, isEmpty || (supports(mix, "style_size") && hasAll), $("#strokes-hint"), NEEDS_PICTURE);
    $("#seed-field").hidden = !supports(mix, "seed");
    checkColours(look.color, isEmpty || supports(mix, "color"), hasAll);
    $("#fine-time").textContent = `≈ ${Math.max(1, Math.round((look.steps * STEP_S) / 60))} min`;
    allow($("#optimise"), !isEmpty && hasAll, $("#method-hint"), isEmpty ? "" : "To optimise, the painting itself is needed, and of this one only what was learned from it is here.");
  }

  /** @param {string} chosen @param {boolean} isPossible @param {boolean} hasAll */
  function checkColours(chosen, isPossible, hasAll) {
    const all = radios("color");
    for (const radio of all) radio.disabled = radio.value !== "style" && (!isPossible || (radio.value === "match" && !hasAll));
    (all.find((radio) => radio.value === chosen && !radio.disabled) ?? all[0]).checked = true;
    showText($("#color-hint"), !isPossible ? NOT_HERE : chosen === "match" && !hasAll ? NEEDS_PICTURE : "");
  }

  draw();
  store.subscribe((state, before) => {
    if (state.look !== before.look || state.mix.slots !== before.mix.slots) draw();
  });
}

/** A control that does not apply says why. */
function allow(/** @type {any} */ input, /** @type {boolean} */ is, /** @type {HTMLElement} */ hint, /** @type {string} */ why) {
  input.disabled = !is;
  showText(hint, is ? "" : why);
}

/** @param {string} size */
const sizeWords = (size) => (size === "original" ? "As the photo" : `${size} px`);

/** The stop of the slider that is nearest to a size. @param {string} size */
function nearest(size) {
  const index = SIZES.indexOf(size);
  if (index >= 0) return index;
  const away = SIZES.slice(0, -1).map((one) => Math.abs(Number(one) - Number(size)));
  return away.indexOf(Math.min(...away));
}

/**
 * Fills a slider's track up to its value, and shows the value in words.
 * @param {HTMLInputElement} input
 */
export function fillTrack(input) {
  const [least, most] = [Number(input.min), Number(input.max)];
  const output = $(`output[for="${input.id}"]`);
  if (output) input.setAttribute("aria-valuetext", output.textContent);
  input.style.setProperty("--share", `${((input.valueAsNumber - least) / (most - least)) * 100}%`);
}
