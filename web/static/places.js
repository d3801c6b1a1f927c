// Buttons that play a place in a sound: from its start to its end, then stop.

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-play]");
  if (!button) return;
  const audio = document.getElementById(`sound-${button.dataset.play}`);
  const [from, to] = [Number(button.dataset.from), Number(button.dataset.to)];
  const play = () => {
    audio.currentTime = from;
    audio.ontimeupdate = () => {
      if (audio.currentTime < to) return;
      audio.pause();
      audio.ontimeupdate = null;
    };
    audio.play().catch(() => (audio.ontimeupdate = null));
  };
  if (audio.readyState > 0) play();
  else {
    audio.addEventListener("loadedmetadata", play, { once: true });
    audio.load();
  }
});
