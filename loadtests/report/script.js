// Draws the page's charts, in the colours of its style sheet, and again when these change.
"use strict";

const dark = matchMedia("(prefers-color-scheme: dark)");
const finger = matchMedia("(pointer: coarse)");

const axis = {
  title: { text: "", font: { size: 12, color: "var(--quiet)" }, standoff: 6 },
  automargin: true,
  gridcolor: "var(--line)",
  linecolor: "var(--line)",
  zeroline: false,
  tickfont: { color: "var(--quiet)", size: 12 },
};

// The look of all charts; a chart's own layout comes first.
const template = {
  layout: {
    font: { size: 13, color: "var(--ink)" },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    margin: { l: 8, r: 12, t: 12, b: 8 },
    legend: { orientation: "h", x: 0, xanchor: "left", y: 1.02, yanchor: "bottom" },
    hoverlabel: { bgcolor: "var(--card)", bordercolor: "var(--line)", font: { color: "var(--ink)" } },
    xaxis: axis,
    yaxis: axis,
  },
};

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
    layout.template = coloured(template, style);
    layout.font = { family: style.getPropertyValue("--sans") };
    // A finger that moves over a chart wants to scroll the page.
    layout.dragmode = finger.matches ? false : "zoom";
    Plotly.react(plot, traces, layout, { responsive: true, displayModeBar: false });
  }
}

draw();
dark.addEventListener("change", draw);
