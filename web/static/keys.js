// Shortcuts. Alt with a letter, never Shift, Ctrl+Space or Ctrl with a mark: those belong to input methods.

const NAMED = {
  KeyK: "play",
  KeyJ: "back",
  KeyL: "loop",
  Comma: "slower",
  Period: "faster",
  KeyN: "next",
  KeyA: "apply",
  Digit1: "choice1",
  Digit2: "choice2",
  Digit3: "choice3",
};

/** @param {Record<string, () => void>} actions */
export function listen(actions) {
  addEventListener("keydown", (event) => {
    if (event.isComposing || event.keyCode === 229 || document.querySelector("dialog[open]")) return;
    let name;
    if (event.altKey && !event.ctrlKey && !event.metaKey && !event.shiftKey) name = NAMED[event.code];
    else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) name = "submit";
    if (!name || !actions[name]) return;
    event.preventDefault();
    actions[name]();
  });
}
