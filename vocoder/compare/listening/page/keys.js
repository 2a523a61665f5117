"use strict";

// Keys. Letters hear, digits answer; whoever is disturbed by that can switch it off (WCAG 2.1.4).

function keysPanel(versions, question) {
  const isOn = element("input", {
    type: "checkbox",
    checked: keysAreOn(),
    onchange: () => memory.write("localStorage", "vocoder-keys", isOn.checked ? "on" : "off"),
  });
  const letters = versions.map(({ key: letter, label }) => [
    letter,
    `hear ${label === letter ? letter : `the ${label.toLowerCase()}`}`,
  ]);
  const digits = question.choice?.options.map(({ digit, text }) => [digit, `answer: ${text}`]) ?? [
    ["arrow keys", "move the slider of the version heard last by its key"],
    ["Enter", "keep the slider where it is"],
  ];
  const rows = [
    ...letters,
    ...digits,
    ["P or space", "play, pause"],
    ["← →", "a second back, on"],
    ["S, T, W", "region from here, to here, whole clip"],
    ["O", "loop on, off"],
    ["N", "next"],
  ];
  return element(
    "details",
    { className: "keys" },
    element("summary", {}, "Keys"),
    element(
      "dl",
      {},
      ...rows.map(([letter, text]) =>
        element("div", {}, element("dt", {}, letter), element("dd", {}, text)),
      ),
    ),
    element("label", { className: "switch" }, isOn, "Use single keys"),
  );
}

function keysAreOn() {
  return memory.read("localStorage", "vocoder-keys") !== "off";
}

function pressTransport(event) {
  const onControl = event.target.closest?.("button, input, summary, a, select");
  if (event.key === "p" || (event.key === " " && !onControl)) player.toggle();
  else return false;
  return true;
}

function pressTrial(event, { timeline, question, go, versions }) {
  if (pressTransport(event)) return true;
  const pressed = event.key.toUpperCase();
  const heard = versions.findIndex(({ key: letter }) => letter === pressed);
  if (heard >= 0) {
    question.versions.hear(heard);
    question.heardByKey?.(heard);
    return true;
  }
  const onInput = event.target.closest?.("input");
  const acts = {
    S: () => timeline.fromHere(),
    T: () => timeline.toHere(),
    W: () => timeline.wholeClip(),
    O: () => player.setLooping(!player.looping),
    N: () => go.click(),
  };
  if (!onInput) {
    acts.ARROWLEFT = () => timeline.step(-1);
    acts.ARROWRIGHT = () => timeline.step(1);
  }
  if (acts[pressed]) acts[pressed]();
  else return question.press(pressed);
  return true;
}
