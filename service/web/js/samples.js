/** The photos that come with the page, to begin with. */

import { $, el } from "./dom.js";
import { address } from "./api.js";

const folder = `${document.body.dataset.web}photos/`;
const SAMPLES = [["animal", "A heron"], ["landscape", "A lake in the mountains"], ["city", "A city at dusk"], ["face", "An astronaut"]];

/** The one that the page opens with. */
export const FIRST = `${folder}animal.webp`;

/** @param {(path: string) => void} take */
export function createSamples(take) {
  const [menu, place] = [$("#photo-menu"), $("#samples")];
  menu.addEventListener("beforetoggle", () => {
    if (place.childElementCount > 0) return;
    for (const [name, title] of SAMPLES) {
      const image = el("img", { src: address(`${folder}${name}-small.webp`), alt: title, width: 72, height: 72 });
      const choose = () => (menu.hidePopover(), take(`${folder}${name}.webp`));
      place.append(el("button", { type: "button", title, onclick: choose }, image));
    }
  });
}
