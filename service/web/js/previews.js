/** Pictures of styles. Where a key is needed an `<img>` cannot send it, so the picture is fetched when it comes into view. */

import { address, ask } from "./api.js";
import { currentKey } from "./key.js";

/** @type {Map<string, Promise<string>>} */
const fetched = new Map();

/** @type {WeakMap<Element, () => void>} */
const awaited = new WeakMap();

const inView = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    inView.unobserve(target);
    awaited.get(target)?.();
  }
}, { rootMargin: "300px" });

/**
 * Show a style's picture.
 * @param {HTMLImageElement} image
 * @param {{preview: string | null, upload?: {url: string} | null}} style
 */
export function showPreview(image, { preview, upload }) {
  if (upload) image.src = upload.url;
  else if (preview && !currentKey()) image.src = address(preview);
  else if (preview) {
    awaited.set(image, async () => {
      if (!fetched.has(preview)) fetched.set(preview, ask(preview).then(async (answer) => URL.createObjectURL(await answer.blob())));
      image.src = await /** @type {Promise<string>} */ (fetched.get(preview)).catch(() => "");
    });
    inView.observe(image);
  }
}
