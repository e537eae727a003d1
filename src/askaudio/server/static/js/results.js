// The list of hits: rows, the current row, and what a row's buttons do.

import { API, clipUrl } from "./api.js";
import { $, element, reduced, say, setIcon } from "./dom.js";
import { emit, on } from "./events.js";
import { openActions } from "./actions.js";
import { dragOut } from "./drag.js";
import { player } from "./player.js";
import { remember } from "./chips.js";
import { asksSomething, change, state, view } from "./state.js";
import { clock, factsOf, folderOf, nameOf } from "./text.js";
import { seekByPointer, watchWaves } from "./waves.js";

const LEVELS = [[80, 4, "Strong match"], [50, 3, "Good match"], [20, 2, "Possible match"], [-Infinity, 1, "Weak match"]];
export const rowAt = (place) => $("results").children[place];

export function showHits(list) {
  view.hits = list;
  $("results-title").classList.add("hidden");
  $("results-title").textContent = "Sounds";
  $("shuffle").hidden = $("show-more").hidden = true;
  const rows = list.map((hit, place) => row(hit, place));
  const wasInside = $("results").contains(document.activeElement);
  $("results").replaceChildren(...rows);
  rows[0]?.querySelector("article").setAttribute("tabindex", "0");
  watchWaves(rows);
  if (wasInside && rows.length) rows[Math.min(Math.max(view.focused, 0), rows.length - 1)].querySelector("article").focus({ preventScroll: true });
  else view.focused = -1;
  emit("hits", list);
}
function row(hit, place) {
  const li = $("hit").content.firstElementChild.cloneNode(true);
  const [name, kind] = nameOf(hit.path);
  const find = (selector) => li.querySelector(selector);
  li.dataset.place = place;
  marked(find("h3"), name, hit.words);
  if (kind) find("h3").append(element("small", { textContent: kind }));
  find("h3").id = `hit-${place}`;
  find("article").setAttribute("aria-labelledby", `hit-${place}`);
  find(".where").textContent = [hit.metadata.caption ?? []].flat()[0] || hit.metadata.description || folderOf(hit.path);
  find(".where").title = hit.path;
  find(".facts").textContent = factsOf(hit.metadata);
  find(".play").setAttribute("aria-label", `Play ${name}`);
  find(".save").href = API + clipUrl(hit.clip_id, "/audio?download=true");
  find(".save").setAttribute("download", "");
  showMatch(find(".match"), hit);
  showSpots(find(".spots"), hit, place);
  showTags(find(".tags"), hit);
  showTwins(find(".twins"), hit);
  find(".play").onclick = () => player.toggle(place);
  find(".more").onclick = () => moreLike(hit);
  find(".less").onclick = () => notLike(hit);
  find(".copy").onclick = () => copyPaths([hit]);
  find(".others").onclick = (event) => openActions([hit], event.currentTarget);
  find(".wave").onpointerdown = (event) => seekByPointer(event, place);
  find("article").onfocus = () => focusPlace(place, { move: false });
  li.ondragstart = (event) => dragOut(event, hit);
  return li;
}

/** The name with the words of the query marked in it, where they begin a word. */
function marked(heading, name, words) {
  const wanted = (words ?? []).filter(Boolean).map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  if (!wanted.length) return heading.append(name);
  name.split(new RegExp(`(?<!\\p{L})(${wanted.join("|")})`, "iu")).forEach((piece, k) => {
    heading.append(k % 2 ? element("mark", { textContent: piece }) : piece); // split leaves what was found at odd places
  });
}

function showMatch(place, hit) {
  place.hidden = hit.match === undefined;
  if (place.hidden) return;
  const [, level, word] = LEVELS.find(([from]) => hit.match >= from);
  const byName = hit.match < 50 && hit.words.length > 0; // found by its words, not by its sound
  place.dataset.level = level;
  place.querySelector(".word").textContent = byName ? "By its name" : word;
  place.title = `${Math.round(hit.match)} of 100; cosine ${hit.score.toFixed(3)}`;
}

/** Buttons for the places in a long recording that answer the query. */
function showSpots(place, hit) {
  const length = hit.metadata.duration_s ?? 0;
  const spots = hit.segments.filter((spot) => spot.end_s - spot.start_s < 0.9 * length).slice(0, 4);
  for (const spot of spots.sort((a, b) => a.start_s - b.start_s)) {
    const button = element("button", { type: "button", textContent: `${clock(spot.start_s)}–${clock(spot.end_s)}` });
    button.setAttribute("aria-label", `Play from ${clock(spot.start_s)}`);
    button.onclick = () => player.play(view.hits.indexOf(hit), spot.start_s);
    place.append(button);
  }
}

function showTags(place, hit) {
  const tags = [...new Set([hit.metadata.tags ?? []].flat())].slice(0, 6);
  place.hidden = !tags.length;
  for (const tag of tags) {
    const button = element("button", { type: "button", textContent: tag, title: `Only sounds with the tag ${tag}` });
    button.onclick = () => change({ tags: [...new Set([...state.tags, tag])] });
    const li = element("li");
    li.append(button);
    place.append(li);
  }
}

function showTwins(place, hit) {
  place.hidden = !hit.twins.length;
  place.querySelector("summary").textContent = `${hit.twins.length} near-identical ${hit.twins.length === 1 ? "take" : "takes"}`;
  for (const twin of hit.twins) {
    place.querySelector("ul").append(element("li", { textContent: twin.path }));
  }
}

/** Make a row the current one, and unless `move` is false move the keyboard's focus to it. */
export function focusPlace(place, { move = true } = {}) {
  if (place < 0 || place >= view.hits.length) return;
  $("results").querySelector('article[tabindex="0"]')?.setAttribute("tabindex", "-1");
  const article = rowAt(place).querySelector("article");
  article.setAttribute("tabindex", "0");
  view.focused = place;
  emit("focus", view.hits[place]);
  if (!move) return;
  article.focus({ preventScroll: true });
  article.scrollIntoView({ block: "nearest", behavior: reduced.matches ? "auto" : "smooth" });
  if ($("follow").checked) player.play(place);
}

export function moreLike(hit) {
  remember(hit);
  view.focused = 0;
  change({ sound: "", like: [hit.clip_id], unlike: state.unlike.filter((other) => other !== hit.clip_id) });
  window.scrollTo({ top: 0 });
}

export function notLike(hit) {
  remember(hit);
  if (!asksSomething()) return say("Search for something first; then say what it should not be like.");
  change({ unlike: [...new Set([...state.unlike, hit.clip_id])], like: state.like.filter((other) => other !== hit.clip_id) });
}

export async function copyPaths(hits) {
  const paths = hits.map((hit) => hit.path).join("\n");
  const what = hits.length === 1 ? paths : `${hits.length} paths`;
  try {
    await navigator.clipboard.writeText(paths);
    say(`Copied: ${what}`);
  } catch {
    say(`This browser does not allow copying. The path: ${paths}`);
  }
}

function markPlaying() {
  const going = player.isPlaying();
  [...$("results").children].forEach((li, place) => {
    const here = place === player.place;
    li.classList.toggle("playing", here);
    setIcon(li.querySelector(".play"), here && going ? "pause" : "play", `${here && going ? "Pause" : "Play"} ${nameOf(view.hits[place].path)[0]}`);
  });
}

on("playing", markPlaying);
