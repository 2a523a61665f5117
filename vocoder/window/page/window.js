"use strict";

// What is seen and heard: two slots of settings, A and B, of which one is changed and heard.

const $ = (id) => document.getElementById(id);
const player = new Player(new AudioContext());
const play = playButton(player);
const controls = [...document.querySelectorAll("[data-key]")];
const slotButtons = [...document.querySelectorAll(".slot")];

// Of the image that is shown: settings and what came of them, by slot.
let slots = [{ values: {}, result: null, buffer: null }, null];
let active = 0;
let names = [];
let current = null;
let start = 0;
const kept = new Map(); // settings by image
const begun = new Map(); // what the server said of it
let pending = null; // changes that were not sent yet
let busy = false;
let plays = false; // whether what comes is to be played: a page that was only opened is silent

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

async function open(name) {
  current = name;
  $("name").value = name;
  player.pause();
  say("Looking at it …");
  list($("notes"), []);
  start = 0;
  const alike = $("alike").checked ? chosen() : null;
  slots = [{ values: {}, result: null, buffer: null }, null];
  active = 0;
  let said = begun.get(name);
  try {
    said ??= await ask("api/begin", { name });
    begun.set(name, said);
  } catch (error) {
    said = { readings: [], reasons: [error.message], says_itself: false };
  }
  if (current !== name) return;
  slots[0].values = alike ?? kept.get(name) ?? said.readings[0]?.values ?? {};
  showReadings(said);
  $("original").src = `api/original?name=${encodeURIComponent(name)}`;
  plays = false;
  await hear({});
  diagnose(name);
}

function showReadings({ readings, reasons, says_itself: saysItself }) {
  const several = readings.filter(({ equal }) => equal).length;
  const texts = readings.map(({ text, score }, index) =>
    saysItself ? "as the file says" : `${index + 1}. ${text} (${score} off)`,
  );
  $("reading").replaceChildren(...texts.map((text, index) => element("option", { value: index }, text)));
  $("reading").disabled = saysItself || !readings.length;
  const equal = `${several} readings explain it equally well; listen to each.`;
  list($("reasons"), several > 1 ? [...reasons, equal] : reasons);
}

async function diagnose(name) {
  const { values } = slots[active];
  try {
    const findings = await ask("api/doctor", { name, values });
    if (current !== name) return;
    const texts = findings.map(({ found, fix }) => `${found}; set ${fix}`);
    list($("notes"), [...(slots[active].result?.notes ?? []), ...texts]);
  } catch {
    // What keeps the doctor from looking keeps one from hearing, which says it.
  }
}

function list(node, texts) {
  node.replaceChildren(...[...new Set(texts)].map((text) => element("li", {}, text)));
}

function say(text, isProblem = false) {
  $("problem").textContent = isProblem ? text : "";
  $("figures").textContent = isProblem ? "" : text;
}

// Hearing: changes that come while the server works are sent together when it is done.

async function hear(changes, values = null) {
  if (!current) return;
  pending = { changes: { ...pending?.changes, ...changes }, values: values ?? pending?.values };
  if (busy) return;
  busy = true;
  document.body.classList.add("busy");
  while (pending) {
    const { changes: sent, values: whole } = pending;
    pending = null;
    const [name, slot] = [current, slots[active]];
    const body = { name, values: whole ?? slot.values, changes: sent, start };
    try {
      const result = await ask("api/hear", body);
      if (name !== current || !slots.includes(slot)) continue;
      await take(slot, result);
    } catch (error) {
      if (name === current) say(error.message, true);
    }
  }
  busy = false;
  document.body.classList.remove("busy");
}

async function take(slot, result) {
  const bytes = Uint8Array.from(atob(result.audio), (letter) => letter.charCodeAt(0));
  slot.buffer = await player.context.decodeAudioData(bytes.buffer);
  Object.assign(slot, { values: result.values, result });
  kept.set(current, result.values);
  start = result.start;
  reload();
  show(slot);
  announce(`Heard after ${result.took.toFixed(1)} s`);
}

// Both slots into the player, which goes on where it was.
function reload() {
  const ready = slots.filter((slot) => slot?.buffer);
  const [wasPlaying, at] = [player.playing, player.whole ? player.position() : 0];
  player.load(ready.map(({ buffer }) => buffer));
  player.select(Math.max(0, ready.indexOf(slots[active])));
  player.seek(Math.min(at, player.duration));
  if (wasPlaying || plays) player.play();
}

function show({ result }) {
  const { shown } = result;
  $("tile").src = `data:image/png;base64,${result.tile}`;
  $("overview").src = `data:image/png;base64,${result.overview}`;
  $("stretch").style.setProperty("--at", `${(100 * result.start) / result.total}%`);
  $("stretch").style.setProperty("--wide", `${(100 * result.length) / result.total}%`);
  $("start").max = Math.max(0, result.total - result.length).toFixed(1);
  $("start").value = result.start;
  $("start").disabled = result.total <= result.length;
  $("start").setAttribute("aria-valuetext", seconds(result.start));
  const repaired = result.repaired ? `, ${Math.round(100 * result.repaired)} % repaired` : "";
  say(`${seconds(result.length)} of ${seconds(result.total)}, ready after ${seconds(result.took)}; ${result.spec}${repaired}`);
  list($("notes"), result.notes);
  $("words").value = result.words;
  $("command").textContent = result.command;
  $("yaml").textContent = result.yaml;
  const saysItself = begun.get(current)?.says_itself;
  for (const control of controls) {
    const key = control.dataset.key;
    const isReading = key.startsWith("spec") || key.startsWith("codec");
    control.disabled = (saysItself && isReading) || (shown[key] === null && !("empty" in control.dataset));
    if (pending && key in pending.changes) continue; // it is being moved
    setControl(control, shown[key]);
  }
  showSlots();
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
  slots[index] ??= { ...slots[active] };
  active = index;
  showSlots();
  if (slots[index].result && slots[index].result.start === start) {
    show(slots[index]);
    reload();
    player.play();
  } else hear({});
}

// Controls

function setControl(control, value) {
  if (control.tagName === "SELECT") {
    const text = value === null || value === undefined ? "" : String(value);
    const known = [...control.options].some((option) => option.value === text);
    if (!known) control.append(element("option", { value: text }, text));
    control.value = text;
    return;
  }
  control.value = value ?? "";
  showOutput(control, value);
}

function showOutput(control, value) {
  const output = control.parentNode.querySelector("output");
  if (!output) return;
  const isLevel = control.dataset.key.startsWith("codec");
  output.textContent = value === null || value === undefined ? "–" : `${value}${isLevel ? " dB" : ""}`;
}

function read(control) {
  const { value } = control;
  if (["true", "false"].includes(value)) return value === "true";
  if (control.type === "range" || control.type === "number") return value === "" ? null : Number(value);
  return value === "" ? null : value;
}

function fillControls(choices) {
  for (const control of controls) {
    const options = choices[control.dataset.key];
    if (!options) continue;
    const { empty } = control.dataset;
    if (empty) control.append(element("option", { value: "" }, empty));
    control.append(...options.map((name) => element("option", { value: name }, name)));
  }
}

for (const control of controls) {
  control.addEventListener("input", () => {
    const value = read(control);
    showOutput(control, value);
    plays = true;
    hear({ [control.dataset.key]: value });
  });
}
$("settings").addEventListener("submit", (event) => event.preventDefault());
$("words").addEventListener("change", () => {
  plays = true;
  hear({}, $("words").value);
});
$("reading").addEventListener("change", () => {
  plays = true;
  hear({}, begun.get(current).readings[Number($("reading").value)].values);
});
$("start").addEventListener("input", () => {
  start = Number($("start").value);
  plays = true;
  hear({});
});
slotButtons.forEach((node, index) => node.addEventListener("click", () => choose(index)));
$("copy").addEventListener("click", () => {
  slots[1 - active] = { ...slots[active] };
  choose(1 - active);
});

// Rendering

$("copy-command").addEventListener("click", async () => {
  await navigator.clipboard.writeText($("command").textContent).catch(() => {});
  announce("Copied");
});

$("render").addEventListener("click", async () => {
  const alike = $("alike").checked ? chosen() : null;
  if (chosen()) kept.set(current, chosen());
  try {
    follow(await ask("api/render", { given: Object.fromEntries(kept), alike }));
  } catch (error) {
    $("rendering").textContent = error.message;
  }
});

function follow({ running, done, count, folder, problems }) {
  const what = running ? "Rendering" : "Rendered";
  const wrong = problems.length ? ` ${problems.join(" ")}` : "";
  $("rendering").textContent = `${what} ${done} of ${count} to ${folder}.${wrong}`;
  $("render").disabled = running;
  if (running) setTimeout(async () => follow(await ask("api/render")), 500);
}

// Files from elsewhere

async function add(files) {
  for (const file of files) {
    say(`Reading ${file.name} …`);
    try {
      const path = `api/drop?name=${encodeURIComponent(file.name)}`;
      const response = await fetch(path, { method: "POST", body: file, headers: { "X-Vocoder": "1" } });
      const said = await response.json();
      if (!response.ok) throw new Error(said.error);
      names.push(...said.names.filter((name) => !names.includes(name)));
      fillNames();
      await open(said.names[0]);
    } catch (error) {
      say(error.message, true);
    }
  }
}

$("files").addEventListener("change", () => add([...$("files").files]));
for (const kind of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    document.body.classList.toggle("dropping", kind === "dragover");
    if (kind === "drop") add([...event.dataTransfer.files]);
  });
}

// Moving about

function step(by) {
  const index = names.indexOf(current) + by;
  if (index >= 0 && index < names.length) open(names[index]);
}

$("name").addEventListener("change", () => open($("name").value));
$("previous").addEventListener("click", () => step(-1));
$("next").addEventListener("click", () => step(1));
$("keys").checked = keysAreOn();
$("keys").addEventListener("change", () => memory.write("localStorage", "keys", $("keys").checked));

document.addEventListener("keydown", (event) => {
  const { target } = event;
  if (!keysAreOn() || event.ctrlKey || event.metaKey || event.altKey) return;
  if (target.matches("input:not([type=range]):not([type=checkbox]), select, textarea")) return;
  const name = event.key.toLowerCase();
  const acts = { a: () => choose(0), b: () => choose(1), j: () => step(1), k: () => step(-1) };
  if (!player.whole) return;
  if (acts[name]) acts[name]();
  else if (!pressTransport(name, target)) return;
  event.preventDefault();
});

function draw() {
  if (player.whole) {
    $("cursor").style.setProperty("--at", `${(100 * player.position()) / player.duration}%`);
  }
  requestAnimationFrame(draw);
}

async function begin() {
  $("transport").prepend(play.node);
  player.onchange = () => play.update();
  try {
    const state = await ask("api/state");
    fillControls(state.choices);
    ({ names } = state);
    list($("left-out"), state.left_out);
    fillNames();
    draw();
    if (names.length) await open(names[0]);
    else say("Add a file, or drop one on this page.");
  } catch (error) {
    say(error.message, true);
  }
}

begin();
