// The page's state, and what happens when something in it is chosen.

import { address, ask, upload } from "./api.js";
import { bars, element, largest, matrix, place } from "./parts.js";

const BARS = 10; // most classes in a list
const $ = (id) => document.getElementById(id);
const state = { key: null, size: [1, 1], pixel: null, category: 0, layer: null, inside: false, groups: [] };
let model = { classes: [], images: [] };

// Run something that asks the server; failures become a message.
function attempt(action) {
  return async (...values) => {
    try {
      await action(...values);
    } catch (error) {
      if (error.name !== "AbortError") tell(error instanceof TypeError ? `No answer: ${error.message}` : error.message, true);
    }
  };
}

function tell(text, failed = false) {
  $("message").textContent = text;
  $("message").hidden = !text;
  $("message").classList.toggle("failed", failed);
}

const start = attempt(async () => {
  model = await ask("describe");
  $("model").textContent = model.model;
  $("category").replaceChildren(...model.classes.map((one, index) => new Option(one.name, index)));
  $("look-inside").textContent = `Look inside the decoder (${model.decoder})`;
  model.images.forEach((key) => list(key, key.slice(key.indexOf("/") + 1)));
  if (model.images.length) await open(model.images[0]);
  else tell("There is no image in the folder; open a photo.");
});

function list(key, name) {
  const button = element("button", { type: "button", textContent: name, title: name });
  button.dataset.key = key;
  button.addEventListener("click", () => open(key));
  $("images").append(element("li", {}, button));
}

const open = attempt(async (key) => {
  tell("Segmenting … the first image of a size takes longer.");
  Object.assign(state, { key, pixel: null, layer: null });
  for (const button of $("images").querySelectorAll("button")) button.ariaCurrent = button.dataset.key === key;
  const found = await ask("segment", { image: key });
  Object.assign(state, { size: [found.height, found.width], groups: found.groups });
  tell("");
  $("stage").style.setProperty("--ratio", found.width / found.height);
  $("image").src = address("image", { image: key });
  $("legend").replaceChildren(...bars(found.shares.slice(0, BARS), model.classes, choose));
  $("notes").textContent = [`${found.width} x ${found.height} pixels, ${found.seconds.toFixed(1)} s`, ...found.notes].join("; ");
  for (const id of ["pixel", "attention", "prototypes"]) $(id).replaceChildren();
  $("mark").hidden = true;
  $("hint").hidden = false;
  $("pixel-title").textContent = "Pixel";
  state.category = found.shares[0][0];
  $("category").value = state.category;
  showClasses();
  if (state.inside) await lookInside();
  else await showMaps();
  $("look-inside").hidden = state.inside || !model.decoder;
});

function showClasses() {
  state.layer = null;
  $("overlay").src = address("classes", { image: state.key });
  $("shown").textContent = "classes";
  $("back").hidden = true;
}

function choose(category) {
  state.category = category;
  $("category").value = category;
  return showMaps("category");
}

const choosePixel = attempt(async (pixel) => {
  if (!state.key) return;
  state.pixel = pixel;
  $("mark").hidden = false;
  $("mark").style.top = `${(100 * (pixel[0] + 0.5)) / state.size[0]}%`;
  $("mark").style.left = `${(100 * (pixel[1] + 0.5)) / state.size[1]}%`;
  await Promise.all([showPixel(), showMaps("pixel")]);
});

async function showPixel() {
  const [row, column] = state.pixel;
  const found = await ask("pixel", { image: state.key, row, column });
  $("hint").hidden = true;
  $("pixel-title").textContent = `Pixel (${row}, ${column})`;
  $("pixel").replaceChildren(...bars(largest(found.probabilities, BARS), model.classes, choose));
  $("attention").replaceChildren(...Object.entries(found.attention).map(([block, shares]) =>
    element("section", {}, element("h3", { textContent: `Attention to prototypes, ${block}` }),
      element("ul", { className: "bars" }, ...bars(largest(shares, BARS), model.classes, choose)))));
}

const lookInside = attempt(async () => {
  tell("Looking inside … the first image of a size takes longer.");
  const found = await ask("inside", { image: state.key });
  tell("");
  Object.assign(state, { inside: true, groups: found.groups });
  $("look-inside").hidden = true;
  const alike = Object.entries(found.prototypes).map(([block, values]) => matrix(block, values, model.classes));
  $("prototypes").replaceChildren(...(alike.length ? [element("h3", { textContent: "How alike the prototypes are: cosine similarity" }), ...alike] : []));
  await Promise.all([showMaps(), state.pixel ? showPixel() : null]);
});

// Draw the maps anew: all of them, or those that change with the class or the pixel.
const showMaps = attempt(async (of = null) => {
  if (!of) {
    $("groups").replaceChildren(...state.groups.map((group) =>
      element("section", {}, element("h3", { textContent: group.title }), element("div", { className: "row" },
        ...Object.entries(group.maps).map(([name, title]) => figure(name, title))))));
  }
  const [row, column] = state.pixel ?? state.size.map((side) => Math.floor(side / 2));
  const names = state.groups.filter((group) => !of || group.of === of).flatMap((group) => Object.keys(group.maps));
  await Promise.all(names.map(async (name) => {
    const question = { image: state.key, map: name, category: state.category, row, column };
    const found = await ask("map", question, `map ${name}`);
    const shown = $("groups").querySelector(`[data-map="${name}"]`);
    shown.querySelector("img").src = found.source;
    shown.querySelector("output").textContent = `${found.low.toPrecision(2)} … ${found.high.toPrecision(2)}`;
    if (state.layer === name) $("overlay").src = found.source;
  }));
});

function figure(name, title) {
  const image = element("img", { alt: title });
  image.style.aspectRatio = state.size[1] / state.size[0];
  const button = element("button", { type: "button", title: "show it over the image" }, image);
  button.addEventListener("click", () => {
    state.layer = name;
    $("overlay").src = image.src;
    $("shown").textContent = title;
    $("back").hidden = false;
  });
  const made = element("figure", {}, button, element("figcaption", { textContent: title }), element("output"));
  made.dataset.map = name;
  return made;
}

const send = attempt(async (file) => {
  tell(`Sending ${file.name} …`);
  const { key } = await upload(file);
  list(key, file.name);
  await open(key);
});

const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

$("opacity").addEventListener("input", () => { $("overlay").style.opacity = $("opacity").value / 100; });
$("stage").addEventListener("click", (event) => choosePixel(place(event, $("stage"), ...state.size)));
$("stage").addEventListener("keydown", (event) => {
  if (!(event.key in STEPS)) return;
  event.preventDefault();
  const from = state.pixel ?? state.size.map((side) => Math.floor(side / 2));
  const step = event.shiftKey ? 10 : 1;
  choosePixel(from.map((at, axis) => Math.max(0, Math.min(state.size[axis] - 1, at + step * STEPS[event.key][axis]))));
});
$("stage").addEventListener("dragover", (event) => event.preventDefault());
$("stage").addEventListener("drop", (event) => {
  event.preventDefault();
  if (event.dataTransfer.files.length) send(event.dataTransfer.files[0]);
});
$("photo").addEventListener("change", () => {
  if ($("photo").files.length) send($("photo").files[0]);
  $("photo").value = "";
});
$("category").addEventListener("change", () => choose(Number($("category").value)));
$("look-inside").addEventListener("click", lookInside);
$("back").addEventListener("click", showClasses);
start();
