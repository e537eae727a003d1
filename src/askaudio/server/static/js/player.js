// The player at the bottom of the page: any format, loop, volume, equal loudness, other speeds and pitches.

import { apiUrl, clipUrl } from "./api.js";
import { $, element, setIcon, showNotice } from "./dom.js";
import { emit, on } from "./events.js";
import { placeOfClip } from "./list.js";
import { peaksOf } from "./peaks.js";
import { view } from "./state.js";
import { clock, nameOf } from "./text.js";

const TARGET_DB = -20; // loudness at which sounds are played when they are matched
const MOST_GAIN = 10; // 20 dB
// what the browser plays as it is; the server sends everything else as wav
const TYPES = { wav: "audio/wav", wave: "audio/wav", bwf: "audio/wav", flac: "audio/flac", mp3: "audio/mpeg",
  ogg: "audio/ogg; codecs=vorbis", oga: "audio/ogg; codecs=vorbis", opus: "audio/ogg; codecs=opus",
  m4a: 'audio/mp4; codecs="mp4a.40.2"', mp4: 'audio/mp4; codecs="mp4a.40.2"', aac: "audio/aac", webm: "audio/webm; codecs=opus" };
const audio = $("audio");
const kept = { volume: 1, loop: false, match: false, speed: 1, pitch: 0, keepPitch: true, ...JSON.parse(localStorage.getItem("player") || "{}") };
let mixer = null; // {context, gain} of Web Audio; made when a sound must be louder than the file
let tuned = 1; // seconds of the recording in a second of the file: a file at another pitch is shorter or longer

export const player = {
  place: -1, // row of the sound in the player, -1 when it is not listed
  hit: null,

  now: () => audio.currentTime * tuned,
  isPlaying: () => Boolean(player.hit) && !audio.paused && !audio.ended,

  /** Play the sound of a row, from a second or from where it matches. */
  play(place, second = null) {
    const hit = view.hits[place];
    if (hit) this.playHit(hit, second);
  },

  /** Play a sound, whether or not it is in the list. */
  playHit(hit, second = null) {
    const start = second ?? hit.start_s ?? 0;
    if (this.hit?.clip_id !== hit.clip_id) load(hit, start, !canPlay(hit));
    else begin(start);
    this.hit = hit;
    setLevel(hit);
    audio.play().catch((error) => error.name === "AbortError" || error.name === "NotSupportedError" || this.failed(hit));
    this.show();
  },

  toggle(place) {
    if (this.hit?.clip_id !== view.hits[place]?.clip_id || audio.ended) return this.play(place);
    this.pause();
  },

  pause() {
    if (!audio.paused) return audio.pause();
    audio.play();
  },

  stop() {
    audio.pause();
    audio.removeAttribute("src");
    audio.load();
    this.hit = null;
    this.show();
  },

  seek(by) {
    if (this.hit) audio.currentTime = Math.max(0, audio.currentTime + by / tuned);
  },

  /** The browser cannot play it: take what the server decodes, and if that fails say why. */
  async failed(hit) {
    if (this.hit !== hit) return;
    if (audio.dataset.as !== "wav") {
      load(hit, this.now() || hit.start_s || 0, true);
      return audio.play().catch(() => {});
    }
    const [name, kind] = nameOf(hit.path);
    this.stop();
    const answer = await fetch(apiUrl(clipUrl(hit.clip_id, "/audio?as=wav")), { headers: { Range: "bytes=0-0" } }).catch(() => null);
    const reason = answer && !answer.ok ? (await answer.json().catch(() => ({}))).detail : "";
    showNotice(reason ? `${name}: ${reason}` : `${name} cannot be played here: the .${kind} file is gone, or nothing here decodes it. Download it or copy its path.`);
  },

  show() {
    this.place = this.hit ? placeOfClip(this.hit.clip_id) : -1;
    $("player").hidden = !this.hit;
    document.body.classList.toggle("with-player", Boolean(this.hit));
    if (this.hit) $("player-name").textContent = nameOf(this.hit.path)[0];
    const going = this.isPlaying();
    setIcon($("player-toggle"), going ? "pause" : "play", going ? "Pause" : "Play");
    emit("playing");
  },
};

const canPlay = (hit) => kept.pitch === 0 && Boolean(audio.canPlayType(TYPES[nameOf(hit.path)[1].toLowerCase()] ?? ""));

function load(hit, start, decoded) {
  const pitch = decoded ? kept.pitch : 0;
  tuned = 2 ** (pitch / 12);
  audio.dataset.as = decoded ? "wav" : "file";
  audio.src = apiUrl(clipUrl(hit.clip_id, `/audio${decoded ? `?as=wav${pitch ? `&pitch=${pitch}` : ""}` : ""}`));
  begin(start);
  setSpeed();
}

function begin(second) {
  const at = () => (audio.currentTime = second / tuned);
  audio.onloadedmetadata = at;
  if (audio.readyState >= 1) at();
}

/** A file at another pitch plays faster or slower: keeping its pitch, the speed brings back the length. */
function setSpeed() {
  audio.preservesPitch = kept.keepPitch || tuned !== 1;
  audio.playbackRate = audio.defaultPlaybackRate = Math.min(8, Math.max(0.1, kept.speed / tuned));
}

/** Volume, and the gain that makes all sounds equally loud: by their measured loudness, never beyond full scale. */
async function setLevel(hit) {
  if (!kept.match) return applyGain(1);
  try {
    const peaks = await peaksOf(hit);
    const loudness = hit.metadata.loudness_lufs ?? peaks.level_db;
    const gain = loudness === null ? 1 : 10 ** ((TARGET_DB - loudness) / 20);
    if (player.hit === hit) applyGain(Math.min(gain, MOST_GAIN, peaks.peak > 0 ? Math.max(1, 1 / peaks.peak) : 1));
  } catch {
    applyGain(1);
  }
}

function applyGain(gain) {
  $("player").dataset.gain = gain.toFixed(3);
  if (gain > 1 && !mixer) {
    const context = new AudioContext();
    mixer = { context, gain: context.createGain() };
    context.createMediaElementSource(audio).connect(mixer.gain).connect(context.destination);
  }
  if (!mixer) return (audio.volume = kept.volume * gain);
  mixer.context.resume();
  mixer.gain.gain.value = gain;
  audio.volume = kept.volume;
}

function tick() {
  if (!player.hit) return;
  const length = audio.duration ? audio.duration * tuned : player.hit.metadata.duration_s || 0;
  $("player-time").textContent = `${clock(player.now())} / ${clock(length)}`;
  $("seek").max = length || 1;
  if (document.activeElement !== $("seek") || !audio.paused) $("seek").value = player.now();
  emit("time");
  if (!audio.paused && !audio.ended) requestAnimationFrame(tick);
}

function keep(changes) {
  Object.assign(kept, changes);
  localStorage.setItem("player", JSON.stringify(kept));
  showSettings();
}

function showSettings() {
  $("volume").value = kept.volume;
  $("loop").setAttribute("aria-pressed", String(kept.loop));
  $("match-loudness").setAttribute("aria-pressed", String(kept.match));
  $("speed").value = String(kept.speed);
  $("pitch").value = String(kept.pitch);
  $("keep-pitch").checked = kept.keepPitch;
  $("tune").classList.toggle("set", kept.speed !== 1 || kept.pitch !== 0);
  audio.loop = kept.loop;
}

const pitchText = (semitones) => (semitones ? `${semitones > 0 ? "+" : "−"}${Math.abs(semitones)} semitones` : "As recorded");

/** Another pitch needs another file: load it and continue at the same place. */
function retune() {
  const hit = player.hit;
  if (!hit) return;
  const [going, at] = [player.isPlaying(), player.now()];
  load(hit, at, kept.pitch !== 0 || !canPlay(hit));
  if (going) audio.play().catch(() => {});
}

for (const name of ["play", "playing", "pause", "ended", "seeked"]) {
  audio.addEventListener(name, () => (player.show(), tick()));
}
// an error that was queued before another file was loaded says nothing about that file
audio.addEventListener("error", () => player.hit && audio.error && player.failed(player.hit));
on("hits", () => player.show());
$("player-toggle").addEventListener("click", () => player.pause());
$("seek").addEventListener("input", () => (audio.currentTime = Number($("seek").value) / tuned));
$("volume").addEventListener("input", () => {
  keep({ volume: Number($("volume").value) });
  if (player.hit) setLevel(player.hit);
});
$("loop").addEventListener("click", () => keep({ loop: !kept.loop }));
$("match-loudness").addEventListener("click", () => {
  keep({ match: !kept.match });
  if (player.hit) setLevel(player.hit);
});
$("speed").addEventListener("change", () => (keep({ speed: Number($("speed").value) }), setSpeed()));
$("keep-pitch").addEventListener("change", () => (keep({ keepPitch: $("keep-pitch").checked }), setSpeed()));
$("pitch").addEventListener("change", () => (keep({ pitch: Number($("pitch").value) }), retune()));
$("tune-reset").addEventListener("click", () => (keep({ speed: 1, pitch: 0, keepPitch: true }), retune()));
$("pitch").append(...Array.from({ length: 25 }, (_, n) => element("option", { value: String(12 - n), textContent: pitchText(12 - n) })));
$("follow").checked = Boolean(localStorage.getItem("follow"));
$("follow").addEventListener("change", () => localStorage.setItem("follow", $("follow").checked ? "1" : ""));
showSettings();
