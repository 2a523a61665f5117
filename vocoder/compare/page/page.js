"use strict";

// The way through the test: welcome, volume, practice, the trials, thanks.

const study = STUDY.orders ? new ExportedStudy() : new ServedStudy();
const main = document.getElementById("main");
const player = makePlayer();
const Question = QUESTIONS[STUDY.test];
let view = null; // of what is on the page now: { press(name, target), update(), close() }

function makePlayer() {
  const Context = window.AudioContext;
  try {
    // At the files' own rate nothing is resampled before it is switched.
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
    state.position === null ? t("All {} done", state.count) : t("{} of {}", at, state.count);
}

function showError(error, retry) {
  const isUnknown = error.status === 401;
  const heading = isUnknown ? t("This session is not known") : t("Something went wrong");
  const act = isUnknown
    ? button(t("Begin a new session"), beginAnew)
    : button(t("Try again"), retry, { className: "main" });
  show([card(heading, [element("p", {}, error.message)], [act], { role: "alert" })]);
}

function beginAnew() {
  study.forget();
  welcome();
}

async function start() {
  document.documentElement.lang = STUDY.words.lang ?? "en";
  document.title = STUDY.title;
  document.getElementById("title").textContent = STUDY.title;
  try {
    const state = await study.resume();
    if (!state) welcome();
    else if (state.answered || readDraft(state, false)) next(state);
    else if (readDraft(state, true)) trial(state, { practice: true });
    else volume(state);
  } catch (error) {
    showError(error, start);
  }
}

// What a reload must not lose: drafts of answers, in the memory of this tab.
function draftPlace(state, practice) {
  return `draft-${study.session}-${practice ? "practice" : state.position}`;
}

function readDraft(state, practice) {
  return memory.read("sessionStorage", draftPlace(state, practice));
}

const ABOUT = {
  ab: "You will hear pairs of short recordings, A and B, and compare them.",
  abx: "You will hear two short recordings, A and B, and a third, X, that is one of them.",
  mushra: "You will hear several versions of short recordings and rate each from 0 to 100.",
  dcr: "You will hear a reference and a second version of it, and say how much worse that is.",
};

// What a listener agrees to, and is asked about himself.
function entry() {
  const fields = STUDY.questions.map((question) => [
    question,
    element("input", { type: "text", required: true, maxLength: 500, autocomplete: "off" }),
  ]);
  const agree = element("input", { type: "checkbox", required: true, id: "agree" });
  const node = element(
    "form",
    { className: "entry", onsubmit: (event) => event.preventDefault() },
    ...STUDY.consent
      .split(/\n+/)
      .filter(Boolean)
      .map((line) => element("p", {}, line)),
    STUDY.consent
      ? element("label", { className: "switch" }, agree, t("I have read this and agree."))
      : null,
    ...fields.map(([question, input]) => element("label", {}, question, input)),
  );
  return {
    node,
    isComplete: () => node.reportValidity(),
    details: () => Object.fromEntries(fields.map(([question, { value }]) => [question, value])),
  };
}

function welcome() {
  showProgress(null);
  const earlier = study.earlier;
  const form = entry();
  const go = async (begin) => {
    try {
      const state = await begin();
      if (state.answered) next(state);
      else volume(state);
    } catch (error) {
      showError(error, start);
    }
  };
  const begin = button(
    t("Begin"),
    () => form.isComplete() && go(() => study.begin(form.details())),
    { className: earlier ? "" : "main" },
  );
  const again = button(t("Go on where you stopped"), () => go(() => study.goOn(earlier)), {
    className: "main",
  });
  const facts = [
    STUDY.count === 1
      ? t("There is one question, after one for practice.")
      : t("There are {} questions, after one for practice.", STUDY.count),
    t("Headphones and a quiet room help a lot."),
    t("There is no time limit. Trust your ears."),
    study.isExported
      ? t("Your answers stay in this browser; at the end you save them as a file and send it back.")
      : t("Every answer is saved at once. You may stop at any time and come back to the page later."),
  ];
  const warning = t(
    "This page works without a server and is not tamper-proof: whoever wants to can look at its sounds and change its answers.",
  );
  const forgets = t("This browser keeps nothing for it: save your answers before you close it.");
  show([
    card(
      STUDY.title,
      [
        element("p", {}, t(ABOUT[STUDY.test])),
        element("ul", {}, ...facts.map((fact) => element("li", {}, fact))),
        study.isExported
          ? element("p", { className: "note" }, warning, study.keeps ? "" : ` ${forgets}`)
          : null,
        form.node,
      ].filter(Boolean),
      earlier ? [again, begin] : [begin],
    ),
  ]);
}

// Audio decoded, in the order of a question's versions.
async function load(names) {
  const files = await Promise.all(names.map((name) => study.audio(name)));
  const buffers = await Promise.all(
    files.map((file) => player.context.decodeAudioData(file)),
  ).catch(() => {
    throw failure("This browser cannot read the sounds. Try another one, or a newer one.");
  });
  player.load(buffers);
  return buffers;
}

async function volume(state) {
  leave();
  showProgress(null);
  try {
    await load([state.practice.reference ?? state.practice.versions[0]]);
  } catch (error) {
    showError(error, () => volume(state));
    return;
  }
  const play = playButton(player);
  const slider = element("input", {
    type: "range",
    value: String(savedVolume()),
    oninput: () => setVolume(Number(slider.value)),
  });
  const needed = Math.min(STUDY.minHeard, player.duration);
  const isHeard = () => player.heard[0] >= needed;
  const missing = element("p", { className: "missing", id: "missing" });
  const go = button(
    t("It is comfortable"),
    () => {
      player.tally();
      if (isHeard()) trial(state, { practice: true });
      else announce(missing.textContent);
    },
    { className: "main", "aria-describedby": "missing" },
    key("N"),
  );
  const update = () => {
    play.update();
    player.tally();
    missing.textContent = isHeard() ? "" : t("Play the sound first.");
    go.setAttribute("aria-disabled", String(!isHeard()));
  };
  const words = t(
    "Play the sound, and set your device’s volume so that speech is easy to follow and pleasant. All sounds of this test are equally loud: please leave it there until the end.",
  );
  const label = element("label", {}, t("Volume of this page"), slider);
  show([card(t("Set the volume"), [element("p", {}, words), play.node, label], [go, missing])], {
    update,
    press: (name, target) => pressTransport(name, target) || (name === "n" && (go.click(), true)),
  });
  player.onchange = update;
  update();
}

function savedVolume() {
  return memory.read("sessionStorage", "volume") ?? 100;
}

function setVolume(percent) {
  memory.write("sessionStorage", "volume", percent);
  // Loudness is felt along a curve: half the way is a quarter of the amplitude.
  player.volume.gain.setTargetAtTime((percent / 100) ** 2, player.context.currentTime, 0.02);
}

function next(state, notice = "") {
  if (state.position === null) done(state);
  else trial(state, { practice: false, notice });
}

async function trial(state, { practice, notice = "" }) {
  leave();
  const shown = practice ? state.practice : state.trial;
  const versions = Question.listed(shown);
  let buffers;
  main.setAttribute("aria-busy", "true");
  try {
    buffers = await load(versions.map(({ name }) => name));
  } catch (error) {
    showError(error, () => trial(state, { practice, notice }));
    return;
  } finally {
    main.removeAttribute("aria-busy");
  }
  showProgress(practice ? null : state);
  const needed = Math.min(STUDY.minHeard, player.duration);
  const question = new Question(player, shown, versions, needed, () => view?.update());
  const comment = element("textarea", { rows: 2, maxLength: 2000 });
  // X and hidden versions are never drawn; the open reference is nobody's secret.
  const timeline = new Timeline(player, shown.reference ? buffers[0].getChannelData(0) : null);
  const missing = element("p", { className: "missing", id: "missing" });
  const problem = element("p", { className: "problem", role: "alert" }, notice);
  const go = button(
    practice ? t("Begin the test") : t("Next"),
    finish,
    { className: "main", "aria-describedby": "missing" },
    key("N"),
  );
  const began = performance.now();
  const draft = readDraft(state, practice);
  let isBusy = false;
  if (draft) {
    player.heard = draft.heard;
    comment.value = draft.comment;
    question.restore(draft.answer);
  }

  // What is still to do, in sentences; empty when all is done.
  function lacking() {
    const unheard = question.versions.missing();
    const listen = unheard.length ? t("Still to hear: {}.", unheard.join(", ")) : "";
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
      versions.map(({ name }, index) => [name, Math.round(player.heard[index] * 1000) / 1000]),
    );
    const spent = Math.round(performance.now() - began) / 1000;
    const said = { ...question.said(), heard, seconds: spent, comment: comment.value };
    try {
      const after = await study.answer(state, said);
      announce(t("Saved"));
      next(after);
    } catch (error) {
      isBusy = false;
      if (error.status === 409) await moveOn(error.message);
      else problem.textContent = error.message; // the page stays as it is, the answer with it
    }
  }

  // The answer was not taken, since there is one already: what comes next is another trial.
  async function moveOn(message) {
    try {
      next(await study.resume(), message);
    } catch (error) {
      problem.textContent = error.message;
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
  const keep = () =>
    memory.write("sessionStorage", draftPlace(state, practice), {
      heard: player.heard,
      comment: comment.value,
      answer: question.draft(),
    });
  const card = element(
    "div",
    { className: "card trial" },
    practice ? element("p", { className: "badge" }, t("Practice – not counted")) : null,
    element("h1", {}, t(STUDY.question)),
    element("p", { className: "hint" }, t(Question.hint)),
    ...timeline.nodes,
    question.node,
    STUDY.comments ? element("label", { className: "comment" }, t("Remarks"), comment) : null,
    problem,
    element("div", { className: "actions" }, go, missing),
  );
  show([card, keysSwitch()], {
    update,
    close: () => window.removeEventListener("pagehide", keep),
    press: (name, target) => pressTrial(name, target, { timeline, question, go, versions }),
  });
  window.addEventListener("pagehide", keep);
  player.onchange = update;
  update();
}

function done(state) {
  showProgress(state);
  const another = button(t("Next listener"), beginAnew);
  const save = button(
    t("Save my answers"),
    () => {
      study.download();
      another.hidden = false;
    },
    { className: "main" },
  );
  another.hidden = Boolean(study.isExported);
  const words = study.isExported
    ? t("All questions are answered. Save your answers as a file, and send it to whoever asked you.")
    : t("All answers are saved. You can close this page.");
  show([
    card(
      t("Thank you!"),
      [element("p", {}, words)],
      study.isExported ? [save, another] : [another],
    ),
  ]);
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || !keysAreOn()) return;
  if (event.target.closest?.("textarea, input[type=text]")) return;
  if (view?.press?.(event.key.toLowerCase(), event.target)) event.preventDefault();
});

function frame() {
  if (player.playing) view?.update?.();
  requestAnimationFrame(frame);
}

// Another address in the bar, such as a session's link that was pasted there.
window.addEventListener("hashchange", () => location.reload());
setVolume(savedVolume());
requestAnimationFrame(frame);
start();
