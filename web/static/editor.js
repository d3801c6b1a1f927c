// The text with its findings: marked in a copy that lies under the textarea, listed beside it, mended by
// one key. Rules are the server's; this file only draws what it was told.

import { fill, make } from "./api.js";

export class Editor {
  /**
   * @param {HTMLTextAreaElement} area
   * @param {HTMLElement} marks the copy under it
   * @param {HTMLOListElement} list
   * @param {HTMLElement} live an aria-live region
   * @param {Record<string, string>} say
   */
  constructor(area, marks, list, live, say) {
    Object.assign(this, { area, marks, list, live, say });
    this.findings = [];
    this.here = -1;
    this.isComposing = false;
    this.onchange = () => {};
    this.shown = area.value;
    area.addEventListener("compositionstart", () => (this.isComposing = true));
    area.addEventListener("compositionend", () => {
      this.isComposing = false;
      this.#changed();
    });
    area.addEventListener("input", () => {
      this.#paint(); // the copy must follow each keystroke, or its line breaks drift
      if (!this.isComposing) this.#changed();
    });
    area.addEventListener("scroll", () => (marks.scrollTop = area.scrollTop));
    new ResizeObserver(() => this.#fit()).observe(area);
    this.#paint();
  }

  get text() {
    return this.area.value;
  }

  /** Replace the whole text, keeping undo where the browser can. */
  set(text) {
    if (text === this.text) return;
    this.area.focus();
    this.area.select();
    this.#insert(text);
  }

  /** Show a text without counting it as the person's change. */
  show(text) {
    this.area.value = this.shown = text;
    this.findings = [];
    this.#paint();
    this.#write();
  }

  /** Show findings, unless the person is in the middle of a word of their input method. */
  report(findings) {
    this.pending = findings;
    if (this.isComposing) return;
    const places = offsets(this.text);
    this.findings = findings
      .map((finding) => ({
        ...finding,
        from: places[Math.min(finding.start, places.length - 1)],
        to: places[Math.min(finding.end, places.length - 1)],
      }))
      .sort((a, b) => (a.severity === "warning") - (b.severity === "warning") || a.from - b.from || a.to - b.to);
    this.here = Math.min(this.here, this.findings.length - 1);
    this.#paint();
    this.#write();
    this.#announce();
  }

  next() {
    if (this.findings.length) this.#go((this.here + 1) % this.findings.length);
  }

  /** Apply the fix of the finding at hand, else of the first that has one. */
  apply(choice = 0) {
    const index = this.here >= 0 ? this.here : this.findings.findIndex((finding) => mends(finding).length);
    const finding = this.findings[index];
    const mend = finding && mends(finding)[choice];
    if (mend === undefined) return;
    this.area.focus();
    this.area.setSelectionRange(finding.from, finding.to);
    this.#insert(mend);
  }

  #go(index) {
    this.here = index;
    const finding = this.findings[index];
    this.area.focus();
    this.area.setSelectionRange(finding.from, finding.to);
    this.#paint();
    this.#write();
    this.live.textContent = `${excerpt(this.text, finding)} ${finding.message}`;
  }

  #insert(text) {
    // insertText keeps the browser's own undo; where it is gone the text is set.
    const done = text === "" ? document.execCommand("delete") : document.execCommand("insertText", false, text);
    if (!done) {
      this.area.setRangeText(text, this.area.selectionStart, this.area.selectionEnd, "end");
      this.area.dispatchEvent(new Event("input"));
    }
  }

  #changed() {
    const text = this.text;
    if (text === this.shown) return;
    this.findings = moved(this.findings, this.shown, text);
    this.shown = text;
    this.here = -1;
    this.#paint();
    this.#write();
    this.onchange(text);
  }

  #fit() {
    this.area.style.height = "auto";
    const height = Math.max(this.area.scrollHeight + 2, 152);
    this.area.style.height = this.marks.style.height = `${Math.min(height, innerHeight * 0.6)}px`;
  }

  #paint() {
    const pieces = [];
    let at = 0;
    const text = this.text;
    const findings = this.isComposing ? [] : apart(this.findings, text.length);
    findings.forEach((finding) => {
      const index = this.findings.indexOf(finding);
      const kind = [
        finding.severity === "warning" && "warning",
        finding.from === finding.to && "point",
        index === this.here && "here",
      ];
      pieces.push(text.slice(at, finding.from));
      pieces.push(make("mark", { class: kind.filter(Boolean).join(" ") }, text.slice(finding.from, finding.to)));
      at = finding.to;
    });
    this.marks.replaceChildren(...pieces, text.slice(at), "\u200b"); // keeps a last empty line
    this.#fit();
    this.marks.scrollTop = this.area.scrollTop;
  }

  #write() {
    this.list.replaceChildren(
      ...this.findings.map((finding, index) => {
        const place = make("button", { type: "button", class: "place", lang: this.area.lang }, excerpt(this.text, finding));
        place.addEventListener("click", () => this.#go(index));
        const row = make("div", { class: "mends" });
        const all = mends(finding);
        all.forEach((mend, choice) => {
          const label = mend === "" ? this.say.delete : all.length === 1 ? fill(this.say.change_to, { text: visible(mend) }) : visible(mend);
          const button = make("button", { type: "button", class: "mend", lang: this.area.lang }, label);
          if (index === this.here) button.append(make("kbd", { "aria-hidden": "true" }, String(choice + 1)));
          button.addEventListener("click", () => {
            this.here = index;
            this.apply(choice);
          });
          row.append(button);
        });
        const kind = [finding.severity === "warning" && "warning", index === this.here && "here"];
        return make(
          "li",
          { class: kind.filter(Boolean).join(" ") || null, "aria-current": index === this.here && "true" },
          make("div", { class: "what" }, place, make("span", { class: "code mono" }, finding.code)),
          make("p", {}, finding.message),
          row,
        );
      }),
    );
  }

  #announce() {
    const errors = this.findings.filter((finding) => finding.severity === "error").length;
    const warnings = this.findings.length - errors;
    const parts = [];
    if (errors) parts.push(fill(this.say.errors, { count: errors }));
    if (warnings) parts.push(fill(this.say.warnings, { count: warnings }));
    const sentence = parts.join(this.say.joiner) || (this.text.trim() ? this.say.clean : this.say.empty);
    if (this.live.textContent !== sentence) this.live.textContent = sentence;
  }
}

/** What one key may put in place of a finding: its fix, then its suggestions. */
function mends(finding) {
  const all = [...(finding.fix ? [finding.fix.text] : []), ...(finding.suggestions ?? [])];
  return [...new Set(all)].slice(0, 4);
}

/** The findings to mark, in the order of their places: where two overlap the shorter one shows, errors first. */
function apart(findings, length) {
  const byWeight = [...findings].sort(
    (a, b) => (a.severity === "warning") - (b.severity === "warning") || a.to - a.from - (b.to - b.from),
  );
  const chosen = [];
  for (const finding of byWeight) {
    const isFree = chosen.every((other) => finding.to <= other.from || finding.from >= other.to);
    const isWhole = finding.severity === "warning" && finding.from === 0 && finding.to === length;
    if (finding.to <= length && isFree && !isWhole) chosen.push(finding);
  }
  return chosen.sort((a, b) => a.from - b.from || a.to - b.to);
}

/** Where each code point begins in UTF-16, and the end. */
function offsets(text) {
  const places = [];
  let at = 0;
  for (const character of text) {
    places.push(at);
    at += character.length;
  }
  places.push(at);
  return places;
}

/** Findings outside of a change stay, at their new places; those it touched go. */
function moved(findings, before, after) {
  let head = 0;
  while (head < before.length && head < after.length && before[head] === after[head]) head++;
  let tail = 0;
  while (tail < before.length - head && tail < after.length - head && before.at(-1 - tail) === after.at(-1 - tail)) tail++;
  const shift = after.length - before.length;
  return findings.flatMap((finding) => {
    if (finding.to < head) return [finding];
    if (finding.from > before.length - tail) return [{ ...finding, from: finding.from + shift, to: finding.to + shift }];
    return [];
  });
}

function excerpt(text, finding) {
  const inside = text.slice(finding.from, finding.to);
  if (inside.trim()) return visible(inside);
  const around = text.slice(Math.max(0, finding.from - 4), finding.from);
  return `${around}${inside ? visible(inside) : "▏"}${text.slice(finding.to, finding.to + 4)}`;
}

/** White space as a person can see it. */
function visible(text) {
  return text.replace(/[ \u3000\u00a0]/g, "␣").replace(/\n/g, "⏎").replace(/\t/g, "⇥");
}
