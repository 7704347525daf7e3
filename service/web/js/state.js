/** The one store: what the picture is to be, and what there is to choose from. Reducers are pure. */

import { CENTRE, only, toggled, without } from "./mix.js";

/**
 * @typedef {{blob: Blob, name: string, url: string, width: number, height: number, isSample: boolean}} Photo
 * @typedef {object} Look
 * @property {number} alpha
 * @property {"style" | "match" | "luminance"} color
 * @property {number} strokes Longer side in pixels at which paintings are encoded.
 * @property {string} size Longer side in pixels, or "original".
 * @property {number} seed
 * @property {"feedforward" | "gatys"} method
 * @property {number} steps
 * @property {string} format Empty: the service chooses.
 *
 * @typedef {import("./mask-strokes.js").MaskStroke} MaskStroke
 * @typedef {{strokes: MaskStroke[], elsewhere: string | null}} Mask `elsewhere` null: see `restOf`.
 *
 * @typedef {object} State
 * @property {Photo | null} photo
 * @property {import("./mix.js").Mix} mix
 * @property {Look} look
 * @property {Mask} mask
 * @property {{styles: any[], models: any[], isLoaded: boolean}} catalog
 * @property {import("./mix.js").Slot[]} uploads Paintings of this tab that are not kept.
 *
 * @typedef {{type: string, live?: boolean, [key: string]: any}} Action `live`: a control is moving, more will follow.
 */

const NO_MASK = { strokes: [], elsewhere: null };

/** @type {State} */
export const INITIAL = {
  photo: null,
  mix: { slots: [], point: CENTRE, note: "" },
  look: { alpha: 1, color: "style", strokes: 512, size: "512", seed: 1, method: "feedforward", steps: 80, format: "" },
  mask: NO_MASK,
  catalog: { styles: [], models: [], isLoaded: false },
  uploads: [],
};

/** @type {Record<string, (state: State, action: Action) => Partial<State>>} */
const REDUCERS = {
  photo: (_, { photo }) => ({ photo, mask: NO_MASK }),
  catalog: (_, { styles, models }) => ({ catalog: { styles, models, isLoaded: true } }),
  choose: (_, { slot }) => ({ mix: only(slot), mask: NO_MASK }),
  toggle: ({ mix, mask }, { slot }) => withMix(mask, toggled(mix, slot)),
  remove: ({ mix, mask }, { key }) => withMix(mask, without(mix, key)),
  upload: ({ uploads }, { slot }) => ({ uploads: [...uploads, slot], mix: only(slot), mask: NO_MASK }),
  registered: ({ mix, mask, uploads }, { key, slot }) => ({
    uploads: uploads.filter((upload) => upload.key !== key),
    mask: {
      strokes: mask.strokes.map((stroke) => (stroke.target === key ? { ...stroke, target: slot.key } : stroke)),
      elsewhere: mask.elsewhere === key ? slot.key : mask.elsewhere,
    },
    mix: { ...mix, slots: mix.slots.map((old) => (old.key === key ? slot : old)) },
  }),
  point: ({ mix }, { point }) => ({ mix: { ...mix, point, note: "" } }),
  look: ({ look }, { change }) => ({ look: { ...look, ...change } }),
  stroke: ({ mask }, { stroke }) => ({ mask: { ...mask, strokes: [...mask.strokes, stroke] } }),
  undo: ({ mask }) => ({ mask: { ...mask, strokes: mask.strokes.slice(0, -1) } }),
  clear: () => ({ mask: NO_MASK }),
  elsewhere: ({ mask }, { key }) => ({ mask: { ...mask, elsewhere: key } }),
  restore: (_, { photo, mix, look, mask }) => ({ photo, mix: { ...mix, note: "" }, look, mask }),
};

/** Strokes of a style that has left would paint nothing. */
function withMix(/** @type {Mask} */ mask, /** @type {import("./mix.js").Mix} */ mix) {
  const keys = ["photo", ...mix.slots.map(({ key }) => key)];
  const strokes = mask.strokes.filter(({ target }) => keys.includes(target));
  const elsewhere = mask.elsewhere !== null && keys.includes(mask.elsewhere) ? mask.elsewhere : null;
  return { mix, mask: { strokes, elsewhere } };
}

/**
 * The state after an action.
 * @param {State} state
 * @param {Action} action
 * @returns {State}
 */
export const reduce = (state, action) => ({ ...state, ...REDUCERS[action.type](state, action) });

/**
 * Tells whether two states ask for the same picture, in whatever format.
 * @param {State} one
 * @param {State} other
 */
export const isSamePicture = (one, other) =>
  one.photo === other.photo && isSameLook(one.look, other.look) && one.mask === other.mask &&
  one.mix.slots === other.mix.slots && one.mix.point === other.mix.point;

/** @param {Look} one @param {Look} other */
function isSameLook(one, other) {
  const names = /** @type {(keyof Look)[]} */ (Object.keys(one));
  return names.every((name) => name === "format" || one[name] === other[name]);
}

/** @typedef {(state: State, before: State, action: Action) => void} Listener */

/** A store of a state. */
export function createStore() {
  let state = INITIAL;
  /** @type {Listener[]} */
  const listeners = [];
  return {
    get: () => state,
    /** @param {Action} action */
    dispatch(action) {
      const before = state;
      state = reduce(state, action);
      for (const listener of listeners) listener(state, before, action);
    },
    /** @param {Listener} listener */
    subscribe(listener) {
      listeners.push(listener);
    },
  };
}

/** @typedef {ReturnType<typeof createStore>} Store */
