// The panel of filters: values with counts, the folder tree; and completion of the filter and tag boxes.

import { ask } from "./api.js";
import { $, element } from "./dom.js";
import { on } from "./events.js";
import { measuredGroup } from "./measured.js";
import { addPanel } from "./panels.js";
import { change, hasFilters, noFilters, quoted, state, whereText } from "./state.js";
import { channelsText, rateText, soundsText } from "./text.js";

const TITLES = { format: "Format", rate: "Sample rate", channels: "Channels", category: "Category", tags: "Tags", licence: "Licence", library: "Library" };
const GROUPS = ["format", "rate", "channels", "category", "tags", "licence", "library"];
const SERVER = { tags: "tag" }; // how the server calls a field
const COMPLETED = ["duration", "channels", "rate", "tag", "path", "format", "category", "subcategory", "caption", "title", "artist", "licence", "library", "loudness", "peak", "silence", "brightness", "pitch", "onsets", "tempo", "modified", "size"];
const SHOWN = 12; // values of a group before "more"
const unfolded = new Set(); // folders whose folders are shown; they stay so when the counts change
let body = null;
let facets = null; // of the present filters
const asked = new Map(); // where + folder -> promise; a collection that changes is asked again at the next visit

function askFacets(where, folder = "") {
  const query = new URLSearchParams();
  if (where) query.set("where", where);
  if (folder) query.set("folder", folder);
  const key = String(query) + state.collection;
  if (!asked.has(key)) {
    if (asked.size > 50) asked.clear();
    asked.set(key, ask(`facets?${query}`));
    asked.get(key).catch(() => asked.delete(key));
  }
  return asked.get(key);
}

const chosenOf = (field) => (field === "channels" ? [state.channels].filter(Boolean) : state[field]);

function choose(field, value) {
  if (field === "channels") return change({ channels: state.channels === value ? "" : value });
  const chosen = state[field];
  return change({ [field]: chosen.includes(value) ? chosen.filter((one) => one !== value) : [...chosen, value] });
}

const shownValue = { rate: (value) => rateText(Number(value)), channels: (value) => channelsText(Number(value)) };

/** Values of a field as check boxes; the counts of a field do not depend on its own filter. */
function group(field, values) {
  const chosen = chosenOf(field);
  const missing = chosen.filter((value) => !values.some((one) => one.value === value)).map((value) => ({ value, count: 0 }));
  const rows = [...missing, ...values].map(({ value, count }, n) => {
    const stored = field === "channels" && Number(value) > 2 ? "more" : value;
    const box = element("input", { type: "checkbox", checked: chosen.includes(stored), onchange: () => choose(field, stored) });
    const text = element("span", { textContent: (shownValue[field] ?? String)(value) });
    const row = element("label", { className: "value" }, box, text, element("span", { className: "count", textContent: count.toLocaleString("en") }));
    row.hidden = n >= SHOWN && !box.checked;
    return row;
  });
  const more = element("button", { type: "button", className: "link", textContent: `All ${rows.length}` });
  more.onclick = () => (rows.forEach((row) => (row.hidden = false)), more.remove());
  return element("fieldset", { className: "group" }, element("legend", { textContent: TITLES[field] }), ...rows, ...(rows.length > SHOWN ? [more] : []));
}

function folderRow({ path, count }, parent) {
  const name = path.slice(parent.replace(/[/\\]$/, "").length + 1) || path;
  const list = element("ul");
  const open = element("button", { type: "button", className: "twist", textContent: "▸" });
  open.setAttribute("aria-label", `Folders in ${name}`);
  open.setAttribute("aria-expanded", "false");
  open.onclick = async () => {
    const opens = open.getAttribute("aria-expanded") === "false";
    open.setAttribute("aria-expanded", String(opens));
    opens ? unfolded.add(path) : unfolded.delete(path);
    list.replaceChildren();
    if (opens) list.append(...(await folderRows(path)));
  };
  const choose = element("button", { type: "button", className: "folder", title: path }, element("span", { textContent: name }), element("span", { className: "count", textContent: count.toLocaleString("en") }));
  choose.setAttribute("aria-pressed", String(state.folder === path));
  choose.onclick = () => change({ folder: state.folder === path ? "" : path });
  const li = element("li", {}, element("div", { className: "value" }, open, choose), list);
  if (unfolded.has(path) || (state.folder.startsWith(path) && state.folder !== path)) open.click();
  return li;
}

async function folderRows(folder) {
  const { parent, folders } = await askFacets(whereText("folder"), folder);
  if (!folders.length) return [element("li", { className: "quiet", textContent: "No folders" })];
  return folders.map((one) => folderRow(one, parent));
}

async function show() {
  if (!body) return;
  const mine = body;
  const where = whereText();
  try {
    facets = await askFacets(where);
    const groups = [];
    for (const field of GROUPS) {
      const own = chosenOf(field).length ? await askFacets(whereText(field)) : facets;
      const values = own.fields[SERVER[field] ?? field] ?? [];
      if (values.length || chosenOf(field).length) groups.push(group(field, values));
    }
    const measured = await measuredGroup();
    if (measured) groups.push(measured);
    const folders = element("ul", { className: "folders" }, ...(await folderRows("")));
    if (body !== mine || where !== whereText()) return;
    const inside = mine.contains(document.activeElement) ? document.activeElement.closest(".value")?.textContent : null;
    const clear = element("button", { type: "button", className: "button", textContent: "Clear the filters", disabled: !hasFilters(), onclick: () => change(noFilters()) });
    mine.replaceChildren(
      element("p", { className: "quiet", textContent: `${soundsText(facets.total)} pass the filters` }), clear, ...groups,
      element("fieldset", { className: "group" }, element("legend", { textContent: "Folder" }), folders),
    );
    if (inside) [...mine.querySelectorAll(".value")].find((row) => row.textContent === inside)?.querySelector("input, .folder")?.focus();
  } catch (error) {
    if (body === mine) mine.replaceChildren(element("p", { className: "quiet", textContent: error.message }));
  }
}

// --- completion: a list of whole texts, since a browser replaces the whole text ------------------------------------

function suggest(list, texts) {
  $(list).replaceChildren(...texts.slice(0, 30).map((value) => element("option", { value })));
}

function suggestTags() {
  suggest("tag-list", (facets?.fields.tag ?? []).map(({ value }) => value).filter((value) => !state.tags.includes(value)));
}

function suggestWhere() {
  const text = $("where").value;
  const [, before, last] = text.match(/^(.*?)([^\s()]*)$/s);
  const [, field, operator, begun] = last.match(/^(\w+)(<=|>=|!=|=|~|<|>)"?(.*)$/) ?? [];
  if (!field) return suggest("where-list", COMPLETED.filter((name) => name.startsWith(last.toLowerCase())).map((name) => `${before}${name}`));
  const values = facets?.fields[field] ?? [];
  const fitting = values.filter(({ value }) => value.toLowerCase().startsWith(begun.toLowerCase()));
  suggest("where-list", fitting.map(({ value }) => `${before}${field}${operator}${/^[\w.-]+$/.test(value) ? value : quoted(value)}`));
}

async function learn() {
  facets ??= await askFacets("").catch(() => null);
  suggestTags();
  suggestWhere();
}

for (const name of ["tag", "where"]) $(name).addEventListener("focus", learn);
$("where").addEventListener("input", suggestWhere);

addPanel({
  id: "filters",
  title: "Filters",
  show: (element) => ((body = element), show()),
  hide: () => (body = null),
});
on("state", show);
on("collection", () => (asked.clear(), (facets = null), show()));
