// A query by microphone: record in the page, then search by it as by a dropped file.

import { $, element, say, showNotice } from "./dom.js";
import { useSound } from "./drag.js";

const LONGEST_MS = 15_000;
const RATE_HZ = 44_100;
let recorder = null;

const button = element("button", { type: "button", id: "microphone", className: "pick", title: "Search by a recording", textContent: "Record" });
button.setAttribute("aria-pressed", "false");
button.onclick = () => (recorder ? recorder.stop() : record());
// browsers give the microphone only to pages of this machine or of https
if (navigator.mediaDevices?.getUserMedia && window.MediaRecorder) $("file").closest("label").after(button);

async function record() {
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false } });
  } catch {
    return showNotice("The browser did not give the microphone to this page. Allow it in the browser's settings of this page.");
  }
  const pieces = [];
  recorder = new MediaRecorder(stream);
  recorder.ondataavailable = ({ data }) => data.size && pieces.push(data);
  recorder.onstop = async () => {
    recorder = null;
    clearTimeout(timer);
    for (const track of stream.getTracks()) track.stop();
    mark(false);
    await use(new Blob(pieces));
  };
  const timer = setTimeout(() => recorder?.stop(), LONGEST_MS);
  recorder.start();
  mark(true);
  say("Recording. Press again to search.");
}

function mark(going) {
  button.textContent = going ? "Stop and search" : "Record";
  button.setAttribute("aria-pressed", String(going));
}

/** What the browser records (webm, mp4) is sent as wav, which every server reads. */
async function use(blob) {
  try {
    const context = new OfflineAudioContext(1, 1, RATE_HZ);
    const sound = await context.decodeAudioData(await blob.arrayBuffer());
    useSound(new File([wav(sound)], "your recording.wav", { type: "audio/wav" }));
  } catch {
    showNotice("Nothing was recorded.");
  }
}

/** A mono wav file of 16 bits. */
function wav(sound) {
  const channels = Array.from({ length: sound.numberOfChannels }, (_, c) => sound.getChannelData(c));
  const view = new DataView(new ArrayBuffer(44 + 2 * sound.length));
  const text = (at, letters) => [...letters].forEach((letter, n) => view.setUint8(at + n, letter.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, 36 + 2 * sound.length, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, sound.sampleRate, true);
  view.setUint32(28, 2 * sound.sampleRate, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  text(36, "data");
  view.setUint32(40, 2 * sound.length, true);
  for (let n = 0; n < sound.length; n++) {
    const mean = channels.reduce((sum, samples) => sum + samples[n], 0) / channels.length;
    view.setInt16(44 + 2 * n, Math.max(-1, Math.min(1, mean)) * 32767, true);
  }
  return view.buffer;
}
