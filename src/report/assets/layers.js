// The four layers of an image: photo, label, prediction and error, decoded when they are first needed.

const PICTURES = JSON.parse(document.getElementById("pictures").textContent);
const LAYERS = ["image", "label", "prediction", "error"];
const IGNORED = 255; // of labels: pixels without a class

async function decode(number, kind) {
  const image = new Image();
  image.src = `data:image/${kind};base64,${PICTURES[number]}`;
  await image.decode();
  return image;
}

function newCanvas(width, height) {
  return Object.assign(document.createElement("canvas"), { width, height });
}

/** Pixels of an image, RGBA. */
function pixelsOf(image) {
  const context = newCanvas(image.width, image.height).getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  return context.getImageData(0, 0, image.width, image.height);
}

/** A canvas whose pixel i is color(i), [red, green, blue]. */
function paintLayer(width, height, color) {
  const canvas = newCanvas(width, height);
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(width, height);
  for (let index = 0; index < width * height; index += 1) {
    const [red, green, blue] = color(index);
    pixels.data[4 * index] = red;
    pixels.data[4 * index + 1] = green;
    pixels.data[4 * index + 2] = blue;
    pixels.data[4 * index + 3] = 255;
  }
  context.putImageData(pixels, 0, 0);
  return canvas;
}

/**
 * Layers of an image for one run: {width, height, layers: canvases in the order of LAYERS, label, prediction: ids}.
 * The error layer is the dimmed photo; wrong pixels are orange, those without a label black.
 */
async function loadLayers(image, run) {
  const result = image.results[run.index];
  const [photo, labelPicture, predictionPicture] = await Promise.all([
    decode(image.photo, "jpeg"),
    decode(image.label, "png"),
    decode(result.prediction, "png"),
  ]);
  const { width, height } = photo;
  const photoPixels = pixelsOf(photo).data;
  const idsOf = (picture) => pixelsOf(picture).data.filter((_, index) => index % 4 === 0);
  const [label, prediction] = [idsOf(labelPicture), idsOf(predictionPicture)];
  const { colors } = RUNS[image.run].evaluation;
  const black = [0, 0, 0];
  const ofClass = (ids) => paintLayer(width, height, (index) => colors[ids[index]] ?? black);
  const gray = (index) =>
    15 + 0.12 * (photoPixels[4 * index] + 2 * photoPixels[4 * index + 1] + photoPixels[4 * index + 2]);
  const error = paintLayer(width, height, (index) => {
    if (label[index] === IGNORED) return black;
    return label[index] === prediction[index] ? [gray(index), gray(index), gray(index)] : [255, 150, 30];
  });
  return { width, height, label, prediction, layers: [photo, ofClass(label), ofClass(prediction), error] };
}

/** Draw the position `blend` of 0..3 between the layers. */
function drawBlend(canvas, loaded, blend) {
  if (canvas.width !== loaded.width || canvas.height !== loaded.height) {
    [canvas.width, canvas.height] = [loaded.width, loaded.height];
  }
  const context = canvas.getContext("2d");
  const below = Math.min(LAYERS.length - 1, Math.floor(blend));
  context.globalAlpha = 1;
  context.drawImage(loaded.layers[below], 0, 0);
  if (blend > below) {
    context.globalAlpha = blend - below;
    context.drawImage(loaded.layers[below + 1], 0, 0);
  }
}

/** The slider's position in words. */
function blendText(blend) {
  const below = Math.floor(blend);
  const percent = Math.round(100 * (blend - below));
  return percent ? `${100 - percent} % ${LAYERS[below]}, ${percent} % ${LAYERS[below + 1]}` : LAYERS[below];
}

/** What the pixel under the pointer is labeled and predicted. */
function pixelText(event, canvas, loaded, classes) {
  const box = canvas.getBoundingClientRect();
  const column = Math.floor(((event.clientX - box.left) / box.width) * loaded.width);
  const row = Math.floor(((event.clientY - box.top) / box.height) * loaded.height);
  const index = row * loaded.width + column;
  const name = (id) => classes[id] ?? "none";
  return `label ${name(loaded.label[index])}, prediction ${name(loaded.prediction[index])}`;
}
