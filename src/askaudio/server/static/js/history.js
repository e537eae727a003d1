// The way back: the place in a list is part of the browser's history, and what is being typed is never lost.

import { $ } from "./dom.js";
import { emit } from "./events.js";
import { change, readUrl, state } from "./state.js";

const SETTLED_MS = 150;
let settling = 0;

history.scrollRestoration = "manual"; // the list is as high as it was only after it was loaded

addEventListener("scroll", () => {
  clearTimeout(settling);
  settling = setTimeout(() => history.replaceState({ scroll: scrollY }, ""), SETTLED_MS);
}, { passive: true });

export async function restore() {
  const scroll = history.state?.scroll ?? 0;
  emit("state");
  await emit("query");
  scrollTo(0, scroll);
}

addEventListener("popstate", () => (clearTimeout(settling), readUrl(), restore()));
// typed, and left before the search began
addEventListener("pagehide", () => {
  if ($("q").value !== state.q || $("where").value !== state.where) change({ q: $("q").value, where: $("where").value });
});
