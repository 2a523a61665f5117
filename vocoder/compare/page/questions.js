"use strict";

// The tests: which versions are heard, and how one answers. Letters hear, digits answer.

const LETTERS = "ABCDEFGHIJKL"; // the player's own keys are later letters

function reference(trial) {
  return trial.reference ? [{ name: trial.reference, label: t("Reference"), key: "R" }] : [];
}

function lettered(trial) {
  return trial.versions.map((name, at) => ({ name, label: LETTERS[at], key: LETTERS[at] }));
}

// Radio buttons with a digit each. options: [{ value, text, digit }]
class Choice {
  constructor(legend, options, { stacked = false, onchange }) {
    this.options = options.map((option) => {
      const { value, text, digit } = option;
      const input = element("input", { type: "radio", name: "answer", value, onchange });
      const words = element("span", { className: "text" }, text);
      const node = element("label", { className: "option" }, input, words, key(digit));
      return { ...option, input, node };
    });
    this.node = element(
      "fieldset",
      { className: stacked ? "choice stacked" : "choice" },
      element("legend", {}, legend),
      ...this.options.map(({ node }) => node),
    );
    this.onchange = onchange;
  }

  get value() {
    return this.options.find(({ input }) => input.checked)?.value ?? null;
  }

  set value(value) {
    for (const option of this.options) option.input.checked = option.value === value;
  }

  press(digit) {
    const option = this.options.find((one) => one.digit === digit);
    if (!option) return false;
    option.input.checked = true;
    option.input.focus();
    this.onchange();
    return true;
  }
}

// What all tests but MUSHRA share: tiles to hear, and one choice.
class Tiles {
  // trial: names as the study shows them; versions: in the order of the player's channels.
  constructor(player, trial, versions, needed, onchange) {
    this.versions = new Versions(player, versions, needed);
    const tile = ({ label, button: node, key: letter }) =>
      element(
        "div",
        { className: letter === "R" && versions.length > 2 ? "tile wide" : "tile" },
        node,
        label === letter ? null : key(letter),
      );
    const tiles = element(
      "div",
      { className: "tiles", role: "group", "aria-label": t("Versions to hear") },
      ...this.versions.versions.map(tile),
    );
    tiles.style.setProperty("--columns", versions.filter(({ key: one }) => one !== "R").length);
    if (versions.length === 2) tiles.style.setProperty("--columns", 2);
    this.choice = this.makeChoice(trial, onchange);
    this.node = element("div", { className: "question" }, tiles, this.choice.node);
  }

  unanswered() {
    return this.choice.value === null ? t("Still to choose: your answer.") : "";
  }

  press(digit) {
    return this.choice.press(digit);
  }

  update() {
    this.versions.update();
  }

  said() {
    return { choice: this.choice.value };
  }

  // What a reload must not lose, and how it comes back.
  draft() {
    return this.choice.value;
  }

  restore(value) {
    this.choice.value = value;
  }
}

class PreferenceQuestion extends Tiles {
  static hint = "Switch between the versions as often as you like before you answer.";

  static listed(trial) {
    return [...reference(trial), ...lettered(trial)];
  }

  makeChoice(trial, onchange) {
    const options = [
      { value: trial.versions[0], text: "A", digit: "1" },
      { value: "none", text: t("No difference"), digit: "2" },
      { value: trial.versions[1], text: "B", digit: "3" },
    ];
    return new Choice(t("Your answer"), options, { onchange });
  }
}

class AbxQuestion extends Tiles {
  static hint = "X is exactly one of the two. If you can’t tell, guess: guesses are expected.";

  static listed(trial) {
    const [a, b] = lettered(trial);
    return [a, { name: trial.x, label: "X", key: "X" }, b];
  }

  makeChoice(trial, onchange) {
    const options = [
      { value: trial.versions[0], text: t("X is {}", "A"), digit: "1" },
      { value: trial.versions[1], text: t("X is {}", "B"), digit: "2" },
    ];
    return new Choice(t("Your answer"), options, { onchange });
  }
}

class DegradationQuestion extends Tiles {
  static hint = "Hear the reference, then the sound, and rate what is worse about the sound.";
  // ITU-T P.800, annex D.
  static scale = [
    "inaudible",
    "audible but not annoying",
    "slightly annoying",
    "annoying",
    "very annoying",
  ];

  static listed(trial) {
    return [...reference(trial), { name: trial.versions[0], label: t("Sound"), key: "A" }];
  }

  makeChoice(trial, onchange) {
    const options = DegradationQuestion.scale.map((words, index) => {
      const score = String(5 - index);
      return { value: score, text: `${score} – ${t(words)}`, digit: score };
    });
    return new Choice(t("The degradation is"), options, { stacked: true, onchange });
  }

  said() {
    return { score: Number(this.choice.value) };
  }
}

// ITU-R BS.1534-3: one slider a version, in five bands.
class RatingQuestion {
  static hint =
    "Rate every version from 0 to 100. One of them is the reference itself, hidden: rate it 100.";
  static bands = ["bad", "poor", "fair", "good", "excellent"];

  static listed(trial) {
    return [...reference(trial), ...lettered(trial)];
  }

  constructor(player, trial, versions, needed, onchange) {
    this.versions = new Versions(player, versions, needed);
    this.onchange = onchange;
    const [open, ...rated] = this.versions.versions;
    this.rows = rated.map((version) => this.#row(version));
    const bands = RatingQuestion.bands.map((band) => element("span", {}, t(band)));
    this.node = element(
      "div",
      { className: "question" },
      element(
        "div",
        { className: "tiles" },
        element("div", { className: "tile wide" }, open.button, key("R")),
      ),
      element(
        "fieldset",
        { className: "ratings" },
        element("legend", {}, t("Your ratings")),
        element(
          "div",
          { className: "row scale", "aria-hidden": "true" },
          element("span", {}),
          element("span", { className: "bands" }, ...bands),
        ),
        ...this.rows.map(({ node }) => node),
      ),
    );
  }

  #row(version) {
    const slider = element("input", {
      type: "range",
      min: "0",
      max: "100",
      step: "1",
      value: "50",
      className: "rating unset",
      "aria-label": t("Rating of {}", version.label),
      "aria-valuetext": t("not rated"),
    });
    const output = element("output", { className: "value" }, t("not rated"));
    const row = { slider, output, rated: false, name: version.name, label: version.label };
    row.rate = () => {
      row.rated = true;
      const value = Number(slider.value);
      const words = t(RatingQuestion.bands[Math.min(4, Math.floor(value / 20))]);
      slider.classList.remove("unset");
      slider.setAttribute("aria-valuetext", `${value}, ${words}`);
      output.replaceChildren(element("b", {}, String(value)), ` ${words}`);
      this.onchange();
    };
    // Also where it already stands, which is no input: by a tap on the middle, or by Enter.
    for (const kind of ["input", "change", "click", "pointerup"]) {
      slider.addEventListener(kind, row.rate);
    }
    slider.addEventListener("keydown", (event) => {
      if (event.key === "Enter") row.rate();
    });
    row.node = element("div", { className: "row" }, version.button, slider, output);
    return row;
  }

  // Hearing a version by its key makes the arrow keys move its slider.
  heardByKey(index) {
    this.rows[index - 1]?.slider.focus();
  }

  unanswered() {
    const missing = this.rows.filter(({ rated }) => !rated).map(({ label }) => label);
    return missing.length ? t("Still to rate: {}.", missing.join(", ")) : "";
  }

  said() {
    return {
      scores: Object.fromEntries(this.rows.map(({ name, slider }) => [name, Number(slider.value)])),
    };
  }

  draft() {
    return this.rows.map(({ rated, slider }) => (rated ? slider.value : null));
  }

  restore(values) {
    this.rows.forEach((row, index) => {
      if (values[index] === null) return;
      row.slider.value = values[index];
      row.rate();
    });
  }

  press() {
    return false;
  }

  update() {
    this.versions.update();
  }
}

const QUESTIONS = {
  ab: PreferenceQuestion,
  abx: AbxQuestion,
  mushra: RatingQuestion,
  dcr: DegradationQuestion,
};
