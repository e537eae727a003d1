// From what is looked for to what is listed.

import { ask } from "./api.js";
import { $, hideNotice, say, showNotice } from "./dom.js";
import { emit, on } from "./events.js";
import { setList, takeOf } from "./list.js";
import { askForToken } from "./session.js";
import { asksSomething, change, hasFilters, noFilters, sounds, splitWords, state, view, whereText } from "./state.js";
import { soundsText } from "./text.js";

const FIRST = 60; // hits of the first request
const RANDOM = 8; // sounds of the first view
const ORDERS = { name: "by name", duration: "by length", date: "by date", loudness: "by loudness", brightness: "by brightness" };
let running = null; // AbortController of the search in flight; a newer search ends it

function searchRequest(offset, count) {
  const { words, avoid } = splitWords(state.q);
  const fields = [["top_k", count]];
  if (offset) fields.push(["offset", offset]);
  if (whereText()) fields.push(["where", whereText()]);
  if (state.sort) fields.push(["sort", state.sort]);
  if (state.desc) fields.push(["descending", "true"]);
  if (state.lead) fields.push(["lead", state.lead]);
  fields.push(...state.unlike.map((id) => ["unlike", id]), ...state.like.map((id) => ["like", id]));
  if (words) fields.push(["q", words]);
  fields.push(...avoid.map((text) => ["avoid", text]));
  if (!state.sound) return ["search?" + new URLSearchParams(fields), {}];
  const body = new FormData();
  for (const [name, value] of fields) body.append(name, value);
  body.append("sound", sounds.get(state.sound));
  return ["search/audio", { method: "POST", body }];
}

export async function search() {
  running?.abort();
  const mine = (running = new AbortController());
  if (state.sound && !sounds.has(state.sound)) {
    setList([]);
    return showNotice("The page does not keep sounds between visits. Drop the sound again.", "Leave it out", () => change({ sound: "" }));
  }
  const busy = setTimeout(() => $("results").setAttribute("aria-busy", "true"), 200);
  try {
    if (asksSomething()) await showFound(mine.signal);
    else if (hasFilters() || state.sort) await showSorted(mine.signal);
    else await showRandom(mine.signal);
  } catch (error) {
    if (error.name === "AbortError" || mine !== running) return;
    showError(error);
  } finally {
    clearTimeout(busy);
    if (mine === running) $("results").removeAttribute("aria-busy");
  }
}

function prepare(title = "", random = false) {
  hideNotice();
  $("start").hidden = !random;
  $("shuffle").hidden = $("browse").hidden = !random;
  $("results-title").textContent = title || "Sounds";
  $("results-title").classList.toggle("hidden", !title);
}

async function showFound(signal) {
  const load = (offset, count, signal) => {
    const [path, options] = searchRequest(offset, count);
    return ask(path, { ...options, signal });
  };
  const answer = await load(0, FIRST, signal);
  // what a hit should be like is no news, but its near-identical takes are
  const asked = (hit) => state.like.includes(hit.clip_id);
  const found = answer.hits.flatMap((hit) => (asked(hit) ? hit.twins.map((twin) => ({ ...takeOf(twin, hit), listed: true })) : [hit]));
  prepare();
  await setList(found, answer.total, answer.hits.length < answer.total ? load : null, answer.hits.length - found.length);
  if (!found.length) return showNothing();
  sayTotal(answer.total - (answer.hits.length - found.length));
  const notes = [...answer.notes, ...(answer.fits ? [] : ["Nothing here fits well. These are the nearest sounds."])];
  if (notes.length) showNotice(notes.join("\n"), "", null, true);
}

const asHit = (clip) => ({ ...clip, start_s: 0, end_s: clip.metadata.duration_s ?? 0, segments: [], words: [], twins: [] });

async function listClips(offset, count, signal, options) {
  const query = new URLSearchParams({ limit: count, offset, ...options });
  const { clips, total } = await ask(`clips?${query}`, { signal });
  return { hits: clips.map(asHit), total };
}

/** Without a query: all sounds that pass the filters, in an order. */
async function showSorted(signal) {
  const options = { sort: state.sort || "name" };
  if (state.desc) options.descending = "true";
  if (hasFilters()) options.where = whereText();
  const load = (offset, count, signal) => listClips(offset, count, signal, options);
  const { hits, total } = await load(0, FIRST, signal);
  prepare();
  await setList(hits, total, load);
  if (!total) return showNothing();
  sayTotal(total);
}

/** Without a query and filters: sounds from a random place in the collection. */
async function showRandom(signal) {
  const offset = Math.floor(Math.random() * Math.max(1, view.collection.clips - RANDOM + 1));
  const { hits } = await listClips(offset, RANDOM, signal, {});
  prepare(hits.length ? "From this collection" : "", Boolean(hits.length));
  $("shuffle").hidden = view.collection.clips <= RANDOM;
  await setList(hits);
  say("");
  if (!hits.length) showNotice("This collection holds no sounds yet. Choose folders of sounds under Folders, or run:\naskaudio index ~/sounds", "Try again", start, true);
}

function sayTotal(total) {
  if (asksSomething()) return say(`${soundsText(total)}${state.sort ? ` that match, ${ORDERS[state.sort]}` : ", the nearest first"}`);
  say(`${soundsText(total)}${hasFilters() ? " pass the filters" : `, ${ORDERS[state.sort]}`}`);
}

function showNothing() {
  say("No sounds");
  if (!hasFilters()) return showNotice("No sound was found.", "", null, true);
  showNotice("No sound passes these filters.", "Clear the filters", () => change(noFilters()), true);
}

export function showError(error) {
  if (error.status === 401) return askForToken();
  say("");
  if (error.status === 0) view.hits.length || setList([]);
  if ((error.status === 503 || error.status === 429) && error.retryAfter) setTimeout(search, error.retryAfter * 1000);
  const mine = error.status >= 400 && error.status < 500 && error.status !== 429;
  const halfTyped = error.status === 422 && state.where.trim(); // a filter that cannot be read yet: keep what was found
  if (mine && !halfTyped) setList([]);
  showNotice(error.message, mine ? "" : "Try again", mine ? null : start);
}

/** Read what the collection holds, then search. */
export async function start() {
  try {
    view.collection = await ask("collection");
    $("size").textContent = soundsText(view.collection.clips);
  } catch (error) {
    return showError(error);
  }
  emit("collection", view.collection);
  await search();
}

on("query", search);
on("token", start);
on("failed", showError);
on("total", sayTotal);
$("shuffle").addEventListener("click", search);
$("browse").addEventListener("click", () => change({ sort: "name" }));
