/** Storage that survives a reload: photo, paintings, settings and the last pictures, in IndexedDB. Where it is forbidden, nothing does. */

import { createStore, delMany, get, keys, set } from "../vendor/idb-keyval.js";

/** @type {ReturnType<typeof createStore> | null} */
let place = null;

/** @template T @param {() => Promise<T>} act @param {T} otherwise @returns {Promise<T>} */
async function where(act, otherwise) {
  try {
    place ??= createStore("stylize", "studio");
    return await act();
  } catch {
    return otherwise; // private windows, full disks, refused storage
  }
}

export const memory = {
  /** @param {string} name @returns {Promise<any>} */
  get: (name) => where(() => get(name, place ?? undefined), undefined),
  /** @param {string} name @param {unknown} value @returns {Promise<void>} */
  set: (name, value) => where(() => set(name, value, place ?? undefined), undefined),
  /** Forget all but these. @param {Set<string>} names @returns {Promise<void>} */
  keepOnly: (names) => where(async () => {
    const all = /** @type {string[]} */ (await keys(place ?? undefined));
    await delMany(all.filter((name) => !names.has(name)), place ?? undefined);
  }, undefined),
};
