// The panel with everything that is known of a sound, and why it was found.

import { addAction } from "./actions.js";
import { ask, clipUrl, fileUrl } from "./api.js";
import { element } from "./dom.js";
import { on } from "./events.js";
import { addPanel, openPanel, openedPanel } from "./panels.js";
import { player } from "./player.js";
import { copyPaths, matchText } from "./results.js";
import { state, view } from "./state.js";
import { clock, factsOf, nameOf } from "./text.js";

let body = null;
let current = null; // the hit that is shown

const TITLES = { duration_s: "Length", sample_rate_hz: "Sample rate", modified_s: "Modified", size_bytes: "Size", cat_id: "CatID",
  loudness_lufs: "Loudness", peak_dbfs: "Peak", silence_share: "Silence", brightness_hz: "Brightness", pitch_hz: "Pitch", tempo_bpm: "Tempo" };
const UNITS = { sample_rate_hz: "Hz", size_bytes: "bytes", loudness_lufs: "LUFS", peak_dbfs: "dBFS", brightness_hz: "Hz", pitch_hz: "Hz", tempo_bpm: "beats a minute" };
const titleOf = (key) => TITLES[key] ?? key[0].toUpperCase() + key.slice(1).replaceAll("_", " ");

function valueText(key, value) {
  if (key === "duration_s") return `${clock(value)} (${value} s)`;
  if (key === "modified_s") return new Date(value * 1000).toLocaleString();
  if (key === "silence_share") return `${Math.round(100 * value)} % of the time`;
  if (UNITS[key]) return `${value.toLocaleString("en")} ${UNITS[key]}`;
  return Array.isArray(value) ? value.join(", ") : String(value);
}

function table(pairs) {
  return element("dl", { className: "facts-list" }, ...pairs.flatMap(([name, value]) =>
    [element("dt", { textContent: name }), element("dd", { textContent: value })]));
}

/** Sentences that say why a hit is at its place. */
export function reasons(hit) {
  if (hit.takeOf) return [`A near-identical take of the sound that was found or chosen: cosine ${hit.similarity.toFixed(3)} between the two.`];
  if (hit.match === undefined) return ["Listed without a query."];
  const [, word] = matchText(hit);
  const found = [`${word}: ${Math.round(hit.match)} of 100, compared with the rest of the collection (cosine ${hit.score.toFixed(3)}).`];
  if (hit.words.length) found.push(`Its name, tags or caption have: ${hit.words.join(", ")}.`);
  const spots = hit.segments.map((spot) => `${clock(spot.start_s)} to ${clock(spot.end_s)}`);
  if (spots.length) found.push(`Matching parts, the best first: ${spots.join(", ")}.`);
  if (state.like.length) found.push("The search has a sound it should be like.");
  return found;
}

function takesList(hit) {
  return element("ul", { className: "takes-list" }, ...hit.twins.map((twin) => {
    const take = { ...twin, metadata: twin, start_s: 0, segments: [], words: [], twins: [] };
    const play = element("button", { type: "button", className: "button", textContent: "Play", onclick: () => player.playHit(take) });
    play.setAttribute("aria-label", `Play ${nameOf(twin.path)[0]}`);
    return element("li", {}, play, element("span", { textContent: `${twin.path} · ${factsOf(twin)}` }));
  }));
}

async function show(hit) {
  current = hit;
  if (!body) return;
  if (!hit) return body.replaceChildren(element("p", { className: "quiet", textContent: "Choose a sound in the list." }));
  const clip = await ask(clipUrl(hit.clip_id)).catch(() => hit);
  if (current !== hit || !body) return;
  const button = (text, run) => element("button", { type: "button", className: "button", textContent: text, onclick: run });
  const save = element("a", { className: "button", href: fileUrl(hit.clip_id), download: "", textContent: "Download" });
  body.replaceChildren(
    element("h3", { textContent: nameOf(hit.path).filter(Boolean).join(".") }),
    element("p", { className: "path", textContent: hit.path }),
    element("p", { className: "buttons" }, button("Play", () => player.playHit(hit)), button("Copy path", () => copyPaths([hit])), save),
    element("h4", { textContent: "Why it was found" }),
    element("ul", { className: "reasons" }, ...reasons(hit).map((text) => element("li", { textContent: text }))),
    ...(hit.twins.length ? [element("h4", { textContent: "Near-identical takes" }), takesList(hit)] : []),
    element("h4", { textContent: "What is known of it" }),
    table([...Object.entries(clip.metadata ?? {}).map(([key, value]) => [titleOf(key), valueText(key, value)]), ["Id", hit.clip_id]]),
  );
}

export function openDetail(hit) {
  current = hit;
  return openPanel("detail");
}

addPanel({
  id: "detail",
  title: "Details",
  show: (element) => ((body = element), show(current ?? view.hits[view.focused] ?? view.hits[0])),
  hide: () => ((body = null), (current = null)),
});
addAction({ label: "Details", when: (hits) => hits.length === 1, run: ([hit]) => openDetail(hit) });
on("focus", (hit) => openedPanel() === "detail" && hit && hit !== current && show(hit));
