// Keys of the page; index.html lists them in the help.

import { openActions } from "./actions.js";
import { openDetail } from "./detail.js";
import { $ } from "./dom.js";
import { closePanel } from "./panels.js";
import { player } from "./player.js";
import { copyPaths, focusPlace, moreLike, notLike } from "./results.js";
import { chosen, clearSelection, selectAll, selectTo, toggle } from "./selection.js";
import { change, view } from "./state.js";

const here = () => view.hits[view.focused];
const step = (by) => (event) => {
  const from = view.focused;
  if (by < 0 && from <= 0) return $("q").focus();
  focusPlace(Math.min(from + by, view.hits.length - 1));
  if (event.shiftKey) selectTo(from, view.focused);
};

const keys = {
  "/": () => $("q").select() ?? $("q").focus(),
  "?": () => $("help").showModal(),
  ArrowDown: step(1),
  ArrowUp: step(-1),
  PageDown: step(8),
  PageUp: (event) => view.focused > 0 && step(Math.max(-8, -view.focused))(event),
  Home: () => focusPlace(0),
  j: step(1),
  k: step(-1),
  " ": () => (here() ? player.toggle(view.focused) : view.hits.length && (focusPlace(0), player.play(0))),
  Enter: () => here() && player.toggle(view.focused),
  ArrowLeft: (event) => player.seek(event.shiftKey ? -5 : -1),
  ArrowRight: (event) => player.seek(event.shiftKey ? 5 : 1),
  m: () => here() && moreLike(here()),
  n: () => here() && notLike(here()),
  c: () => chosen().length && copyPaths(chosen()),
  x: () => here() && toggle(view.focused),
  i: () => here() && openDetail(here()),
  l: () => $("loop").click(),
  f: () => $("follow").click(),
  ".": () => openActions(chosen()),
  Escape: escape,
};
/** Add keys: name of a key -> function of its event. A module that adds some is imported in main.js. */
export const addKeys = (more) => Object.assign(keys, more);
const withControl = { a: selectAll, " ": () => here() && toggle(view.focused) };

function escape() {
  if (player.isPlaying()) return player.stop();
  if (closePanel()) return;
  if (!$("selection").hidden) return clearSelection();
  if (document.activeElement !== $("q")) return $("q").focus();
  if ($("q").value) change({ q: "" });
}

/** Whether a key belongs to the control that has the focus. */
function isTaken(event) {
  const target = event.target;
  const inText = target.matches("input:not([type=checkbox]):not([type=range]):not([type=file]), select, textarea");
  if (inText && !(event.key === "Escape" || (target === $("q") && event.key === "ArrowDown"))) return true;
  if (target.closest("#side") && event.key !== "Escape") return true;
  if ([" ", "Enter"].includes(event.key) && target.matches("button, a, summary, input, label")) return true;
  return target.matches("input[type=range]") && /^(Arrow|Page|Home|End)/.test(event.key);
}

document.addEventListener("keydown", (event) => {
  if (event.altKey || document.querySelector("dialog[open], :popover-open") || isTaken(event)) return;
  const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const control = event.ctrlKey || event.metaKey;
  const act = (control ? withControl : keys)[name];
  if (!act || (control && name === "a" && event.target === $("q"))) return;
  event.preventDefault();
  if (event.target === $("q") && event.key === "ArrowDown") view.focused = -1;
  act(event);
});
