// The search page. One file, no build step, no library; every request goes to the server that sent the page.
// Order: state and its URL, requests, the list, waveforms, the player, search controls, keys, drag, dialogs.

const API = "v1/";
const PAGE_SIZE = 40;
const MAX_HITS = 200;
const TYPING_MS = 180; // a pause this long means: search now
const NEW_ENTRY_MS = 2000; // typing again after this starts a new entry in the browser's history
const EXAMPLES = ["rain on a tin roof", "door creaks slowly", "crowd laughing far away", "short metallic click", "deep engine hum"];
const LENGTHS = { short: "duration<3", middle: "duration>=3 and duration<=30", long: "duration>30" };
const CHANNELS = { 1: "channels=1", 2: "channels=2", more: "channels>2" };
const LEVELS = [[80, 4, "Strong match"], [50, 3, "Good match"], [20, 2, "Possible match"], [-Infinity, 1, "Weak match"]];

const $ = (id) => document.getElementById(id);
const element = (tag, fields = {}) => Object.assign(document.createElement(tag), fields);
const reduced = matchMedia("(prefers-reduced-motion: reduce)");

// --- state and its URL ---------------------------------------------------------------------------------------

const sounds = new Map(); // key -> File: sounds of this visit; a URL can name them but not hold them
const empty = () => ({ q: "", like: [], unlike: [], sound: "", length: "", channels: "", tags: [], where: "" });
let state = empty();
let hits = []; // what the list shows, in order
let shown = PAGE_SIZE; // how many hits the page shows
let collection = { clips: 0, upload_max_bytes: Infinity };

function toUrl() {
  const url = new URLSearchParams();
  for (const [key, value] of Object.entries(state)) {
    for (const one of [value].flat()) if (one) url.append(key, one);
  }
  return url.size ? `?${url}` : location.pathname;
}

function fromUrl() {
  const url = new URLSearchParams(location.search);
  const read = empty();
  for (const key of Object.keys(read)) read[key] = Array.isArray(read[key]) ? url.getAll(key) : url.get(key) ?? "";
  return read;
}

function change(changes, { push = true } = {}) {
  state = { ...state, ...changes };
  shown = PAGE_SIZE;
  if (toUrl() !== location.pathname + location.search && toUrl() !== location.search) {
    history[push ? "pushState" : "replaceState"](null, "", toUrl());
  }
  showState();
  return search();
}

/** "rain -thunder -"car horn"" -> words to look for, and words to avoid. */
function splitWords(text) {
  const avoid = [];
  const rest = text.replace(/(^|\s)-(?:"([^"]+)"?|([^\s"-][^\s]*))/g, (_, space, quoted, word) => {
    avoid.push((quoted ?? word).trim());
    return space;
  });
  return { words: rest.replace(/\s+/g, " ").trim(), avoid: avoid.filter(Boolean) };
}

function whereText() {
  const parts = [LENGTHS[state.length], CHANNELS[state.channels]];
  parts.push(...state.tags.map((tag) => `tag="${tag.replace(/["\\]/g, "")}"`));
  if (state.where.trim()) parts.push(`(${state.where.trim()})`);
  return parts.filter(Boolean).join(" and ");
}

const asksSomething = () => Boolean(splitWords(state.q).words || state.like.length || state.sound);
const hasFilters = () => Boolean(whereText());

// --- requests to the server ---------------------------------------------------------------------------------------

class ServerError extends Error {
  constructor(status, text, retryAfter = 0) {
    super(text);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(API + path, { credentials: "same-origin", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ServerError(0, "The server does not answer. Is askaudio serve still running?");
  }
  if (answer.ok) return answer.status === 204 ? null : answer.json();
  const problem = await answer.json().catch(() => ({}));
  throw new ServerError(answer.status, problem.detail || `The server answered ${answer.status}.`, Number(answer.headers.get("Retry-After")) || 0);
}

const clipUrl = (clipId, what = "") => `clips/${encodeURIComponent(clipId)}${what}`;

function searchRequest() {
  const { words, avoid } = splitWords(state.q);
  const fields = [["top_k", Math.min(shown + state.like.length, MAX_HITS)]];
  if (whereText()) fields.push(["where", whereText()]);
  fields.push(...state.unlike.map((id) => ["unlike", id]), ...state.like.map((id) => ["like", id]));
  if (words) fields.push(["q", words]);
  fields.push(...avoid.map((text) => ["avoid", text]));
  if (!state.sound) return ["search?" + new URLSearchParams(fields), {}];
  const body = new FormData();
  for (const [name, value] of fields) body.append(name, value);
  body.append("sound", sounds.get(state.sound));
  return ["search/audio", { method: "POST", body }];
}

let running = null; // AbortController of the search in flight; a newer search ends it

async function search() {
  running?.abort();
  const mine = (running = new AbortController());
  if (state.sound && !sounds.has(state.sound)) {
    showHits([]);
    return showNotice("The page does not keep sounds between visits. Drop the sound again.", "Leave it out", () => change({ sound: "" }));
  }
  const busy = setTimeout(() => $("results").setAttribute("aria-busy", "true"), 200);
  try {
    if (asksSomething()) await showFound(mine.signal);
    else await showCollection(mine.signal);
  } catch (error) {
    if (error.name === "AbortError" || mine !== running) return;
    showError(error);
  } finally {
    clearTimeout(busy);
    if (mine === running) $("results").removeAttribute("aria-busy");
  }
}

async function showFound(signal) {
  const [path, options] = searchRequest();
  const answer = await ask(path, { ...options, signal });
  const found = answer.hits.filter((hit) => !state.like.includes(hit.clip_id)).slice(0, shown);
  hideNotice();
  $("start").hidden = true;
  showHits(found);
  $("show-more").hidden = answer.hits.length < shown || shown >= MAX_HITS;
  if (!found.length) return showNothing();
  say(`${found.length} ${found.length === 1 ? "sound" : "sounds"}, the nearest first`);
  if (found[0].match < 20 && !found[0].words.length) showNotice("No clear match. These are the closest sounds in the collection.", "", null, true);
}

/** Without a query: show clips from a random place in the collection, or those that pass the filters. */
async function showCollection(signal) {
  const count = 8;
  const offset = hasFilters() ? 0 : Math.floor(Math.random() * Math.max(1, collection.clips - count + 1));
  const query = new URLSearchParams({ limit: hasFilters() ? shown : count, offset });
  if (hasFilters()) query.set("where", whereText());
  const { clips } = await ask(`clips?${query}`, { signal });
  hideNotice();
  $("start").hidden = hasFilters() || !collection.clips;
  showHits(clips.map((clip) => ({ ...clip, start_s: 0, end_s: clip.metadata.duration_s ?? 0, segments: [], words: [], twins: [] })));
  $("shuffle").hidden = hasFilters() || collection.clips <= count;
  $("show-more").hidden = !hasFilters() || clips.length < shown || shown >= MAX_HITS;
  $("results-title").textContent = "From this collection";
  $("results-title").classList.toggle("hidden", hasFilters() || !clips.length);
  if (clips.length) return say(hasFilters() ? `${clips.length} sounds pass the filters` : "");
  if (hasFilters()) return showNothing();
  say("");
  showNotice("This collection holds no sounds yet. Add some with:\naskaudio index ~/sounds", "Try again", start, true);
}

function showNothing() {
  say("No sounds");
  if (!hasFilters()) return showNotice("No sound was found.", "", null, true);
  showNotice("No sound passes these filters.", "Clear the filters", () => change({ length: "", channels: "", tags: [], where: "" }), true);
}

function showError(error) {
  if (error.status === 401) return askForToken();
  say("");
  if (error.status === 0) hits.length || showHits([]);
  if ((error.status === 503 || error.status === 429) && error.retryAfter) setTimeout(search, error.retryAfter * 1000);
  const mine = error.status >= 400 && error.status < 500 && error.status !== 429;
  const halfTyped = error.status === 422 && state.where.trim(); // a filter that cannot be read yet: keep what was found
  if (mine && !halfTyped) showHits([]);
  showNotice(error.message, mine ? "" : "Try again", mine ? null : start);
}

// --- messages -------------------------------------------------------------------------------------

const say = (text) => ($("status").textContent = text);

function showNotice(text, button, action, calm = false) {
  const notice = $("notice");
  notice.querySelector("p").textContent = text;
  const press = notice.querySelector("button");
  press.hidden = !button;
  press.textContent = button;
  press.onclick = action;
  notice.classList.toggle("calm", calm);
  notice.hidden = false;
}

const hideNotice = () => ($("notice").hidden = true);

function clock(seconds) {
  const whole = Math.floor(seconds);
  const two = (n) => String(n).padStart(2, "0");
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

const lengthText = (seconds) => (seconds < 10 ? `${seconds.toFixed(1)} s` : clock(seconds));

function nameOf(path) {
  const file = path.split(/[\\/]/).pop();
  const dot = file.lastIndexOf(".");
  return dot > 0 ? [file.slice(0, dot), file.slice(dot + 1)] : [file, ""];
}

function folderOf(path) {
  const folders = path.split(/[\\/]/).slice(0, -1).filter(Boolean);
  return (folders.length > 3 ? "…/" : "/") + folders.slice(-3).join("/");
}

function factsOf(data) {
  const channels = { 1: "mono", 2: "stereo" }[data.channels] ?? (data.channels ? `${data.channels} channels` : "");
  const rate = data.sample_rate_hz ? `${+(data.sample_rate_hz / 1000).toFixed(1)} kHz` : "";
  return [data.duration_s != null ? lengthText(data.duration_s) : "", channels, rate].filter(Boolean).join(" · ");
}

// --- the list ------------------------------------------------------------------------------------------------

function showHits(list) {
  hits = list;
  $("results-title").classList.add("hidden");
  $("results-title").textContent = "Sounds";
  $("shuffle").hidden = $("show-more").hidden = true;
  watcher.disconnect();
  const rows = list.map((hit, place) => row(hit, place));
  const wasInside = $("results").contains(document.activeElement);
  $("results").replaceChildren(...rows);
  rows[0]?.querySelector("article").setAttribute("tabindex", "0");
  for (const one of rows) watcher.observe(one);
  if (wasInside && rows.length) rows[Math.min(Math.max(focused, 0), rows.length - 1)].querySelector("article").focus({ preventScroll: true });
  else focused = -1;
  markPlaying();
}

function row(hit, place) {
  const li = $("hit").content.firstElementChild.cloneNode(true);
  const [name, kind] = nameOf(hit.path);
  const find = (selector) => li.querySelector(selector);
  li.dataset.place = place;
  marked(find("h3"), name, hit.words);
  if (kind) find("h3").append(element("small", { textContent: kind }));
  find("h3").id = `hit-${place}`;
  find("article").setAttribute("aria-labelledby", `hit-${place}`);
  find(".where").textContent = [hit.metadata.caption ?? []].flat()[0] || hit.metadata.description || folderOf(hit.path);
  find(".where").title = hit.path;
  find(".facts").textContent = factsOf(hit.metadata);
  find(".play").setAttribute("aria-label", `Play ${name}`);
  find(".save").href = API + clipUrl(hit.clip_id, "/audio?download=true");
  find(".save").setAttribute("download", "");
  showMatch(find(".match"), hit);
  showSpots(find(".spots"), hit, place);
  showTags(find(".tags"), hit);
  showTwins(find(".twins"), hit);
  find(".play").onclick = () => player.toggle(place);
  find(".more").onclick = () => moreLike(place);
  find(".less").onclick = () => notLike(place);
  find(".copy").onclick = () => copyPath(place);
  find(".wave").onpointerdown = (event) => seekByPointer(event, place);
  find("article").onfocus = () => focusPlace(place, { move: false });
  li.ondragstart = (event) => dragOut(event, hit);
  return li;
}

/** The name with the words of the query marked in it, where they begin a word. */
function marked(heading, name, words) {
  const wanted = (words ?? []).filter(Boolean).map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  if (!wanted.length) return heading.append(name);
  name.split(new RegExp(`(?<!\\p{L})(${wanted.join("|")})`, "iu")).forEach((piece, k) => {
    heading.append(k % 2 ? element("mark", { textContent: piece }) : piece); // split leaves what was found at odd places
  });
}

function showMatch(place, hit) {
  place.hidden = hit.match === undefined;
  if (place.hidden) return;
  const [, level, word] = LEVELS.find(([from]) => hit.match >= from);
  const byName = hit.match < 50 && hit.words.length > 0; // found by its words, not by its sound
  place.dataset.level = level;
  place.querySelector(".word").textContent = byName ? "By its name" : word;
  place.title = `${Math.round(hit.match)} of 100; cosine ${hit.score.toFixed(3)}`;
}

/** Buttons for the places in a long recording that answer the query. */
function showSpots(place, hit) {
  const length = hit.metadata.duration_s ?? 0;
  const spots = hit.segments.filter((spot) => spot.end_s - spot.start_s < 0.9 * length).slice(0, 4);
  for (const spot of spots.sort((a, b) => a.start_s - b.start_s)) {
    const button = element("button", { type: "button", textContent: `${clock(spot.start_s)}–${clock(spot.end_s)}` });
    button.setAttribute("aria-label", `Play from ${clock(spot.start_s)}`);
    button.onclick = () => player.play(hits.indexOf(hit), spot.start_s);
    place.append(button);
  }
}

function showTags(place, hit) {
  const tags = [...new Set([hit.metadata.tags ?? []].flat())].slice(0, 6);
  place.hidden = !tags.length;
  for (const tag of tags) {
    const button = element("button", { type: "button", textContent: tag, title: `Only sounds with the tag ${tag}` });
    button.onclick = () => change({ tags: [...new Set([...state.tags, tag])] });
    const li = element("li");
    li.append(button);
    place.append(li);
  }
}

function showTwins(place, hit) {
  place.hidden = !hit.twins.length;
  place.querySelector("summary").textContent = `${hit.twins.length} near-identical ${hit.twins.length === 1 ? "take" : "takes"}`;
  for (const twin of hit.twins) {
    place.querySelector("ul").append(element("li", { textContent: twin.path }));
  }
}

const rowAt = (place) => $("results").children[place];
let focused = -1; // place of the row that the keys speak of

function focusPlace(place, { move = true } = {}) {
  if (place < 0 || place >= hits.length) return;
  $("results").querySelector('article[tabindex="0"]')?.setAttribute("tabindex", "-1");
  const article = rowAt(place).querySelector("article");
  article.setAttribute("tabindex", "0");
  focused = place;
  if (!move) return;
  article.focus({ preventScroll: true });
  article.scrollIntoView({ block: "nearest", behavior: reduced.matches ? "auto" : "smooth" });
  if ($("follow").checked) player.play(place);
}

function moreLike(place) {
  const id = hits[place].clip_id;
  remember(hits[place]);
  focused = 0;
  change({ q: "", sound: "", like: [id], unlike: state.unlike.filter((other) => other !== id) });
  window.scrollTo({ top: 0 });
}

function notLike(place) {
  const id = hits[place].clip_id;
  remember(hits[place]);
  if (!asksSomething()) return say("Search for something first; then say what it should not be like.");
  change({ unlike: [...new Set([...state.unlike, id])], like: state.like.filter((other) => other !== id) });
}

async function copyPath(place) {
  const path = hits[place].path;
  try {
    await navigator.clipboard.writeText(path);
    say(`Copied: ${path}`);
  } catch {
    say(`This browser does not allow copying. The path: ${path}`);
  }
}

// --- waveforms: fetched when a row comes into sight, drawn on a canvas -----------------------------------------

const peaksKept = new Map(); // address -> promise of peaks
const waiting = [];
let fetching = 0;

const watcher = new IntersectionObserver((entries) => {
  for (const entry of entries) if (entry.isIntersecting) showWave(Number(entry.target.dataset.place));
}, { rootMargin: "300px" });

/** The stretch that a row shows: all of a clip, or of a long recording a minute around the match. */
function stretchOf(hit) {
  const length = hit.metadata.duration_s ?? hit.end_s;
  if (!(length > 120)) return [0, length];
  const middle = (hit.start_s + hit.end_s) / 2;
  const half = Math.max(30, (hit.end_s - hit.start_s) / 2 + 10);
  const from = Math.max(0, Math.min(middle - half, length - 2 * half));
  return [Math.floor(from), Math.ceil(Math.min(length, from + 2 * half))];
}

function peaksOf(hit) {
  const [from, to] = stretchOf(hit);
  const part = (hit.metadata.duration_s ?? 0) > 120 ? `&start_s=${from}&end_s=${to}` : "";
  const address = clipUrl(hit.clip_id, `/peaks?points=400${part}`);
  if (!peaksKept.has(address)) {
    if (peaksKept.size > 600) peaksKept.delete(peaksKept.keys().next().value);
    const peaks = new Promise((done, failed) => waiting.push({ address, done, failed }));
    peaks.catch(() => peaksKept.delete(address));
    peaksKept.set(address, peaks);
    fetchNext();
  }
  return peaksKept.get(address);
}

async function fetchNext() {
  if (fetching >= 4 || !waiting.length) return;
  fetching += 1;
  const { address, done, failed } = waiting.pop(); // the newest first: it is in sight
  try {
    done(await ask(address));
  } catch (error) {
    failed(error);
  } finally {
    fetching -= 1;
    fetchNext();
  }
}

async function showWave(place) {
  const hit = hits[place];
  const wave = rowAt(place)?.querySelector(".wave");
  if (!hit || !wave || hit.peaks) return;
  try {
    hit.peaks = await peaksOf(hit);
    draw(place);
  } catch {
    wave.classList.add("none");
  }
}

function draw(place) {
  const hit = hits[place];
  const canvas = rowAt(place)?.querySelector("canvas");
  if (!hit?.peaks || !canvas?.clientWidth) return;
  const { low, high, start_s: from, end_s: to } = hit.peaks;
  const scale = devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  const pen = canvas.getContext("2d");
  pen.scale(scale, scale);
  const style = getComputedStyle(canvas);
  const color = (name) => style.getPropertyValue(name);
  const loudest = Math.max(8, ...high, ...low.map((x) => -x));
  const gain = Math.min(127 / loudest, 5) / 127; // quiet sounds are drawn larger, silence is not
  const played = player.place === place ? player.now() : -1;
  const isMatch = (second) => hit.segments.some((spot) => second >= spot.start_s && second <= spot.end_s);
  const bars = Math.max(1, Math.floor((width + 1) / 3));
  const [idle, matching, done] = ["--wave", "--wave-match", "--accent"].map((name) => resolve(canvas, color(name)));
  for (let bar = 0; bar < bars; bar++) {
    const first = Math.floor((bar * low.length) / bars);
    const last = Math.max(first + 1, Math.floor(((bar + 1) * low.length) / bars));
    const top = Math.max(...high.slice(first, last)) * gain;
    const bottom = Math.min(...low.slice(first, last)) * gain;
    const second = from + ((bar + 0.5) / bars) * (to - from);
    pen.fillStyle = second <= played ? done : isMatch(second) ? matching : idle;
    const middle = height / 2;
    const y = middle - Math.max(top, 0.012) * (middle - 1);
    pen.fillRect(bar * 3, y, 2, Math.max(1.5, middle - Math.min(bottom, -0.012) * (middle - 1) - y));
  }
  if (played >= from && played <= to) {
    pen.fillStyle = done;
    pen.fillRect(((played - from) / (to - from)) * width - 0.75, 0, 1.5, height);
  }
}

/** The value of light-dark(a, b) for an element, since a canvas does not support that function. */
function resolve(element, value) {
  const pair = value.match(/light-dark\(\s*([^,]+),\s*([^)]+)\)/);
  if (!pair) return value.trim();
  return isDark() ? pair[2].trim() : pair[1].trim();
}

const drawAll = () => hits.forEach((_, place) => draw(place));

function seekByPointer(event, place) {
  if (event.button !== 0) return;
  const box = event.currentTarget.getBoundingClientRect();
  const [from, to] = hits[place].peaks ? [hits[place].peaks.start_s, hits[place].peaks.end_s] : stretchOf(hits[place]);
  player.play(place, from + ((event.clientX - box.left) / box.width) * (to - from));
  focused = place;
}

// --- the player ----------------------------------------------------------------------------------------------

const audio = $("audio");
const player = {
  place: -1, // row of the sound in the player, -1 when it is no longer listed
  hit: null,

  now: () => audio.currentTime,

  play(place, second = null) {
    const hit = hits[place];
    if (!hit) return;
    const start = second ?? hit.start_s ?? 0;
    if (this.hit?.clip_id !== hit.clip_id) {
      audio.src = API + clipUrl(hit.clip_id, "/audio");
      audio.onloadedmetadata = () => (audio.currentTime = start);
    } else {
      audio.onloadedmetadata = null;
      audio.currentTime = start;
    }
    this.hit = hit;
    this.place = place;
    audio.play().catch((error) => error.name === "AbortError" || this.failed(hit));
    this.show();
  },

  toggle(place) {
    if (this.hit?.clip_id !== hits[place]?.clip_id) return this.play(place);
    if (audio.ended) return this.play(place);
    audio.paused ? audio.play() : audio.pause();
  },

  stop() {
    audio.pause();
    audio.removeAttribute("src");
    audio.load();
    this.hit = null;
    this.place = -1;
    this.show();
    drawAll();
  },

  seek(by) {
    if (this.hit) audio.currentTime = Math.max(0, audio.currentTime + by);
  },

  async failed(hit) {
    const [name, kind] = nameOf(hit.path);
    if (this.hit !== hit) return;
    this.stop();
    const answer = await fetch(API + clipUrl(hit.clip_id, "/audio"), { headers: { Range: "bytes=0-0" } }).catch(() => null);
    const reason = answer && !answer.ok ? (await answer.json().catch(() => ({}))).detail : "";
    showNotice(reason ? `${name}: ${reason}` : `${name} cannot be played here: this browser does not know .${kind} files, or the file is gone. Download it or copy its path.`, "", null);
  },

  show() {
    $("player").hidden = !this.hit;
    if (this.hit) $("player-name").textContent = nameOf(this.hit.path)[0];
    markPlaying();
  },
};

function icon(button, name, label) {
  button.querySelector("use").setAttribute("href", `#i-${name}`);
  button.setAttribute("aria-label", label);
}

function markPlaying() {
  const before = player.place;
  player.place = hits.findIndex((hit) => hit.clip_id === player.hit?.clip_id);
  const going = Boolean(player.hit) && !audio.paused && !audio.ended;
  [...$("results").children].forEach((li, place) => {
    const here = place === player.place;
    li.classList.toggle("playing", here);
    icon(li.querySelector(".play"), here && going ? "pause" : "play", `${here && going ? "Pause" : "Play"} ${nameOf(hits[place].path)[0]}`);
  });
  icon($("player-toggle"), going ? "pause" : "play", going ? "Pause" : "Play");
  if (before >= 0 && before !== player.place) draw(before);
}

function tick() {
  if (!player.hit) return;
  $("player-time").textContent = `${clock(audio.currentTime)} / ${clock(audio.duration || player.hit.metadata.duration_s || 0)}`;
  if (player.place >= 0) draw(player.place);
  if (!audio.paused && !audio.ended) requestAnimationFrame(tick);
}

for (const name of ["play", "playing", "pause", "ended", "seeked"]) {
  audio.addEventListener(name, () => (markPlaying(), tick()));
}
audio.addEventListener("error", () => player.hit && player.failed(player.hit));

// --- search controls -----------------------------------------------------------------------------------------

const names = new Map(JSON.parse(sessionStorage.getItem("names") || "[]")); // clip_id -> name, for the chips

function remember(hit) {
  names.set(hit.clip_id, nameOf(hit.path)[0]);
  sessionStorage.setItem("names", JSON.stringify([...names].slice(-200)));
}

function chip(text, kind, remove) {
  const li = element("li", { className: `chip ${kind}` });
  const button = element("button", { type: "button" });
  button.setAttribute("aria-label", `Remove: ${text}`);
  button.append(closeIcon.cloneNode(true));
  button.onclick = remove;
  li.append(element("b", { textContent: text, title: text }), button);
  return li;
}

const closeIcon = (() => {
  const svg = $("hit").content.querySelector(".copy .icon").cloneNode(true);
  svg.querySelector("use").setAttribute("href", "#i-close");
  return svg;
})();

const nameOfClip = (id) => names.get(id) ?? "a sound";

/** Fetch the names of clips whose ids came with the URL. */
async function learnNames() {
  const unknown = [...state.like, ...state.unlike].filter((id) => !names.has(id));
  const clips = await Promise.all(unknown.map((id) => ask(clipUrl(id)).catch(() => null)));
  clips.filter(Boolean).forEach(remember);
  if (unknown.length) showState();
}

function showState() {
  if ($("q").value !== state.q) $("q").value = state.q;
  for (const name of ["length", "channels", "where"]) {
    if ($(name).value !== state[name]) $(name).value = state[name];
    $(name).classList.toggle("set", Boolean(state[name]));
  }
  const chips = [];
  if (state.sound) chips.push(chip(`Your sound: ${state.sound}`, "", () => change({ sound: "" })));
  for (const id of state.like) chips.push(chip(`Like ${nameOfClip(id)}`, "", () => change({ like: state.like.filter((x) => x !== id) })));
  for (const id of state.unlike) chips.push(chip(`Not like ${nameOfClip(id)}`, "unlike", () => change({ unlike: state.unlike.filter((x) => x !== id) })));
  for (const tag of state.tags) chips.push(chip(`Tag: ${tag}`, "", () => change({ tags: state.tags.filter((x) => x !== tag) })));
  $("chips").replaceChildren(...chips);
  document.title = splitWords(state.q).words ? `${state.q} – askaudio` : "askaudio";
}

let typing = 0;
let lastTyped = 0;

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
  await change({ q: $("q").value, where: $("where").value });
  if (document.activeElement === $("q") && hits.length && asksSomething()) focusPlace(0);
});
$("show-more").addEventListener("click", async () => {
  const place = hits.length;
  shown = Math.min(MAX_HITS, shown + PAGE_SIZE);
  await search();
  focusPlace(Math.min(place, hits.length - 1));
});
$("shuffle").addEventListener("click", search);
$("player-toggle").addEventListener("click", () => (audio.paused ? audio.play() : audio.pause()));
$("player-name").addEventListener("click", () => focusPlace(player.place));
$("volume").addEventListener("input", () => (audio.volume = Number($("volume").value)));
$("follow").addEventListener("change", () => localStorage.setItem("follow", $("follow").checked ? "1" : ""));
addEventListener("popstate", () => {
  state = fromUrl();
  shown = PAGE_SIZE;
  showState();
  search();
});

// --- keys ----------------------------------------------------------------------------------------------------

const keys = {
  "/": () => $("q").select() ?? $("q").focus(),
  "?": () => $("help").showModal(),
  ArrowDown: () => focusPlace(focused + 1),
  ArrowUp: () => (focused <= 0 ? $("q").focus() : focusPlace(focused - 1)),
  j: () => focusPlace(focused + 1),
  k: () => focusPlace(focused - 1),
  " ": () => (focused >= 0 ? player.toggle(focused) : hits.length && (focusPlace(0), player.play(0))),
  Enter: () => focused >= 0 && player.toggle(focused),
  ArrowLeft: (event) => player.seek(event.shiftKey ? -5 : -1),
  ArrowRight: (event) => player.seek(event.shiftKey ? 5 : 1),
  m: () => focused >= 0 && moreLike(focused),
  n: () => focused >= 0 && notLike(focused),
  c: () => focused >= 0 && copyPath(focused),
  f: () => $("follow").click(),
  Escape: escape,
};

function escape() {
  if (player.hit && !audio.paused) return player.stop();
  if (document.activeElement !== $("q")) return $("q").focus();
  if ($("q").value) change({ q: "" });
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const target = event.target;
  const inText = target.matches("input:not([type=checkbox]):not([type=range]):not([type=file]), select, textarea");
  if (inText && !(event.key === "Escape" || (target === $("q") && event.key === "ArrowDown"))) return;
  if ([" ", "Enter"].includes(event.key) && target.matches("button, a, summary, input, label")) return;
  if (["ArrowLeft", "ArrowRight"].includes(event.key) && target.matches("input")) return;
  const act = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!act) return;
  event.preventDefault();
  if (target === $("q") && event.key === "ArrowDown") focused = -1;
  act(event);
});

// --- drag and drop -------------------------------------------------------------------------------

const CLIP_TYPE = "application/x-askaudio-clip";

function useSound(file) {
  if (!file) return;
  if (file.size > collection.upload_max_bytes) {
    return showNotice(`${file.name} is too large to search by: at most ${Math.floor(collection.upload_max_bytes / 2 ** 20)} MB.`, "", null);
  }
  sounds.set(file.name, file);
  change({ sound: file.name, q: "", like: [] });
}

function dragOut(event, hit) {
  const [name, kind] = nameOf(hit.path);
  const url = new URL(API + clipUrl(hit.clip_id, "/audio?download=true"), location.href);
  event.dataTransfer.setData("DownloadURL", `audio/${kind || "wav"}:${name}${kind && "."}${kind}:${url}`);
  event.dataTransfer.setData("text/plain", hit.path);
  event.dataTransfer.setData(CLIP_TYPE, hit.clip_id);
  event.dataTransfer.effectAllowed = "copy";
  remember(hit);
}

const carriesSound = (event) => event.dataTransfer.types.includes("Files") && !event.dataTransfer.types.includes(CLIP_TYPE);
let inside = 0; // enters minus leaves: the drag is over the page while above 0

function overPage(by) {
  inside = by === 0 ? 0 : inside + by;
  $("drop").hidden = inside <= 0;
}

addEventListener("dragenter", (event) => carriesSound(event) && overPage(1));
addEventListener("dragleave", (event) => carriesSound(event) && overPage(-1));
addEventListener("dragover", (event) => carriesSound(event) && event.preventDefault());
addEventListener("drop", (event) => {
  if (!carriesSound(event)) return;
  event.preventDefault();
  overPage(0);
  useSound(event.dataTransfer.files[0]);
});
$("file").addEventListener("change", () => {
  useSound($("file").files[0]);
  $("file").value = "";
});
addEventListener("paste", (event) => event.clipboardData.files.length && useSound(event.clipboardData.files[0]));

// --- theme, dialogs, start -----------------------------------------------------------------------------------

const systemDark = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (document.documentElement.dataset.theme || (systemDark.matches ? "dark" : "light")) === "dark";

function setTheme(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  $("theme").setAttribute("aria-label", `Theme: ${theme || "like the system"}`);
  $("theme").title = $("theme").getAttribute("aria-label");
  localStorage.setItem("theme", theme);
  drawAll();
}

$("theme").addEventListener("click", () => {
  const order = ["", "dark", "light"];
  setTheme(order[(order.indexOf(document.documentElement.dataset.theme || "") + 1) % 3]);
});
systemDark.addEventListener("change", drawAll);
new ResizeObserver(drawAll).observe($("results"));
$("help-open").addEventListener("click", () => $("help").showModal());
$("help-close").addEventListener("click", () => $("help").close());

function askForToken() {
  say("");
  $("token").value = "";
  if (!$("login").open) $("login").showModal();
}

$("login-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    await ask("session", { method: "POST", headers: { Authorization: `Bearer ${$("token").value.trim()}` } });
    $("login").close();
    $("login-error").textContent = "";
    start();
  } catch (error) {
    $("login-error").textContent = error.status === 401 ? "That is not the token." : error.message;
  }
});

function showExamples() {
  const items = EXAMPLES.map((text) => {
    const button = element("button", { type: "button", textContent: text });
    button.onclick = () => change({ q: text });
    const li = element("li");
    li.append(button);
    return li;
  });
  $("examples").replaceChildren(...items);
}

async function start() {
  try {
    collection = await ask("collection");
    $("size").textContent = `${collection.clips.toLocaleString("en")} ${collection.clips === 1 ? "sound" : "sounds"}`;
  } catch (error) {
    return showError(error);
  }
  await Promise.all([search(), learnNames()]);
}

setTheme(localStorage.getItem("theme") || "");
$("follow").checked = Boolean(localStorage.getItem("follow"));
state = fromUrl();
showState();
showExamples();
if (matchMedia("(hover: hover)").matches) $("q").focus({ preventScroll: true });
start();
