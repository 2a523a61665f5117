"use strict";

// The way through the test: welcome, volume, practice, the trials, thanks.

const study = STUDY.trials ? new ExportedStudy(STUDY) : new ServedStudy();
const main = document.getElementById("main");
const player = makePlayer();
const Question = QUESTIONS[STUDY.test];
let view = null; // of what is on the page now: { press(event), update(), close() }

function makePlayer() {
  const Context = window.AudioContext;
  try {
    // At the sounds' own rate nothing is resampled before it is switched.
    return new Player(new Context({ sampleRate: STUDY.sampleRate }));
  } catch {
    return new Player(new Context());
  }
}

// From now on the page does nothing any more, though it may still be seen.
function leave() {
  view?.close?.();
  view = null;
  player.onchange = () => {};
  player.pause();
}

// Puts a page up, and the focus on its heading.
function show(nodes, next = null) {
  leave();
  view = next;
  main.replaceChildren(...nodes);
  const heading = main.querySelector("h1");
  heading.tabIndex = -1;
  heading.focus({ preventScroll: true });
  window.scrollTo(0, 0);
}

function showProgress(state) {
  const box = document.getElementById("progress");
  box.hidden = !state;
  if (!state) return;
  const bar = document.getElementById("progress-bar");
  bar.max = state.count;
  bar.value = state.answered;
  const at = Math.min(state.answered + 1, state.count);
  document.getElementById("progress-text").textContent =
    state.position === null ? `All ${state.count} done` : `${at} of ${state.count}`;
}

function showError(error, retry) {
  const act = element("button", { type: "button", className: "main", onclick: retry }, "Try again");
  const fresh = element("button", { type: "button", onclick: beginAnew }, "Begin a new session");
  const isUnknown = error.status === 401;
  show([
    element(
      "div",
      { className: "card", role: "alert" },
      element("h1", {}, isUnknown ? "This session is not known" : "Something went wrong"),
      element("p", {}, error.message),
      element("div", { className: "actions" }, isUnknown ? fresh : act),
    ),
  ]);
}

function beginAnew() {
  study.forget();
  welcome();
}

async function start() {
  document.title = STUDY.title;
  document.getElementById("title").textContent = STUDY.title;
  try {
    const state = await study.resume();
    if (!state) welcome();
    else if (state.answered) next(state);
    else volume(state);
  } catch (error) {
    showError(error, start);
  }
}

const ABOUT = {
  ab: "You will hear pairs of short recordings, A and B, and compare them.",
  abx: "You will hear two short recordings, A and B, and a third, X, that is one of them.",
  mushra: "You will hear several versions of short recordings and rate each from 0 to 100.",
  dcr: "You will hear a reference and a second version of it, and say how much worse that is.",
};

function welcome() {
  showProgress(null);
  const earlier = study.earlier;
  const go = (begin) => async () => {
    try {
      const state = await begin();
      if (state.answered) next(state);
      else volume(state);
    } catch (error) {
      showError(error, start);
    }
  };
  const begin = element(
    "button",
    { type: "button", className: "main", onclick: go(() => study.begin()) },
    "Begin",
  );
  const again = element(
    "button",
    { type: "button", className: "main", onclick: go(() => study.goOn(earlier)) },
    "Go on where you stopped",
  );
  if (earlier) begin.className = "";
  const count = STUDY.count === 1 ? "one question" : `${STUDY.count} questions`;
  show([
    element(
      "div",
      { className: "card prose" },
      element("h1", {}, STUDY.title),
      element("p", { className: "lead" }, ABOUT[STUDY.test]),
      element(
        "ul",
        { className: "facts" },
        element("li", {}, `There are ${count}, after one for practice.`),
        element("li", {}, "Headphones and a quiet room help a lot."),
        element("li", {}, "There is no time limit. Trust your ears."),
        element(
          "li",
          {},
          study.isExported
            ? "Your answers stay in this browser; at the end you save them as a file and send it back."
            : "Every answer is saved at once. You may stop at any time and come back to the page later.",
        ),
      ),
      study.isExported
        ? element(
            "p",
            { className: "note" },
            "This page works without a server and is not tamper-proof: whoever wants to can " +
              "look at its sounds and change its answers." +
              (study.keeps
                ? ""
                : " This browser keeps nothing for it: save your answers before you close it."),
          )
        : null,
      element("div", { className: "actions" }, ...(earlier ? [again, begin] : [begin])),
    ),
  ]);
}

// Sounds decoded, in the order of a question's versions.
async function load(names) {
  const files = await Promise.all(names.map((name) => study.sound(name)));
  const buffers = await Promise.all(files.map((file) => player.context.decodeAudioData(file)));
  player.load(buffers);
  return buffers;
}

async function volume(state) {
  leave();
  showProgress(null);
  try {
    await load([state.practice.reference ?? state.practice.sounds[0]]);
  } catch (error) {
    showError(error, () => volume(state));
    return;
  }
  const play = playButton(player);
  const slider = element("input", {
    type: "range",
    id: "volume",
    min: "0",
    max: "100",
    step: "1",
    value: memory.read("sessionStorage", "vocoder-volume") ?? "100",
    oninput: () => setVolume(Number(slider.value)),
  });
  slider.style.setProperty("--value", `${slider.value}%`);
  slider.addEventListener("input", () => slider.style.setProperty("--value", `${slider.value}%`));
  const go = element(
    "button",
    {
      type: "button",
      className: "main",
      onclick: () => trial(state, { practice: true }),
    },
    "It is comfortable",
    key("N"),
  );
  show(
    [
      element(
        "div",
        { className: "card prose" },
        element("h1", {}, "Set the volume"),
        element(
          "p",
          {},
          "Play the sound, and set your device’s volume so that speech is easy to follow and " +
            "pleasant. All sounds of this test are equally loud: please leave it there until the end.",
        ),
        element(
          "div",
          { className: "sound-check" },
          play.node,
          element("label", { htmlFor: "volume" }, "Volume of this page"),
          slider,
        ),
        element("div", { className: "actions" }, go),
      ),
    ],
    {
      update: () => play.update(),
      press: (event) => pressTransport(event) || (event.key === "n" && (go.click(), true)),
    },
  );
}

function setVolume(percent) {
  memory.write("sessionStorage", "vocoder-volume", String(percent));
  // Loudness is felt along a curve: half the way is a quarter of the amplitude.
  player.volume.gain.setTargetAtTime((percent / 100) ** 2, player.context.currentTime, 0.02);
}

function next(state) {
  if (state.position === null) done(state);
  else trial(state, { practice: false });
}

async function trial(state, { practice }) {
  leave();
  const shown = practice ? state.practice : state.trial;
  const versions = Question.listed(shown);
  let buffers;
  main.setAttribute("aria-busy", "true");
  try {
    buffers = await load(versions.map(({ name }) => name));
  } catch (error) {
    showError(error, () => trial(state, { practice }));
    return;
  } finally {
    main.removeAttribute("aria-busy");
  }
  showProgress(practice ? null : state);
  const needed = Math.min(STUDY.leastHeard, player.duration);
  const question = new Question(player, shown, versions, needed, () => view?.update());
  // X and hidden versions are never drawn; the open reference is nobody's secret.
  const timeline = new Timeline(player, shown.reference ? buffers[0].getChannelData(0) : null);
  const missing = element("p", { className: "missing", id: "missing" });
  const problem = element("p", { className: "problem", role: "alert" });
  const go = element(
    "button",
    { type: "button", className: "main", "aria-describedby": "missing", onclick: finish },
    practice ? "Begin the test" : "Next",
    key("N"),
  );
  const began = performance.now();
  let isBusy = false;

  // What is still to do, in sentences; empty when all is done.
  function lacking() {
    const unheard = question.versions.missing();
    const listen = unheard.length ? `Still to hear: ${unheard.join(", ")}.` : "";
    return [listen, question.unanswered()].filter(Boolean).join(" ");
  }

  async function finish() {
    question.update();
    const lack = lacking();
    if (lack) {
      announce(lack);
      missing.classList.add("urgent");
      return;
    }
    if (isBusy) return;
    if (practice) {
      next(state);
      return;
    }
    isBusy = true;
    player.pause();
    const heard = Object.fromEntries(
      question.names.map((name, index) => [name, Math.round(player.heard[index] * 1000) / 1000]),
    );
    const spent = Math.round(performance.now() - began) / 1000;
    try {
      const after = await study.answer(state, { ...question.said(), heard, seconds: spent });
      announce("Saved");
      next(after);
    } catch (error) {
      // The page stays as it is, the answer with it.
      problem.textContent = error.message;
      isBusy = false;
    }
  }

  const update = () => {
    question.update();
    timeline.update();
    const lack = lacking();
    if (missing.textContent !== lack) missing.textContent = lack;
    go.setAttribute("aria-disabled", String(lack !== ""));
    if (!lack) missing.classList.remove("urgent");
  };
  const badge = practice ? element("p", { className: "badge" }, "Practice – not counted") : null;
  const nodes = [
    element(
      "div",
      { className: "card trial" },
      badge,
      element("h1", {}, STUDY.question),
      element("p", { className: "hint" }, Question.hint),
      timeline.node,
      question.node,
      problem,
      element("div", { className: "actions" }, go, missing),
    ),
    keysPanel(versions, question),
  ];
  show(nodes, {
    update,
    close: () => timeline.close(),
    press: (event) => pressTrial(event, { timeline, question, go, versions }),
  });
  player.onchange = update;
  update();
}

function done(state) {
  showProgress(state);
  const save = element(
    "button",
    { type: "button", className: "main", onclick: () => study.download() },
    "Save my answers",
  );
  show([
    element(
      "div",
      { className: "card prose" },
      element("h1", {}, "Thank you!"),
      element(
        "p",
        { className: "lead" },
        study.isExported
          ? "All questions are answered. Save your answers as a file, and send it to whoever asked you."
          : `All ${state.count} answers are saved. You can close this page.`,
      ),
      element("div", { className: "actions" }, ...(study.isExported ? [save] : [])),
    ),
  ]);
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || !keysAreOn()) return;
  if (view?.press?.(event)) event.preventDefault();
});

function frame() {
  if (player.playing) view?.update?.();
  requestAnimationFrame(frame);
}

// Another address in the bar, such as a session's link that was pasted there.
window.addEventListener("hashchange", () => location.reload());
setVolume(Number(memory.read("sessionStorage", "vocoder-volume") ?? "100"));
requestAnimationFrame(frame);
start();
