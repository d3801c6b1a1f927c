// The sound: a waveform with playhead, click to seek, drag to select, and a native audio element behind.

import { call, fill } from "./api.js";

const BACK_S = 2;
const RATES = [0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.1, 1.25, 1.5];
const ARROW_S = 1;
const DRAG_PX = 5;

export class Player {
  /**
   * @param {HTMLElement} root holds audio, canvas and the buttons, by data-part
   * @param {{clipId: string, durationS: number, say: Record<string, string>}} options
   */
  constructor(root, { clipId, durationS, say }) {
    const part = (name) => root.querySelector(`[data-part="${name}"]`);
    this.say = say;
    this.durationS = durationS;
    this.audio = part("audio");
    this.wave = part("wave");
    this.canvas = part("canvas");
    this.message = part("message");
    this.parts = { play: part("play"), loop: part("loop"), rate: part("rate"), time: part("time") };
    this.peaks = [];
    this.selection = null; // [start_s, end_s]
    this.isLooping = false;
    this.onselect = () => {};

    part("back").addEventListener("click", () => this.back());
    part("slower").addEventListener("click", () => this.changeRate(-1));
    part("faster").addEventListener("click", () => this.changeRate(1));
    this.parts.play.addEventListener("click", () => this.toggle());
    this.parts.loop.addEventListener("click", () => this.toggleLoop());
    this.wave.addEventListener("keydown", (event) => this.#onWaveKey(event));
    this.#followPointer();

    for (const name of ["play", "pause", "ended", "seeked", "timeupdate", "ratechange"]) {
      this.audio.addEventListener(name, () => this.#show());
    }
    this.audio.addEventListener("error", () => this.#tell(say.sound_missing));
    this.audio.src = `/api/v1/clips/${clipId}/audio`;
    new ResizeObserver(() => this.draw()).observe(this.wave);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    this.#load(clipId);
    this.#show();
  }

  async #load(clipId) {
    const { status, body } = await call("GET", `clips/${clipId}/peaks`);
    if (status !== 200) return this.#tell(this.say.wave_missing);
    this.peaks = body.peaks;
    this.message.hidden = true;
    this.draw();
  }

  #tell(sentence) {
    this.message.textContent = sentence;
    this.message.hidden = false;
  }

  get now() {
    return this.audio.currentTime;
  }

  toggle() {
    if (this.audio.paused) this.audio.play().catch(() => this.#tell(this.say.sound_missing));
    else this.audio.pause();
  }

  back() {
    this.seek(this.now - BACK_S);
  }

  seek(second) {
    this.audio.currentTime = Math.min(Math.max(0, second), this.durationS);
    this.#show();
  }

  changeRate(step) {
    const nearest = RATES.findIndex((rate) => rate >= this.audio.playbackRate - 0.001);
    const rate = RATES[Math.min(Math.max(0, nearest + step), RATES.length - 1)];
    this.audio.playbackRate = rate;
    this.audio.defaultPlaybackRate = rate;
  }

  /** Loop the selection; with none, the last three seconds heard. */
  toggleLoop() {
    this.isLooping = !this.isLooping;
    if (this.isLooping && !this.selection) {
      const end = Math.min(Math.max(this.now, 3), this.durationS);
      this.select(Math.max(0, end - 3), end);
    }
    if (this.isLooping) this.seek(this.selection[0]);
    this.#show();
  }

  select(start, end) {
    const first = Math.max(0, Math.min(start, end));
    const last = Math.min(this.durationS, Math.max(start, end));
    this.selection = last - first > 0.05 ? [first, last] : null;
    if (!this.selection) this.isLooping = false;
    this.onselect(this.selection);
    this.#show();
  }

  #onWaveKey(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const moves = {
      ArrowLeft: () => this.seek(this.now - ARROW_S),
      ArrowRight: () => this.seek(this.now + ARROW_S),
      Home: () => this.seek(0),
      End: () => this.seek(this.durationS),
      " ": () => this.toggle(),
      "[": () => this.select(this.now, this.selection?.[1] ?? this.durationS),
      "]": () => this.select(this.selection?.[0] ?? 0, this.now),
      Escape: () => this.select(0, 0),
    };
    if (!(event.key in moves)) return;
    event.preventDefault();
    moves[event.key]();
  }

  #followPointer() {
    let from = null;
    const second = (event) => {
      const box = this.wave.getBoundingClientRect();
      return ((event.clientX - box.left) / box.width) * this.durationS;
    };
    this.wave.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      from = { x: event.clientX, second: second(event), isDrag: false };
      this.wave.setPointerCapture(event.pointerId);
    });
    this.wave.addEventListener("pointermove", (event) => {
      if (!from) return;
      from.isDrag ||= Math.abs(event.clientX - from.x) > DRAG_PX;
      if (from.isDrag) this.select(from.second, second(event));
    });
    this.wave.addEventListener("pointerup", (event) => {
      if (!from) return;
      if (from.isDrag) this.seek(this.selection?.[0] ?? from.second);
      else {
        const at = second(event);
        if (this.selection && (at < this.selection[0] || at > this.selection[1])) this.select(0, 0);
        this.seek(at);
      }
      from = null;
    });
    this.wave.addEventListener("pointercancel", () => (from = null));
  }

  #follow = () => {
    if (this.isLooping && this.selection) {
      const [start, end] = this.selection;
      if (this.now >= end || this.now < start - 0.05) this.audio.currentTime = start;
    }
    this.draw();
    if (!this.audio.paused) requestAnimationFrame(this.#follow);
  };

  #show() {
    const playing = !this.audio.paused;
    const { play, loop, rate, time } = this.parts;
    play.querySelector("[data-icon=play]").toggleAttribute("hidden", playing);
    play.querySelector("[data-icon=pause]").toggleAttribute("hidden", !playing);
    play.querySelector("span").textContent = playing ? this.say.pause : this.say.play;
    loop.setAttribute("aria-pressed", String(this.isLooping));
    rate.textContent = `${this.audio.playbackRate}×`;
    time.textContent = `${clock(this.now)} / ${clock(this.durationS)}`;
    this.wave.setAttribute("aria-valuemax", this.durationS.toFixed(1));
    this.wave.setAttribute("aria-valuenow", this.now.toFixed(1));
    this.wave.setAttribute(
      "aria-valuetext",
      fill(this.say.position, { now: this.now.toFixed(1), whole: this.durationS.toFixed(1) }),
    );
    if (playing) requestAnimationFrame(this.#follow);
    else this.draw();
    // One loop may begin at the very end of the sound, where playing has already stopped.
    if (this.isLooping && this.audio.ended) {
      this.audio.currentTime = this.selection[0];
      this.audio.play();
    }
  }

  draw() {
    const ratio = devicePixelRatio || 1;
    const width = Math.round(this.wave.clientWidth * ratio);
    const height = Math.round(this.wave.clientHeight * ratio);
    if (!width || !height) return;
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
    }
    const pen = this.canvas.getContext("2d");
    const colour = (name) => getComputedStyle(this.wave).getPropertyValue(name);
    const x = (second) => (second / this.durationS) * width;
    pen.clearRect(0, 0, width, height);
    if (this.selection) {
      pen.fillStyle = colour("--accent-soft");
      pen.fillRect(x(this.selection[0]), 0, x(this.selection[1]) - x(this.selection[0]), height);
    }
    const done = x(this.now);
    const [wave, waveDone] = [colour("--wave"), colour("--wave-done")];
    const top = Math.max(0.05, ...this.peaks.map(([low, high]) => Math.max(-low, high)));
    for (let column = 0; column < width && this.peaks.length; column++) {
      const [from, to] = [column, column + 1].map((c) => (c / width) * this.peaks.length);
      let [low, high] = [0, 0];
      for (let i = Math.floor(from); i < Math.max(Math.ceil(to), Math.floor(from) + 1); i++) {
        const peak = this.peaks[Math.min(i, this.peaks.length - 1)];
        low = Math.min(low, peak[0]);
        high = Math.max(high, peak[1]);
      }
      const scale = (height * 0.46) / top;
      pen.fillStyle = column < done ? waveDone : wave;
      pen.fillRect(column, height / 2 - high * scale, 1, Math.max(ratio, (high - low) * scale));
    }
    pen.fillStyle = colour("--seal");
    pen.fillRect(Math.min(width - 2 * ratio, Math.max(0, done - ratio)), 0, 2 * ratio, height);
  }
}

function clock(second) {
  const whole = Math.max(0, second);
  return `${Math.floor(whole / 60)}:${(whole % 60).toFixed(1).padStart(4, "0")}`;
}
