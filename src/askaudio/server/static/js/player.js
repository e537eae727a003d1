// The player at the bottom of the page.

import { API, clipUrl } from "./api.js";
import { $, setIcon, showNotice } from "./dom.js";
import { emit, on } from "./events.js";
import { view } from "./state.js";
import { clock, nameOf } from "./text.js";

const audio = $("audio");

export const player = {
  place: -1, // row of the sound in the player, -1 when it is not listed
  hit: null,

  now: () => audio.currentTime,
  isPlaying: () => Boolean(player.hit) && !audio.paused && !audio.ended,

  /** Play the sound of a row, from a second or from where it matches. */
  play(place, second = null) {
    const hit = view.hits[place];
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
    audio.play().catch((error) => error.name === "AbortError" || this.failed(hit));
    this.show();
  },

  toggle(place) {
    if (this.hit?.clip_id !== view.hits[place]?.clip_id || audio.ended) return this.play(place);
    audio.paused ? audio.play() : audio.pause();
  },

  stop() {
    audio.pause();
    audio.removeAttribute("src");
    audio.load();
    this.hit = null;
    this.show();
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
    showNotice(reason ? `${name}: ${reason}` : `${name} cannot be played here: this browser does not know .${kind} files, or the file is gone. Download it or copy its path.`);
  },

  show() {
    this.place = view.hits.findIndex((hit) => hit.clip_id === this.hit?.clip_id);
    $("player").hidden = !this.hit;
    if (this.hit) $("player-name").textContent = nameOf(this.hit.path)[0];
    const going = this.isPlaying();
    setIcon($("player-toggle"), going ? "pause" : "play", going ? "Pause" : "Play");
    emit("playing");
  },
};

function tick() {
  if (!player.hit) return;
  $("player-time").textContent = `${clock(audio.currentTime)} / ${clock(audio.duration || player.hit.metadata.duration_s || 0)}`;
  emit("time");
  if (!audio.paused && !audio.ended) requestAnimationFrame(tick);
}

for (const name of ["play", "playing", "pause", "ended", "seeked"]) {
  audio.addEventListener(name, () => (player.show(), tick()));
}
audio.addEventListener("error", () => player.hit && player.failed(player.hit));
on("hits", () => player.show());
$("player-toggle").addEventListener("click", () => (audio.paused ? audio.play() : audio.pause()));
$("volume").addEventListener("input", () => (audio.volume = Number($("volume").value)));
$("follow").checked = Boolean(localStorage.getItem("follow"));
$("follow").addEventListener("change", () => localStorage.setItem("follow", $("follow").checked ? "1" : ""));
