"use strict";

// Small pieces that every page is made of.

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

// Icons are drawn, since glyphs differ from font to font.
const ICONS = {
  play: "M5 3.2v13.6c0 .8.9 1.3 1.6.8l10-6.8a1 1 0 0 0 0-1.6l-10-6.8C5.9 1.9 5 2.4 5 3.2z",
  pause: "M5 3h3.5v14H5zM11.5 3H15v14h-3.5z",
  loop: "M6 4h7a4 4 0 0 1 4 4v1h-2V8a2 2 0 0 0-2-2H6v2.5L2.5 5 6 1.5zM14 16H7a4 4 0 0 1-4-4v-1h2v1a2 2 0 0 0 2 2h7v-2.5l3.5 3.5-3.5 3.5z",
  check: "M7.6 15.5 2.300 10.200l1.900-1.900 3.400 3.400L15.800 3.5l1.900 1.900z",
};

function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 20 20");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", ICONS[name]);
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
      return window[store].getItem(name);
    } catch {
      return null;
    }
  },
  write(store, name, value) {
    try {
      window[store].setItem(name, value);
      return true;
    } catch {
      return false;
    }
  },
};

// Play and pause, with the state in words and not in colour only.
function playButton(player) {
  const label = element("span", {});
  const symbol = element("span", { className: "symbol" });
  const button = element(
    "button",
    { type: "button", className: "play", onclick: () => player.toggle() },
    symbol,
    label,
    key("P"),
  );
  const update = () => {
    const text = player.playing ? "Pause" : "Play";
    if (label.textContent === text) return;
    label.textContent = text;
    symbol.replaceChildren(icon(player.playing ? "pause" : "play"));
  };
  update();
  return { node: button, update };
}

// One button a version: which one sounds, and whether it was heard enough.
class Versions {
  // versions: [{ label, key, title }], in the order of the player's channels.
  constructor(player, versions, needed) {
    this.player = player;
    this.needed = needed;
    this.versions = versions.map((version, index) => {
      const state = element("span", { className: "state" });
      const bar = element("span", { className: "bar", "aria-hidden": "true" });
      const button = element(
        "button",
        {
          type: "button",
          className: "version",
          "aria-pressed": "false",
          onclick: () => this.hear(index),
        },
        element("span", { className: "letter" }, version.label),
        state,
        bar,
      );
      if (version.label.length > 1) button.classList.add("long");
      return { ...version, index, button, state, bar };
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
    for (const { index, button, state, bar } of this.versions) {
      const active = player.active === index;
      const heard = this.isHeard(index);
      button.setAttribute("aria-pressed", String(active));
      button.classList.toggle("heard", heard);
      let text = heard ? "heard" : "not heard yet";
      if (active) text = player.playing ? "playing" : "plays next";
      if (state.dataset.text !== `${text}${heard}`) {
        state.dataset.text = `${text}${heard}`;
        const before = heard ? "check" : active && player.playing ? "play" : null;
        state.replaceChildren(...(before ? [icon(before)] : []), text);
      }
      bar.style.setProperty("--heard", Math.min(1, player.heard[index] / this.needed));
    }
  }
}
