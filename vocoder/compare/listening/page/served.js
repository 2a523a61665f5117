"use strict";

// A study behind its server, which keeps every answer at once and knows what comes next.

class ServedStudy {
  static #place = "vocoder-session";

  constructor() {
    this.token = new URLSearchParams(location.hash.slice(1)).get("session");
  }

  // A session that this browser began before, if the address names none.
  get earlier() {
    return this.token ? null : memory.read("localStorage", ServedStudy.#place);
  }

  // Where the session of the address stands; null if the address names none.
  async resume() {
    return this.token ? this.#fetch("api/session") : null;
  }

  async begin() {
    this.token = null;
    const { token } = await this.#fetch("api/session", { method: "POST" });
    return this.goOn(token);
  }

  async goOn(token) {
    this.token = token;
    const state = await this.#fetch("api/session");
    memory.write("localStorage", ServedStudy.#place, token);
    history.replaceState(null, "", `#session=${token}`);
    return state;
  }

  forget() {
    this.token = null;
    memory.write("localStorage", ServedStudy.#place, "");
    history.replaceState(null, "", location.pathname);
  }

  async sound(name) {
    const response = await this.#request(`api/sound/${name}`);
    return response.arrayBuffer();
  }

  // Resolves to the state after the answer, which is on the server's disk by then.
  async answer(state, said) {
    return this.#fetch("api/answer", {
      method: "POST",
      body: JSON.stringify({ position: state.position, ...said }),
    });
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
      throw new Error("The server cannot be reached. Nothing is lost; try again when it is back.");
    }
    if (!response.ok) {
      const said = await response.json().catch(() => ({}));
      const error = new Error(said.error ?? `The server answered ${response.status}.`);
      error.status = response.status;
      throw error;
    }
    return response;
  }
}
