/** Pictures that take long, from the button to the tray: at full size, and finely, by optimisation. */

import { STEP_S } from "./controls.js";
import { $ } from "./dom.js";
import { createJobList } from "./job-list.js";
import { fitted } from "./pictures.js";
import { isLong, isPaintable, quickly } from "./request.js";
import { isSamePicture } from "./state.js";
import { lasting } from "./storage.js";
import { titleOf } from "./words.js";

const TITLE = document.title;

/**
 * @param {object} ends
 * @param {import("./state.js").Store} ends.store
 * @param {import("./stage.js").Stage} ends.stage
 * @param {() => import("./tray.js").Entry | null} ends.current What is shown in full.
 * @param {(entry: import("./tray.js").Entry, isNew: boolean) => void} ends.keep
 * @param {(jobs: import("./job-list.js").Job[]) => void} ends.show
 */
export function createDesk({ store, stage, current, keep, show }) {
  const button = $("#full-size");
  /** @type {Map<number, (entry: import("./tray.js").Entry) => void>} */
  const wanted = new Map();
  let ready = 0;

  /** The picture of a job, as the page would show it while the job runs. */
  const before = (/** @type {import("./job-list.js").Job} */ { state }) => (state.look.method === "gatys" ? { ...state, look: { ...state.look, method: /** @type {const} */ ("feedforward") } } : state);
  const isSeen = (/** @type {import("./job-list.js").Job} */ job) => isSamePicture(store.get(), before(job));

  const jobs = createJobList({
    changed(all) {
      show(all);
      drawButton();
      drawTitle();
    },
    async previewed(job, picture) {
      if (!isSeen(job)) return;
      const entry = current();
      const isTiled = job.state.look.method !== "gatys" && job.state.photo && entry && isSamePicture(entry.state, job.state);
      const blob = isTiled ? await (await import("./landing.js")).landed(picture, entry.blob, /** @type {any} */ (job.state.photo).blob) : picture;
      if (!jobs.all().includes(job) || !isSeen(job)) return;
      stage.showPainting({ blob, url: URL.createObjectURL(blob), isPreview: true }, job.title);
      stage.setLabel(job.title, `Preview · ${job.kind}`);
    },
    finished(job, entry) {
      const seen = isSeen(job);
      if (job.state.look.method === "gatys") lasting.set(STEP_S, String(entry.result.tookMs / 1000 / job.state.look.steps));
      keep(entry, !seen);
      if (seen) store.dispatch({ type: "restore", ...entry.state, entry });
      if (document.hidden) ready += 1;
      wanted.get(job.number)?.(entry);
      wanted.delete(job.number);
      drawTitle();
    },
    cancelled(job) {
      wanted.delete(job.number);
      const entry = current();
      if (!isSeen(job) || !entry || !isSamePicture(entry.state, store.get())) return;
      stage.showPainting({ ...entry, isPreview: false }, titleOf(entry.state.mix));
      stage.setLabel(titleOf(entry.state.mix), entry.facts);
    },
  });

  function drawButton() {
    const state = store.get();
    const isRunning = jobs.all().some((job) => isSamePicture(job.state, state));
    const entry = current();
    const isDone = entry !== null && !entry.isReduced && isSamePicture(entry.state, state);
    button.hidden = !(isPaintable(state) && isLong(state) && state.look.method !== "gatys") || isRunning || isDone;
    if (button.hidden) return;
    const { width, height } = fitted(/** @type {any} */ (state.photo), state.look.size);
    button.textContent = `Paint all ${width} × ${height} pixels`;
  }

  function drawTitle() {
    const all = jobs.all().filter(({ failure }) => !failure);
    const share = all.reduce((sum, job) => sum + job.share, 0) / Math.max(1, all.length);
    document.title = all.length ? `${Math.round(share * 100)} % · ${TITLE}` : ready ? `✓ ${TITLE}` : TITLE;
  }

  /** @param {((entry: import("./tray.js").Entry) => void) | null} [then] */
  function inFull(then = null) {
    const state = store.get();
    const { width, height } = fitted(/** @type {any} */ (state.photo), state.look.size);
    const job = jobs.all().find((one) => isSamePicture(one.state, state)) ?? jobs.start(state, `${Math.max(width, height)} px`);
    if (then) wanted.set(job.number, then);
  }

  button.addEventListener("click", () => inFull());
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) ready = 0;
    drawTitle();
  });
  store.subscribe(drawButton);

  return {
    inFull,
    /** Optimise what is shown; at a size that is painted at once. */
    finely() {
      const state = store.get();
      if (!isPaintable(state)) return;
      const { look } = quickly(state);
      jobs.start({ ...state, look: { ...look, method: "gatys" } }, "finely");
    },
    cancel: jobs.cancel,
    again: jobs.again,
    update: drawButton,
  };
}
