/** Styles and networks of the service, as the wall needs them. */

import { listModels, listStyles } from "./api.js";
import { paintingsOf, slotOf } from "./paintings.js";

/** Styles of which the page has a small copy, and where. */
const shipped = new Set((document.body.dataset.paintings ?? "").split(" ").filter(Boolean));
const folder = document.body.dataset.web ?? "";

/** @param {any} style */
export const toSlot = (style) => slotOf(style, shipped, folder);

/** @param {any[]} styles @param {any[]} models */
const action = (styles, models) => ({ type: "catalog", styles, models, paintings: paintingsOf(styles, models, [], toSlot) });

/** All of it. @param {import("./state.js").Store} store */
export async function loadCatalog(store) {
  const [styles, models] = await Promise.all([listStyles(), listModels()]);
  store.dispatch(action(styles, models));
}

/** The styles anew, after one was registered or deleted. @param {import("./state.js").Store} store */
export async function reloadStyles(store) {
  store.dispatch(action(await listStyles(), store.get().catalog.models));
}
