// The images: which are shown, in which order, and the slider between their layers.

let showConfusion = () => {}; // (run, name of label, name of prediction): set once there are images

const ORDERS = [
  ["wrong", "most wrong pixels"],
  ["mIoU", "lowest mIoU of the image"],
  ["class", "lowest IoU of a class"],
  ["confusion", "largest confusion"],
  ["difference", "largest difference between the runs"],
  ["name", "name"],
];

class Gallery {
  constructor(section) {
    this.blend = 0;
    this.shown = [];
    this.cards = new Map();
    this.runs = EVALUATED.filter((run) => DATA.images.some((image) => image.results[run.index]));
    [this.own, this.second] = [this.runs[0], null];
    this.order = "wrong";
    this.viewer = new Viewer(this);
    this.classes = allClasses();
    [this.label, this.guess] = ["", ""];
    this.list = element("ul", { class: "cards" });
    this.count = element("p", { class: "note", role: "status" });
    this.observer = new IntersectionObserver(
      (entries) =>
        entries.forEach(({ target, isIntersecting }) => {
          const card = this.cards.get(target);
          if (card) isIntersecting ? card.show() : card.hide();
        }),
      { rootMargin: "300px" },
    );
    section.append(this.sliders(), this.controls(), this.legend(), this.count, this.list);
    showConfusion = (run, label, guess) => {
      if (this.runs.includes(run)) this.own = run;
      [this.order, this.label, this.guess] = ["confusion", label, guess];
      this.refresh();
      section.scrollIntoView();
      this.orderChoice.focus({ preventScroll: true });
    };
    this.refresh();
  }

  sliders() {
    this.slider = element("input", {
      type: "range",
      id: "blend",
      min: 0,
      max: LAYERS.length - 1,
      step: 0.05,
      value: 0,
      "aria-label": "layer of all images",
      input: () => this.setBlend(Number(this.slider.value)),
    });
    const jumps = LAYERS.map((name, index) =>
      element("button", { type: "button", click: () => this.setBlend(index) }, name),
    );
    this.jumps = jumps;
    return element("div", { class: "blend" }, this.slider, element("div", { class: "jumps" }, ...jumps));
  }

  setBlend(blend) {
    this.blend = blend;
    this.slider.value = blend;
    this.slider.setAttribute("aria-valuetext", blendText(blend));
    this.jumps.forEach((button, index) => button.setAttribute("aria-pressed", String(index === blend)));
    this.cards.forEach((card) => card.draw());
  }

  controls() {
    const several = this.runs.length > 1;
    const again = (name) => (value) => {
      this[name] = value;
      this.refresh();
    };
    const names = this.classes.map(({ name }) => [name, name]);
    this.orderChoice = choice(
      ORDERS.filter(([key]) => several || key !== "difference"),
      again("order"),
    );
    this.orderChoice.id = "order";
    this.labelChoice = choice([["", "any"], ...names], again("label"));
    this.guessChoice = choice([["", "any"], ...names], again("guess"));
    [this.labelBox, this.guessBox] = [labeled("class", this.labelChoice), labeled("predicted as", this.guessChoice)];
    this.ownChoice = chooseRun(this.runs, again("own"));
    this.secondChoice = chooseRun(this.runs, again("second"), "nothing");
    const runs = several ? [labeled("Run", this.ownChoice), labeled("beside", this.secondChoice)] : [];
    return element(
      "div",
      { class: "controls" },
      labeled("Order by", this.orderChoice),
      this.labelBox,
      this.guessBox,
      ...runs,
    );
  }

  legend() {
    return element(
      "details",
      { open: this.classes.length <= 40 },
      element("summary", {}, "Colors of the classes"),
      element("div", { class: "legend" }, ...this.classes.map(className)),
    );
  }

  /** Larger comes first; null leaves the image out. */
  key(image) {
    const result = image.results[this.own.index];
    const { classes } = RUNS[image.run].evaluation;
    if (this.order === "mIoU") return result.mIoU === null ? null : -result.mIoU;
    if (this.order === "difference") return this.second ? result.wrong - image.results[this.second.index].wrong : null;
    if (this.order === "class") {
      const iou = result.IoU[classes.indexOf(this.label)];
      return iou === undefined ? null : -iou;
    }
    if (this.order === "confusion") {
      const fits = ([label, guess]) =>
        [
          [this.label, label],
          [this.guess, guess],
        ].every(([name, id]) => !name || classes[id] === name);
      const pixels = result.confusions.filter(fits).reduce((sum, [, , count]) => sum + count, 0);
      return pixels ? pixels / result.labeled : null;
    }
    return result.wrong ?? -1;
  }

  refresh() {
    if (this.order === "difference") this.second ??= this.runs.find((run) => run !== this.own);
    if (this.order === "class") this.label ||= this.classes[0].name;
    const pictured = [...new Set([this.own, this.second].filter(Boolean))];
    [this.orderChoice.value, this.labelChoice.value, this.guessChoice.value] = [this.order, this.label, this.guess];
    [this.ownChoice.value, this.secondChoice.value] = [this.own.index, this.second?.index ?? ""];
    this.labelBox.hidden = !["class", "confusion"].includes(this.order);
    this.guessBox.hidden = this.order !== "confusion";
    const candidates = DATA.images.filter((image) => pictured.every((run) => image.results[run.index]));
    const keyed = candidates
      .map((image) => [image, this.order === "name" ? 0 : this.key(image)])
      .filter(([, key]) => key !== null);
    keyed.sort(([a, keyA], [b, keyB]) => keyB - keyA || a.name.localeCompare(b.name, undefined, { numeric: true }));
    this.shown = keyed.map(([image]) => image);
    this.fill(pictured);
  }

  fill(runs) {
    this.observer.disconnect();
    this.cards = new Map(
      this.shown.map((image) => {
        const card = new Card(image, runs, this);
        return [card.root, card];
      }),
    );
    this.list.style.setProperty("--pictures", runs.length);
    this.list.replaceChildren(...this.cards.keys());
    this.cards.forEach((_, root) => this.observer.observe(root));
    const left = DATA.images.length < DATA.imagesScored;
    this.count.textContent =
      `${this.shown.length} of ${DATA.imagesScored} images` +
      (left
        ? `. This page has ${DATA.images.length} of ` +
          "them: half are those with the most wrong pixels, half are spread evenly over the split."
        : "");
    this.setBlend(this.blend);
  }

  open(image) {
    this.viewer.open(image);
  }
}

function showImages(section) {
  if (!DATA.images.length) return false;
  new Gallery(section);
  return true;
}
