// Pieces of the page that are made of data.

export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

// A row per class: color, name, share as a bar; a click chooses the class.
export function bars(rows, classes, choose) {
  return rows.map(([category, share]) => {
    const color = element("span", { className: "color" });
    color.style.background = classes[category].color;
    const bar = element("span", { className: "bar" });
    bar.style.width = `${100 * share}%`;
    const name = element("span", { className: "name", textContent: classes[category].name });
    const button = element("button", { type: "button" }, color, name, bar,
      element("span", { className: "share", textContent: percent(share) }));
    button.dataset.category = category;
    button.addEventListener("click", () => choose(category));
    return element("li", {}, button);
  });
}

export function percent(share) {
  return `${(100 * share).toFixed(1)} %`;
}

// The largest shares of a list, as [category, share].
export function largest(shares, count) {
  return [...shares.entries()].sort((a, b) => b[1] - a[1]).slice(0, count);
}

// Cosine similarities between the classes; the pointer tells two names and the number.
export function matrix(title, values, classes) {
  const count = values.length;
  const canvas = element("canvas", { width: count, height: count });
  const context = canvas.getContext("2d");
  values.forEach((row, i) => row.forEach((value, j) => {
    const rest = 255 * (1 - Math.min(1, Math.abs(value)));
    context.fillStyle = value < 0 ? `rgb(${rest}, ${rest}, 255)` : `rgb(255, ${rest}, ${rest})`;
    context.fillRect(j, i, 1, 1);
  }));
  const told = element("output", { textContent: alike(values, classes) });
  canvas.addEventListener("pointermove", (event) => {
    const [row, column] = place(event, canvas, count, count);
    told.textContent = `${classes[row].name} – ${classes[column].name}: ${values[row][column].toFixed(2)}`;
  });
  canvas.addEventListener("pointerleave", () => { told.textContent = alike(values, classes); });
  return element("figure", {}, canvas, element("figcaption", { textContent: title }), told);
}

function alike(values, classes) {
  let best = [0, 0, -Infinity];
  values.forEach((row, i) => row.forEach((value, j) => { if (i < j && value > best[2]) best = [i, j, value]; }));
  return best[2] === -Infinity ? "" : `most alike: ${classes[best[0]].name} – ${classes[best[1]].name}: ${best[2].toFixed(2)}`;
}

// (row, column) of a pointer in an element that shows that many rows and columns.
export function place(event, shown, rows, columns) {
  const box = shown.getBoundingClientRect();
  const at = (offset, length, count) => Math.max(0, Math.min(count - 1, Math.floor((offset / length) * count)));
  return [at(event.clientY - box.top, box.height, rows), at(event.clientX - box.left, box.width, columns)];
}
