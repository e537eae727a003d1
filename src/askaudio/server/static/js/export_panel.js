// The panel "Export": a selection or a project as archive, list, timeline or REAPER project; and drags out of the page.

import { addAction } from "./actions.js";
import { apiUrl, clipUrl, fileUrl, personHeaders } from "./api.js";
import { element, say, showNotice } from "./dom.js";
import { on } from "./events.js";
import { inputOf } from "./form.js";
import { partOf } from "./library.js";
import { addPanel, openPanel, openedPanel } from "./panels.js";
import { chosen } from "./selection.js";
import { view } from "./state.js";
import { nameOf, soundsText } from "./text.js";

const KINDS = [["zip", "Copies in a ZIP archive"], ["rpp", "REAPER project"], ["regions", "Regions for REAPER"], ["otio", "OpenTimelineIO timeline"],
  ["m3u", "Playlist (M3U)"], ["csv", "Table (CSV)"], ["tsv", "Table (TSV)"], ["json", "Table (JSON)"], ["credits", "Credits only"]];
const LISTS = [["", "no list"], ["rpp", "REAPER project"], ["otio", "OpenTimelineIO"], ["m3u", "Playlist"], ["csv", "Table"]];
let given = null; // items and a name, where not the selection is exported

/** Open the panel for items of the library. */
export function exportItems(items, name) {
  given = { items, name };
  return openPanel("export");
}

function itemsOf(hits, parts) {
  return hits.map((hit) => ({ clip_id: hit.clip_id, ...(parts ? partOf(hit) : {}) }));
}

function show(body) {
  const hits = given ? [] : chosen();
  const count = given ? given.items.length : hits.length;
  const hasParts = given ? given.items.some((item) => item.start_s != null) : hits.some((hit) => "start_s" in partOf(hit));
  const fields = Object.fromEntries([
    { name: "kind", label: "As", options: KINDS },
    { name: "list", label: "With a list beside the copies", options: LISTS },
    { name: "name", label: "Name", value: given?.name ?? "sounds", maxLength: 100, required: true },
    { name: "parts", label: "Only the matching parts", type: "checkbox" },
    { name: "handles_s", label: "Seconds to keep before and after a part", type: "number", value: 0, min: 0, max: 60, step: 0.5 },
    { name: "commercial", label: "Only what is known to allow commercial use", type: "checkbox" },
    { name: "credits", label: "With a file of credits", type: "checkbox", value: true },
  ].map((field) => [field.name, inputOf(field)]));
  const fit = () => {
    const kind = fields.kind.read();
    fields.list.row.hidden = kind !== "zip";
    fields.parts.row.hidden = Boolean(given) || !hasParts;
    fields.handles_s.row.hidden = kind !== "zip" || !hasParts;
    fields.credits.row.hidden = ["zip", "credits"].includes(kind);
  };
  fields.kind.input.onchange = fit;
  fit();
  const go = element("button", { type: "submit", className: "button strong", textContent: "Export", disabled: !count });
  const form = element("form", { className: "export" }, element("p", { textContent: count ? soundsText(count) : "Choose sounds in the list first." }),
    ...Object.values(fields).map(({ row }) => row), go);
  form.onsubmit = (event) => {
    event.preventDefault();
    const value = Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, field.read()]));
    run(value, given?.items ?? itemsOf(hits, value.parts), go);
  };
  body.replaceChildren(form);
}

async function run({ kind, list, name, handles_s, commercial, credits }, items, button) {
  const lists = kind === "zip" && list ? [list] : [];
  const body = JSON.stringify({ kind, items, name: name || "sounds", lists, handles_s: Number(handles_s) || 0, commercial, credits });
  button.disabled = true;
  say("Preparing the export");
  try {
    const answer = await fetch(apiUrl("export"), { method: "POST", credentials: "same-origin", headers: { "Content-Type": "application/json", ...personHeaders() }, body });
    if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).detail || `The server answered ${answer.status}.`);
    const address = URL.createObjectURL(await answer.blob());
    element("a", { href: address, download: fileName(answer.headers.get("Content-Disposition"), name) }).click();
    setTimeout(() => URL.revokeObjectURL(address), 60_000);
    const left = Number(answer.headers.get("X-Askaudio-Left-Out"));
    if (left) showNotice(`${soundsText(left)} left out; the credits say why.`, "", null, true);
    else say("Exported");
  } catch (error) {
    showNotice(error instanceof TypeError ? "The server does not answer. Is askaudio serve still running?" : error.message);
  } finally {
    button.disabled = false;
  }
}

function fileName(header, otherwise) {
  const coded = header?.match(/filename\*=utf-8''([^;]+)/i)?.[1];
  return coded ? decodeURIComponent(coded) : header?.match(/filename="([^"]+)"/)?.[1] ?? otherwise;
}

addPanel({ id: "export", title: "Export", styles: "css/library.css", show, hide: () => (given = null) });
addAction({ label: "Export", run: () => ((given = null), openPanel("export")) });
on("selection", () => openedPanel() === "export" && !given && show(document.getElementById("panel-export")));

// --- drag out -------------------------------------------------------------------------------------------------------
// The row has put its own file into the drag already (drag.js). Chromium saves that file; other browsers and programs
// take the list of addresses. With Alt it is the matching part, as WAV.

const partUrl = (hit) => apiUrl(clipUrl(hit.clip_id, `/audio?start_s=${hit.start_s}&end_s=${hit.end_s}&download=true`));
const absolute = (address) => new URL(address, location.href).href;

document.addEventListener("dragstart", (event) => {
  const hit = view.hits[event.target.closest?.("#results > li")?.dataset.place];
  if (!hit) return;
  const several = chosen();
  const hits = several.includes(hit) ? several : [hit];
  const part = event.altKey && "start_s" in partOf(hit);
  const addresses = hits.map((one) => absolute(part && "start_s" in partOf(one) ? partUrl(one) : fileUrl(one.clip_id)));
  if (part) event.dataTransfer.setData("DownloadURL", `audio/wav:${nameOf(hit.path)[0].replaceAll(":", "_")} part.wav:${addresses[hits.indexOf(hit)]}`);
  event.dataTransfer.setData("text/uri-list", addresses.join("\r\n"));
});
