// The page's state, and what happens when something in it is chosen.

import { address, ask, forget, upload } from "./api.js";
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
  clear();
  tell("Segmenting … the first image of a size takes longer.");
  for (const button of $("images").querySelectorAll("button")) button.ariaCurrent = button.dataset.key === key;
  const found = await ask("segment", { image: key });
  tell("");
  Object.assign(state, { key, size: [found.height, found.width], groups: found.groups });
  $("stage").style.setProperty("--ratio", found.width / found.height);
  $("image").src = address("image", { image: key });
  $("legend").replaceChildren(...bars(found.shares.slice(0, BARS), model.classes, choose));
  const size = `${found.width} x ${found.height} pixels`;
  $("notes").textContent = [size, `${found.seconds.toFixed(1)} s`, ...found.notes].join("; ");
  state.category = found.shares[0][0];
  $("category").value = state.category;
  showClasses();
  $("look-inside").hidden = state.inside || !model.decoder;
  await (state.inside ? lookInside() : showMaps());
});

// Forget the image before; until the next one is segmented there is none.
function clear() {
  forget();
  Object.assign(state, { key: null, pixel: null, layer: null, groups: [] });
  for (const id of ["legend", "pixel", "attention", "groups", "prototypes", "notes", "shown"]) $(id).replaceChildren();
  for (const id of ["image", "overlay"]) $(id).removeAttribute("src");
  for (const id of ["mark", "back", "look-inside"]) $(id).hidden = true;
  $("hint").hidden = false;
  $("pixel-title").textContent = "Pixel";
}

function showClasses() {
  state.layer = null;
  $("overlay").src = address("classes", { image: state.key });
  $("shown").textContent = "classes";
  $("back").hidden = true;
}

function choose(category) {
  state.category = category;
  $("category").value = category;
  if (state.key) showMaps("category");
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
  state.inside = true; // of the images opened from now on, too
  const found = await ask("inside", { image: state.key });
  tell("");
  state.groups = found.groups;
  $("look-inside").hidden = true;
  const alike = Object.entries(found.prototypes).map(([block, values]) => matrix(block, values, model.classes));
  if (alike.length) alike.unshift(element("h3", { textContent: "Cosine similarity of the prototypes: red 1, white 0, blue -1" }));
  $("prototypes").replaceChildren(...alike);
  await Promise.all([showMaps(), state.pixel ? showPixel() : null]);
});

// Draw the maps anew: all of them, or those that change with the class or the pixel.
const showMaps = attempt(async (of = null) => {
  if (!of) {
    $("groups").replaceChildren(...state.groups.map((group) =>
      element("section", {}, element("h3", { textContent: group.title }), element("div", { className: "row" },
        ...Object.entries(group.maps).map(([name, one]) => figure(name, one))))));
  }
  const [row, column] = state.pixel ?? state.size.map((side) => Math.floor(side / 2));
  const names = state.groups.filter((group) => !of || group.of === of).flatMap((group) => Object.keys(group.maps));
  await Promise.all(names.map(async (name) => {
    const question = { image: state.key, map: name, category: state.category, row, column };
    const found = await ask("map", question, `map ${name}`);
    const shown = $("groups").querySelector(`[data-map="${name}"]`);
    shown.querySelector("img").src = found.source;
    for (const end of ["low", "high"]) shown.querySelector(`.${end}`).textContent = short(found[end]);
    if (state.layer === name) $("overlay").src = found.source;
  }));
});

function short(value) {
  return String(Number(value.toPrecision(2)));
}

function figure(name, { title, colors }) {
  const image = element("img", { alt: title });
  image.style.aspectRatio = state.size[1] / state.size[0];
  const button = element("button", { type: "button", title: "show it over the image" }, image);
  button.addEventListener("click", () => {
    state.layer = name;
    $("overlay").src = image.src;
    $("shown").textContent = title;
    $("back").hidden = false;
  });
  const scale = element("span", { className: `scale ${colors}` });
  const values = ["low", "high"].map((end) => element("output", { className: end }));
  const made = element("figure", {}, button, element("figcaption", { textContent: title }),
    element("div", { className: "range" }, values[0], scale, values[1]));
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
