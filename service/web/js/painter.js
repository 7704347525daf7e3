/** From changes of the state to pictures: what is asked for when, what is shown, and what is done when it fails. */

import { stylize, Problem } from "./api.js";
import { announce } from "./dom.js";
import { paintAsJob } from "./jobs.js";
import { createLive } from "./live.js";
import { effective, isLong, isPaintable, requestForm } from "./request.js";
import { isSamePicture } from "./state.js";
import { factsOf, titleOf } from "./words.js";

const BUSY_AFTER_MS = 250;
/** Options that do not change a preview. */
const NOT_PREVIEWED = ["size", "steps"];

/**
 * @typedef {import("./history.js").Entry} Entry
 * @typedef {{state: import("./state.js").State, kind: "preview" | "full", done: ((entry: Entry) => void) | null}} What
 * @typedef {import("./live.js").Order<What>} Order
 *
 * @param {object} ends
 * @param {import("./state.js").Store} ends.store
 * @param {import("./stage.js").Stage} ends.stage
 * @param {import("./notice.js").Notice} ends.notice
 * @param {(result: import("./api.js").Painted) => void} ends.answered
 * @param {(entry: Entry) => void} ends.finished
 */
export function createPainter({ store, stage, notice, answered, finished }) {
  let busyTimer = 0;
  /** @type {Entry | null} The last one in full. */
  let last = null;
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
    const full = isLive || effective(state).isOptimised ? null : inFull();
    if (needsPreview) live.ask({ what: { state, kind: "preview", done: null }, isLive, mayWait: true, then: full });
    else if (full) live.ask(full);
    else live.stopFull();
  }

  /** Ask again for what was given up or has failed. @param {Order} order */
  function again({ what: { kind, done } }) {
    notice.clear();
    if (kind === "full") live.ask(inFull(done));
    else ask(false);
  }

  /** @param {Order} order */
  function cancel(order) {
    live.stop();
    if (last && last.state.photo === order.what.state.photo) {
      stage.showPainting(last, titleOf(last.state.mix));
      stage.setLabel(titleOf(last.state.mix), last.facts);
    } else showUnpainted();
    notice.show("Cancelled.", { label: "Paint it", then: () => again(order), stays: true });
    announce("Cancelled");
  }

  function showUnpainted() {
    const { photo, mix } = store.get();
    if (photo) stage.showPhoto(photo);
    stage.setLabel(titleOf({ ...mix, slots: [] }), mix.slots.length ? "" : "Take a style: one click paints it.");
  }

  /** @param {Order} order @param {AbortSignal} signal */
  async function send(order, signal) {
    const { state, kind } = order.what;
    for (;;) {
      try {
        const form = await requestForm(state, kind);
        const result = await (kind === "full" && isLong(state) ? asJob(form, order, signal) : stylize(form, signal));
        return { result, facts: kind === "full" ? await factsOf(state.mix, result) : "Preview" };
      } catch (error) {
        if (signal.aborted || !(error instanceof Problem && error.passes)) throw error;
        await patience(error, order, signal);
      }
    }
  }

  /** @param {FormData} form @param {Order} order @param {AbortSignal} signal */
  async function asJob(form, order, signal) {
    const title = titleOf(order.what.state.mix);
    const stop = () => cancel(order);
    return paintAsJob(form, signal, (news) => {
      if (signal.aborted) return;
      const waits = news.state === "queued" ? `Waiting${news.position ? `, number ${news.position}` : ""}` : "Painting";
      const steps = news.step && news.steps ? `: step ${news.step} of ${news.steps}` : "";
      notice.show(waits + steps, { share: news.progress, label: "Cancel", then: stop });
      if (!news.picture) return;
      stage.showPainting({ blob: news.picture, url: URL.createObjectURL(news.picture), isPreview: true }, title);
      stage.setLabel(title, "Preview");
    });
  }

  /** Wait as long as the service asks for, and say so. */
  function patience(/** @type {Problem} */ problem, /** @type {Order} */ order, /** @type {AbortSignal} */ signal) {
    announce(`${problem.detail} Trying again in ${problem.retryAfterS} seconds.`);
    return new Promise((resolve, reject) => {
      let left = problem.retryAfterS;
      const tell = () => notice.show(`${problem.detail}. Trying again in ${left} s.`, { label: "Stop", then: () => cancel(order) });
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
    const picture = { blob: result.blob, url: URL.createObjectURL(result.blob), isPreview: kind === "preview" };
    notice.clear();
    answered(result);
    if (!(await stage.showPainting(picture, title))) return URL.revokeObjectURL(picture.url);
    stage.setLabel(title, facts);
    if (kind === "preview") return;
    const entry = { ...picture, state, result, facts };
    announce(`Painted: ${title}`);
    last = entry;
    (done ?? finished)(entry);
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
  }

  store.subscribe((state, before, action) => {
    if (action.type === "photo") showUnpainted();
    if (action.type === "restore") {
      live.stop();
      notice.clear();
      last = action.entry;
      return;
    }
    if (action.type === "registered") return; // the same painting under another name
    const names = action.type === "look" ? Object.keys(action.change) : null;
    // a slider that is let go has the value it had, and now wants its picture in full
    if (names ? names.every((name) => name === "format") : isSamePicture(state, before)) return;
    notice.clear();
    ask(Boolean(action.live), !names?.every((name) => NOT_PREVIEWED.includes(name)));
  });

  return {
    /** Begin a full picture of what takes minutes. */
    optimise() {
      if (!isPaintable(store.get())) return;
      notice.clear();
      live.ask(inFull());
    },
    /** The same picture once more, for a file of another format. @param {(entry: Entry) => void} done */
    repaint(done) {
      if (isPaintable(store.get())) live.ask(inFull(done));
    },
  };
}
