// What the page itself offers for hits: paths, downloads.

import { addAction } from "./actions.js";
import { fileUrl } from "./api.js";
import { element } from "./dom.js";
import { copyPaths } from "./results.js";

addAction({ label: (hits) => (hits.length === 1 ? "Copy path" : "Copy paths"), run: copyPaths });
addAction({ label: "Download", run: download });

function download(hits) {
  for (const hit of hits) element("a", { href: fileUrl(hit.clip_id), download: "" }).click();
}
