// Cards of the images. A card decodes its pictures when it comes into view and lets go of them when it leaves.

class Card {
  /** runs: those whose predictions are shown, one picture each. */
  constructor(image, runs, gallery) {
    Object.assign(this, { image, runs, gallery, loaded: null, visible: false });
    this.canvases = runs.map(() => element("canvas", { "aria-hidden": "true" }));
    this.canvases.forEach((canvas) => {
      canvas.style.aspectRatio = `${image.size[1]} / ${image.size[0]}`;
    });
    this.status = element("span", { class: "status" }, this.summary());
    const button = element(
      "button",
      { type: "button", class: "pictures", "aria-label": `open ${image.name}`, click: () => gallery.open(image) },
      ...this.canvases,
    );
    this.canvases.forEach((canvas, index) =>
      canvas.addEventListener("mousemove", (event) => {
        if (this.loaded)
          this.status.textContent = pixelText(event, canvas, this.loaded[index], RUNS[image.run].evaluation.classes);
      }),
    );
    button.addEventListener("mouseleave", () => {
      this.status.textContent = this.summary();
    });
    this.root = element(
      "li",
      { class: "card", "data-name": image.name },
      button,
      element("span", { class: "name" }, image.name),
      this.status,
    );
  }

  summary() {
    return this.runs
      .map((run) => {
        const { wrong, mIoU } = this.image.results[run.index];
        return wrong === null ? "no label" : `${fixed(wrong, 1)} % wrong, mIoU ${fixed(mIoU, 1)}`;
      })
      .join(" · ");
  }

  async show() {
    this.visible = true;
    const loaded = await Promise.all(this.runs.map((run) => loadLayers(this.image, run)));
    if (!this.visible) return; // scrolled away meanwhile
    this.loaded = loaded;
    this.draw();
    this.root.dataset.drawn = "true";
  }

  hide() {
    this.visible = false;
    this.loaded = null;
    delete this.root.dataset.drawn;
  }

  draw() {
    this.loaded?.forEach((loaded, index) => drawBlend(this.canvases[index], loaded, this.gallery.blend));
  }
}
