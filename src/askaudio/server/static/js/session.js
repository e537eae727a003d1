// The token: asked for once, exchanged for a cookie that scripts cannot read.

import { ask } from "./api.js";
import { $, say } from "./dom.js";
import { emit } from "./events.js";

export function askForToken() {
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
    emit("token");
  } catch (error) {
    $("login-error").textContent = error.status === 401 ? "That is not the token." : error.message;
  }
});
