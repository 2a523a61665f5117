"use strict";

// Where answers go: to a server, or into this browser until they are saved as a file. Which
// versions stand where was drawn by the program that made the study; the page only shows it.

function failure(message, status = 0) {
  return Object.assign(new Error(t(message)), { status });
}

// A study behind its server, which keeps every answer at once and knows what comes next.
class ServedStudy {
  constructor() {
    this.token = new URLSearchParams(location.hash.slice(1)).get("session");
  }

  // A session that this browser began before, if the address names none.
  get earlier() {
    return this.token ? null : memory.read("localStorage", "session");
  }

  // What drafts of answers are called.
  get session() {
    return this.token;
  }

  // Where the session of the address stands; null if the address names none.
  async resume() {
    return this.token ? this.#fetch("api/session") : null;
  }

  async begin(details) {
    this.token = null;
    const body = JSON.stringify({ details });
    const { token } = await this.#fetch("api/session", { method: "POST", body });
    return this.goOn(token);
  }

  async goOn(token) {
    this.token = token;
    const state = await this.#fetch("api/session");
    memory.write("localStorage", "session", token);
    history.replaceState(null, "", `#session=${token}`);
    return state;
  }

  forget() {
    this.token = null;
    memory.write("localStorage", "session", null);
    history.replaceState(null, "", location.pathname);
  }

  async audio(name) {
    return (await this.#request(`api/audio/${name}`)).arrayBuffer();
  }

  // Resolves to the state after the answer, which is on the server's disk by then.
  async answer(state, said) {
    const body = JSON.stringify({ position: state.position, ...said });
    return this.#fetch("api/answer", { method: "POST", body });
  }

  async #fetch(path, options) {
    return (await this.#request(path, options)).json();
  }

  async #request(path, options = {}) {
    const headers = this.token ? { Authorization: `Bearer ${this.token}` } : {};
    let response;
    try {
      response = await fetch(path, { ...options, headers });
    } catch {
      throw failure("The server cannot be reached. Nothing is lost; try again when it is back.");
    }
    if (!response.ok) {
      const said = await response.json().catch(() => ({}));
      const unknown = "The server has a problem. Nothing is lost; tell whoever runs this test.";
      throw failure(said.error ?? unknown, response.status);
    }
    return response;
  }
}

const WAITING = new Map();

// Called by the scripts that audio comes in.
function AUDIO(name, data) {
  WAITING.get(name)?.(data);
}

// A study without a server. Everything is read from the browser's memory before it is changed,
// since another tab may have changed it.
class ExportedStudy {
  constructor() {
    this.isExported = true;
    this.place = `study-${STUDY.id}`;
    this.listener = memory.read("localStorage", this.place);
  }

  get earlier() {
    return null;
  }

  get session() {
    return this.listener;
  }

  // Whether this browser remembers answers until they are saved.
  get keeps() {
    return memory.write("localStorage", "keeps", true);
  }

  async resume() {
    return this.#read() && this.#state();
  }

  async begin(details) {
    this.listener = memory.read("localStorage", this.place); // another tab may have begun
    if (this.#read()) return this.#state();
    const bytes = crypto.getRandomValues(new Uint8Array(7));
    const word = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
    this.listener = word.slice(0, 12);
    const order = bytes[6] % STUDY.orders.length;
    this.#write({ study: STUDY.id, listener: this.listener, order, details, answers: [] });
    memory.write("localStorage", this.place, this.listener);
    return this.#state();
  }

  // The answers of the listener before stay in the browser's memory.
  forget() {
    this.listener = null;
    memory.write("localStorage", this.place, null);
  }

  async audio(name) {
    const script = element("script", { src: `audio/${name}.js` });
    const data = await new Promise((resolve, reject) => {
      WAITING.set(name, resolve);
      script.onerror = () =>
        reject(failure("A sound of this page is missing. Tell whoever gave it to you."));
      document.head.append(script);
    });
    WAITING.delete(name);
    script.remove();
    return Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0)).buffer;
  }

  async answer({ position }, said) {
    const kept = this.#read();
    if (kept.answers.some((one) => one.position === position)) {
      throw failure(
        "This question was answered before, in another window perhaps. The first answer is kept.",
        409,
      );
    }
    kept.answers.push({ position, time: new Date().toISOString(), ...said });
    this.#write(kept);
    return this.#state();
  }

  // The file that listeners send back.
  download() {
    const text = JSON.stringify(this.#read(), null, 1);
    const link = element("a", {
      href: URL.createObjectURL(new Blob([text], { type: "application/json" })),
      download: `answers-${this.listener}.json`,
    });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }

  #state() {
    const { order, answers } = this.#read();
    const plan = STUDY.orders[order];
    const given = new Set(answers.map(({ position }) => position));
    const open = plan.findIndex((_, position) => !given.has(position));
    const position = open < 0 ? null : open;
    const trial = position === null ? null : plan[position];
    return { answered: given.size, count: plan.length, position, trial, practice: STUDY.practice };
  }

  #read() {
    if (!this.listener) return null;
    return memory.read("localStorage", `${this.place}-${this.listener}`) ?? this.kept ?? null;
  }

  #write(session) {
    this.kept = session; // for browsers without a memory
    memory.write("localStorage", `${this.place}-${this.listener}`, session);
  }
}
