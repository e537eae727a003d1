// The panel "Library": favourites, projects, saved searches, notes, what was used last.

import { apiUrl } from "./api.js";
import { element, say } from "./dom.js";
import { on } from "./events.js";
import { exportItems } from "./export_panel.js";
import { askFor } from "./form.js";
import { changeLibrary, changePerson, currentQuery, fromLibrary, library, runQuery } from "./library.js";
import { addPanel, openedPanel } from "./panels.js";
import { player } from "./player.js";
import { asksSomething, hasFilters } from "./state.js";
import { clock, nameOf } from "./text.js";

let body = null;
let shown = 0; // id of the open project, 0 for the overview

const button = (text, onclick, label = "") => {
  const made = element("button", { type: "button", className: "button", textContent: text, onclick });
  if (label) made.setAttribute("aria-label", label);
  return made;
};
const asHit = (sound) => ({ start_s: 0, segments: [], words: [], twins: [], ...sound });
const timesText = ({ start_s, end_s }) => (start_s == null ? "" : `${clock(start_s)} to ${clock(end_s)}`);

/** A row of a kept sound: play, name, texts, what can be done. */
function soundRow(sound, texts, ...acts) {
  const [name] = nameOf(sound.path);
  const play = button("Play", () => player.playHit(asHit(sound), sound.start_s ?? 0), `Play ${name}`);
  play.disabled = sound.missing;
  const about = [sound.missing ? "not in the collection" : "", ...texts].filter(Boolean).join(" · ");
  const text = element("span", { className: "what" }, element("b", { textContent: name, title: sound.path }), element("small", { textContent: about }));
  return element("li", {}, play, text, ...acts);
}

function section(title, rows, empty, ...heads) {
  const list = rows.length ? element("ul", { className: "kept" }, ...rows) : element("p", { className: "quiet", textContent: empty });
  return [element("div", { className: "kept-head" }, element("h3", { textContent: title }), ...heads), list];
}

const remove = (path, label) => button("Remove", () => changeLibrary(path, undefined, "DELETE"), label);

// --- overview -------------------------------------------------------------------------------------------------------

async function overview() {
  const parts = ["/favourites", "/projects", "/searches", "/notes", "/recent?limit=12", "/used?limit=12"];
  const [favourites, projects, searches, notes, recent, used] = await Promise.all(parts.map((part) => fromLibrary(part)));
  if (!body || shown || !used) return;
  const items = favourites.map((sound) => ({ clip_id: sound.clip_id }));
  const all = button("Export", () => exportItems(items, "favourites"));
  const save = button("Save this search", saveSearch);
  save.disabled = !asksSomething() && !hasFilters();
  body.replaceChildren(
    ...person(),
    ...section("Projects", projects.map(projectRow), "No project yet.", button("New", newProject)),
    ...section("Favourites", favourites.map((sound) => soundRow(sound, [], remove(`/favourites/${encodeURIComponent(sound.clip_id)}`, `Remove ${nameOf(sound.path)[0]} from the favourites`))),
      "No favourites yet. The menu of a sound has “Add to favourites”.", ...(favourites.length ? [all] : [])),
    ...section("Saved searches", searches.map(searchRow), "No saved search yet.", save),
    ...section("Notes", notes.map((sound) => soundRow(sound, [sound.text])), "No notes yet."),
    ...section("Last queries", recent.map(queryRow), "None yet.", ...(recent.length ? [clear("/recent", "Forget the last queries")] : [])),
    ...section("Last used", used.map((sound) => soundRow(sound, [sound.action])), "None yet.", ...(used.length ? [clear("/used", "Forget the sounds used last")] : [])),
    exchange(),
  );
}

const clear = (path, label) => button("Forget", () => changeLibrary(path, undefined, "DELETE"), label);

function person() {
  if (!library.writable) return [element("p", { className: "quiet", textContent: "This collection is read-only here: nothing can be kept." })];
  if (!library.named) return [];
  const input = element("input", { type: "text", value: library.person, maxLength: 120, id: "person", autocomplete: "name" });
  input.onchange = () => changePerson(input.value);
  return [element("label", { className: "row" }, element("span", { textContent: "Whose library" }), input)];
}

function projectRow(project) {
  const about = [`${project.items} ${project.items === 1 ? "sound" : "sounds"}`, project.shared ? `shared by ${project.owner || "everyone"}` : "", project.note];
  const text = element("span", { className: "what" }, element("b", { textContent: project.name }), element("small", { textContent: about.filter(Boolean).join(" · ") }));
  return element("li", {}, text, button("Open", () => ((shown = project.project_id), show()), `Open ${project.name}`));
}

const queryText = ({ q = [], avoid = [], where = "", like = [] }) =>
  [q.join(" + "), avoid.map((word) => `-${word}`).join(" "), like.length ? `${like.length} sounds it is like` : "", where].filter(Boolean).join(" · ");

function searchRow(search) {
  const text = element("span", { className: "what" }, element("b", { textContent: search.name }), element("small", { textContent: queryText(search.query) }));
  const run = button("Search", () => runQuery(search.query), `Search: ${search.name}`);
  return element("li", {}, text, run, remove(`/searches/${search.search_id}`, `Remove ${search.name}`));
}

function queryRow({ query }) {
  const text = queryText(query);
  return element("li", {}, element("span", { className: "what" }, element("b", { textContent: text })), button("Search", () => runQuery(query), `Search again: ${text}`));
}

async function newProject() {
  const fields = [{ name: "name", label: "Name", required: true, maxLength: 120 }, { name: "note", label: "Note", maxLength: 4000 }];
  if (library.named) fields.push({ name: "shared", label: "All people see and change it", type: "checkbox" });
  const made = await askFor("New project", fields, "Make");
  if (made) await changeLibrary("/projects", made);
}

async function saveSearch() {
  const query = currentQuery();
  const named = await askFor("Save this search", [{ name: "name", label: "Name", value: query.q.join(" "), required: true, maxLength: 120 }], "Save");
  if (named && (await changeLibrary("/searches", { ...named, query }))) say("Search saved");
}

function exchange() {
  const save = element("a", { className: "button", href: apiUrl("library/export"), download: "askaudio-library.json", textContent: "Save as JSON" });
  const file = element("input", { type: "file", accept: ".json,application/json", className: "hidden", ariaLabel: "Add from JSON" });
  file.onchange = async () => file.files[0] && (await changeLibrary("/import", JSON.parse(await file.files[0].text().catch(() => "null"))));
  return element("p", { className: "buttons" }, save, element("label", { className: "button" }, file, "Add from JSON"));
}

// --- one project ----------------------------------------------------------------------------------------------------

async function projectView() {
  const found = await fromLibrary(`/projects/${shown}`);
  if (!found) shown = 0;
  if (!body || !shown) return body && overview();
  const { project, items } = found;
  const place = `/projects/${project.project_id}`;
  const rows = items.map((item, at) => {
    const name = nameOf(item.path)[0];
    const up = button("↑", () => changeLibrary(`${place}/items/${item.item_id}`, { before: items[at - 1].item_id }, "PATCH"), `Move ${name} up`);
    up.disabled = at === 0;
    return soundRow(item, [timesText(item), item.note], up, remove(`${place}/items/${item.item_id}`, `Remove ${name} from the project`));
  });
  const take = items.filter((item) => !item.missing).map(({ clip_id, start_s, end_s, note }) => ({ clip_id, start_s, end_s, note }));
  const out = button("Export", () => exportItems(take, project.name));
  out.disabled = !take.length;
  body.replaceChildren(
    element("p", { className: "buttons" }, button("All kept things", () => ((shown = 0), show())), out, button("Change", () => changeProject(project)), button("Delete", () => deleteProject(project))),
    ...section(project.name, rows, "No sounds yet. The menu of a sound has “Add to a project”."),
    element("p", { className: "quiet", textContent: project.note }),
  );
}

async function changeProject(project) {
  const fields = [{ name: "name", label: "Name", value: project.name, required: true, maxLength: 120 }, { name: "note", label: "Note", value: project.note, maxLength: 4000 }];
  if (library.named) fields.push({ name: "shared", label: "All people see and change it", type: "checkbox", value: project.shared });
  const changed = await askFor("Change the project", fields, "Change");
  if (changed) await changeLibrary(`/projects/${project.project_id}`, changed, "PATCH");
}

async function deleteProject(project) {
  if (!(await askFor(`Delete ${project.name}? The sounds are not touched.`, [], "Delete"))) return;
  shown = 0;
  await changeLibrary(`/projects/${project.project_id}`, undefined, "DELETE");
}

const show = () => (shown ? projectView() : overview());

addPanel({ id: "library", title: "Library", styles: "css/library.css", show: (place) => ((body = place), show()), hide: () => (body = null) });
on("library", () => openedPanel() === "library" && show());
