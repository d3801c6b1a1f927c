// One text on its way to the server. Each change is kept on this device at once and sent when the person
// pauses; what the server has not acknowledged outlives reload, crash, lost network and ended session.

import { call } from "./api.js";

const PAUSE_MS = 700;
const RETRY_MS = 4000;
const HEARTBEAT_MS = 10 * 60 * 1000;

export class Draft {
  /**
   * @param {string} id of the assignment
   * @param {{onState: (state: string, detail?: string) => void, onReport: (report: object) => void,
   *          onConflict: (mine: string, stored: string) => void}} hooks
   */
  constructor(id, hooks) {
    this.id = id;
    this.hooks = hooks;
    this.text = "";
    this.version = 0;
    this.sent = ""; // the text that the server is known to hold
    this.isClosed = false;
    this.isInConflict = false;
    this.lastEdit = Date.now();
    this.key = `xiangyin.draft.${id}.${tabName()}`;
    addEventListener("online", () => this.send());
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "hidden") this.send({ keepalive: true });
      else if (this.isUnsent) this.send();
    });
    addEventListener("beforeunload", (event) => {
      if (this.isUnsent && !this.isClosed) event.preventDefault();
    });
    setInterval(() => {
      if (Date.now() - this.lastEdit < HEARTBEAT_MS) this.send({ force: true });
    }, HEARTBEAT_MS);
  }

  get isUnsent() {
    return this.text !== this.sent;
  }

  /** Take the stored text, and what this device holds beyond it. Returns the text to show. */
  open(stored, version) {
    this.text = this.sent = stored;
    this.version = version;
    const kept = this.#kept();
    if (!kept || kept.text === stored) {
      this.forget();
      return stored;
    }
    if (kept.version === version) {
      this.text = kept.text;
      this.hooks.onState("restored");
    } else {
      this.isInConflict = true;
      this.hooks.onConflict(kept.text, stored);
    }
    return this.text;
  }

  edit(text) {
    if (text === this.text) return;
    this.text = text;
    this.lastEdit = Date.now();
    this.#keep();
    if (this.isInConflict) return;
    this.hooks.onState("typing");
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.send(), PAUSE_MS);
  }

  /** Send what is unsent; one request at a time, the newest text last. */
  async send({ force = false, keepalive = false } = {}) {
    clearTimeout(this.timer);
    if (this.isClosed || this.isInConflict || !(force || this.isUnsent)) return;
    if (this.sending) return this.sending;
    this.sending = this.#put(keepalive);
    const isDone = await this.sending;
    this.sending = null;
    if (isDone && this.isUnsent) await this.send();
  }

  async #put(keepalive) {
    const text = this.text;
    this.hooks.onState("saving");
    const { status, body } = await call(
      "PUT", `assignments/${this.id}`, { text, version: this.version }, { keepalive },
    );
    if (status === 200) {
      this.version = body.version;
      this.sent = text;
      if (!this.isUnsent) this.forget();
      else this.#keep();
      this.hooks.onState(body.state === "expired" ? "taken" : "saved");
      if (text === this.text) this.hooks.onReport(body);
      return true;
    }
    this.failed(status, body);
    return false;
  }

  /** Say what a reply other than success means; shared with submitting. */
  failed(status, body) {
    if (status === 409 && body?.code === "DRAFT_CONFLICT") {
      this.isInConflict = true;
      this.stored = { text: body.text, version: body.version };
      clearTimeout(this.timer);
      this.hooks.onConflict(this.text, body.text);
    } else if (status === 401) {
      this.hooks.onState("signed_out");
      this.#retry();
    } else if (status === 0) {
      this.hooks.onState("offline");
      this.#retry();
    } else if (status >= 500 || status === 429) {
      this.hooks.onState("busy");
      this.#retry();
    } else {
      if (status === 404 || status === 409 || status === 410) this.isClosed = true;
      this.hooks.onState("refused", body?.detail);
    }
  }

  /** End a conflict with the text that goes on; `version` is the stored one. */
  resolve(text) {
    if (this.stored) {
      this.version = this.stored.version;
      this.sent = this.stored.text;
    }
    this.stored = null;
    this.isInConflict = false;
    this.text = text;
    this.#forgetAll();
    if (this.isUnsent) this.#keep();
    return this.send({ force: true });
  }

  close() {
    this.isClosed = true;
    clearTimeout(this.timer);
    this.#forgetAll();
  }

  forget() {
    store((shelf) => shelf.removeItem(this.key));
  }

  #retry() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.send(), RETRY_MS);
  }

  #keep() {
    const record = JSON.stringify({ text: this.text, version: this.version, at: Date.now() });
    store((shelf) => shelf.setItem(this.key, record));
  }

  /** This tab's unsent text, else the newest that another, closed tab left behind. */
  #kept() {
    return store((shelf) => {
      const own = shelf.getItem(this.key);
      if (own) return JSON.parse(own);
      const left = Object.keys(shelf)
        .filter((key) => key.startsWith(`xiangyin.draft.${this.id}.`))
        .map((key) => JSON.parse(shelf.getItem(key)));
      return left.sort((a, b) => b.at - a.at)[0];
    });
  }

  #forgetAll() {
    store((shelf) => {
      for (const key of Object.keys(shelf)) {
        if (key.startsWith(`xiangyin.draft.${this.id}.`)) shelf.removeItem(key);
      }
    });
  }
}

/** Use this device's storage if it can be used: it is off or full on some. */
function store(use) {
  try {
    return use(localStorage);
  } catch {
    return undefined;
  }
}

function tabName() {
  try {
    const name = sessionStorage.getItem("xiangyin.tab") ?? crypto.getRandomValues(new Uint32Array(2)).join("-");
    sessionStorage.setItem("xiangyin.tab", name);
    return name;
  } catch {
    return "tab";
  }
}
