// What is looked for, which is also the URL, and what is shown.

import { useCollection } from "./api.js";
import { emit } from "./events.js";

const LENGTHS = { short: "duration<3", middle: "duration>=3 and duration<=30", long: "duration>30" };
const CHANNELS = { 1: "channels=1", 2: "channels=2", more: "channels>2" };
export const FIELDS = ["format", "rate", "category", "licence", "library"]; // of the panel of filters; several values each

const noFields = () => Object.fromEntries(FIELDS.map((field) => [field, []]));
export const noFilters = () => ({ length: "", channels: "", tags: [], where: "", folder: "", ...noFields() });
const empty = () => ({ q: "", like: [], unlike: [], sound: "", ...noFilters(), sort: "", desc: "", lead: "", collection: "" });

export const sounds = new Map(); // key -> File: sounds of this visit; a URL can name them but not hold them
export const state = empty(); // read it; change it with change()
export const view = {
  hits: [], // what the list shows, in order; places that are not loaded yet are empty
  focused: -1, // place of the current row
  collection: { clips: 0, upload_max_bytes: Infinity },
};

export function toUrl() {
  const url = new URLSearchParams();
  for (const [key, value] of Object.entries(state)) {
    for (const one of [value].flat()) if (one) url.append(key, one);
  }
  return url.size ? `?${url}` : location.pathname;
}

export function readUrl() {
  const url = new URLSearchParams(location.search);
  for (const [key, value] of Object.entries(empty())) state[key] = Array.isArray(value) ? url.getAll(key) : url.get(key) ?? "";
  useCollection(state.collection);
}

/** Change what is looked for: the URL, the controls and the list follow. Resolves when the list has. */
export function change(changes, { push = true } = {}) {
  Object.assign(state, changes);
  useCollection(state.collection);
  if (toUrl() !== location.pathname + location.search && toUrl() !== location.search) {
    history[push ? "pushState" : "replaceState"](null, "", toUrl());
  }
  emit("state");
  return emit("query");
}

/** "rain -thunder -"car horn"" -> words to look for, and words to avoid. */
export function splitWords(text) {
  const avoid = [];
  const rest = text.replace(/(^|\s)-(?:"([^"]+)"?|([^\s"-][^\s]*))/g, (_, space, quoted, word) => {
    avoid.push((quoted ?? word).trim());
    return space;
  });
  return { words: rest.replace(/\s+/g, " ").trim(), avoid: avoid.filter(Boolean) };
}

/** A text as the filter language quotes it. */
export const quoted = (text) => `"${text.replace(/["\\]/g, "\\$&")}"`;

/** All filters as one expression of the server's filter language; `without` leaves one of them out. */
export function whereText(without = "") {
  const parts = { length: [LENGTHS[state.length]], channels: [CHANNELS[state.channels]] };
  parts.tags = state.tags.map((tag) => `tag=${quoted(tag)}`);
  for (const field of FIELDS) if (state[field].length) parts[field] = [`${field} in (${state[field].map(quoted).join(",")})`];
  if (state.folder) parts.folder = [`path~${quoted(state.folder + (state.folder.includes("\\") ? "\\" : "/"))}`];
  if (state.where.trim()) parts.where = [`(${state.where.trim()})`];
  delete parts[without];
  return Object.values(parts).flat().filter(Boolean).join(" and ");
}

export const asksSomething = () => Boolean(splitWords(state.q).words || state.like.length || state.sound);
export const hasFilters = () => Boolean(whereText());
