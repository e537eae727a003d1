// Suggested queries: those for which this collection has sounds that stand out.

import { ask } from "./api.js";
import { $, element } from "./dom.js";
import { on } from "./events.js";
import { change } from "./state.js";

const LEAST = 3; // with fewer, the usual examples stay

on("collection", async ({ clips }) => {
  if (!clips) return;
  const { queries } = await ask("suggestions?limit=8").catch(() => ({ queries: [] }));
  if (queries.length < LEAST) return;
  const button = (text) => element("button", { type: "button", textContent: text, onclick: () => change({ q: text }) });
  $("examples").replaceChildren(...queries.map((text) => element("li", {}, button(text))));
});
