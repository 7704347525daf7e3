/** From changes of the state to pictures: what is asked for when, what is shown, and what is done when it fails. */

import { stylize, Problem } from "./api.js";
import { announce } from "./dom.js";
import { createLive } from "./live.js";
import { createPreviewSize } from "./preview-size.js";
import { isLong, isPaintable, PREVIEW_PX, quickly, requestForm } from "./request.js";
import { isOfTheFile, isSamePicture } from "./state.js";
import { factsOf, titleOf } from "./words.js";

const BUSY_AFTER_MS = 250;

/**
 * @typedef {import("./tray.js").Entry} Entry
 * @typedef {{state: import("./state.js").State, kind: "full" | number, done: ((entry: Entry) => void) | null}} What
 * @typedef {import("./live.js").Order<What>} Order
 *
 * @param {object} ends
 * @param {import("./state.js").Store} ends.store
 * @param {import("./stage.js").Stage} ends.stage
 * @param {import("./notice.js").Notice} ends.notice
 * @param {(result: import("./api.js").Painted) => void} ends.answered
 * @param {(entry: Entry) => void} ends.finished
 * @param {(state: import("./state.js").State) => Entry | undefined} ends.painted A picture that was painted before.
 * @param {(is: boolean) => void} ends.working Whether anything is being painted for the stage.
 */
export function createPainter({ store, stage, notice, answered, finished, painted, working }) {
  let busyTimer = 0;
  const sizes = createPreviewSize();
  const live = createLive({ send, show, fail, changed });

  /** @param {((entry: Entry) => void) | null} [done] Instead of `finished`. @returns {Order} */
  const inFull = (done = null) => ({ what: { state: store.get(), kind: "full", done }, isLive: false, mayWait: false, then: null });

  /** @param {boolean} isLive @param {boolean} [needsPreview] */
  function ask(isLive, needsPreview = true) {
    const state = store.get();
    if (!isPaintable(state)) {
      live.stop();
      showUnpainted();
      return;
    }
    const kind = isLive ? sizes.moving() : PREVIEW_PX;
    const full = isLive ? null : inFull();
    if (needsPreview) live.ask({ what: { state, kind, done: null }, isLive, mayWait: true, then: full });
    else if (full) live.ask(full);
  }

  /** Ask again for what was given up or has failed. @param {Order} order */
  function again({ what: { kind, done } }) {
    notice.clear();
    if (kind === "full") live.ask(inFull(done));
    else ask(false);
  }

  function showUnpainted() {
    const { photo, mix } = store.get();
    if (photo) stage.showPhoto(photo);
    stage.setLabel(titleOf({ ...mix, slots: [] }), mix.slots.length ? "" : "Take a painting: one click paints it.");
  }

  /** @param {Order} order @param {AbortSignal} signal */
  async function send(order, signal) {
    const { state, kind } = order.what;
    for (;;) {
      try {
        const result = await stylize(await requestForm(kind === "full" ? quickly(state) : state, kind), signal);
        if (typeof kind === "number") sizes.learn(kind, result.tookMs);
        return { result, facts: kind === "full" ? await factsOf(state.mix, result) : "Preview" };
      } catch (error) {
        if (signal.aborted || !(error instanceof Problem && error.passes)) throw error;
        await patience(error, order, signal);
      }
    }
  }

  /** Wait as long as the service asks for, and say so. */
  function patience(/** @type {Problem} */ problem, /** @type {Order} */ order, /** @type {AbortSignal} */ signal) {
    announce(`${problem.spoken} Trying again in ${problem.retryAfterS} seconds.`);
    const stop = () => {
      live.stop();
      notice.show("Stopped.", { label: "Paint it", then: () => again(order), stays: true });
    };
    return new Promise((resolve, reject) => {
      let left = problem.retryAfterS;
      const tell = () => notice.show(`${problem.spoken} Trying again in ${left} s.`, { label: "Stop", then: stop, detail: problem.detail });
      const timer = setInterval(() => {
        left -= 1;
        if (left > 0) return tell();
        clearInterval(timer);
        notice.clear();
        resolve(undefined);
      }, 1000);
      signal.addEventListener("abort", () => {
        clearInterval(timer);
        reject(signal.reason);
      });
      tell();
    });
  }

  /** @param {Order} order @param {{result: import("./api.js").Painted, facts: string}} answer */
  async function show({ what: { state, kind, done } }, { result, facts }) {
    const title = titleOf(state.mix);
    const picture = { blob: result.blob, url: URL.createObjectURL(result.blob), isPreview: kind !== "full" };
    notice.clear();
    answered(result);
    if (!(await stage.showPainting(picture, title))) return URL.revokeObjectURL(picture.url);
    stage.setLabel(title, facts);
    if (kind !== "full") return;
    announce(`Painted: ${title}`);
    (done ?? finished)({ ...picture, state, result, facts, isReduced: isLong(state) });
  }

  /** @param {Order} order @param {unknown} error */
  function fail(order, error) {
    if (!(error instanceof Problem)) console.error(error);
    notice.error(error, error instanceof Problem && error.status === 422 ? null : () => again(order));
  }

  /** @param {Order | null} order */
  function changed(order) {
    clearTimeout(busyTimer);
    if (order) busyTimer = window.setTimeout(() => stage.setWorking(true), BUSY_AFTER_MS);
    else {
      stage.setWorking(false);
      notice.settle();
    }
    working(order !== null);
  }

  /** @param {Entry} entry */
  async function showAgain(entry) {
    live.stop();
    notice.clear();
    if (!(await stage.showPainting({ ...entry, isPreview: false }, titleOf(entry.state.mix)))) return;
    stage.setLabel(titleOf(entry.state.mix), entry.facts);
  }

  store.subscribe((state, before, action) => {
    if (state.photo !== before.photo) showUnpainted();
    if (action.type === "registered" || (action.type === "look" && isOfTheFile(action.change))) return;
    // a control that is let go has the value it had, and now wants its picture in full
    if (!action.entry && action.live === undefined && isSamePicture(state, before)) return;
    if (!state.photo) return;
    notice.clear();
    const entry = action.live ? undefined : (action.entry ?? painted(state));
    if (entry) showAgain(entry);
    else ask(Boolean(action.live), action.type !== "look" || !("size" in action.change));
  });

  return {
    /** Tells whether nothing is being painted or waits for it. */
    isIdle: live.isIdle,
    /** The same picture once more, for a file of another format. @param {(entry: Entry) => void} done */
    repaint(done) {
      if (isPaintable(store.get())) live.ask(inFull(done));
    },
  };
}
