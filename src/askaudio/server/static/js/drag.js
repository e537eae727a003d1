// Drag a row out, drop a sound in.

import { fileUrl } from "./api.js";
import { remember } from "./chips.js";
import { $, showNotice } from "./dom.js";
import { change, sounds, view } from "./state.js";
import { nameOf } from "./text.js";

const CLIP_TYPE = "application/x-askaudio-clip";

/** Search by a sound file of this visit. */
export function useSound(file) {
  if (!file) return;
  if (file.size > view.collection.upload_max_bytes) {
    return showNotice(`${file.name} is too large to search by: at most ${Math.floor(view.collection.upload_max_bytes / 2 ** 20)} MB.`);
  }
  sounds.set(file.name, file);
  change({ sound: file.name, like: [] });
}

export function dragOut(event, hit) {
  const [name, kind] = nameOf(hit.path);
  const url = new URL(fileUrl(hit.clip_id), location.href);
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

