// One image, large: all its layers side by side, the classes under the pointer, and its scores.

class Viewer {
  constructor(gallery) {
    this.gallery = gallery;
    this.dialog = document.getElementById("viewer");
    this.title = element("h2", { id: "viewer-title" });
    this.panels = element("div", { class: "panels" });
    this.readout = element("p", { class: "readout", role: "status" }, "Point at a pixel to see its classes.");
    this.scores = element("div");
    const button = (text, click, label) => element("button", { type: "button", click, "aria-label": label }, text);
    this.dialog.append(
      element(
        "div",
        { class: "bar-line" },
        this.title,
        button("←", () => this.go(-1), "previous image"),
        button("→", () => this.go(1), "next image"),
        button("Close", () => this.dialog.close()),
      ),
      this.panels,
      this.readout,
      this.scores,
    );
    this.dialog.addEventListener("keydown", (event) => {
      const way = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (way) this.go(way);
    });
  }

  go(way) {
    const shown = this.gallery.shown;
    const index = shown.indexOf(this.image) + way;
    if (index >= 0 && index < shown.length) this.open(shown[index]);
  }

  async open(image) {
    this.image = image;
    this.title.textContent = image.name;
    if (!this.dialog.open) this.dialog.showModal();
    const runs = RUNS.filter((run) => image.results[run.index]);
    const loaded = await Promise.all(runs.map((run) => loadLayers(image, run)));
    if (this.image !== image) return;
    const panels = [
      ["image", loaded[0], 0],
      ["label", loaded[0], 1],
    ];
    runs.forEach((run, index) => {
      const name = (layer) => (runs.length > 1 ? [layer, " ", runName(run)] : [layer]);
      panels.push([name("prediction"), loaded[index], 2], [name("error"), loaded[index], 3]);
    });
    this.panels.replaceChildren(...panels.map(([caption, own, layer]) => this.panel(caption, own, layer)));
    this.scores.replaceChildren(this.table(runs));
  }

  panel(caption, loaded, layer) {
    const canvas = element("canvas", { "aria-hidden": "true" });
    drawBlend(canvas, loaded, layer);
    const { classes } = RUNS[this.image.run].evaluation;
    canvas.addEventListener("mousemove", (event) => {
      this.readout.textContent = pixelText(event, canvas, loaded, classes);
    });
    return element("figure", {}, element("figcaption", {}, ...[].concat(caption)), canvas);
  }

  table(runs) {
    const { classes, colors } = RUNS[this.image.run].evaluation;
    const present = new Set(runs.flatMap((run) => Object.keys(this.image.results[run.index].IoU)));
    const rows = [...present].map((index) => ({ index, name: classes[index], color: colors[index] }));
    const columns = [{ title: "class", value: ({ name }) => name, cell: className }];
    for (const run of runs) {
      const value = ({ index }) => this.image.results[run.index].IoU[index] ?? null;
      columns.push({
        title: `IoU ${run.name}`,
        head: ["IoU ", swatch(run.color), run.name],
        value,
        cell: (row) => barCell(value(row)),
      });
    }
    return rows.length
      ? sortableTable("IoU of the classes in this image, in percent", columns, rows)
      : element("p", {}, "No pixel has a label.");
  }
}
