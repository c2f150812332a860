// Below a figure: a slider over the points of its curves; what was measured there stands beside it as bars and in words.
// The rows come from the records, inside the page: nothing is fetched.
"use strict";

document.addEventListener("DOMContentLoaded", () => document.querySelectorAll("div.slider").forEach(build));

function build(box, number) {
  const { label, told, panels } = JSON.parse(box.querySelector("script").textContent);
  if (!panels.length) return;
  const head = add(box, "p", { class: "controls" });
  const choice = panels.length > 1 ? add(add(head, "label", {}, "Show "), "select") : null;
  for (const [i, panel] of panels.entries()) if (choice) add(choice, "option", { value: i }, panel.title);
  const name = add(head, "label", { for: `slider-${number}` }, `${label}: `);
  const shown = add(name, "strong");
  const range = add(head, "input", { type: "range", id: `slider-${number}`, min: 0, step: 1 });
  add(box, "p", { class: "told" }, told);
  const list = add(box, "ul");
  const spoken = add(box, "p", { class: "spoken", "aria-live": "polite" });
  let panel, speaking;

  function choose() {
    panel = panels[choice ? choice.value : 0];
    range.max = panel.at.length - 1;
    range.value = panel.start;
    list.replaceChildren();
    for (const line of panel.lines) {
      const item = add(list, "li", { style: `--light: ${line.colours[0]}; --dark: ${line.colours[1]}` });
      add(item, "span", { class: "name" }, line.name);
      const bar = add(item, "span", { class: "bar", "aria-hidden": "true" });
      add(bar, "i", { class: "mean" });
      add(bar, "i", { class: "interval" });
      add(item, "span", { class: "words" });
    }
    show();
  }

  function show() {
    const at = panel.at[range.value].toLocaleString("en", { maximumSignificantDigits: 3 });
    const words = panel.lines.map(line => inWords(line, line.values[range.value]));
    shown.textContent = at;
    range.setAttribute("aria-valuetext", at);
    panel.lines.forEach((line, i) => {
      const [mean, low, high] = line.values[range.value], item = list.children[i];
      item.querySelector(".mean").style.width = `${mean ?? 0}%`;
      item.querySelector(".interval").hidden = low === undefined;
      Object.assign(item.querySelector(".interval").style, { left: `${low}%`, width: `${high - low}%` });
      item.querySelector(".words").textContent = words[i];
    });
    clearTimeout(speaking);  // once, where the reader has stopped
    const sentence = `${label} ${at}: ${panel.lines.map((line, i) => `${line.name} ${words[i]}`).join("; ")}.`;
    speaking = setTimeout(() => { spoken.textContent = sentence; }, 400);
  }

  range.addEventListener("input", show);
  choice?.addEventListener("change", choose);
  choose();
}

function inWords({ seeds }, [mean, low, high]) {
  if (mean === undefined) return "not measured here";
  return seeds === 1 ? `${mean.toFixed(1)} %, one seed` : `${mean.toFixed(1)} % [${low.toFixed(1)}, ${high.toFixed(1)}], ${seeds} seeds`;
}

function add(parent, tag, attributes = {}, text = "") {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.textContent = text;
  parent.append(made);
  return made;
}
