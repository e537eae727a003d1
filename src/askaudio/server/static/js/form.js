// A small dialog with fields, made when it is needed.

import { element } from "./dom.js";

/**
 * Ask for values; resolves with an object of them, or with null where the dialog was closed.
 *
 * fields: {name, label, type: "text" | "checkbox" | "number", value, options: [[value, text], ...], ...attributes}
 */
export function askFor(title, fields, button) {
  const inputs = fields.map(inputOf);
  const cancel = element("button", { type: "button", className: "button", textContent: "Cancel" });
  const ok = element("button", { type: "submit", className: "button strong", textContent: button });
  const heading = element("h2", { textContent: title, id: "ask-title" });
  const form = element("form", {}, heading, ...inputs.map(({ row }) => row), element("p", { className: "buttons" }, ok, cancel));
  const dialog = element("dialog", { className: "ask" }, form);
  dialog.setAttribute("aria-labelledby", "ask-title");
  document.body.append(dialog);
  return new Promise((resolve) => {
    let values = null;
    form.onsubmit = (event) => {
      event.preventDefault();
      values = Object.fromEntries(inputs.map(({ name, read }) => [name, read()]));
      dialog.close();
    };
    cancel.onclick = () => dialog.close();
    dialog.onclose = () => (dialog.remove(), resolve(values));
    dialog.showModal();
    inputs[0]?.input.focus();
  });
}

/** A labelled input: {name, row, input, read}. */
export function inputOf({ name, label, type = "text", value = "", options = null, ...attributes }) {
  const tag = options ? "select" : "input";
  const input = element(tag, { name, ...(options ? {} : { type }), ...attributes });
  if (options) input.append(...options.map(([key, text]) => element("option", { value: key, textContent: text })));
  if (type === "checkbox") input.checked = Boolean(value);
  else if (value !== "" || !options) input.value = value;
  const text = element("span", { textContent: label });
  const row = element("label", { className: type === "checkbox" ? "row check" : "row" }, ...(type === "checkbox" ? [input, text] : [text, input]));
  return { name, row, input, read: () => (type === "checkbox" ? input.checked : input.value.trim()) };
}
