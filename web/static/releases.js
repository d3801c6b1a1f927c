// Lines that copy themselves, and a table of clips that is heard one at a time, by mouse or keys.

for (const button of document.querySelectorAll("[data-copy]")) {
  const code = button.parentElement.querySelector("code");
  const said = button.textContent;
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "✓";
      setTimeout(() => (button.textContent = said), 1500);
    } catch {
      getSelection().selectAllChildren(code); // no clipboard without TLS: the line is marked, to be copied by hand
    }
  });
}

const audio = new Audio();
const buttons = [...document.querySelectorAll("[data-play]")];
let current = null;

function show() {
  for (const button of buttons) {
    button.setAttribute("aria-pressed", String(button === current && !audio.paused && !audio.ended));
  }
}

function play(button) {
  if (button === current && !audio.paused) return audio.pause();
  if (button !== current) {
    current = button;
    audio.src = button.dataset.play;
  }
  audio.play().catch((error) => {
    if (error.name !== "AbortError") button.disabled = true; // withdrawn meanwhile
  });
}

for (const name of ["play", "pause", "ended", "error"]) audio.addEventListener(name, show);
for (const [place, button] of buttons.entries()) {
  button.hidden = false;
  button.addEventListener("click", () => play(button));
  button.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1, j: 1, k: -1 }[event.key];
    if (!step || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    buttons[Math.min(Math.max(place + step, 0), buttons.length - 1)].focus();
  });
}
