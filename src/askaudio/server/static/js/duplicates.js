// The panel with copies of sounds: listen to both, see how they differ, take the paths along. Nothing is deleted here.

import { ask } from "./api.js";
import { element, say, showNotice } from "./dom.js";
import { addPanel, openedPanel } from "./panels.js";
import { player } from "./player.js";
import { clock, nameOf, soundsText } from "./text.js";

const POLL_MS = 2000;
let body = null;
let groups = [];

addPanel({ id: "duplicates", title: "Duplicates", styles: "css/duplicates.css", show: open, hide: () => (body = null) });

async function open(section) {
  body = section;
  await load();
}

/** Read the first groups again and show them; while a search is running, look again in a while. */
async function load() {
  const here = body;
  let found;
  try {
    found = await ask("duplicates?limit=50");
  } catch (error) {
    return here.replaceChildren(element("p", { className: "quiet", textContent: error.message }));
  }
  if (body !== here) return;
  groups = found.groups;
  show(found);
  if (found.state === "running") setTimeout(() => openedPanel() === "duplicates" && body === here && load(), POLL_MS);
}

function show(found) {
  const running = found.state === "running";
  const start = element("button", { type: "button", className: "button", disabled: running });
  start.textContent = found.state === "none" ? "Find duplicates" : "Search again";
  start.onclick = begin;
  const parts = [element("p", { className: "quiet", textContent: summary(found) }), element("div", { className: "buttons" }, start)];
  if (groups.length) {
    const copy = element("button", { type: "button", className: "button", textContent: "Copy paths of these copies", onclick: copyAll });
    parts[1].append(copy);
    parts.push(element("ol", { className: "duplicates" }, ...groups.map(groupItem)));
  }
  if (groups.length < found.total_groups) parts.push(moreButton(found));
  body.replaceChildren(...parts);
}

function summary(found) {
  if (found.state === "running") return `Searching: ${found.note}. Sounds are compared one with another; this takes minutes the first time.`;
  if (found.state === "failed") return `The search failed: ${found.note}`;
  if (found.state === "none") return "Copies of a sound under other names, formats, levels and lengths. Nothing is deleted: listen, and decide.";
  if (!found.copies) return `No copies among ${soundsText(found.files)}.`;
  const size = (found.copies_bytes / 1e6).toFixed(1);
  const copies = found.copies === 1 ? "1 copy" : `${found.copies} copies`;
  return `${copies} of ${soundsText(found.total_groups)}, ${size} MB, found ${new Date(found.found_at).toLocaleString()}. Nothing is deleted: listen, and decide.`;
}

async function begin() {
  try {
    await ask("duplicates", { method: "POST" });
    say("Searching for duplicates");
    await load();
  } catch (error) {
    showNotice(error.message);
  }
}

function groupItem(group) {
  const rows = [fileItem(group.keep, "Keep", []), ...group.copies.map((file) => fileItem(file, "Copy", file.reasons))];
  return element("li", {}, element("ul", {}, ...rows));
}

function fileItem(file, kind, reasons) {
  const [name] = nameOf(file.path);
  const hit = { ...file, metadata: file, start_s: 0, segments: [], words: [], twins: [] };
  const play = element("button", { type: "button", className: "button", textContent: "Play", onclick: () => player.playHit(hit) });
  play.setAttribute("aria-label", `Play ${name}`);
  const bits = file.bits ? `${file.bits} bits` : "lossy";
  const facts = `${clock(file.duration_s)}, ${file.format}, ${file.sample_rate_hz / 1000} kHz, ${bits}, ${file.channels} ch`;
  const lines = [element("strong", { textContent: `${kind}: ${name}` }), element("span", { className: "path", textContent: file.path }),
    element("span", { className: "quiet", textContent: facts })];
  if (reasons.length) lines.push(element("span", { textContent: reasons.join(", ") }));
  return element("li", { className: kind.toLowerCase() }, play, element("div", {}, ...lines));
}

function moreButton(found) {
  const more = element("button", { type: "button", className: "button", textContent: `Show more (${found.total_groups - groups.length})` });
  more.onclick = async () => {
    const next = await ask(`duplicates?limit=50&offset=${groups.length}`).catch((error) => showNotice(error.message));
    if (!next || !body) return;
    groups = [...groups, ...next.groups];
    show({ ...next, groups });
  };
  return more;
}

async function copyAll() {
  const paths = groups.flatMap((group) => group.copies.map((file) => file.path));
  try {
    await navigator.clipboard.writeText(paths.join("\n"));
    say(`${paths.length} paths copied`);
  } catch {
    showNotice("The browser does not allow copying here. Use: askaudio collection duplicates --csv");
  }
}
