// Rows that are selected, by keys and mouse, and the bar that says what can be done with them.

import { openActions } from "./actions.js";
import { $ } from "./dom.js";
import { emit, on } from "./events.js";
import { rowAt } from "./results.js";
import { view } from "./state.js";
import { soundsText } from "./text.js";

const selected = new Map(); // clip_id -> hit, in the order of selection
let anchor = 0; // where a selection with shift begins

/** The selected hits; without any, the current one. */
export const chosen = () => (selected.size ? [...selected.values()] : [view.hits[view.focused]].filter(Boolean));

/** Select a row, or leave it out. */
export function toggle(place) {
  const hit = view.hits[place];
  selected.delete(hit.clip_id) || selected.set(hit.clip_id, hit);
  anchor = place;
  show();
}

/** Select all rows between two places, both included. */
export function toggleTo(from, to) {
  for (const hit of view.hits.slice(Math.max(0, Math.min(from, to)), Math.max(from, to) + 1)) selected.set(hit.clip_id, hit);
  show();
}

export function selectAll() {
  toggleTo(0, view.hits.length - 1);
}

export function clearSelection() {
  selected.clear();
  show();
}

function show() {
  view.hits.forEach((hit, place) => {
    rowAt(place)?.classList.toggle("selected", selected.has(hit.clip_id));
    rowAt(place)?.querySelector("article").setAttribute("aria-current", selected.has(hit.clip_id));
  });
  $("selection").hidden = !selected.size;
  $("selection-count").textContent = `${soundsText(selected.size)} selected`;
  emit("selection", [...selected.values()]);
}

$("results").addEventListener("click", (event) => {
  const row = event.target.closest("#results > li");
  if (!row || !(event.ctrlKey || event.metaKey || event.shiftKey) || event.target.closest("button, a, summary")) return;
  const place = Number(row.dataset.place);
  if (event.shiftKey) toggleTo(anchor, place);
  else toggle(place);
});
$("selection-clear").addEventListener("click", clearSelection);
$("selection-actions").addEventListener("click", (event) => openActions([...selected.values()], event.currentTarget));
on("hits", show);
