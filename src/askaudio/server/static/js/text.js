// Texts for people: times, names, folders, facts.

export function clock(seconds) {
  const whole = Math.floor(seconds);
  const two = (n) => String(n).padStart(2, "0");
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

/** "1:02.5": to a tenth of a second. */
export const preciseClock = (seconds) => {
  const tenths = Math.round(seconds * 10);
  return `${clock(tenths / 10)}.${tenths % 10}`;
};

export const lengthText = (seconds) => (seconds < 10 ? `${seconds.toFixed(1)} s` : clock(seconds));

export const soundsText = (count) => `${count.toLocaleString("en")} ${count === 1 ? "sound" : "sounds"}`;

/** "/a/rain.wav" -> ["rain", "wav"] */
export function nameOf(path) {
  const file = path.split(/[\\/]/).pop();
  const dot = file.lastIndexOf(".");
  return dot > 0 ? [file.slice(0, dot), file.slice(dot + 1)] : [file, ""];
}

export function folderOf(path) {
  const folders = path.split(/[\\/]/).slice(0, -1).filter(Boolean);
  return (folders.length > 3 ? "…/" : "/") + folders.slice(-3).join("/");
}

export const channelsText = (count) => ({ 1: "mono", 2: "stereo" })[count] ?? (count ? `${count} channels` : "");
export const rateText = (hz) => (hz ? `${+(hz / 1000).toFixed(1)} kHz` : "");

export function factsOf(data) {
  const length = data.duration_s != null ? lengthText(data.duration_s) : "";
  return [length, channelsText(data.channels), rateText(data.sample_rate_hz)].filter(Boolean).join(" · ");
}

const dateText = (seconds) => (seconds ? new Date(seconds * 1000).toISOString().slice(0, 10) : "");
export const loudnessText = (value) => (typeof value === "number" ? `${value.toFixed(1)} LUFS` : "");

/** Texts of the columns of a row: length, format, channels, rate, loudness, date, folder. */
export function factCells({ path, metadata: data }) {
  const format = { wavex: "wav" }[data.format] ?? data.format ?? "";
  const length = data.duration_s != null ? lengthText(data.duration_s) : "";
  return [length, format, channelsText(data.channels), rateText(data.sample_rate_hz), loudnessText(data.loudness_lufs), dateText(data.modified_s), folderOf(path)];
}
