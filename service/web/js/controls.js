/** Strength, colours, strokes, size, seed, method, format. Disables what the network does not support. */

import { $, showText } from "./dom.js";
import { hasPictures, supports } from "./mix.js";

const MAX_SEED = 2 ** 31 - 1;
const NEEDS_PICTURE = "Needs the painting itself; of these styles the service has only the learned numbers.";

/** @param {number} strokes From 64 to 2048 px, in steps of a quarter of an octave. */
const rounded = (strokes) => Math.round(strokes / 4) * 4;

/**
 * @param {import("./state.js").Store} store
 * @param {() => void} optimise
 */
export function createControls(store, optimise) {
  const [alpha, strokes, size, seed, steps, format] = ["alpha", "strokes", "size", "seed", "steps", "format"].map((id) => $(`#${id}`));
  const radios = (/** @type {string} */ name) => /** @type {HTMLInputElement[]} */ ([...document.querySelectorAll(`input[name="${name}"]`)]);
  const set = (/** @type {object} */ change, live = false) => store.dispatch({ type: "look", change, live });

  /** A slider: the picture follows while it moves. */
  function slider(/** @type {any} */ input, /** @type {(value: number) => object} */ change) {
    input.addEventListener("input", () => set(change(input.valueAsNumber), true));
    input.addEventListener("change", () => set(change(input.valueAsNumber)));
  }
  slider(alpha, (value) => ({ alpha: value }));
  slider(strokes, (value) => ({ strokes: rounded(2 ** value) }));
  slider(steps, (value) => ({ steps: value }));
  size.addEventListener("change", () => set({ size: size.value }));
  format.addEventListener("change", () => set({ format: format.value }));
  for (const name of ["color", "method"]) {
    for (const radio of radios(name)) radio.addEventListener("change", () => set({ [name]: radio.value }));
  }
  seed.addEventListener("change", () => set({ seed: Math.min(MAX_SEED, Number(seed.value.replace(/\D/g, "")) || 0) }));
  $("#dice").addEventListener("click", () => set({ seed: crypto.getRandomValues(new Uint32Array(1))[0] % 100000 }));
  $("#optimise").addEventListener("click", optimise);

  function draw() {
    const { look, mix } = store.get();
    const isEmpty = mix.slots.length === 0;
    const hasAll = hasPictures(mix);
    alpha.value = String(look.alpha);
    $("#alpha-value").textContent = `${Math.round(look.alpha * 100)} %`;
    strokes.value = String(Math.log2(look.strokes));
    $("#strokes-value").textContent = `${look.strokes} px`;
    steps.value = String(look.steps);
    $("#steps-value").textContent = String(look.steps);
    for (const input of [alpha, strokes, steps]) fillTrack(input);
    size.value = look.size;
    seed.value = String(look.seed);
    format.value = look.format;

    alpha.disabled = !isEmpty && !supports(mix, "alpha");
    strokes.disabled = !isEmpty && !(supports(mix, "style_size") && hasAll);
    showText($("#strokes-hint"), strokes.disabled ? NEEDS_PICTURE : "");
    $("#seed-field").hidden = !supports(mix, "seed");
    check("color", look.color, (value) => isEmpty || (supports(mix, "color") && (value !== "match" || hasAll)));
    check("method", look.method, (value) => value !== "gatys" || isEmpty || hasAll);
    const isOptimised = look.method === "gatys" && (isEmpty || hasAll);
    showText($("#method-hint"), methodHint(isOptimised, isEmpty || hasAll));
    $("#optimise-area").hidden = !isOptimised;
    $("#optimise").disabled = isEmpty;
    showText($("#color-hint"), !isEmpty && look.color === "match" && !hasAll ? NEEDS_PICTURE : "");
  }

  function check(/** @type {string} */ name, /** @type {string} */ chosen, /** @type {(value: string) => boolean} */ isPossible) {
    const all = radios(name);
    for (const radio of all) radio.disabled = !isPossible(radio.value);
    (all.find((radio) => radio.value === chosen && !radio.disabled) ?? all[0]).checked = true;
  }

  draw();
  store.subscribe((state, before) => {
    if (state.look !== before.look || state.mix.slots !== before.mix.slots) draw();
  });
}

function methodHint(/** @type {boolean} */ isOptimised, /** @type {boolean} */ isPossible) {
  if (isOptimised) return "Gatys et al.: the picture itself is optimised, step by step. It takes minutes; previews are of one pass.";
  return isPossible ? "" : "Optimising needs the paintings themselves: use paintings of your own.";
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
