import { data, say, show } from "./page.js";

// Cards: see the symbol, say what it means; see the formula, name its parts. A card that was not
// known comes back after two others, and again on the next page: its name travels in the address.

const REST = 2;

export function recall(store) {
  const box = document.querySelector("[data-recall]");
  if (!box) return;
  const missed = new Set(new URLSearchParams(location.hash.slice(1)).get("again")?.split(",") ?? []);
  const queue = data.cards.filter((card) => card.due || missed.has(card.name));
  const face = box.querySelector("[data-face]");
  const answer = box.querySelector("[data-answer]");
  let shown = 0;

  const buttons = Object.fromEntries(
    ["reveal", "knew", "again"].map((name) => [name, box.querySelector(`[data-card="${name}"]`)]),
  );

  function present() {
    const card = queue[0];
    show("cards-left", queue.length, String(queue.length));
    box.classList.toggle("done", !card);
    answer.hidden = true;
    buttons.reveal.hidden = !card;
    buttons.knew.hidden = buttons.again.hidden = true;
    if (!card) {
      face.textContent = shown ? "That was all. They come back later, when you have half forgotten them." : "";
      say("card-question", "");
      return;
    }
    // The markup of cards is the library's own, made when the page was written.
    face.innerHTML = card.face;
    answer.innerHTML = card.answer;
    say("card-question", card.parts ? "Name each part, aloud or in your head." : "What does it stand for?");
  }

  function settle(known) {
    const card = queue.shift();
    shown += 1;
    if (known) missed.delete(card.name);
    else {
      missed.add(card.name);
      queue.splice(REST, 0, card);
    }
    for (const link of document.querySelectorAll("a.forward")) {
      link.hash = missed.size ? `again=${[...missed].join(",")}` : "";
    }
    present();
    buttons.reveal.focus({ preventScroll: true });
  }

  buttons.reveal.addEventListener("click", () => {
    answer.hidden = buttons.knew.hidden = buttons.again.hidden = false;
    buttons.reveal.hidden = true;
    buttons.knew.focus({ preventScroll: true });
  });
  buttons.knew.addEventListener("click", () => settle(true));
  buttons.again.addEventListener("click", () => settle(false));
  present();
}
