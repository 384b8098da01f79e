// Draws the page's charts, in the colours of its style sheet, and again when these change.
"use strict";

const dark = matchMedia("(prefers-color-scheme: dark)");
const finger = matchMedia("(pointer: coarse)");

// A chart names its colours as a style sheet does: var(--name).
function coloured(value, style) {
  if (typeof value === "string") {
    const name = /^var\((--[a-z-]+)\)$/.exec(value);
    return name ? style.getPropertyValue(name[1]).trim() : value;
  }
  if (Array.isArray(value)) return value.map((each) => coloured(each, style));
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, coloured(each, style)]));
  }
  return value;
}

function draw() {
  const style = getComputedStyle(document.documentElement);
  for (const plot of document.querySelectorAll(".plot")) {
    const { traces, layout } = coloured(JSON.parse(plot.parentElement.querySelector("script").textContent), style);
    layout.font.family = style.getPropertyValue("--sans");
    // A finger that moves over a chart wants to scroll the page.
    layout.dragmode = finger.matches ? false : "zoom";
    Plotly.react(plot, traces, layout, { responsive: true, displayModeBar: false });
  }
}

draw();
dark.addEventListener("change", draw);
