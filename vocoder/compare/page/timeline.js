"use strict";

// The clip's time: where it is, which region repeats, and the reference's waveform if it is known.
// Only the reference is drawn, since one could tell other versions by their looks.

const STEP_S = 1;

class Timeline {
  constructor(player, samples) {
    this.player = player;
    this.peaks = samples && Timeline.#peaks(samples, 600);
    this.canvas = element("canvas", {
      className: samples ? "wave" : "wave plain",
      "aria-hidden": "true",
    });
    this.slider = element("input", {
      type: "range",
      className: "position",
      min: "0",
      max: player.duration.toFixed(2),
      step: "0.01",
      "aria-label": t("Position in the clip"),
      oninput: () => player.seek(Number(this.slider.value)),
    });
    this.clock = element("span", { className: "clock" });
    this.region = element("span", { className: "region" });
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
        element("div", { className: "track" }, this.canvas, this.slider),
        element("div", { className: "times" }, this.clock, this.region),
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
    this.redraw = () => this.#draw();
    this.observer = new ResizeObserver(this.redraw);
    this.observer.observe(this.canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", this.redraw);
    this.update();
  }

  fromHere() {
    const { stop } = this.player.region;
    const here = this.player.position();
    this.player.setRegion(here, stop > here ? stop : this.player.duration);
    this.#tellRegion();
  }

  toHere() {
    const { start } = this.player.region;
    this.player.setRegion(start, this.player.position());
    this.#tellRegion();
  }

  wholeClip() {
    this.player.setRegion(0, this.player.duration);
    this.#tellRegion();
  }

  toggleLoop() {
    this.player.setLooping(!this.player.looping);
    memory.write("sessionStorage", "loop", this.player.looping);
  }

  step(direction) {
    this.player.seek(this.player.position() + direction * STEP_S);
  }

  close() {
    this.observer.disconnect();
    matchMedia("(prefers-color-scheme: dark)").removeEventListener("change", this.redraw);
  }

  update() {
    const { player } = this;
    const position = player.position();
    this.play.update();
    this.slider.value = String(position);
    this.slider.setAttribute("aria-valuetext", seconds(position));
    this.clock.textContent = t("{} of {}", seconds(position), seconds(player.duration));
    const { start, stop } = player.region;
    this.region.textContent = player.hasRegion
      ? t(player.looping ? "Repeats {} to {}" : "Plays {} to {}", seconds(start), seconds(stop))
      : "";
    this.loopText.textContent = player.looping ? t("Loop is on") : t("Loop is off");
    this.whole.disabled = !player.hasRegion;
    this.#draw();
  }

  #tellRegion() {
    const { start, stop } = this.player.region;
    announce(
      this.player.hasRegion ? t("From {} to {}", seconds(start), seconds(stop)) : t("The whole clip"),
    );
  }

  #listenToPointer() {
    const { canvas, player } = this;
    const timeAt = (event) => {
      const box = canvas.getBoundingClientRect();
      const share = (event.clientX - box.left) / box.width;
      return Math.min(1, Math.max(0, share)) * player.duration;
    };
    let from = null;
    canvas.addEventListener("pointerdown", (event) => {
      from = { x: event.clientX, time: timeAt(event) };
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!from) return;
      const ends = [from.time, timeAt(event)].sort((a, b) => a - b);
      this.dragged = Math.abs(event.clientX - from.x) > 6 ? ends : null;
      this.#draw();
    });
    canvas.addEventListener("pointerup", (event) => {
      if (!from) return;
      if (this.dragged) {
        player.setRegion(...this.dragged);
        this.#tellRegion();
      } else {
        const time = timeAt(event);
        if (time < player.region.start || time > player.region.stop) this.wholeClip();
        player.seek(time);
      }
      from = this.dragged = null;
    });
    canvas.addEventListener("pointercancel", () => {
      from = this.dragged = null;
    });
  }

  #draw() {
    const { canvas, player } = this;
    const scale = window.devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (!width) return;
    const [columns, rows] = [Math.round(width * scale), Math.round(height * scale)];
    if (canvas.width !== columns || canvas.height !== rows) {
      Object.assign(canvas, { width: columns, height: rows });
    }
    const style = getComputedStyle(canvas);
    const colour = (name) => style.getPropertyValue(name).trim();
    const pen = canvas.getContext("2d");
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, width, height);
    const at = (time) => (time / player.duration) * width;
    const [start, stop] = this.dragged ?? [player.region.start, player.region.stop];
    const position = at(player.position());
    if (this.dragged || player.hasRegion) {
      pen.fillStyle = colour("--region");
      pen.fillRect(at(start), 0, at(stop) - at(start), height);
      pen.fillStyle = colour("--accent");
      for (const edge of [at(start), at(stop)]) pen.fillRect(edge - 1, 0, 2, height);
    }
    const bar = 3;
    const count = Math.floor(width / (bar + 2));
    const middle = height / 2;
    for (let index = 0; index < count; index += 1) {
      const x = index * (bar + 2) + 1;
      const inside = x >= at(start) && x <= at(stop);
      const played = x <= position ? "--accent" : "--wave";
      pen.fillStyle = colour(inside ? played : "--wave-out");
      const level = this.peaks ? this.#level(index, count) : 0;
      const tall = Math.max(this.peaks ? 2 : 4, level * (height - 10));
      pen.beginPath();
      pen.roundRect(x, middle - tall / 2, bar, tall, 1.5);
      pen.fill();
    }
    pen.fillStyle = colour("--ink");
    pen.fillRect(Math.min(Math.max(position - 1, 0), width - 2), 2, 2, height - 4);
  }

  #level(index, count) {
    const from = Math.floor((index / count) * this.peaks.length);
    const to = Math.max(from + 1, Math.floor(((index + 1) / count) * this.peaks.length));
    return Math.max(...this.peaks.slice(from, to));
  }

  // Greatest amplitude in each of a number of pieces, the greatest of all being 1.
  static #peaks(samples, count) {
    const peaks = Array.from({ length: count }, (_, index) => {
      const from = Math.floor((index / count) * samples.length);
      const to = Math.floor(((index + 1) / count) * samples.length);
      let peak = 0;
      for (let at = from; at < to; at += 1) peak = Math.max(peak, Math.abs(samples[at]));
      return peak;
    });
    const top = Math.max(...peaks) || 1;
    return peaks.map((peak) => peak / top);
  }
}
