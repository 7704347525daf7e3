/** The page: its parts, put together. */

import { createAppearance } from "./appearance.js";
import { createArrival } from "./arrival.js";
import { createControls } from "./controls.js";
import { createDesk } from "./desk.js";
import { $ } from "./dom.js";
import { createExport } from "./export.js";
import { createIntake } from "./intake.js";
import { createMaskPainter } from "./mask-painter.js";
import { createMixingPad } from "./mixing-pad.js";
import { createNotice } from "./notice.js";
import { createPainter } from "./painter.js";
import { fitted } from "./pictures.js";
import { createSamples } from "./samples.js";
import { createServiceState } from "./service-state.js";
import { createSession } from "./session.js";
import { createShortcuts } from "./shortcuts.js";
import { createSlots } from "./slots.js";
import { createStage } from "./stage.js";
import { createStore } from "./state.js";
import { createTray } from "./tray.js";
import { createWall } from "./wall.js";
import { createWallPainter } from "./wall-painter.js";
import { titleOf } from "./words.js";

/** @typedef {import("./tray.js").Entry} Entry */

const store = createStore();
createAppearance();
const serviceState = createServiceState();
const stage = createStage();
const notice = createNotice();
const exported = createExport(store, (done) => painter.repaint(done), (then) => desk.inFull(then));

/** @type {Entry[]} */
let recent = [];
/** @type {Entry | null} What is to the left of the divider, in place of the photo. */
let reference = null;
const session = createSession(store, () => recent);

const tray = createTray({
  restore(entry) {
    store.dispatch({ type: "restore", ...entry.state, entry });
    exported.setPicture(entry);
    desk.update();
  },
  compare(entry) {
    reference = reference === entry ? null : entry;
    stage.showReference(reference && { url: reference.url, title: titleOf(reference.state.mix) });
  },
  cancel: (job) => desk.cancel(job),
  again: (job) => desk.again(job),
  changed(entries) {
    recent = entries;
    session.soon();
  },
});

/** @param {Entry} entry @param {boolean} [isNew] */
function keep(entry, isNew = false) {
  tray.add(entry, isNew);
  if (isNew) return;
  exported.setPicture(entry);
  desk.update();
}

const desk = createDesk({ store, stage, current: exported.current, keep, show: tray.showJobs });

const painter = createPainter({
  store,
  stage,
  notice,
  answered: serviceState.answered,
  finished: keep,
  painted(state) {
    const entry = tray.find(state);
    tray.mark(entry ?? null);
    if (entry) exported.setPicture(entry);
    return entry;
  },
  working: (is) => wallPainter.makeWay(is),
});

const wall = createWall(store);
const wallPainter = createWallPainter(store, wall, () => painter.isIdle());
createMixingPad(store);
createSlots(store);
createControls(store, desk.finely);
createMaskPainter(store, stage);
const intake = createIntake(store, notice, (files) => openBatch(files));
createSamples(intake.takeSample);
createShortcuts(stage, () => document.body.classList.contains("is-masking"));

for (const [id, type] of [["#undo", "undo"], ["#redo", "redo"]]) $(id).addEventListener("click", () => store.dispatch({ type }));
$("#forget").addEventListener("click", () => tray.clear());

// ---- what is not needed at first is loaded when it is

/** @type {ReturnType<typeof import("./batch.js").createBatch> | null} */
let batch = null;
/** @type {ReturnType<typeof import("./contact.js").createContact> | null} */
let contact = null;

/** @param {File[]} [files] */
async function openBatch(files) {
  batch ??= (await import("./batch.js")).createBatch(store);
  batch.open(files);
}

$("#batch").addEventListener("click", () => openBatch());
$("#contact").addEventListener("click", async () => {
  contact ??= (await import("./contact.js")).createContact(store, wall);
  contact.open();
});

store.subscribe((state, before) => {
  const { timeline, photo, look, catalog } = state;
  $("#contact").disabled = photo === null || catalog.paintings.length === 0;
  $("#undo").disabled = timeline.past.length === 0;
  $("#redo").disabled = timeline.future.length === 0;
  if (photo && (photo !== before.photo || look.size !== before.look.size)) stage.setPixels(fitted(photo, look.size).width);
});

const arrival = createArrival({
  store,
  session,
  intake,
  load(entries) {
    tray.load(entries);
    recent = entries;
  },
  failed: wall.showFailure,
  continued: (afresh) => notice.show("Welcome back: this is where you were.", { label: "Start afresh", then: () => (notice.clear(), afresh()), stays: true }),
});
$("#surprise").addEventListener("click", arrival.surprise);
arrival.arrive();
