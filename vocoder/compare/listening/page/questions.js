"use strict";

// The tests: which versions are heard, and how one answers. Letters hear, digits answer.

const LETTERS = "ABCDEFGHIJKL"; // the player's own keys are later letters

const REFERENCE = { label: "Reference", key: "R" };

// Radio buttons with a digit each. options: [{ value, text, more, digit }]
class Choice {
  constructor(legend, options, { stacked = false, onchange }) {
    this.options = options.map((option) => {
      const input = element("input", {
        type: "radio",
        name: "answer",
        value: option.value,
        onchange,
      });
      const text = element("span", { className: "text" }, option.text);
      if (option.more) text.append(element("span", { className: "more" }, option.more));
      const node = element("label", { className: "option" }, input, text, key(option.digit));
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
    this.names = versions.map(({ name }) => name);
    this.versions = new Versions(player, versions, needed);
    const isWide = (label) => label === REFERENCE.label && versions.length > 2;
    const tile = ({ label, button, key: letter }) =>
      element(
        "div",
        { className: isWide(label) ? "tile wide" : "tile" },
        button,
        label === letter ? null : key(letter),
      );
    this.tiles = element(
      "div",
      { className: "tiles", role: "group", "aria-label": "Versions to hear" },
      ...this.versions.versions.map(tile),
    );
    this.choice = this.makeChoice(trial, onchange);
    this.node = element("div", { className: "question" }, this.tiles, this.choice.node);
  }

  unanswered() {
    return this.choice.value === null ? "Still to choose: your answer." : "";
  }

  press(digit) {
    return this.choice.press(digit);
  }

  update() {
    this.versions.update();
  }
}

class PreferenceQuestion extends Tiles {
  static hint = "Switch between the versions as often as you like before you answer.";

  static listed(trial) {
    const versions = trial.sounds.map((name, index) => ({
      name,
      label: LETTERS[index],
      key: LETTERS[index],
    }));
    return trial.reference ? [{ ...REFERENCE, name: trial.reference }, ...versions] : versions;
  }

  makeChoice(trial, onchange) {
    return new Choice(
      "Your answer",
      [
        { value: trial.sounds[0], text: "A", digit: "1" },
        { value: "none", text: "No difference", digit: "2" },
        { value: trial.sounds[1], text: "B", digit: "3" },
      ],
      { onchange },
    );
  }

  said() {
    return { choice: this.choice.value };
  }
}

class AbxQuestion extends Tiles {
  static hint = "X is exactly one of the two. If you can’t tell, guess: guesses are expected.";

  static listed(trial) {
    const [a, b] = trial.sounds;
    return [
      { name: a, label: "A", key: "A" },
      { name: trial.x, label: "X", key: "X" },
      { name: b, label: "B", key: "B" },
    ];
  }

  makeChoice(trial, onchange) {
    const options = [
      { value: trial.sounds[0], text: "X is A", digit: "1" },
      { value: trial.sounds[1], text: "X is B", digit: "2" },
    ];
    return new Choice("Your answer", options, { onchange });
  }

  said() {
    return { choice: this.choice.value };
  }
}

class DegradationQuestion extends Tiles {
  static hint = "Hear the reference, then the sound, and rate what is worse about the sound.";

  static listed(trial) {
    return [
      { ...REFERENCE, name: trial.reference },
      { name: trial.sounds[0], label: "Sound", key: "A" },
    ];
  }

  // ITU-T P.800, annex D.
  makeChoice(trial, onchange) {
    const scale = [
      "inaudible",
      "audible but not annoying",
      "slightly annoying",
      "annoying",
      "very annoying",
    ];
    const options = scale.map((words, index) => {
      const score = String(5 - index);
      return { value: score, text: `${score} – ${words}`, digit: score };
    });
    return new Choice("The degradation is", options, { stacked: true, onchange });
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
    const versions = trial.sounds.map((name, index) => ({
      name,
      label: LETTERS[index],
      key: LETTERS[index],
    }));
    return [{ ...REFERENCE, name: trial.reference }, ...versions];
  }

  static words(value) {
    return RatingQuestion.bands[Math.min(4, Math.floor(value / 20))];
  }

  constructor(player, trial, versions, needed, onchange) {
    this.names = versions.map(({ name }) => name);
    this.versions = new Versions(player, versions, needed);
    this.onchange = onchange;
    const [reference, ...rated] = this.versions.versions;
    this.rows = rated.map((version) => this.#row(version));
    const scale = element(
      "div",
      { className: "row scale", "aria-hidden": "true" },
      element("span", {}),
      element(
        "span",
        { className: "bands" },
        ...RatingQuestion.bands.map((band) => element("span", {}, band)),
      ),
    );
    this.node = element(
      "div",
      { className: "question" },
      element(
        "div",
        { className: "tiles" },
        element("div", { className: "tile wide" }, reference.button, key("R")),
      ),
      element(
        "fieldset",
        { className: "ratings" },
        element("legend", {}, "Your ratings"),
        scale,
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
      "aria-label": `Rating of ${version.label}`,
      "aria-valuetext": "not rated yet",
    });
    const output = element("output", { className: "value" }, "not rated");
    const row = { slider, output, rated: false, name: version.name, label: version.label };
    const rate = () => {
      row.rated = true;
      const value = Number(slider.value);
      const words = RatingQuestion.words(value);
      slider.classList.remove("unset");
      slider.style.setProperty("--value", `${value}%`);
      slider.setAttribute("aria-valuetext", `${value}, ${words}`);
      output.replaceChildren(element("b", {}, String(value)), ` ${words}`);
      this.onchange();
    };
    slider.addEventListener("input", rate);
    // A slider that is left where it stands can be confirmed.
    slider.addEventListener("keydown", (event) => {
      if (event.key === "Enter") rate();
    });
    slider.addEventListener("click", rate);
    row.node = element("div", { className: "row" }, version.button, slider, output);
    return row;
  }

  // Hearing a version by its key makes the arrow keys move its slider.
  heardByKey(index) {
    this.rows[index - 1]?.slider.focus();
  }

  unanswered() {
    const missing = this.rows.filter(({ rated }) => !rated).map(({ label }) => label);
    return missing.length ? `Still to rate: ${missing.join(", ")}.` : "";
  }

  said() {
    return {
      scores: Object.fromEntries(this.rows.map(({ name, slider }) => [name, Number(slider.value)])),
    };
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
