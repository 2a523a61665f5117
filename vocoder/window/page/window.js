"use strict";

// What is seen and heard: two slots of settings, A and B, of which one is changed and heard.

const SETTLED_MS = 150; // that one stays at an image before it is looked at
const $ = (id) => document.getElementById(id);
const player = new Player(new AudioContext());
const controls = [...document.querySelectorAll("[data-key]")];
const slotButtons = [...document.querySelectorAll(".slot")];

// Of the image that is shown: settings, what came of them, and changes not sent yet, by slot.
const blank = () => ({ values: {}, result: null, buffer: null, pending: null });
let slots = [blank(), null];
let active = 0;
let names = null; // until the server has said them
let leftOut = [];
let current = null;
let start = 0;
let common = null; // settings for all images, where they are to be the same
let findings = null; // the doctor's, of the image that is shown
const kept = new Map(); // settings by image
const begun = new Map(); // what the server said of it
let busy = false;
let plays = false; // whether what comes is to be played: a page that was only opened is silent
// What the controls stand at before anything is known.
let unset = Object.fromEntries(controls.map(({ dataset }) => [dataset.key, null]));
const play = playButton(player, () => (player.playing ? "Pause" : waits() ? "Waiting" : "Play"));

async function ask(path, body) {
  const sent = body === undefined ? {} : { method: "POST", body: JSON.stringify(body) };
  let response;
  try {
    response = await fetch(path, { ...sent, headers: { "X-Vocoder": "1" } });
  } catch {
    throw new Error("The program cannot be reached; start it again with vocoder open.");
  }
  if (!response.ok) {
    const said = await response.json().catch(() => ({}));
    throw new Error(said.error ?? "The program has a problem; see its terminal.");
  }
  return response.json();
}

// Images

function fillNames() {
  $("name").replaceChildren(...names.map((name) => element("option", { value: name }, name)));
  for (const id of ["name", "previous", "next", "render"]) $(id).disabled = !names.length;
}

// Settings of the image that is shown; none while it is being looked at.
function chosen() {
  return slots[active]?.result ? slots[active].values : null;
}

function alike() {
  common = $("alike").checked ? (chosen() ?? common) : null;
  return common;
}

// Shows the file itself at once, and nothing more of the one before.
function open(name, isToPlay = false) {
  alike();
  if (begun.get(name)?.problem) begun.delete(name); // which may be mended by now
  current = name;
  $("name").value = name;
  player.pause();
  player.whole = null;
  plays = isToPlay;
  play.update();
  start = 0;
  findings = null;
  slots = [blank(), null];
  active = 0;
  say(`Looking at ${name} …`);
  for (const id of ["notes", "reasons"]) list($(id), []);
  $("readings").hidden = true;
  $("tile").src = `api/original?name=${encodeURIComponent(name)}`;
  $("tile").alt = `The file ${name} as it is`;
  $("original").src = $("tile").src;
  $("listen").classList.add("unheard");
  for (const id of ["command", "yaml", "caveat"]) $(id).textContent = "";
  $("words").value = "";
  showControls(unset);
  showSlots();
  if (begun.has(name)) settle(name);
  return work();
}

// One request at a time, of the image that is shown by then: what nobody waits for any more is
// never asked for, and changes that come meanwhile are sent together.
async function work() {
  if (busy) return;
  busy = true;
  document.body.classList.add("busy");
  for (;;) {
    const [name, slot] = [current, [slots[active], ...slots].find((one) => one?.pending)];
    try {
      if (!begun.has(name)) await look(name);
      else if (slot) await listen(name, slot);
      else break;
    } catch (error) {
      if (name === current) fail(error.message);
    }
  }
  busy = false;
  document.body.classList.remove("busy");
  if (findings === null && slots[active].result) diagnose(current);
}

async function look(name) {
  await new Promise((resolve) => setTimeout(resolve, SETTLED_MS));
  if (name !== current) return;
  let said = { readings: [], reasons: [], says_itself: false };
  try {
    said = await ask("api/begin", { name });
  } catch (error) {
    said.problem = error.message;
  }
  begun.set(name, said);
  if (name === current) settle(name);
}

// What was found, and the settings to begin with.
function settle(name) {
  const { readings, problem } = begun.get(name);
  const values = common ?? kept.get(name) ?? readings[0]?.values ?? (problem ? null : {});
  showReadings(begun.get(name));
  if (values) {
    slots[0].values = values;
    slots[0].pending ??= { changes: {} };
  } else fail(problem);
}

function showReadings({ readings, reasons, says_itself: saysItself }) {
  const equal = readings.filter((one) => one.equal).length;
  const nodes = readings.map(readingNode);
  $("likely").replaceChildren(...nodes.splice(0, Math.max(1, equal)));
  $("others").replaceChildren(...nodes);
  $("fewer").hidden = !nodes.length;
  $("readings").hidden = saysItself || !readings.length;
  const itself = saysItself ? readings.map(({ text }) => text) : [];
  list($("reasons"), [...itself, ...reasons]);
}

function readingNode({ text, words, values, unexplained, equal }) {
  const choice = element("input", { type: "radio", name: "reading", value: words });
  choice.addEventListener("click", () => {
    plays = true;
    hear({}, values);
  });
  const how = `${unexplained.toFixed(1)} % unexplained${equal ? ", equally good" : ""}`;
  const said = element("span", { className: "text" }, `${text} `, element("em", {}, `(${how})`));
  said.append(element("code", {}, words));
  return element("label", { className: "option" }, choice, said);
}

async function diagnose(name) {
  findings = [];
  const { values } = slots[active];
  // What keeps the doctor from looking keeps one from hearing, which says it.
  const found = await ask("api/doctor", { name, values }).catch(() => []);
  if (current !== name) return;
  findings = found.map(({ found: what, fix }) => `${what}; set ${fix}`);
  showNotes();
}

function showNotes() {
  list($("notes"), [...(slots[active].result?.notes ?? []), ...(findings ?? [])]);
}

function list(node, texts) {
  node.replaceChildren(...[...new Set(texts)].map((text) => element("li", {}, text)));
}

// What is said when nothing comes that could be played.
function end(text, isProblem) {
  plays = false;
  play.update();
  say(text, isProblem);
}

function fail(message) {
  end(message, true);
}

function say(text, isProblem = false) {
  $("problem").textContent = isProblem ? text : "";
  $("figures").textContent = isProblem ? "" : text;
}

// Hearing

// Play before there is audio is kept until there is, unless a second one takes it back.
player.toggle = () => {
  plays = player.whole ? !player.playing : !plays && (busy || !names);
  player.context.resume(); // which some browsers only allow in a click
  if (plays) player.play();
  else player.pause();
  play.update();
};

function waits() {
  return plays && !player.whole;
}

function hear(changes, values = null) {
  if (!current) return;
  const slot = slots[active];
  const before = slot.pending ?? { changes: {} };
  slot.pending = values ? { values, changes } : { ...before, changes: { ...before.changes, ...changes } };
  play.update();
  work();
}

async function listen(name, slot) {
  const { values = slot.values, changes } = slot.pending;
  slot.pending = null;
  const result = await ask("api/hear", { name, values, changes, start });
  const bytes = Uint8Array.from(atob(result.audio), (letter) => letter.charCodeAt(0));
  const buffer = await player.context.decodeAudioData(bytes.buffer);
  if (!slots.includes(slot)) return;
  Object.assign(slot, { values: result.values, result, buffer });
  kept.set(name, result.values);
  start = result.start;
  reload();
  show(slots[active]);
  announce(`${name} heard after ${result.took.toFixed(1)} s`);
}

// Both slots into the player, which goes on where it was.
function reload() {
  const ready = slots.filter((slot) => slot?.buffer);
  const at = player.whole ? player.position() : 0;
  player.load(ready.map(({ buffer }) => buffer));
  player.select(Math.max(0, ready.indexOf(slots[active])));
  player.seek(Math.min(at, player.duration));
  if (plays) player.play();
}

function show({ values, result }) {
  if (!result) return;
  $("listen").classList.remove("unheard");
  $("tile").src = `data:image/png;base64,${result.tile}`;
  $("tile").alt = "The stretch that is heard, low frequencies at the bottom";
  $("overview").src = `data:image/png;base64,${result.overview}`;
  $("stretch").style.setProperty("--at", `${(100 * result.start) / result.total}%`);
  $("stretch").style.setProperty("--wide", `${(100 * result.length) / result.total}%`);
  $("start").max = Math.max(0, result.total - result.length).toFixed(1);
  $("start").value = result.start;
  $("start").disabled = result.total <= result.length;
  $("start").setAttribute("aria-valuetext", seconds(result.start));
  const repaired = result.repaired ? `, ${Math.round(100 * result.repaired)} % repaired` : "";
  say(`${seconds(result.length)} of ${seconds(result.total)}, ready after ${seconds(result.took)}; ${result.spec}${repaired}`);
  showNotes();
  $("words").value = result.words;
  $("yaml").textContent = result.yaml;
  $("caveat").textContent = result.caveat;
  showCommand();
  const { readings } = begun.get(current);
  for (const choice of document.getElementsByName("reading")) {
    const reading = readings.find(({ words }) => words === choice.value);
    choice.checked = JSON.stringify(reading.values) === JSON.stringify(values);
  }
  showControls(result.shown);
  showSlots();
}

function showCommand() {
  const { command } = slots[active]?.result ?? {};
  $("command").textContent = command ? `${command}${$("peak").checked ? " gain=peak" : ""}` : "";
}

function showControls(shown) {
  const saysItself = begun.get(current)?.says_itself;
  for (const control of controls) {
    const key = control.dataset.key;
    const isReading = key.startsWith("spec") || key.startsWith("codec");
    control.disabled = (saysItself && isReading) || (shown[key] === null && !("empty" in control.dataset));
    if (key in (slots[active].pending?.changes ?? {})) continue; // it is being moved
    setControl(control, shown[key]);
  }
}

function showSlots() {
  slotButtons.forEach((node, index) => {
    node.setAttribute("aria-pressed", String(index === active));
  });
  $("copy").textContent = active ? "Copy to A" : "Copy to B";
}

function choose(index) {
  if (!slots[active].result && !slots[index]) return; // nothing to begin from yet
  plays = true;
  slots[index] ??= { ...slots[active], pending: null };
  active = index;
  showSlots();
  if (slots[index].result && slots[index].result.start === start) {
    show(slots[index]);
    reload();
  } else hear({});
}
