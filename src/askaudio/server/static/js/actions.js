// The menu of what can be done with one hit or with several.

import { $, element } from "./dom.js";

const actions = [];

/**
 * Add an entry to the menu of a row and to the menu of a selection.
 *
 * label: text of the entry, or a function of the hits that returns it.
 * run(hits): what it does; `hits` are one or several, as the server sent them (clip_id, path, metadata, ...).
 * when(hits): whether the entry is offered; always, if it is left out.
 */
export function addAction({ label, run, when = () => true }) {
  actions.push({ label, run, when });
}

export const hasActions = () => actions.length > 0;

/** Open the menu for some hits, at an element or at the current row. */
export function openActions(hits, anchor = null) {
  const offered = hits.length ? actions.filter((action) => action.when(hits)) : [];
  if (!offered.length) return;
  const opener = anchor ?? document.activeElement;
  const items = offered.map(({ label, run }) => {
    const button = element("button", { type: "button", textContent: typeof label === "function" ? label(hits) : label });
    button.setAttribute("role", "menuitem");
    button.onclick = () => (close(opener), run(hits));
    return button;
  });
  $("menu").replaceChildren(...items);
  $("menu").showPopover();
  placeAt(opener);
  items[0].focus();
  $("menu").onkeydown = (event) => move(event, items, opener);
}

function close(opener) {
  $("menu").hidePopover();
  opener?.focus?.({ preventScroll: true });
}

function move(event, items, opener) {
  const at = items.indexOf(document.activeElement);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: items.length - 1 }[event.key];
  if (event.key === "Tab" || event.key === "Escape") close(opener);
  if (to === undefined && event.key !== "Escape") return;
  event.preventDefault();
  event.stopPropagation();
  items[((to ?? 0) + items.length) % items.length].focus();
}

/** Below the element, or above it where there is no room. */
function placeAt(opener) {
  const [box, own] = [opener.getBoundingClientRect(), $("menu").getBoundingClientRect()];
  const below = box.bottom + own.height < innerHeight;
  const left = Math.max(8, Math.min(box.right - own.width, innerWidth - own.width - 8));
  $("menu").style.inset = `${below ? box.bottom + 4 : Math.max(8, box.top - own.height - 4)}px auto auto ${left}px`;
}
