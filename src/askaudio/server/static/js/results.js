// The list on the screen: only rows that are in sight exist, however long the list is. All rows have the same height.

import { openActions } from "./actions.js";
import { fileUrl } from "./api.js";
import { remember } from "./chips.js";
import { $, element, say, setIcon } from "./dom.js";
import { dragOut } from "./drag.js";
import { emit, on } from "./events.js";
import { need, placeOfClip, unfold } from "./list.js";
import { player } from "./player.js";
import { asksSomething, change, state, view } from "./state.js";
import { clock, factsOf, factCells, folderOf, nameOf } from "./text.js";
import { draw, drawAll, seekByPointer, watchWave } from "./waves.js";

const LEVELS = [[60, 4, "Strong match"], [40, 3, "Good match"], [20, 2, "Possible match"], [-Infinity, 1, "Weak match"]];
const ALL = 40; // a list up to this length is on the screen as a whole
const MOST_PX = 15e6; // browsers do not lay out higher boxes
const SETTLED_MS = 60; // rows that stay in sight this long are fetched
const results = $("results");
const shown = new Map(); // place -> li

export const rowAt = (place) => shown.get(place);
export const shownRows = () => [...shown];

const rowHeight = () => results.querySelector("li")?.getBoundingClientRect().height || 100;
const length = () => Math.min(view.hits.length, Math.floor(MOST_PX / rowHeight()));

function showList() {
  const wasInside = results.contains(document.activeElement);
  clearRows();
  render();
  if (wasInside && view.hits.length) focusPlace(Math.min(Math.max(view.focused, 0), view.hits.length - 1), { quiet: true });
  else view.focused = -1;
}

function clearRows() {
  shown.clear();
  results.replaceChildren();
}

/** First and last place in sight, with some rows around. */
function range() {
  if (length() <= ALL) return [0, length()];
  const height = rowHeight();
  const top = results.getBoundingClientRect().top;
  const around = Math.ceil((0.7 * innerHeight) / height);
  const first = Math.floor(-top / height) - around;
  const last = Math.ceil((innerHeight - top) / height) + around;
  return [Math.max(0, Math.min(first, length() - 1)), Math.max(0, Math.min(last, length()))];
}

let settling = 0;
let awaited = -1; // place of the row that gets the keyboard's focus when it is loaded

function render() {
  if (!shown.size && view.hits.length) addRow(0); // its height tells how many more
  const [first, last] = range();
  for (const [place, li] of shown) {
    if (place >= first && place < last && Boolean(view.hits[place]) === !li.classList.contains("waiting")) continue;
    if (li.contains(document.activeElement)) results.focus({ preventScroll: true });
    li.remove();
    shown.delete(place);
  }
  for (let place = first; place < last; place++) if (!shown.has(place)) addRow(place);
  const height = rowHeight();
  results.style.paddingTop = `${first * height}px`;
  results.style.paddingBottom = `${(length() - last) * height}px`;
  if (!results.querySelector('article[tabindex="0"]')) results.querySelector("article")?.setAttribute("tabindex", "0");
  clearTimeout(settling);
  settling = setTimeout(() => need(first, last), SETTLED_MS);
}

function addRow(place) {
  const hit = view.hits[place];
  const li = hit ? row(hit, place) : element("li", { className: "hit waiting" });
  li.dataset.place = place;
  li.setAttribute("aria-setsize", view.hits.length);
  li.setAttribute("aria-posinset", place + 1);
  let after = null; // the row that comes next in the document
  for (const [other, element] of shown) if (other > place && (after === null || other < Number(after.dataset.place))) after = element;
  results.insertBefore(li, after);
  shown.set(place, li);
  if (!hit) return;
  watchWave(li);
  showPlaying(place, li);
  emit("row", { li, hit, place });
  if (place === awaited) focusPlace(place, { quiet: true });
}

function row(hit, place) {
  const li = $("hit").content.firstElementChild.cloneNode(true);
  const [name, kind] = nameOf(hit.path);
  const find = (selector) => li.querySelector(selector);
  marked(find("h3"), name, hit.words);
  if (kind) find("h3").append(element("small", { textContent: kind }));
  find("h3").id = `hit-${place}`;
  find("h3").title = name;
  find("article").setAttribute("aria-labelledby", `hit-${place}`);
  find(".where").textContent = [hit.metadata.caption ?? []].flat()[0] || hit.metadata.description || folderOf(hit.path);
  find(".where").title = hit.path;
  find(".facts").textContent = factsOf(hit.metadata);
  find(".cells").append(...factCells(hit).map((text) => element("span", { textContent: text, title: text })));
  find(".play").setAttribute("aria-label", `Play ${name}`);
  find(".save").href = fileUrl(hit.clip_id);
  find(".save").setAttribute("download", "");
  li.classList.toggle("take", Boolean(hit.takeOf));
  showMatch(find(".match"), hit);
  showSpots(find(".spots"), hit, place);
  showTags(find(".tags"), hit);
  showTakes(find(".takes"), hit, place);
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

/** How well a hit matches, for people: [level 1 to 4, words]. */
export function matchText(hit) {
  const [, level, word] = LEVELS.find(([from]) => hit.match >= from);
  return [level, hit.match < 40 && hit.words.length > 0 ? "By its name" : word]; // found by its words, not by its sound
}

function showMatch(place, hit) {
  if (hit.takeOf) return (place.textContent = "near-identical");
  place.hidden = hit.match === undefined;
  if (place.hidden) return;
  const [level, word] = matchText(hit);
  place.dataset.level = level;
  place.querySelector(".word").textContent = word;
  place.title = `${Math.round(hit.match)} of 100; cosine ${hit.score.toFixed(3)}`;
}

/** Buttons for the places in a long recording that answer the query. */
function showSpots(place, hit, at) {
  const length = hit.metadata.duration_s ?? 0;
  const spots = hit.segments.filter((spot) => spot.end_s - spot.start_s < 0.9 * length).slice(0, 4);
  for (const spot of spots.sort((a, b) => a.start_s - b.start_s)) {
    const button = element("button", { type: "button", textContent: `${clock(spot.start_s)}–${clock(spot.end_s)}` });
    button.setAttribute("aria-label", `Play from ${clock(spot.start_s)}`);
    button.onclick = () => player.play(at, spot.start_s);
    place.append(button);
  }
}

function showTags(place, hit) {
  const tags = [...new Set([hit.metadata.tags ?? []].flat())].slice(0, 6);
  place.hidden = !tags.length;
  for (const tag of tags) {
    const button = element("button", { type: "button", textContent: tag, title: `Only sounds with the tag ${tag}` });
    button.onclick = () => change({ tags: [...new Set([...state.tags, tag])] });
    place.append(element("li", {}, button));
  }
}

function showTakes(button, hit, place) {
  button.hidden = !hit.twins.length;
  button.textContent = `${hit.twins.length} near-identical ${hit.twins.length === 1 ? "take" : "takes"}`;
  button.setAttribute("aria-expanded", String(Boolean(hit.unfolded)));
  button.onclick = () => (unfold(place), rowAt(place)?.querySelector(".takes").focus());
}

/** Make a row the current one; unless `move` is false, bring it into sight and move the keyboard's focus to it. */
export function focusPlace(place, { move = true, quiet = false } = {}) {
  if (place < 0 || place >= length()) return;
  view.focused = place;
  if (move) bringIntoSight(place);
  const article = rowAt(place)?.querySelector("article");
  awaited = article || !move ? -1 : place;
  if (!article) return;
  results.querySelector('article[tabindex="0"]')?.setAttribute("tabindex", "-1");
  article.setAttribute("tabindex", "0");
  emit("focus", view.hits[place]);
  if (!move) return;
  article.focus({ preventScroll: true });
  if ($("follow").checked && !quiet) player.play(place);
}

function bringIntoSight(place) {
  const height = rowHeight();
  const top = results.getBoundingClientRect().top + place * height;
  const head = document.querySelector(".top").getBoundingClientRect().bottom + ($("selection").hidden ? 0 : 56);
  const foot = innerHeight - ($("player").hidden ? 8 : $("player").offsetHeight + 24);
  if (top < head) scrollBy(0, top - head - 4);
  else if (top + height > foot) scrollBy(0, top + height - foot);
  render();
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

function showPlaying(place, li) {
  const hit = view.hits[place];
  if (!hit || li.classList.contains("waiting")) return;
  const here = player.hit !== null && hit.clip_id === player.hit.clip_id;
  const going = here && player.isPlaying();
  li.classList.toggle("playing", here);
  setIcon(li.querySelector(".play"), going ? "pause" : "play", `${going ? "Pause" : "Play"} ${nameOf(hit.path)[0]}`);
}

const markPlaying = () => shown.forEach((li, place) => showPlaying(place, li));

/** Rows of another kind: "cards", "dense" or "columns". */
export function setLook(look) {
  results.dataset.look = look;
  clearRows();
  render();
}

let frame = 0;
const later = () => (frame ||= requestAnimationFrame(() => ((frame = 0), render())));
addEventListener("scroll", later, { passive: true });
addEventListener("resize", later, { passive: true });
on("hits", showList);
on("loaded", (moved) => {
  if (moved) clearRows();
  if (player.hit) player.place = placeOfClip(player.hit.clip_id);
  render();
});
on("playing", () => (markPlaying(), drawAll()));
on("theme", drawAll);
new ResizeObserver(drawAll).observe(results);
on("time", () => draw(player.place));
