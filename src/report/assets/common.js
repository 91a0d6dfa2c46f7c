// What all parts share: the data, elements, numbers, colors of runs, light and dark.

const DATA = JSON.parse(document.getElementById("data").textContent);
const RUNS = DATA.runs;
const TRAINING = ""; // the name of the training's curves among those of the splits
const EVALUATED = RUNS.filter((run) => run.evaluation);
const MIDDLE_TONES = ["#2f7fd1", "#e0701a", "#2b9a66", "#c2569b", "#b8860b", "#3a9fbf", "#8d6fd1", "#a05a3c"];

RUNS.forEach((run, index) => {
  run.index = index;
  run.color = MIDDLE_TONES[index % MIDDLE_TONES.length];
  run.dash = index < MIDDLE_TONES.length ? undefined : [8, 4];
});

/** An element with attributes (functions become listeners of that event) and children, texts among them. */
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name, value);
    else if (value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

let fields = 0;

/** A control behind its label. */
function labeled(text, control) {
  control.id ||= `field-${(fields += 1)}`;
  return element("span", { class: "field" }, element("label", { for: control.id }, text), control);
}

/** A select with options [value, text]. */
function choice(options, change) {
  const made = element("select", { change: () => change(made.value) });
  made.append(...options.map(([value, text]) => element("option", { value }, text)));
  return made;
}

/** A select of runs, and of none if that has a name. */
function chooseRun(runs, change, none) {
  const options = runs.map((run) => [run.index, run.name]);
  return choice(none ? [["", none], ...options] : options, (value) => change(value === "" ? null : RUNS[value]));
}

/** A run's name behind its color. */
function runName(run) {
  return element("span", { class: "run" }, swatch(run.color), run.name);
}

function swatch(color) {
  const made = element("span", { class: "swatch", "aria-hidden": "true" });
  made.style.background = color;
  return made;
}

function rgb(color) {
  return `rgb(${color.join(",")})`;
}

/** A number with a fixed count of decimals; a dash where there is none. */
function fixed(value, decimals = 2) {
  return value === null || value === undefined ? "–" : value.toFixed(decimals);
}

/** A number with four significant digits. */
function short(value) {
  return value === null || value === undefined ? "–" : String(Number(value.toPrecision(4)));
}

/** A value of a style variable, which depends on light and dark. */
function styleValue(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

const THEMES = ["as the system", "light", "dark"];
const themeListeners = []; // called when light and dark may have changed

function startTheme() {
  const button = document.getElementById("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  let chosen = 0;
  const apply = () => {
    document.documentElement.dataset.theme = chosen ? THEMES[chosen] : system.matches ? "dark" : "light";
    button.textContent = `Colors: ${THEMES[chosen]}`;
    themeListeners.forEach((listener) => listener());
  };
  button.addEventListener("click", () => {
    chosen = (chosen + 1) % THEMES.length;
    apply();
  });
  system.addEventListener("change", apply);
  apply();
}
