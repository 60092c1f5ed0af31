import { keep, kept } from "./memory.js";
import { data, renotate, say, show } from "./page.js";

// Cards, both ways: from the symbol to its meaning, from the meaning to the symbol. A card that was
// not known comes back after two others, on every later page, and the next day, until it is known.
// Where the browser keeps nothing its name travels in the addresses of the links.

const REST = 2;

export function recall() {
  const box = document.querySelector("[data-recall]");
  if (!box) return;
  const travelled = new URLSearchParams(location.hash.slice(1)).get("again");
  const missed = new Set((travelled ?? kept("missed") ?? "").split(",").filter(Boolean));
  const queue = data.cards.filter((card) => card.due || missed.has(card.name));
  queue.sort((a, b) => missed.has(b.name) - missed.has(a.name));
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
    renotate(box);
    say("card-question", card.question);
  }

  function settle(known) {
    const card = queue.shift();
    shown += 1;
    if (known) missed.delete(card.name);
    else {
      missed.add(card.name);
      queue.splice(REST, 0, card);
    }
    carry([...missed].join(","));
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
  carry([...missed].join(","));
  present();
}

function carry(names) {
  if (keep("missed", names)) return;
  for (const link of document.querySelectorAll("a.forward, .site a")) link.hash = names ? `again=${names}` : "";
}
