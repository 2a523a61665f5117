"use strict";

// The controls of the settings.

function setControl(control, value) {
  if (control.tagName === "SELECT") {
    const text = value === null || value === undefined ? "" : String(value);
    const known = [...control.options].some((option) => option.value === text);
    if (!known) control.append(element("option", { value: text }, text));
    control.value = text;
    return;
  }
  control.value = value ?? "";
  showOutput(control, value);
}

function showOutput(control, value) {
  const output = control.parentNode.querySelector("output");
  if (!output) return;
  const isLevel = control.dataset.key.startsWith("codec");
  const isKnown = value !== null && value !== undefined;
  const text = isLevel ? `${value} dB` : `${Math.round(100 * value)} %`;
  output.textContent = isKnown ? text : isLevel ? "not in dB" : "no repair";
  control.setAttribute("aria-valuetext", output.textContent);
}

function read(control) {
  const { value } = control;
  if (["true", "false"].includes(value)) return value === "true";
  if (control.type === "range" || control.type === "number") return value === "" ? null : Number(value);
  return value === "" ? null : value;
}

function fillControls({ choices, shown }) {
  unset = shown;
  for (const control of controls) {
    const options = choices[control.dataset.key];
    if (!options) continue;
    const nodes = options.map((name) => element("option", { value: name }, name));
    const { empty } = control.dataset;
    if (empty) nodes.unshift(element("option", { value: "" }, empty));
    control.replaceChildren(...nodes);
  }
  showControls(slots[active].result?.shown ?? unset);
}

for (const control of controls) {
  control.addEventListener("input", () => {
    const value = read(control);
    showOutput(control, value);
    plays = true;
    hear({ [control.dataset.key]: value });
  });
}
$("settings").addEventListener("submit", (event) => event.preventDefault());
$("words").addEventListener("change", () => {
  plays = true;
  hear({}, $("words").value);
});
$("start").addEventListener("input", () => {
  start = Number($("start").value);
  plays = true;
  hear({});
});
slotButtons.forEach((node, index) => node.addEventListener("click", () => choose(index)));
$("copy").addEventListener("click", () => {
  slots[1 - active] = { ...slots[active], pending: null };
  choose(1 - active);
});
