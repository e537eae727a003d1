// Choose folders, watch how they are indexed, stop and continue: the panel "Folders", open at the first visit.

import { ask, send } from "./api.js";
import { $, element, say } from "./dom.js";
import { on } from "./events.js";
import { addPanel, openPanel, openedPanel } from "./panels.js";
import { start } from "./search.js";
import { view } from "./state.js";
import { clock, soundsText } from "./text.js";

const POLL_MS = 1000;
const chosen = new Set(); // folders that will be indexed
let state = null; // of indexing, as the server sent it
let timer = 0;
let parts = {}; // elements of the panel while it is open
let offered = false; // the panel opens by itself once

addPanel({ id: "folders", title: "Folders", show, hide: () => (parts = {}), styles: "css/start.css" });

async function show(body) {
  parts = {
    progress: element("div", { className: "indexing" }),
    indexed: element("div", { className: "indexed" }),
    browser: element("div", { className: "browser" }),
  };
  parts.progress.setAttribute("aria-live", "polite");
  body.append(parts.progress, parts.indexed, parts.browser);
  await refresh();
  if (state?.may_index) await browse("");
}

// --- the job -----------------------------------------------------------------------------------------------------

async function refresh() {
  clearTimeout(timer);
  const before = state?.status;
  try {
    state = await ask("index");
  } catch (error) {
    if (parts.progress) parts.progress.replaceChildren(element("p", { className: "wrong", textContent: error.message }));
    return;
  }
  showProgress();
  const going = state.status === "running" || state.status === "stopping";
  if (going) timer = setTimeout(refresh, POLL_MS);
  else if (before === "running" || before === "stopping") await finished();
}

async function finished() {
  say(summary(state));
  await start();
}

function summary({ status, report, error }) {
  if (status === "failed") return `Indexing failed. ${error}`;
  if (status === "stopped") return "Stopped. What was indexed is kept; the same folders continue where this ended.";
  if (!report) return "";
  const minutes = report.audio_s >= 1 ? ` (${clock(report.audio_s)} of sound in ${clock(report.took_s)})` : "";
  return `Done: ${report.added} added, ${report.changed} changed, ${report.removed} removed, ${report.unchanged} unchanged${minutes}.`;
}

function showProgress() {
  if (!parts.progress) return;
  const { status, done, total, note, report } = state;
  const going = status === "running" || status === "stopping";
  const rows = [];
  if (going) {
    const bar = element("progress", total ? { max: total, value: done } : {});
    bar.setAttribute("aria-label", "Files indexed");
    const count = total ? `${done.toLocaleString("en")} of ${total.toLocaleString("en")} files` : "Looking for sounds";
    rows.push(bar, element("p", { textContent: [count, note].filter(Boolean).join(", ") }));
    const stop = element("button", { type: "button", className: "button", textContent: status === "stopping" ? "Stopping" : "Stop", disabled: status === "stopping" });
    stop.onclick = async () => ((state = await ask("index", { method: "DELETE" })), showProgress());
    rows.push(stop);
  } else if (status !== "idle") {
    rows.push(element("p", { className: status === "failed" ? "wrong" : "", textContent: summary(state) }));
    if (status !== "done") rows.push(run("Continue", () => state.folders));
    if (report) rows.push(...faults(report));
  }
  parts.progress.replaceChildren(...rows);
  showIndexed(going);
}

function faults(report) {
  const rows = [];
  if (report.needs_codec) rows.push(element("p", { textContent: `${soundsText(report.needs_codec)} not read: pip install 'askaudio[codec]'` }));
  for (const folder of report.silent) rows.push(element("p", { textContent: `No sound file found in ${folder}` }));
  if (!report.broken_count) return rows;
  const list = element("ul");
  for (const { path, reason } of report.broken) list.append(element("li", {}, element("b", { textContent: path }), ` ${reason}`));
  if (report.broken_count > report.broken.length) list.append(element("li", { textContent: `and ${report.broken_count - report.broken.length} more` }));
  rows.push(element("details", { className: "broken" }, element("summary", { textContent: `${report.broken_count} could not be read completely` }), list));
  return rows;
}

function run(label, folders) {
  const button = element("button", { type: "button", className: "button strong", textContent: label });
  button.onclick = async () => {
    button.disabled = true;
    try {
      state = await send("index", { folders: folders() });
      chosen.clear();
      showChosen();
      showProgress();
      timer = setTimeout(refresh, POLL_MS);
    } catch (error) {
      button.disabled = false;
      parts.progress?.replaceChildren(element("p", { className: "wrong", textContent: error.message }));
    }
  };
  return button;
}

function showIndexed(going) {
  const rows = [];
  if (!state.may_index) rows.push(element("p", { textContent: "This server does not let the page index folders. Index them with: askaudio index FOLDER" }));
  if (state.indexed.length) {
    const list = element("ul", {}, ...state.indexed.map((path) => element("li", { textContent: path })));
    rows.push(element("h3", { textContent: `Indexed: ${soundsText(view.collection.clips)}` }), list);
    if (!going) rows.push(run("Look for changes", () => []));
  }
  parts.indexed.replaceChildren(...rows);
}

// --- folders -----------------------------------------------------------------------------------------------------

async function browse(path) {
  if (!parts.browser) return;
  let found;
  try {
    found = await ask(`folders?${new URLSearchParams({ path })}`);
  } catch (error) {
    parts.browser.replaceChildren(element("p", { className: "wrong", textContent: error.message }));
    return;
  }
  const list = element("ul", { className: "folders" });
  if (found.parent !== null) list.append(element("li", {}, open("..", found.parent, "The folder above")));
  for (const { name, path: place } of found.folders) list.append(element("li", {}, box(place, name), open(name, place)));
  const here = element("p", { className: "quiet", textContent: found.path ? `${found.path} (${soundsText(found.sounds)} directly in it)` : "Choose the folders that hold your sounds." });
  parts.chosen = element("div", { className: "chosen" });
  const all = found.path ? [element("label", { className: "all" }, box(found.path, "this folder"), "This folder and all below it")] : [];
  parts.browser.replaceChildren(element("h3", { textContent: "Add folders" }), here, ...all, list, parts.chosen);
  showChosen();
}

function open(text, path, label = "") {
  const button = element("button", { type: "button", textContent: text });
  button.setAttribute("aria-label", label || `Open ${text}`);
  button.onclick = async () => {
    await browse(path);
    parts.browser.querySelector("ul button")?.focus();
  };
  return button;
}

function box(path, name) {
  const input = element("input", { type: "checkbox", checked: chosen.has(path) });
  input.setAttribute("aria-label", `Index ${name}`);
  input.onchange = () => {
    input.checked ? chosen.add(path) : chosen.delete(path);
    showChosen();
  };
  return input;
}

function showChosen() {
  if (!parts.chosen) return;
  const rows = [...chosen].map((path) => element("li", { textContent: path }));
  const button = run(`Index ${chosen.size} ${chosen.size === 1 ? "folder" : "folders"}`, () => [...chosen]);
  parts.chosen.replaceChildren(...(rows.length ? [element("ul", {}, ...rows), button] : []));
}

// --- the first visit ---------------------------------------------------------------------------------------------

on("collection", async ({ clips }) => {
  if (openedPanel() === "folders") return showIndexedAgain();
  if (offered) return;
  offered = true;
  if (clips) {
    state = await ask("index").catch(() => null);
    if (state?.status === "running") await openPanel("folders"); // the page was loaded again meanwhile
    return;
  }
  await openPanel("folders");
});

function showIndexedAgain() {
  if (state && parts.indexed) showIndexed(state.status === "running" || state.status === "stopping");
}
