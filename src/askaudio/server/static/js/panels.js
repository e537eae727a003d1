// The area at the side (on a phone: over the list) that shows one panel at a time.

import { $, element } from "./dom.js";

const panels = new Map(); // id -> panel
let open = ""; // id of the panel that is shown
let opener = null; // what had the focus before

/**
 * Add a panel. A button in the head of the page opens it.
 *
 * id: of the panel, and of its section (`panel-ID`).
 * title: text of the button and heading of the panel.
 * show(body): fills the panel's element each time it is opened; may return a promise.
 * hide(): called when it closes; may be left out.
 * styles: a style sheet of its own beside page.css, such as "css/map.css"; may be left out.
 */
export function addPanel({ id, title, show, hide = () => {}, styles = "" }) {
  const button = element("button", { type: "button", id: `open-${id}`, className: "tab", textContent: title });
  button.setAttribute("aria-expanded", "false");
  button.setAttribute("aria-controls", "side");
  button.onclick = () => (open === id ? closePanel() : openPanel(id));
  $("panels").append(button);
  if (styles) document.head.append(element("link", { rel: "stylesheet", href: styles }));
  panels.set(id, { title, show, hide, button });
}

/** Open a panel, in place of the one that is open. */
export async function openPanel(id) {
  if (open && open !== id) panels.get(open).hide();
  if (!open) opener = document.activeElement;
  open = id;
  const { title, show } = panels.get(id);
  const body = element("section", { id: `panel-${id}` });
  $("side-title").textContent = title;
  $("side-body").replaceChildren(body);
  mark();
  $("side-title").focus({ preventScroll: true });
  await show(body);
}

/** Close the panel that is open; returns whether there was one. */
export function closePanel() {
  if (!open) return false;
  panels.get(open).hide();
  open = "";
  $("side-body").replaceChildren();
  mark();
  opener?.focus?.({ preventScroll: true });
  return true;
}

export const openedPanel = () => open;

function mark() {
  $("side").hidden = !open;
  document.body.classList.toggle("with-side", Boolean(open));
  for (const [id, { button }] of panels) button.setAttribute("aria-expanded", String(id === open));
}

$("side-close").addEventListener("click", closePanel);
