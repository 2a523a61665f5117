"use strict";

// A study without a server: this browser draws the order, and keeps answers until they are saved.

const SOUNDS = new Map();

// Called by the scripts that sounds come in.
function SOUND(name, data) {
  SOUNDS.get(name)?.(data);
}

class ExportedStudy {
  constructor(study) {
    this.study = study;
    this.place = `vocoder-${study.id}`;
    this.isExported = true;
  }

  get earlier() {
    return null;
  }

  // Whether this browser remembers answers until they are saved.
  get keeps() {
    return memory.write("localStorage", "vocoder-keeps", "yes");
  }

  async resume() {
    const kept = memory.read("localStorage", this.place);
    this.session = kept && JSON.parse(kept);
    return this.session && this.#state();
  }

  async begin() {
    const [practice, ...trials] = this.study.trials.map((trial) => this.#arranged(trial));
    const plan = shuffled(trials);
    this.session = { listener: ExportedStudy.#word(), practice, plan, answers: [] };
    this.#keep();
    return this.#state();
  }

  forget() {
    memory.write("localStorage", this.place, "");
  }

  async sound(name) {
    const script = element("script", { src: `sounds/${name}.js` });
    const data = await new Promise((resolve, reject) => {
      SOUNDS.set(name, resolve);
      script.onerror = () => reject(new Error("A sound of this page is missing."));
      document.head.append(script);
    });
    SOUNDS.delete(name);
    script.remove();
    return Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0)).buffer;
  }

  async answer(state, said) {
    const { trial, sounds, x } = state.trial;
    const shown = { sounds, x };
    this.session.answers.push({ trial, shown, time: new Date().toISOString(), ...said });
    this.#keep();
    return this.#state();
  }

  // The file that listeners send back.
  download() {
    const { listener, answers } = this.session;
    const text = JSON.stringify({ study: this.study.id, listener, answers }, null, 1);
    const link = element("a", {
      href: URL.createObjectURL(new Blob([text], { type: "application/json" })),
      download: `answers-${listener}.json`,
    });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }

  #state() {
    const { plan, practice, answers } = this.session;
    const position = answers.length < plan.length ? answers.length : null;
    return {
      answered: answers.length,
      count: plan.length,
      position,
      trial: position === null ? null : plan[position],
      practice,
    };
  }

  #arranged({ trial, sounds, xs, reference }) {
    return { trial, sounds: shuffled(sounds), x: xs && shuffled(xs)[0], reference };
  }

  #keep() {
    return memory.write("localStorage", this.place, JSON.stringify(this.session));
  }

  static #word() {
    const bytes = crypto.getRandomValues(new Uint8Array(6));
    return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  }
}

// A shuffled copy: Fisher and Yates, with the browser's random bits.
function shuffled(list) {
  const copy = [...list];
  for (let last = copy.length - 1; last > 0; last -= 1) {
    const [bits] = crypto.getRandomValues(new Uint32Array(1));
    const other = bits % (last + 1); // for such short lists the remainder's bias is nil
    [copy[last], copy[other]] = [copy[other], copy[last]];
  }
  return copy;
}
