// What the page itself offers for hits: paths, downloads.

import { addAction } from "./actions.js";
import { API, clipUrl } from "./api.js";
import { element } from "./dom.js";
import { copyPaths } from "./results.js";

addAction({ label: (hits) => (hits.length === 1 ? "Copy path" : "Copy paths"), run: copyPaths });
addAction({ label: "Download", run: download });

function download(hits) {
  for (const hit of hits) element("a", { href: API + clipUrl(hit.clip_id, "/audio?download=true"), download: "" }).click();
}
