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
}, { rootMargin: "120px" });

/** Address of a style's picture, for an `<img>`. @param {{picture: string | null, upload?: {url: string} | null}} style @returns {Promise<string>} */
export async function pictureUrl({ picture, upload }) {
  if (upload) return upload.url;
  if (!picture) return "";
  if (!currentKey() || picture.startsWith("web/")) return address(picture);
  if (!fetched.has(picture)) fetched.set(picture, ask(picture).then(async (answer) => URL.createObjectURL(await answer.blob())));
  return /** @type {Promise<string>} */ (fetched.get(picture)).catch(() => "");
}

/**
 * Show a style's picture, when it comes into view.
 * @param {HTMLImageElement} image
 * @param {{picture: string | null, upload?: {url: string} | null}} style
 */
export function showPreview(image, style) {
  awaited.set(image, async () => {
    const url = await pictureUrl(style);
    if (url) image.src = url;
  });
  inView.observe(image);
}
