// Above the list: its order, how rows look, which take leads; and which collection is searched.

import { ask } from "./api.js";
import { $, element } from "./dom.js";
import { on } from "./events.js";
import { setLook } from "./results.js";
import { start } from "./search.js";
import { asksSomething, change, state, view } from "./state.js";

const DESCENDING_FIRST = ["duration", "date", "loudness", "brightness"];

function showTools() {
  $("sort").value = state.sort;
  $("sort").options[0].textContent = asksSomething() ? "Best match" : "Any order";
  $("descending").hidden = !state.sort;
  $("descending").setAttribute("aria-pressed", String(Boolean(state.desc)));
  $("descending").textContent = state.desc ? "Z–A, 9–0" : "A–Z, 0–9";
  $("lead").value = state.lead;
  $("lead").parentElement.hidden = !asksSomething();
  $("collection").value = state.collection || $("collection").options[0]?.value || "";
  for (const button of document.querySelectorAll("#columns button")) {
    const here = button.dataset.sort === state.sort;
    button.setAttribute("aria-pressed", String(here));
    button.dataset.order = here && state.sort ? (state.desc ? "down" : "up") : "";
  }
}

function sortBy(sort) {
  const again = sort === state.sort;
  const desc = again ? !state.desc : DESCENDING_FIRST.includes(sort);
  return change({ sort, desc: sort && desc ? "1" : "" });
}

function showLook(look) {
  $("look").value = look;
  $("columns").hidden = look !== "columns";
  setLook(look);
}

/** Fill the choice of collections; it is shown where the server has several. */
async function showCollections() {
  const found = await ask("collections").catch(() => []);
  $("collection").replaceChildren(...found.map(({ name, clips }) => element("option", { value: name, textContent: `${name} (${clips.toLocaleString("en")})` })));
  $("collection").parentElement.hidden = found.length < 2;
  showTools();
}

$("sort").addEventListener("change", () => change({ sort: $("sort").value, desc: DESCENDING_FIRST.includes($("sort").value) ? "1" : "" }));
$("descending").addEventListener("click", () => change({ desc: state.desc ? "" : "1" }));
$("lead").addEventListener("change", () => change({ lead: $("lead").value }));
$("look").addEventListener("change", () => {
  localStorage.setItem("look", $("look").value);
  showLook($("look").value);
});
$("columns").addEventListener("click", (event) => event.target.dataset.sort !== undefined && sortBy(event.target.dataset.sort));
$("collection").addEventListener("change", async () => {
  await change({ collection: $("collection").value, like: [], unlike: [], folder: "" });
  start();
});
on("state", showTools);
on("collection", () => $("collection").options.length || showCollections());
on("hits", () => ($("tools").hidden = !view.hits.length));
showLook(localStorage.getItem("look") || "cards");
