// The page of one clip: joins the sound, the text, its findings and its way to the server.

import { call, fill, make, pageData } from "./api.js";
import { Draft } from "./draft.js";
import { Editor } from "./editor.js";
import { listen } from "./keys.js";
import { Player } from "./player.js";

const task = pageData("task");
const say = task.say;
const at = (id) => document.getElementById(id);

const player = new Player(at("player"), { clipId: task.clip_id, durationS: task.duration_s, say });
const editor = new Editor(at("text"), at("marks"), at("findings"), at("live"), say);
let report = null;
let isSubmitting = false;

const draft = new Draft(task.id, {
  onState: showState,
  onReport(saved) {
    report = saved;
    editor.report(saved.findings);
    const canMend = saved.fixed !== editor.text;
    at("mend-all").hidden = !canMend;
    showNone(saved.findings);
  },
  onConflict(mine, stored) {
    at("conflict-mine").textContent = mine;
    at("conflict-stored").textContent = stored;
    conflict = { mine, stored };
    showState("conflict");
    if (!at("conflict").open) at("conflict").showModal();
  },
});
let conflict = null;

editor.onchange = (text) => {
  at("mend-all").hidden = true;
  draft.edit(text);
};

function showNone(findings) {
  at("no-findings").hidden = findings.length > 0;
  at("no-findings").textContent = editor.text.trim() ? say.clean : say.empty;
}

function showState(state, detail) {
  const line = at("saved");
  const isTrouble = ["offline", "busy", "signed_out"].includes(state);
  line.textContent = say[`state_${state}`] ?? "";
  line.classList.toggle("offline", isTrouble);
  const banner = at("banner");
  if (state === "signed_out") {
    banner.replaceChildren(say.signed_out_more, " ", make("a", { href: "/", target: "_blank", rel: "noopener" }, say.sign_in));
    banner.hidden = false;
  } else if (state === "taken" || state === "refused") {
    banner.replaceChildren(detail ?? say.state_taken, " ", make("a", { href: `/${task.home}` }, say.to_start));
    banner.hidden = false;
  } else if (!isTrouble && state !== "typing" && state !== "saving") {
    banner.hidden = true;
  }
}

async function open() {
  const { status, body } = await call("GET", `assignments/${task.id}`);
  if (status !== 200) {
    showState(status === 401 ? "signed_out" : status === 0 ? "offline" : "refused", body?.detail);
    if (status === 0 || status === 401) setTimeout(open, 4000);
    return;
  }
  const text = draft.open(body.draft, body.version);
  editor.show(text);
  at("text").focus({ preventScroll: true });
  if (text && !draft.isInConflict) draft.send({ force: true });
}

async function submit() {
  if (isSubmitting || draft.isClosed || draft.isInConflict) return;
  isSubmitting = true;
  at("submit").disabled = true;
  await draft.send(); // first the draft in flight, so that versions do not cross
  const { status, body } = await call("POST", `assignments/${task.id}/submit`, {
    text: editor.text,
    version: draft.version,
    status: at("incomplete").checked ? "incomplete" : "complete",
    ...(at("wants-review")?.checked ? { wants_review: true } : {}),
  });
  isSubmitting = false;
  at("submit").disabled = false;
  if (status === 200) return finish(body);
  if (status === 422 && body?.findings) {
    draft.version = body.version;
    draft.sent = editor.text;
    editor.report(body.findings);
    showNone(body.findings);
    at("live").textContent = body.detail;
    editor.here = -1;
    editor.next();
    return;
  }
  if (status === 0 || status === 401) at("live").textContent = say.submit_later;
  draft.failed(status, body);
}

function finish(done) {
  draft.close();
  player.audio.pause();
  at("work").hidden = true;
  at("banner").hidden = true;
  at("stored-text").textContent = done.text || say.no_text;
  const mended = done.findings.filter((finding) => finding.fix?.safe && done.applied.includes(finding.code));
  at("mended").hidden = done.text === done.text_raw;
  const sentences = new Map(mended.map((finding) => [`${finding.code} ${finding.message}`, finding]));
  at("mended-list").replaceChildren(
    ...[...sentences.values()].map(({ code, message }) =>
      make("li", {}, make("span", { class: "mono small" }, code), " ", message),
    ),
  );
  at("handed-in").hidden = false;
  at("next").focus();
}

async function giveBack() {
  await draft.send();
  const { status, body } = await call("POST", `assignments/${task.id}/release`, {});
  if (status !== 204) return draft.failed(status, body);
  draft.close();
  location.assign(`/${task.home}`);
}

at("submit").addEventListener("click", submit);
at("mend-all").addEventListener("click", () => report && editor.set(report.fixed));
at("use-prompt")?.addEventListener("click", () => editor.set(task.prompt));
at("give-back").addEventListener("click", () => at("really").showModal());
at("really-no").addEventListener("click", () => at("really").close());
at("really-yes").addEventListener("click", () => {
  at("really").close();
  giveBack();
});
for (const [id, which] of [["keep-mine", "mine"], ["keep-stored", "stored"]]) {
  at(id).addEventListener("click", () => {
    at("conflict").close();
    editor.show(conflict[which]);
    draft.resolve(conflict[which]);
    at("text").focus();
  });
}
at("conflict").addEventListener("cancel", (event) => event.preventDefault()); // one of the two must be chosen
document.querySelectorAll("[data-use]").forEach((button) => {
  button.addEventListener("click", () => editor.set(task.peers[Number(button.dataset.use)]));
});
player.onselect = (selection) => {
  const [start, end] = ["refuse-start", "refuse-end"].map(at);
  if (!start || !selection) return;
  start.value = selection[0].toFixed(2);
  end.value = selection[1].toFixed(2);
};
at("refuse-whole")?.addEventListener("click", () => {
  at("refuse-start").value = "0";
  at("refuse-end").value = at("refuse-end").max;
});
if (matchMedia("(max-width: 60rem)").matches) at("keys").open = false;

listen({
  play: () => player.toggle(),
  back: () => player.back(),
  loop: () => player.toggleLoop(),
  slower: () => player.changeRate(-1),
  faster: () => player.changeRate(1),
  next: () => editor.next(),
  apply: () => editor.apply(0),
  choice1: () => editor.apply(0),
  choice2: () => editor.apply(1),
  choice3: () => editor.apply(2),
  submit,
});
addEventListener("pageshow", (event) => event.persisted && draft.send({ force: true }));
open();
