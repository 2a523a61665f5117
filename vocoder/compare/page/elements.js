"use strict";

// Small pieces that every page is made of.

// Words in the study's language; each {} takes the next value.
function t(text, ...values) {
  return (STUDY.words[text] ?? text).replaceAll("{}", () => values.shift());
}

// An element with properties (or attributes, where the name has a dash or is a role) and children.
function element(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "role" || name === "for") node.setAttribute(name, value);
    else node[name] = value;
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

function button(text, onclick, properties = {}, ...children) {
  return element("button", { type: "button", onclick, ...properties }, text, ...children);
}

// A page's card: a heading, what it says, and what one can do.
function card(heading, content, actions, properties = {}) {
  return element(
    "div",
    { className: "card prose", ...properties },
    element("h1", {}, heading),
    ...content,
    element("div", { className: "actions" }, ...actions),
  );
}

// Icons are drawn, since glyphs differ from font to font.
const ICONS = {
  play: "M5 3.2v13.6c0 .8.9 1.3 1.6.8l10-6.8a1 1 0 0 0 0-1.6l-10-6.8C5.9 1.9 5 2.4 5 3.2z",
  pause: "M5 3h3.5v14H5zM11.5 3H15v14h-3.5z",
  loop: "M6 4h7a4 4 0 0 1 4 4v1h-2V8a2 2 0 0 0-2-2H6v2.5L2.5 5 6 1.5zM14 16H7a4 4 0 0 1-4-4v-1h2v1a2 2 0 0 0 2 2h7v-2.5l3.5 3.5-3.5 3.5z",
  check: "M7.6 15.5 2.3 10.2l1.9-1.9 3.4 3.4L15.8 3.5l1.9 1.9z",
};

function icon(name) {
  return drawing("0 0 20 20", ICONS[name], "icon");
}

function drawing(viewBox, d, name) {
  const [svg, path] = ["svg", "path"].map((tag) =>
    document.createElementNS("http://www.w3.org/2000/svg", tag),
  );
  const attributes = { viewBox, class: name, preserveAspectRatio: "none", "aria-hidden": "true" };
  for (const [attribute, value] of Object.entries(attributes)) svg.setAttribute(attribute, value);
  path.setAttribute("d", d);
  svg.append(path);
  return svg;
}

function key(name) {
  return element("kbd", { "aria-hidden": "true" }, name);
}

// Says something to those who do not see the page.
function announce(text) {
  const live = document.getElementById("live");
  live.textContent = "";
  // A region that gets the same text twice says it once, unless it was empty in between.
  setTimeout(() => {
    live.textContent = text;
  }, 50);
}

function seconds(value) {
  return `${value.toFixed(1)} s`;
}

// Memory of the browser, which some refuse to pages opened as a file.
const memory = {
  read(store, name) {
    try {
      return JSON.parse(window[store].getItem(`vocoder-${name}`));
    } catch {
      return null;
    }
  },
  write(store, name, value) {
    try {
      window[store].setItem(`vocoder-${name}`, JSON.stringify(value));
      return true;
    } catch {
      return false;
    }
  },
};

// Play and pause, with the state in words and not in colour only.
function playButton(player, words = () => t(player.playing ? "Pause" : "Play")) {
  const label = element("span", {});
  const symbol = element("span", { className: "symbol" });
  const node = button(symbol, () => player.toggle(), { className: "play" }, label, key("P"));
  const update = () => {
    const text = words();
    if (label.textContent === text) return;
    label.textContent = text;
    symbol.replaceChildren(icon(player.playing ? "pause" : "play"));
  };
  update();
  return { node, update };
}

// One button a version: which one sounds, and whether it was heard enough.
class Versions {
  // versions: [{ label, key }], in the order of the player's channels.
  constructor(player, versions, needed) {
    this.player = player;
    this.needed = needed;
    this.versions = versions.map((version, index) => {
      const state = element("span", { className: "state" });
      const bar = element("span", { className: "bar", "aria-hidden": "true" });
      const node = button(
        element("span", { className: "letter" }, version.label),
        () => this.hear(index),
        { className: "version", "aria-pressed": "false" },
        state,
        bar,
      );
      if (version.label.length > 1) node.classList.add("long");
      return { ...version, index, button: node, state, bar };
    });
    this.update();
  }

  hear(index) {
    this.player.select(index);
    this.player.play();
  }

  isHeard(index) {
    return this.player.heard[index] >= this.needed;
  }

  // Labels of what was not heard long enough.
  missing() {
    return this.versions.filter(({ index }) => !this.isHeard(index)).map(({ label }) => label);
  }

  update() {
    const { player } = this;
    player.tally();
    for (const { index, button: node, state, bar } of this.versions) {
      const active = player.active === index;
      const heard = this.isHeard(index);
      node.setAttribute("aria-pressed", String(active));
      node.classList.toggle("heard", heard);
      let text = heard ? t("heard") : t("not heard");
      if (active) text = player.playing ? t("playing") : t("up next");
      if (state.dataset.text !== `${text}${heard}`) {
        state.dataset.text = `${text}${heard}`;
        const before = heard ? "check" : active && player.playing ? "play" : null;
        state.replaceChildren(...(before ? [icon(before)] : []), text);
      }
      bar.style.setProperty("--heard", Math.min(1, player.heard[index] / this.needed));
    }
  }
}

// Keys. Letters hear, digits answer; whoever is disturbed by that can switch it off (WCAG 2.1.4).

function keysSwitch() {
  const isOn = element("input", {
    type: "checkbox",
    checked: keysAreOn(),
    onchange: () => memory.write("localStorage", "keys", isOn.checked),
  });
  const words = t(
    "Use single keys: those on the buttons, space to play, arrows to move, Enter to keep a slider where it is",
  );
  return element("label", { className: "switch keys" }, isOn, words);
}

function keysAreOn() {
  return memory.read("localStorage", "keys") !== false;
}

// Each of these says whether the key was one of its own. Keys come in lower case, since Caps Lock
// may be on.
function pressTransport(name, target) {
  const onControl = target.closest?.("button, input, summary, a, select");
  if (name !== "p" && (name !== " " || onControl)) return false;
  player.toggle();
  return true;
}

function pressTrial(name, target, { timeline, question, go, versions }) {
  if (pressTransport(name, target)) return true;
  const heard = versions.findIndex(({ key: letter }) => letter.toLowerCase() === name);
  if (heard >= 0) {
    question.versions.hear(heard);
    question.heardByKey?.(heard);
    return true;
  }
  const acts = {
    s: () => timeline.fromHere(),
    t: () => timeline.toHere(),
    w: () => timeline.wholeClip(),
    o: () => timeline.toggleLoop(),
    n: () => go.click(),
  };
  if (!target.closest?.("input")) {
    acts.arrowleft = () => timeline.step(-1);
    acts.arrowright = () => timeline.step(1);
  }
  if (!acts[name]) return question.press(name);
  acts[name]();
  return true;
}
