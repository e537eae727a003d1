// What people keep: requests, and the actions and marks that the whole page has. The panel is in library_panel.js.

import { addAction } from "./actions.js";
import { ask, send, setPerson } from "./api.js";
import { say, showNotice } from "./dom.js";
import { emit, on } from "./events.js";
import { askFor } from "./form.js";
import { player } from "./player.js";
import { asksSomething, change, noFilters, splitWords, state, whereText } from "./state.js";
import { nameOf, soundsText } from "./text.js";

const SETTLED_MS = 4000; // a query that stays this long was meant
let settling = 0;
let played = ""; // clip_id of the sound that was noted as played last

export const library = { person: localStorage.getItem("person") || "", named: false, writable: false, reveal: false };

/** Read something of the library; where that fails, the error is shown and null is returned. */
export const fromLibrary = (path) => shown(ask(`library${path}`));

/** Change something; returns the answer, or null where it failed. Panels that show it listen to the event "library". */
export async function changeLibrary(path, body, method = "POST") {
  const done = await shown(send(`library${path}`, body, method).then((answer) => answer ?? {}));
  if (done) await emit("library");
  return done;
}

const shown = (request) => request.catch((error) => (showNotice(error.message), null));

export function changePerson(name) {
  library.person = name.trim();
  localStorage.setItem("person", library.person);
  setPerson(library.person);
  return emit("library");
}

async function readInfo() {
  setPerson(library.person);
  const info = await ask("library").catch(() => null);
  if (info) Object.assign(library, info, { person: library.person });
}

// --- actions ------------------------------------------------------------------------------------------------------

const idsOf = (hits) => hits.map((hit) => hit.clip_id);
const canKeep = () => library.writable;

async function addFavourites(hits) {
  if (await changeLibrary("/favourites", { clip_ids: idsOf(hits) })) say(`${soundsText(hits.length)} kept as favourites`);
}

/** Where a sound matches, unless all of it does. */
export const partOf = (hit) => {
  const whole = hit.metadata?.duration_s ?? 0;
  const part = hit.end_s > hit.start_s && (hit.start_s > 0.05 || hit.end_s < whole - 0.05);
  return part ? { start_s: hit.start_s, end_s: hit.end_s } : {};
};

async function addToProject(hits) {
  const projects = (await fromLibrary("/projects")) ?? [];
  const parts = hits.some((hit) => "start_s" in partOf(hit));
  const chosen = await askFor("Add to a project", [
    { name: "project", label: "Project", options: [...projects.map((one) => [String(one.project_id), one.name]), ["", "A new project"]] },
    { name: "title", label: "Name of a new project", maxLength: 120 },
    ...(parts ? [{ name: "part", label: "Only the matching part", type: "checkbox" }] : []),
    { name: "note", label: "Note", maxLength: 4000 },
  ], "Add");
  if (!chosen) return;
  let id = chosen.project;
  if (!id) id = (await changeLibrary("/projects", { name: chosen.title || "Project" }))?.project_id;
  if (!id) return;
  const items = hits.map((hit) => ({ clip_id: hit.clip_id, ...(chosen.part ? partOf(hit) : {}), note: chosen.note }));
  const done = await changeLibrary(`/projects/${id}/items`, { items });
  if (done) say(`${soundsText(done.added)} added to the project`);
}

async function writeNote([hit]) {
  const notes = (await fromLibrary("/notes")) ?? [];
  const before = notes.find((mark) => mark.clip_id === hit.clip_id)?.text ?? "";
  const written = await askFor(`Note about ${nameOf(hit.path)[0]}`, [{ name: "text", label: "Note", value: before, maxLength: 4000 }], "Write");
  if (written && (await changeLibrary(`/notes/${encodeURIComponent(hit.clip_id)}`, { text: written.text }, "PUT"))) say("Noted");
}

addAction({ label: "Add to favourites", run: addFavourites, when: canKeep });
addAction({ label: "Add to a project", run: addToProject, when: canKeep });
addAction({ label: "Note", run: writeNote, when: (hits) => hits.length === 1 && canKeep() });
addAction({
  label: "Show in file manager",
  when: (hits) => hits.length === 1 && library.reveal,
  run: ([hit]) => ask(`clips/${encodeURIComponent(hit.clip_id)}/reveal`, { method: "POST" }).catch((error) => showNotice(error.message)),
});

// --- queries --------------------------------------------------------------------------------------------------------

/** What is looked for now, as the library keeps it: the parameters of the API, and the state of the page. */
export function currentQuery() {
  const { words, avoid } = splitWords(state.q);
  const page = Object.fromEntries(Object.entries(state).filter(([key, value]) => value.length && !["sound", "collection"].includes(key)));
  return { q: words ? [words] : [], avoid, like: state.like, unlike: state.unlike, where: whereText(), page };
}

/** Search for a kept query. One of another program has no state of the page. */
export function runQuery({ q = [], avoid = [], like = [], unlike = [], where = "", page = null }) {
  const text = [...q, ...avoid.map((word) => `-"${word}"`)].join(" ");
  return change({ q: text, like, unlike, sound: "", ...noFilters(), where: page ? "" : where, ...(page ?? {}) });
}

on("collection", readInfo);
on("query", () => {
  clearTimeout(settling);
  if (!asksSomething() || state.sound) return;
  settling = setTimeout(() => library.writable && send("library/recent", { query: currentQuery() }).catch(() => {}), SETTLED_MS);
});
on("playing", () => {
  if (!player.isPlaying() || player.hit.clip_id === played) return;
  played = player.hit.clip_id;
  if (library.writable) send("library/used", { clip_ids: [played], action: "played" }).catch(() => {});
});
