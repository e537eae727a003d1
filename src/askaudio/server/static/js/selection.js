// Rows that are selected, by keys and mouse, and the bar that says what can be done with them.

import { addAction, openActions } from "./actions.js";
import { $ } from "./dom.js";
import { emit, on } from "./events.js";
import { placeOfClip } from "./list.js";
import { focusPlace, shownRows } from "./results.js";
import { view } from "./state.js";
import { soundsText } from "./text.js";

const selected = new Map(); // clip_id -> hit, in the order of selection
let anchor = 0; // where a selection with shift begins

/** The selected hits; without any, the current one. */
export const chosen = () => (selected.size ? [...selected.values()] : [view.hits[view.focused]].filter(Boolean));

/** Select a row, or leave it out. */
export function toggle(place) {
  const hit = view.hits[place];
  if (!hit) return;
  selected.delete(hit.clip_id) || selected.set(hit.clip_id, hit);
  anchor = place;
  show();
}

/** Select all rows between two places, both included; rows that are not loaded are left out. */
export function selectTo(from, to) {
  for (const hit of view.hits.slice(Math.max(0, Math.min(from, to)), Math.max(from, to) + 1)) if (hit) selected.set(hit.clip_id, hit);
  show();
}

/** Select every loaded row. */
export function selectAll() {
  selectTo(0, view.hits.length - 1);
}

export function clearSelection() {
  selected.clear();
  show();
}

function mark(li, hit) {
  const is = Boolean(hit) && selected.has(hit.clip_id);
  li.classList.toggle("selected", is);
  li.querySelector("h3")?.parentElement.toggleAttribute("data-selected", is);
  const told = li.querySelector(".told");
  if (told) told.textContent = is ? "selected" : "";
}

function show() {
  for (const [place, li] of shownRows()) mark(li, view.hits[place]);
  $("selection").hidden = !selected.size;
  $("selection-count").textContent = `${soundsText(selected.size)} selected`;
  emit("selection", [...selected.values()]);
}

$("results").addEventListener("click", (event) => {
  const row = event.target.closest("#results > li");
  if (!row || !(event.ctrlKey || event.metaKey || event.shiftKey) || event.target.closest("button, a, summary")) return;
  const place = Number(row.dataset.place);
  if (event.shiftKey) selectTo(anchor, place);
  else toggle(place);
  focusPlace(place, { quiet: true });
});
$("results").addEventListener("mousedown", (event) => event.shiftKey && event.preventDefault()); // no text is marked
$("selection-clear").addEventListener("click", clearSelection);
$("selection-actions").addEventListener("click", (event) => openActions([...selected.values()], event.currentTarget));
addAction({
  label: ([hit]) => (selected.has(hit.clip_id) ? "Leave out of the selection" : "Select"),
  when: (hits) => hits.length === 1 && placeOfClip(hits[0].clip_id) >= 0,
  run: ([hit]) => toggle(placeOfClip(hit.clip_id)),
});
on("row", ({ li, hit }) => mark(li, hit));
on("query", () => selected.size && show());
