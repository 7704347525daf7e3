/** Words about a picture: the label on the wall, names of files. */

import { measured } from "./pictures.js";

const RIGHT_TO_LEFT = /[\p{Script=Arabic}\p{Script=Hebrew}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}]/u;

/**
 * A title among other words; one that is written from right to left is isolated, so that it does not turn them.
 * @param {string} title
 */
export const isolated = (title) => (RIGHT_TO_LEFT.test(title) ? `\u2068${title}\u2069` : title);

/**
 * The styles of a picture, in words.
 * @param {import("./mix.js").Mix} mix
 */
export const titleOf = ({ slots }) => slots.map(({ title }) => isolated(title)).join(" + ") || "A photo, not painted yet";

/**
 * Artist and year of a style, in words.
 * @param {{artist: string, year: number | null}} style
 */
export const byWhom = ({ artist, year }) => [artist, year].filter(Boolean).join(", ");

/**
 * Artists, size, network and time.
 * @param {import("./mix.js").Mix} mix
 * @param {import("./api.js").Painted} result
 */
export async function factsOf({ slots }, result) {
  const artists = slots.length === 1 ? byWhom(slots[0]) : [...new Set(slots.map(({ artist }) => artist).filter(Boolean))].join(", ");
  const { width, height } = await measured(result.blob);
  return [artists, `${width} × ${height}`, result.model, seconds(result.tookMs)].filter(Boolean).join(" · ");
}

/**
 * A time that one reads at a glance.
 * @param {number} ms
 */
export const seconds = (ms) => (ms < 950 ? `${Math.round(ms)} ms` : ms < 60000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms / 1000)} s`);

/**
 * The time left, in words.
 * @param {number} s
 */
export const timeLeft = (s) => (s < 90 ? `${s} s left` : `${Math.round(s / 60)} min left`);

/**
 * A file's name without its folder and ending.
 * @param {string} name
 */
export const stem = (name) => name.replace(/^.*[/\\]/, "").replace(/\.[^.]*$/, "") || "picture";

/**
 * The name of a downloaded picture.
 * @param {import("./state.js").State} state
 * @param {Blob} blob
 */
export function fileName({ photo, mix }, blob) {
  const styles = mix.slots.map(({ id, title }) => id ?? title).join("-");
  const name = `${stem(photo?.name ?? "photo")}-${styles}`.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-").slice(0, 80);
  return `${name.replace(/^-+|-+$/g, "")}.${ending(blob.type)}`;
}

/**
 * The usual ending of a media type.
 * @param {string} type
 */
export const ending = (type) => ({ "image/jpeg": "jpg" })[type] ?? type.replace("image/", "");
