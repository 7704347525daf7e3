/**
 * The wall paints itself in one's photo: the cards that are in view, small, a few at a time, while nothing else is to be
 * painted. Whatever a person asks for ends it at once; it goes on when that is done.
 */

import { $ } from "./dom.js";
import { ask } from "./api.js";
import { smaller } from "./pictures.js";

const SIDE_PX = 128;
const AT_ONCE = 3;
const REST_MS = 500;
const REST_AFTER_LIMIT_MS = 60000;
const MOST_KEPT = 400;

/**
 * @param {import("./state.js").Store} store
 * @param {import("./wall.js").Wall} wall
 * @param {() => boolean} isIdle Whether nothing else is being painted.
 */
export function createWallPainter(store, wall, isIdle) {
  const list = $("#gallery");
  /** @type {Map<string, string>} Addresses of what is painted, by photo and painting. */
  const done = new Map();
  /** @type {Set<string>} */
  const inView = new Set();
  /** @type {Set<AbortController>} */
  const running = new Set();
  let timer = 0;

  const nameOf = (/** @type {string} */ key) => `${store.get().photo?.id} ${key}`;

  const observer = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      const key = /** @type {HTMLElement} */ (target).dataset.key ?? "";
      if (isIntersecting) inView.add(key);
      else inView.delete(key);
    }
    rest();
  }, { root: list });

  function show(/** @type {HTMLElement} */ item) {
    const image = $(".card-mine", item);
    const url = done.get(nameOf(item.dataset.key ?? ""));
    image.hidden = !url;
    if (url && image.src !== url) image.src = url;
  }

  function rest(ms = REST_MS) {
    clearTimeout(timer);
    timer = window.setTimeout(work, ms);
  }

  function stop() {
    for (const controller of running) controller.abort();
    running.clear();
    rest();
  }

  function work() {
    if (!isIdle() || document.hidden || !store.get().photo) return;
    const waiting = wall.shown().filter(({ key }) => inView.has(key) && !done.has(nameOf(key)));
    for (const painting of waiting.slice(0, AT_ONCE - running.size)) paint(painting);
  }

  /** @param {import("./paintings.js").Painting} painting */
  async function paint({ key, variants: [slot] }) {
    const controller = new AbortController();
    const name = nameOf(key);
    running.add(controller);
    done.set(name, ""); // it is being painted
    try {
      const form = new FormData();
      form.append("content", await smaller(/** @type {any} */ (store.get().photo).blob, SIDE_PX), "photo");
      if (slot.upload) form.append("style", await smaller(slot.upload.blob, 2 * SIDE_PX), "style");
      else form.append("style_id", slot.id ?? "");
      form.append("size", String(SIDE_PX));
      form.append("format", "webp");
      const answer = await ask("/stylize", { method: "POST", body: form, signal: controller.signal });
      done.set(name, URL.createObjectURL(await answer.blob()));
      const item = list.querySelector(`.card[data-key="${CSS.escape(key)}"]`);
      if (item) show(item);
      running.delete(controller);
      work();
    } catch (problem) {
      running.delete(controller);
      const { passes, status, retryAfterS } = /** @type {import("./api.js").Problem} */ (problem);
      if (controller.signal.aborted) done.delete(name);
      else if (passes) {
        done.delete(name); // others stay: they would fail again
        rest(status === 429 ? REST_AFTER_LIMIT_MS : retryAfterS * 1000); // the wall is not worth anybody's share
      } else work();
    }
  }

  function begin() {
    observer.disconnect();
    inView.clear();
    for (const item of list.querySelectorAll(".card")) {
      show(/** @type {HTMLElement} */ (item));
      observer.observe(item);
    }
  }

  function forget() {
    for (const [name, url] of [...done].slice(0, Math.max(0, done.size - MOST_KEPT))) {
      URL.revokeObjectURL(url);
      done.delete(name);
    }
  }

  new MutationObserver(begin).observe(list, { childList: true });
  store.subscribe((state, before) => {
    if (state.photo === before.photo) return;
    forget();
    stop();
    begin();
  });
  document.addEventListener("visibilitychange", () => rest());

  return {
    /** Something is to be painted for the stage, or that is done. @param {boolean} is */
    makeWay: (is) => (is ? stop() : rest()),
  };
}
