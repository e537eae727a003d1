// The chips below the search box: sounds and tags that are part of the search, and the names of the sounds.

import { ask, clipUrl } from "./api.js";
import { $, element, svgIcon } from "./dom.js";
import { on } from "./events.js";
import { FIELDS, change, splitWords, state } from "./state.js";
import { nameOf } from "./text.js";

const names = new Map(JSON.parse(sessionStorage.getItem("names") || "[]")); // clip_id -> name

export function remember(hit) {
  names.set(hit.clip_id, nameOf(hit.path)[0]);
  sessionStorage.setItem("names", JSON.stringify([...names].slice(-200)));
}

/** "ID@12.5-15", a stretch of a clip -> ["ID", "12.5-15"] */
function splitStretch(id) {
  const match = id.match(/^(.+)@([\d.]+-[\d.]+)$/);
  return match ? [match[1], match[2]] : [id, ""];
}

function nameOfClip(id) {
  const [clip, stretch] = splitStretch(id);
  return (names.get(clip) ?? "a sound") + (stretch && `, ${stretch.replace("-", "–")} s`);
}

/** Fetch the names of clips whose ids came with the URL. */
async function learnNames() {
  const ids = [...state.like, ...state.unlike].map((id) => splitStretch(id)[0]);
  const unknown = ids.filter((id) => !names.has(id));
  const clips = await Promise.all(unknown.map((id) => ask(clipUrl(id)).catch(() => null)));
  clips.filter(Boolean).forEach(remember);
  if (unknown.length) showChips();
}

function chip(text, kind, remove) {
  const button = element("button", { type: "button", onclick: remove }, svgIcon("close"));
  button.setAttribute("aria-label", `Remove: ${text}`);
  return element("li", { className: `chip ${kind}` }, element("b", { textContent: text, title: text }), button);
}

function showChips() {
  const without = (name, value) => () => change({ [name]: state[name].filter((one) => one !== value) });
  const chips = [];
  if (state.sound) chips.push(chip(`Your sound: ${state.sound}`, "", () => change({ sound: "" })));
  for (const id of state.like) chips.push(chip(`Like ${nameOfClip(id)}`, "", without("like", id)));
  for (const id of state.unlike) chips.push(chip(`Not like ${nameOfClip(id)}`, "unlike", without("unlike", id)));
  for (const tag of state.tags) chips.push(chip(`Tag: ${tag}`, "", without("tags", tag)));
  for (const field of FIELDS) for (const value of state[field]) chips.push(chip(`${field}: ${value}`, "", without(field, value)));
  if (state.folder) chips.push(chip(`Folder: ${state.folder}`, "", () => change({ folder: "" })));
  $("chips").replaceChildren(...chips);
  document.title = splitWords(state.q).words ? `${state.q} – askaudio` : "askaudio";
}

on("state", showChips);
on("collection", learnNames);
