"use strict";

// What is done with all images, how one moves among them, and the beginning.

// Rendering

$("copy-command").addEventListener("click", async () => {
  await navigator.clipboard.writeText($("command").textContent).catch(() => {});
  announce("Copied");
});

$("peak").addEventListener("change", showCommand);

$("render").addEventListener("click", async () => {
  if (chosen()) kept.set(current, chosen());
  const given = Object.fromEntries(kept);
  try {
    follow(await ask("api/render", { given, alike: alike(), peak: $("peak").checked }));
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
  for (const [index, file] of [...files].entries()) {
    if (!index) say(`Reading ${file.name} …`);
    try {
      const path = `api/drop?name=${encodeURIComponent(file.name)}`;
      const response = await fetch(path, { method: "POST", body: file, headers: { "X-Vocoder": "1" } });
      const said = await response.json();
      if (!response.ok) throw new Error(said.error);
      names = [...new Set([...(names ?? []), ...said.names])];
      fillNames();
      if (index) $("name").value = current;
      else open(said.names[0]);
    } catch (error) {
      leftOut.push(error.message);
      list($("left-out"), leftOut);
      fail(error.message);
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
  const name = names?.[names.indexOf(current) + by];
  if (name) open(name);
}

$("name").addEventListener("change", () => open($("name").value));
$("previous").addEventListener("click", () => step(-1));
$("next").addEventListener("click", () => step(1));
$("keys").checked = keysAreOn();
$("keys").addEventListener("change", () => memory.write("localStorage", "keys", $("keys").checked));

document.addEventListener("keydown", (event) => {
  const { target } = event;
  if (!keysAreOn() || event.ctrlKey || event.metaKey || event.altKey) return;
  if (target.matches("input:not([type=range]):not([type=checkbox]):not([type=radio]), select, textarea")) return;
  const name = event.key.toLowerCase();
  const acts = { a: () => choose(0), b: () => choose(1), j: () => step(1), k: () => step(-1) };
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
    ({ names, left_out: leftOut } = await ask("api/state"));
    list($("left-out"), leftOut);
    fillNames();
    draw();
    if (names.length) await open(names[0], plays);
    else end("Add a file, or drop one on this page.", false);
    fillControls(await ask("api/controls")); // last, since they take seconds
  } catch (error) {
    names ??= [];
    fail(error.message);
  }
}

begin();
