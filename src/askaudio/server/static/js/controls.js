// The search box and the filters.

import { $, element } from "./dom.js";
import { on } from "./events.js";
import { focusPlace } from "./results.js";
import { asksSomething, change, state, view } from "./state.js";

const TYPING_MS = 180; // a pause this long means: search now
const NEW_ENTRY_MS = 2000; // typing again after this starts a new entry in the browser's history
const EXAMPLES = ["rain on a tin roof", "door creaks slowly", "crowd laughing far away", "short metallic click", "deep engine hum"];
let typing = 0;
let lastTyped = 0;

function showControls() {
  if ($("q").value !== state.q) $("q").value = state.q;
  for (const name of ["length", "channels", "where"]) {
    if ($(name).value !== state[name]) $(name).value = state[name];
    $(name).classList.toggle("set", Boolean(state[name]));
  }
}

function typed(changes) {
  clearTimeout(typing);
  typing = setTimeout(() => {
    const push = Date.now() - lastTyped > NEW_ENTRY_MS;
    lastTyped = Date.now();
    change(changes(), { push });
  }, TYPING_MS);
}

$("q").addEventListener("input", () => typed(() => ({ q: $("q").value })));
$("where").addEventListener("input", () => typed(() => ({ where: $("where").value })));
$("length").addEventListener("change", () => change({ length: $("length").value }));
$("channels").addEventListener("change", () => change({ channels: $("channels").value }));
$("tag").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !$("tag").value.trim()) return;
  event.preventDefault();
  change({ tags: [...new Set([...state.tags, $("tag").value.trim()])] });
  $("tag").value = "";
});
$("search").addEventListener("submit", async (event) => {
  event.preventDefault();
  clearTimeout(typing);
  lastTyped = Date.now();
  await change({ q: $("q").value, where: $("where").value });
  if (document.activeElement === $("q") && view.hits.length && asksSomething()) focusPlace(0);
});

on("state", showControls);
$("examples").replaceChildren(
  ...EXAMPLES.map((text) => element("li", {}, element("button", { type: "button", textContent: text, onclick: () => change({ q: text }) }))),
);
