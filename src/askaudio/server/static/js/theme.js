// Light or dark: as the system, or as the person chose.

import { $ } from "./dom.js";
import { emit } from "./events.js";

const systemDark = matchMedia("(prefers-color-scheme: dark)");
export const isDark = () => (document.documentElement.dataset.theme || (systemDark.matches ? "dark" : "light")) === "dark";

function setTheme(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  $("theme").setAttribute("aria-label", `Theme: ${theme || "like the system"}`);
  $("theme").title = $("theme").getAttribute("aria-label");
  localStorage.setItem("theme", theme);
  emit("theme");
}

$("theme").addEventListener("click", () => {
  const order = ["", "dark", "light"];
  setTheme(order[(order.indexOf(document.documentElement.dataset.theme || "") + 1) % 3]);
});
systemDark.addEventListener("change", () => emit("theme"));
setTheme(localStorage.getItem("theme") || "");
