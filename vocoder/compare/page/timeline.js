"use strict";

// The clip's time: where it is, which region repeats, and the reference's waveform if it is known.
// Only the reference is drawn, since one could tell other versions by their looks.

const STEP_S = 1;
const BARS = 96;

class Timeline {
  constructor(player, samples) {
    this.player = player;
    this.wave = element(
      "div",
      { className: samples ? "wave" : "wave plain", "aria-hidden": "true" },
      Timeline.#bars(samples, "bars"),
      Timeline.#bars(samples, "bars played"),
      element("div", { className: "region" }),
    );
    this.slider = element("input", {
      type: "range",
      className: "position",
      min: "0",
      max: player.duration.toFixed(2),
      step: "0.01",
      "aria-label": t("Position in the clip"),
      oninput: () => player.seek(Number(this.slider.value)),
    });
    this.clock = element("span", {});
    this.said = element("span", { className: "repeats" });
    this.play = playButton(player);
    this.loopText = element("span", {});
    this.loop = button(
      icon("loop"),
      () => this.toggleLoop(),
      { className: "quiet" },
      this.loopText,
      key("O"),
    );
    const mark = (text, letter, act) => button(text, act, { className: "quiet" }, key(letter));
    this.whole = mark(t("Whole clip"), "W", () => this.wholeClip());
    // The first stays in sight while one scrolls to the last of many versions.
    this.nodes = [
      element(
        "section",
        { className: "deck", "aria-label": t("Player") },
        element("div", { className: "track" }, this.wave, this.slider),
        element("div", { className: "times" }, this.clock, this.said),
        element("div", { className: "transport" }, this.play.node, this.loop),
      ),
      element(
        "div",
        { className: "transport marks" },
        mark(t("From here"), "S", () => this.fromHere()),
        mark(t("To here"), "T", () => this.toHere()),
        this.whole,
      ),
    ];
    player.setLooping(memory.read("sessionStorage", "loop") ?? true);
    this.#listenToPointer();
    this.update();
  }

  fromHere() {
    const { stop } = this.player.region;
    const here = this.player.position();
    this.#setRegion(here, stop > here ? stop : this.player.duration);
  }

  toHere() {
    this.#setRegion(this.player.region.start, this.player.position());
  }

  wholeClip() {
    this.#setRegion(0, this.player.duration);
  }

  toggleLoop() {
    this.player.setLooping(!this.player.looping);
    memory.write("sessionStorage", "loop", this.player.looping);
  }

  step(direction) {
    this.player.seek(this.player.position() + direction * STEP_S);
  }

  update() {
    const { player } = this;
    const position = player.position();
    const { start, stop } = player.region;
    this.play.update();
    this.slider.value = String(position);
    this.slider.setAttribute("aria-valuetext", seconds(position));
    this.clock.textContent = t("{} of {}", seconds(position), seconds(player.duration));
    this.said.textContent = player.hasRegion
      ? t(player.looping ? "Repeats {} to {}" : "Plays {} to {}", seconds(start), seconds(stop))
      : "";
    this.loopText.textContent = player.looping ? t("Loop is on") : t("Loop is off");
    this.whole.disabled = !player.hasRegion;
    this.#place("--at", position);
    this.#mark(...(this.dragged ?? [start, stop]));
  }

  #setRegion(start, stop) {
    this.player.setRegion(start, stop);
    const { region } = this.player;
    announce(
      this.player.hasRegion
        ? t("From {} to {}", seconds(region.start), seconds(region.stop))
        : t("The whole clip"),
    );
  }

  #place(name, time) {
    this.wave.style.setProperty(name, `${(100 * time) / this.player.duration}%`);
  }

  #mark(start, stop) {
    this.wave.classList.toggle("marked", Boolean(this.dragged) || this.player.hasRegion);
    this.#place("--start", start);
    this.#place("--stop", stop);
  }

  // Dragging sets the region, a click the position.
  #listenToPointer() {
    const { wave, player } = this;
    const timeAt = (event) => {
      const box = wave.getBoundingClientRect();
      const share = (event.clientX - box.left) / box.width;
      return Math.min(1, Math.max(0, share)) * player.duration;
    };
    let from = null;
    wave.addEventListener("pointerdown", (event) => {
      from = { x: event.clientX, time: timeAt(event) };
      wave.setPointerCapture(event.pointerId);
    });
    wave.addEventListener("pointermove", (event) => {
      if (!from) return;
      const ends = [from.time, timeAt(event)].sort((a, b) => a - b);
      this.dragged = Math.abs(event.clientX - from.x) > 6 ? ends : null;
      this.update();
    });
    wave.addEventListener("pointerup", (event) => {
      if (!from) return;
      const [ends, time] = [this.dragged, timeAt(event)];
      from = this.dragged = null;
      if (ends) {
        this.#setRegion(...ends);
        return;
      }
      if (time < player.region.start || time > player.region.stop) this.wholeClip();
      player.seek(time);
    });
    wave.addEventListener("pointercancel", () => {
      from = this.dragged = null;
    });
  }

  // A bar for each piece of the clip, as tall as its greatest amplitude; dots if it is unknown.
  static #bars(samples, name) {
    const peaks = Array.from({ length: BARS }, (_, index) => {
      const piece = samples?.subarray(
        Math.floor((index * samples.length) / BARS),
        Math.floor(((index + 1) * samples.length) / BARS),
      );
      return piece?.reduce((peak, value) => Math.max(peak, Math.abs(value)), 0) ?? 0;
    });
    const top = Math.max(...peaks) || 1;
    const tall = peaks.map((peak) => Math.max(2, (48 * peak) / top));
    const path = tall.map((half, index) => `M${index + 0.5} ${50 - half}V${50 + half}`).join("");
    return drawing(`0 0 ${BARS} 100`, path, name);
  }
}
