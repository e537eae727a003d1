// Elements, icons and messages of the page.

export const $ = (id) => document.getElementById(id);
export const element = (tag, fields = {}, ...children) => {
  const made = Object.assign(document.createElement(tag), fields);
  made.append(...children);
  return made;
};
export const reduced = matchMedia("(prefers-reduced-motion: reduce)");

/** An icon of the sprite in index.html: `svgIcon("close")`. */
export function svgIcon(name) {
  const svg = $("hit").content.querySelector(".icon").cloneNode(true);
  svg.querySelector("use").setAttribute("href", `#i-${name}`);
  return svg;
}

/** Change icon and name of a button. */
export function setIcon(button, name, label) {
  button.querySelector("use").setAttribute("href", `#i-${name}`);
  button.setAttribute("aria-label", label);
}

/** Show a short text in the status line, which screen readers speak. */
export const say = (text) => ($("status").textContent = text);

/** Show a message with an optional button; `calm` is for what is no error. */
export function showNotice(text, button = "", action = null, calm = false) {
  const notice = $("notice");
  notice.querySelector("p").textContent = text;
  const press = notice.querySelector("button");
  press.hidden = !button;
  press.textContent = button;
  press.onclick = action;
  notice.classList.toggle("calm", calm);
  notice.hidden = false;
}

export const hideNotice = () => ($("notice").hidden = true);
