// What scrolls is within reach of the keyboard, and a word of the glossary says what it means.
"use strict";

const SCROLLS = "figure, pre, table, .pst-scrollable-table-container, .math";

function reach() {
  for (const one of document.querySelectorAll(SCROLLS))
    if (one.scrollWidth > one.clientWidth && getComputedStyle(one).overflowX !== "visible") one.tabIndex = 0;
}

addEventListener("load", reach);
addEventListener("resize", () => setTimeout(reach, 400)); // the theme takes its own stops away first

// The theme's arrow in the list of pages has no name of its own.
addEventListener("DOMContentLoaded", () => {
  for (const one of document.querySelectorAll("nav li > details > summary")) one.setAttribute("aria-label", "Pages below this one");
});

// Below the word, under the pointer and under the focus; Escape takes it away, and the pointer may rest on it.
const said = Object.assign(document.createElement("div"), { id: "said", role: "tooltip", hidden: true });

function say({ target }) {
  const word = target.closest?.("a[data-said]");
  if (!word) return;
  said.textContent = word.dataset.said;
  said.hidden = false;
  word.setAttribute("aria-describedby", said.id);
  const { left, bottom } = word.getBoundingClientRect();
  said.style.left = `${Math.max(8, Math.min(left, document.documentElement.clientWidth - said.offsetWidth - 8))}px`;
  said.style.top = `${bottom}px`;
}

function hush(event) {
  if (event.relatedTarget !== said && (event.type !== "keydown" || event.key === "Escape")) said.hidden = true;
}

addEventListener("DOMContentLoaded", () => {
  if (!document.querySelector("a[data-said]")) return;
  document.body.append(said);
  for (const type of ["pointerover", "focusin"]) document.addEventListener(type, say);
  for (const type of ["pointerout", "focusout", "keydown"]) document.addEventListener(type, hush);
  addEventListener("scroll", hush, true);
});
