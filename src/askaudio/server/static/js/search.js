// From what is looked for to what is listed.

import { ask } from "./api.js";
import { $, hideNotice, say, showNotice } from "./dom.js";
import { emit, on } from "./events.js";
import { askForToken } from "./session.js";
import { asksSomething, change, hasFilters, noFilters, sounds, splitWords, state, view, whereText } from "./state.js";
import { soundsText } from "./text.js";
import { showHits } from "./results.js";

export const MAX_HITS = 200;
let running = null; // AbortController of the search in flight; a newer search ends it

function searchRequest() {
  const { words, avoid } = splitWords(state.q);
  const fields = [["top_k", Math.min(view.shown + state.like.length, MAX_HITS)]];
  if (whereText()) fields.push(["where", whereText()]);
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
    showHits([]);
    return showNotice("The page does not keep sounds between visits. Drop the sound again.", "Leave it out", () => change({ sound: "" }));
  }
  const busy = setTimeout(() => $("results").setAttribute("aria-busy", "true"), 200);
  try {
    if (asksSomething()) await showFound(mine.signal);
    else await showCollection(mine.signal);
  } catch (error) {
    if (error.name === "AbortError" || mine !== running) return;
    showError(error);
  } finally {
    clearTimeout(busy);
    if (mine === running) $("results").removeAttribute("aria-busy");
  }
}

async function showFound(signal) {
  const [path, options] = searchRequest();
  const answer = await ask(path, { ...options, signal });
  const found = answer.hits.filter((hit) => !state.like.includes(hit.clip_id)).slice(0, view.shown);
  hideNotice();
  $("start").hidden = true;
  showHits(found);
  $("show-more").hidden = answer.hits.length < view.shown || view.shown >= MAX_HITS;
  if (!found.length) return showNothing();
  say(`${soundsText(found.length)}, the nearest first`);
  if (found[0].match < 20 && !found[0].words.length) showNotice("No clear match. These are the closest sounds in the collection.", "", null, true);
}

/** Without a query: show clips from a random place in the collection, or those that pass the filters. */
async function showCollection(signal) {
  const count = 8;
  const offset = hasFilters() ? 0 : Math.floor(Math.random() * Math.max(1, view.collection.clips - count + 1));
  const query = new URLSearchParams({ limit: hasFilters() ? view.shown : count, offset });
  if (hasFilters()) query.set("where", whereText());
  const { clips } = await ask(`clips?${query}`, { signal });
  hideNotice();
  $("start").hidden = hasFilters() || !view.collection.clips;
  showHits(clips.map((clip) => ({ ...clip, start_s: 0, end_s: clip.metadata.duration_s ?? 0, segments: [], words: [], twins: [] })));
  $("shuffle").hidden = hasFilters() || view.collection.clips <= count;
  $("show-more").hidden = !hasFilters() || clips.length < view.shown || view.shown >= MAX_HITS;
  $("results-title").textContent = "From this collection";
  $("results-title").classList.toggle("hidden", hasFilters() || !clips.length);
  if (clips.length) return say(hasFilters() ? `${soundsText(clips.length)} pass the filters` : "");
  if (hasFilters()) return showNothing();
  say("");
  showNotice("This collection holds no sounds yet. Add some with:\naskaudio index ~/sounds", "Try again", start, true);
}

function showNothing() {
  say("No sounds");
  if (!hasFilters()) return showNotice("No sound was found.", "", null, true);
  showNotice("No sound passes these filters.", "Clear the filters", () => change(noFilters()), true);
}

export function showError(error) {
  if (error.status === 401) return askForToken();
  say("");
  if (error.status === 0) view.hits.length || showHits([]);
  if ((error.status === 503 || error.status === 429) && error.retryAfter) setTimeout(search, error.retryAfter * 1000);
  const mine = error.status >= 400 && error.status < 500 && error.status !== 429;
  const halfTyped = error.status === 422 && state.where.trim(); // a filter that cannot be read yet: keep what was found
  if (mine && !halfTyped) showHits([]);
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
$("shuffle").addEventListener("click", search);
