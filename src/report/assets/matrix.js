// The confusion matrix: a heat map whose cells tell their numbers, and the largest confusions as a table.

const LISTED = 15; // largest confusions

/** Counts of an evaluation: [K][K], rows are labels; shares of each label in percent. */
function confusionOf(evaluation) {
  const size = evaluation.classes.length;
  const counts = Array.from({ length: size }, () => new Float64Array(size));
  for (const [label, prediction, count] of evaluation.confusion) counts[label][prediction] = count;
  const sums = counts.map((row) => row.reduce((a, b) => a + b, 0));
  const shares = counts.map((row, label) => row.map((count) => (sums[label] ? (100 * count) / sums[label] : 0)));
  return { counts, shares };
}

/** [red, green, blue] of a share: from `empty` to blue or, below 0, to red; small ones enlarged by a root. */
function heat(share, empty) {
  const part = Math.sqrt(Math.abs(share) / 100);
  const full = share < 0 ? [200, 70, 20] : [33, 102, 172];
  return full.map((value, index) => Math.round(empty[index] + (value - empty[index]) * part));
}

class Matrix {
  constructor(section) {
    this.own = EVALUATED[0];
    this.other = null;
    this.cell = [0, 0];
    this.canvas = element("canvas", { tabindex: "0", role: "img", id: "matrix-canvas" });
    this.readout = element("p", { class: "readout", role: "status" });
    this.list = element("div");
    const same = EVALUATED.filter((run) => run.evaluation.classes.join() === this.own.evaluation.classes.join());
    const again = (name) => (value) => {
      this[name] = value;
      this.draw();
    };
    const [run, minus] = [chooseRun(same, again("own")), chooseRun(same, again("other"), "nothing")];
    const controls = element("div", { class: "controls" }, labeled("Run", run), labeled("minus", minus));
    controls.hidden = same.length < 2;
    section.append(
      controls,
      element(
        "p",
        { class: "note" },
        "Rows are labels, columns are predictions; a cell is the share of the " +
          "label's pixels that are predicted so. Arrow keys move over the matrix; Enter or a click shows the images " +
          "with that confusion.",
      ),
      this.readout,
      element("div", { class: "side" }, element("div", { class: "scroll matrix" }, this.canvas), this.list),
    );
    this.listen();
    themeListeners.push(() => this.draw());
    this.draw();
  }

  listen() {
    const at = (event) => {
      const box = this.canvas.getBoundingClientRect();
      const place = [event.clientY - box.top, event.clientX - box.left].map((pixels) =>
        Math.floor((pixels - this.margin) / this.side),
      );
      return place.every((index) => index >= 0 && index < this.names.length) ? place : null;
    };
    this.canvas.addEventListener("mousemove", (event) => at(event) && this.point(at(event)));
    this.canvas.addEventListener("click", (event) => at(event) && this.openImages(...at(event)));
    this.canvas.addEventListener("keydown", (event) => {
      const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
      if (event.key === "Enter") this.openImages(...this.cell);
      if (!step) return;
      event.preventDefault();
      this.point(this.cell.map((index, way) => Math.max(0, Math.min(this.names.length - 1, index + step[way]))));
    });
  }

  openImages(label, prediction) {
    if (label !== prediction) showConfusion(this.own, this.names[label], this.names[prediction]);
  }

  draw() {
    this.names = this.own.evaluation.classes;
    this.empty = styleValue("--paper-rgb").split(",").map(Number);
    const { counts, shares } = confusionOf(this.own.evaluation);
    const base = this.other && confusionOf(this.other.evaluation).shares;
    this.counts = counts;
    this.shares = base ? shares.map((row, label) => row.map((share, guess) => share - base[label][guess])) : shares;
    const count = this.names.length;
    this.side = Math.max(4, Math.min(40, Math.floor(620 / count)));
    this.margin = this.side >= 12 ? 104 : 8;
    const extent = this.margin + count * this.side + 1;
    const density = devicePixelRatio || 1;
    [this.canvas.width, this.canvas.height] = [extent * density, extent * density];
    this.canvas.style.width = this.canvas.style.height = `${extent}px`;
    this.canvas.setAttribute(
      "aria-label",
      `confusion matrix of ${count} classes, ${this.own.name}${this.other ? ` minus ${this.other.name}` : ""}`,
    );
    this.context = this.canvas.getContext("2d");
    this.context.scale(density, density);
    this.paint();
    this.point(this.cell);
    this.fillList();
  }

  paint() {
    const { context, side, margin, names } = this;
    this.shares.forEach((row, label) => row.forEach((share, guess) => this.paintCell(label, guess, share)));
    if (margin < 20) return;
    context.fillStyle = styleValue("--ink");
    context.font = `${Math.min(13, side - 2)}px system-ui`;
    context.textBaseline = "middle";
    names.forEach((name, index) => {
      context.textAlign = "right";
      context.fillText(name, margin - 6, margin + (index + 0.5) * side, margin - 8);
      context.save();
      context.translate(margin + (index + 0.5) * side, margin - 6);
      context.rotate(-Math.PI / 2);
      context.textAlign = "left";
      context.fillText(name, 0, 0, margin - 8);
      context.restore();
    });
  }

  paintCell(label, guess, share) {
    const { context, side, margin } = this;
    const color = heat(share, this.empty);
    const [x, y] = [margin + guess * side, margin + label * side];
    context.fillStyle = rgb(color);
    context.fillRect(x, y, side - (side > 8 ? 1 : 0), side - (side > 8 ? 1 : 0));
    if (side < 24 || Math.abs(share) < 0.05) return;
    context.fillStyle = 0.3 * color[0] + 0.6 * color[1] + 0.1 * color[2] > 140 ? "#000" : "#fff";
    [context.font, context.textAlign, context.textBaseline] = ["11px system-ui", "center", "middle"];
    context.fillText(share.toFixed(Math.abs(share) < 9.95 ? 1 : 0), x + side / 2, y + side / 2, side - 2);
  }

  /** Mark a cell and tell its numbers. */
  point(cell) {
    const { side, margin } = this;
    const [oldLabel, oldGuess] = this.cell;
    this.context.clearRect(margin + oldGuess * side - 1, margin + oldLabel * side - 1, side + 1, side + 1);
    this.paintCell(oldLabel, oldGuess, this.shares[oldLabel][oldGuess]);
    for (const [label, guess] of [
      [oldLabel - 1, oldGuess],
      [oldLabel, oldGuess - 1],
      [oldLabel - 1, oldGuess - 1],
    ]) {
      if (label >= 0 && guess >= 0) this.paintCell(label, guess, this.shares[label][guess]);
    }
    this.cell = cell;
    const [label, guess] = cell;
    this.context.strokeStyle = styleValue("--mark");
    this.context.lineWidth = 2;
    this.context.strokeRect(margin + guess * side, margin + label * side, side - 1, side - 1);
    this.readout.textContent = this.told(label, guess);
  }

  told(label, guess) {
    const share = `${fixed(this.shares[label][guess])} %`;
    const names = `label ${this.names[label]}, prediction ${this.names[guess]}: ${share}`;
    return this.other
      ? `${names} more than ${this.other.name}`
      : `${names} of the label, ${this.counts[label][guess].toLocaleString("en")} pixels`;
  }

  fillList() {
    const found = this.counts.flatMap((row, label) =>
      [...row].map((count, guess) => ({ label, guess, count, share: this.shares[label][guess] })),
    );
    const largest = found
      .filter(({ label, guess, count }) => label !== guess && count)
      .sort((a, b) => b.count - a.count)
      .slice(0, LISTED);
    if (!largest.length) return this.list.replaceChildren();
    const open = ({ label, guess }) =>
      element(
        "button",
        { type: "button", click: () => this.openImages(label, guess) },
        `${this.names[label]} → ${this.names[guess]}`,
      );
    this.list.replaceChildren(
      sortableTable(
        "Largest confusions: label → prediction",
        [
          {
            title: "confusion",
            value: ({ label, guess }) => `${this.names[label]} → ${this.names[guess]}`,
            cell: open,
          },
          { title: "pixels", value: ({ count }) => count, cell: ({ count }) => count.toLocaleString("en") },
          { title: this.other ? "difference, %" : "% of label", value: ({ share }) => share },
        ],
        largest,
      ),
    );
  }
}

function showMatrix(section) {
  if (!EVALUATED.length) return false;
  new Matrix(section);
  return true;
}
