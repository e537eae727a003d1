// The search page: ES modules without a build step or a library. Every request goes to the server that sent the page.
//
// How a panel or an action is added (favourites, export, duplicates, a map, ...):
//
//   1. Write js/NAME.js. It imports what it needs and registers itself when it is loaded:
//
//        import { addAction } from "./actions.js";      // an entry in the menu of a row and of a selection
//        import { addPanel, openPanel } from "./panels.js"; // a panel at the side, with a button in the head of the page
//        import { ask, send, clipUrl } from "./api.js"; // requests to v1/...
//        import { say, showNotice, element } from "./dom.js";
//        import { on } from "./events.js";              // "row", "focus", "selection", "query", "collection", ...
//        import { change, state, view } from "./state.js"; // what is looked for; what is listed
//        import { chosen } from "./selection.js";       // the selected hits, or the current one
//
//        addAction({ label: "Add to favourites", run: (hits) => send("favourites", hits.map((hit) => hit.clip_id)) });
//        addPanel({ id: "library", title: "Library", show: async (body) => body.append(...) });
//
//   2. Import it below, in the place where its button and its entries shall be.
//   3. Styles: a file css/NAME.css (`styles: "css/NAME.css"` in addPanel), with the color names of page.css.
//   4. Texts enter the page through textContent only, never as markup: names of files can hold anything.
//   5. Tests: tests/server/test_page_NAME.py with the fixture `open_page` (tests/support/browser.py).

import "./theme.js";
import "./results.js";
import "./controls.js";
import "./chips.js";
import "./selection.js";
import "./drag.js";
import "./tools.js";
import "./base_actions.js";
import "./detail.js";
import "./library.js";
import "./library_panel.js";
import "./export_panel.js";
import "./filters.js";
import "./duplicates.js";
import "./keys.js";
import "./moments.js";
import "./stretch.js";
import "./start_panel.js";
import "./map.js";
import "./microphone.js";
import "./suggestions.js";
import { $ } from "./dom.js";
import { emit } from "./events.js";
import "./history.js";
import { focusPlace } from "./results.js";
import { start } from "./search.js";
import { player } from "./player.js";
import { readUrl } from "./state.js";

$("help-open").addEventListener("click", () => $("help").showModal());
$("help-close").addEventListener("click", () => $("help").close());
$("player-name").addEventListener("click", () => focusPlace(player.place));
readUrl();
emit("state");
if (matchMedia("(hover: hover)").matches) $("q").focus({ preventScroll: true });
start();
