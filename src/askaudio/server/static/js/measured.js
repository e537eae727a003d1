// Filters by what indexing measured, as check boxes for people who do not want to write loudness<-40.

import { ask } from "./api.js";
import { element } from "./dom.js";
import { change, state, whereText } from "./state.js";

const KINDS = [
  ["Loud", "loudness>-16"],
  ["Quiet", "loudness<-35"],
  ["Dark", "brightness<800"],
  ["Bright", "brightness>5k"],
  ["One hit", "onsets=1"],
  ["Several hits", "onsets>=3"],
  ["With a pitch", "pitch>0"],
  ["With a tempo", "tempo>0"],
  ["Without silence", "silence<2%"],
  ["Clipped or near it", "peak>=-0.1"],
];

const parts = () => state.where.split(/\s+and\s+/).filter(Boolean);
const isOn = (condition) => parts().includes(condition);

function toggle(condition) {
  if (isOn(condition)) return change({ where: parts().filter((part) => part !== condition).join(" and ") });
  const own = /\sor\s/i.test(state.where) ? [`(${state.where.trim()})`] : parts();
  return change({ where: [...own, condition].join(" and ") });
}

/** The group of check boxes, with the number of sounds that pass each beside the present filters; null if none does. */
export async function measuredGroup() {
  const present = whereText();
  const counted = await Promise.all(KINDS.map(async ([title, condition]) => {
    const where = [present && `(${present})`, condition].filter(Boolean).join(" and ");
    const { total } = await ask(`clips?${new URLSearchParams({ limit: 1, where })}`).catch(() => ({ total: 0 }));
    return { title, condition, total };
  }));
  const rows = counted.filter(({ total, condition }) => total || isOn(condition)).map(({ title, condition, total }) => {
    const box = element("input", { type: "checkbox", checked: isOn(condition), onchange: () => toggle(condition) });
    const count = element("span", { className: "count", textContent: total.toLocaleString("en") });
    return element("label", { className: "value", title: condition }, box, element("span", { textContent: title }), count);
  });
  return rows.length ? element("fieldset", { className: "group" }, element("legend", { textContent: "Sound" }), ...rows) : null;
}
