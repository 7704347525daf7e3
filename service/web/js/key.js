/** The API key, where the service asks for one. It is kept as long as the tab. */

import { $, showText } from "./dom.js";
import { ofThisTab } from "./storage.js";

const PLACE = "stylize-key";

/** @returns {string | null} */
export const currentKey = () => ofThisTab.get(PLACE);

/** @type {Promise<boolean> | null} */
let asking = null;

/**
 * Ask for a key, once for all requests that want one.
 * @param {string | null} refused The key that was sent.
 * @param {string} why What the service said.
 * @returns {Promise<boolean>} Whether there is another key now.
 */
export function newKey(refused, why) {
  if (currentKey() !== refused) return Promise.resolve(true);
  asking ??= askPerson(refused === null ? "" : why).finally(() => (asking = null));
  return asking;
}

/** @param {string} why */
function askPerson(why) {
  const dialog = $("#key-dialog");
  const form = $("#key-form");
  showText($("#key-error"), why);
  form.elements.key.value = "";
  dialog.showModal();
  return new Promise((resolve) => {
    form.onsubmit = () => {
      ofThisTab.set(PLACE, form.elements.key.value.trim());
      resolve(true);
    };
    dialog.onclose = () => resolve(false); // too late after a submit
  });
}
