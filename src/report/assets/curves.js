// Curves of all runs over each other, drawn by uPlot. All charts share the zoom and the cursor.

const SHOWN_FIRST = ["loss", "lr", "mIoU", "mAcc", "aAcc"];
const NOT_CURVES = ["step", "epoch"];
const HIDDEN_FIRST = ["grad_norm", "images_per_second", "loss_scale", "overflows"];

/** What there is to draw: {id, title, split, name}, training first. */
function findCurves() {
  const found = new Map();
  for (const run of RUNS) {
    for (const [split, columns] of Object.entries(run.curves)) {
      for (const name of Object.keys(columns).filter((key) => !NOT_CURVES.includes(key))) {
        const id = `${split}/${name}`;
        found.set(id, { id, split, name, title: split === TRAINING ? name : `${name}, ${split}` });
      }
    }
  }
  const curves = [...found.values()];
  return [...curves.filter((one) => one.split === TRAINING), ...curves.filter((one) => one.split !== TRAINING)];
}

/** Of the training everything but the machinery is shown, and parts of the loss only where there are several. */
function shownFirst(curve, _, curves) {
  const part = (one) => one.split === TRAINING && ![...SHOWN_FIRST, ...HIDDEN_FIRST].includes(one.name);
  return SHOWN_FIRST.includes(curve.name) || (part(curve) && curves.filter(part).length > 1);
}

/** Running mean over a share of the curve, shorter at its ends; what is missing stays so. */
function smoothed(values, share) {
  const half = Math.floor((values.length * share) / 2);
  if (!half) return values;
  const sums = [0],
    counts = [0];
  values.forEach((value, index) => {
    sums.push(sums[index] + (value ?? 0));
    counts.push(counts[index] + (value === null ? 0 : 1));
  });
  return values.map((value, index) => {
    const [from, to] = [Math.max(0, index - half), Math.min(values.length, index + half + 1)];
    return value === null ? null : (sums[to] - sums[from]) / (counts[to] - counts[from]);
  });
}

/** uPlot's data and series of one curve: of every run the smoothed values, and faint below them the logged ones. */
function seriesOf(curve, settings) {
  const drawable = (value) => (value === null || (settings.log && value <= 0) ? null : value);
  const tables = [],
    series = [{ label: "step" }];
  const line = (run, values, options) => {
    tables.push([run.curves[curve.split].step, values]);
    series.push({
      label: run.name,
      dash: run.dash,
      width: 2,
      value: (_, value) => short(value),
      points: { show: values.length < 40 },
      ...options,
    });
  };
  for (const run of RUNS) {
    const logged = run.curves[curve.split]?.[curve.name]?.map(drawable);
    if (!logged) continue;
    const share = curve.split === TRAINING ? settings.smoothing : 0;
    if (share) line(run, logged, { stroke: `${run.color}50`, width: 1, class: "logged", points: { show: false } });
    line(run, smoothed(logged, share), { stroke: run.color });
  }
  return { data: uPlot.join(tables), series };
}

function axis(options = {}) {
  const ink = () => styleValue("--ink-soft");
  return {
    stroke: ink,
    grid: { stroke: () => styleValue("--line"), width: 1 },
    ticks: { stroke: () => styleValue("--line"), width: 1 },
    font: "12px system-ui",
    ...options,
  };
}

/** One chart in `holder`; zoom([from, to]) or zoom(null) is called when its user asks for these steps. */
function drawChart(holder, curve, settings, zoom) {
  const { data, series } = seriesOf(curve, settings);
  const options = {
    width: holder.clientWidth || 400,
    height: 240,
    series,
    cursor: {
      sync: {
        key: "steps",
        scales: ["x", null],
        filters: { pub: (type) => ["mousemove", "mouseleave"].includes(type) },
      },
      y: false,
      drag: { x: true, y: false, setScale: false },
      bind: { dblclick: () => () => zoom(null) },
    },
    scales: { x: { time: false }, y: { distr: settings.log ? 3 : 1 } },
    axes: [axis(), axis({ size: 64, values: (_, ticks) => ticks.map((tick) => (tick === null ? "" : short(tick))) })],
    hooks: {
      setSelect: [
        (chart) => {
          const { left, width } = chart.select;
          if (width) zoom([left, left + width].map((pixels) => chart.posToVal(pixels, "x")));
          chart.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        },
      ],
    },
  };
  return new uPlot(options, data, holder);
}

/** Move the cursor of a chart to the next logged step, or to the ends. */
function moveCursor(chart, key) {
  const steps = chart.data[0];
  const inside = (index) => Math.max(0, Math.min(steps.length - 1, index));
  const now = chart.cursor.idx ?? 0;
  const index = inside({ ArrowLeft: now - 1, ArrowRight: now + 1, Home: 0, End: steps.length - 1 }[key]);
  chart.setCursor({ left: chart.valToPos(steps[index], "x"), top: chart.over.clientHeight / 2 });
}

class Curves {
  constructor(section) {
    this.curves = findCurves();
    this.settings = { smoothing: 0.05, log: false };
    this.shown = new Set(this.curves.filter(shownFirst).map((curve) => curve.id));
    this.charts = [];
    this.range = null;
    this.grid = element("div", { class: "charts" });
    section.append(this.controls(), this.grid);
    this.draw();
    themeListeners.push(() => this.charts.forEach((chart) => chart.redraw(false, true)));
    new ResizeObserver(() =>
      this.charts.forEach((chart) => {
        const width = chart.root.parentElement.clientWidth;
        if (width && width !== chart.width) chart.setSize({ width, height: chart.height });
      }),
    ).observe(this.grid);
  }

  controls() {
    const redraw = () => this.draw();
    const smoothing = element("input", {
      type: "range",
      min: 0,
      max: 0.5,
      step: 0.01,
      value: this.settings.smoothing,
      input: (event) => {
        this.settings.smoothing = Number(event.target.value);
        redraw();
      },
    });
    const log = element("input", {
      type: "checkbox",
      change: (event) => {
        this.settings.log = event.target.checked;
        redraw();
      },
    });
    const bound = () =>
      element("input", {
        type: "number",
        min: 0,
        change: () => this.zoom([Number(this.from.value), Number(this.to.value)]),
      });
    [this.from, this.to] = [bound(), bound()];
    const boxes = this.curves.map((curve) =>
      labeled(
        curve.title,
        element("input", {
          type: "checkbox",
          checked: this.shown.has(curve.id),
          change: (event) => {
            this.shown[event.target.checked ? "add" : "delete"](curve.id);
            redraw();
          },
        }),
      ),
    );
    return element(
      "div",
      {},
      element(
        "div",
        { class: "controls" },
        labeled("Smoothing", smoothing),
        labeled("Logarithmic", log),
        labeled("From step", this.from),
        labeled("to", this.to),
        element("button", { type: "button", click: () => this.zoom(null) }, "Whole range"),
      ),
      element(
        "details",
        {},
        element("summary", {}, "Which curves"),
        element("div", { class: "controls boxes" }, ...boxes),
      ),
      element(
        "p",
        { class: "note" },
        "Drag over a chart to zoom, double-click for the whole range; a click on a name hides that run. " +
          "With the keyboard: focus a chart and move along it with the arrow keys, or type the steps above." +
          this.thinned(),
      ),
    );
  }

  thinned() {
    const most = Math.max(...RUNS.map((run) => run.thinned));
    return most > 1 ? ` Long curves are thinned: one logged point in ${most} is shown.` : "";
  }

  draw() {
    this.charts.forEach((chart) => chart.destroy());
    this.charts = [];
    const holders = this.curves
      .filter((curve) => this.shown.has(curve.id))
      .map((curve) => {
        const holder = element("div", {
          class: "chart",
          tabindex: "0",
          role: "group",
          "aria-label": `chart of ${curve.title}`,
        });
        return [curve, holder, element("figure", {}, element("figcaption", {}, curve.title), holder)];
      });
    this.grid.replaceChildren(...holders.map(([, , figure]) => figure));
    for (const [curve, holder] of holders) {
      const chart = drawChart(holder, curve, this.settings, (range) => this.zoom(range));
      holder.addEventListener("keydown", (event) => {
        if (!["ArrowLeft", "ArrowRight", "Home", "End"].includes(event.key)) return;
        event.preventDefault();
        moveCursor(chart, event.key);
      });
      this.charts.push(chart);
    }
    this.zoom(this.range);
  }

  /** Show steps `range` = [from, to], or all of them, in every chart. */
  zoom(range) {
    if (!range || range[0] < range[1]) this.range = range;
    for (const chart of this.charts) {
      if (this.range) chart.setScale("x", { min: this.range[0], max: this.range[1] });
      else chart.setData(chart.data);
    }
    this.showRange();
  }

  /** Write the steps that are shown into the controls. */
  showRange() {
    const all = this.charts.map((chart) => chart.data[0]).filter((steps) => steps.length);
    const [from, to] = this.range ?? [
      Math.min(...all.map((steps) => steps[0])),
      Math.max(...all.map((steps) => steps.at(-1))),
    ];
    if (Number.isFinite(from)) [this.from.value, this.to.value] = [Math.round(from), Math.round(to)];
  }
}

function showCurves(section) {
  if (!RUNS.some((run) => Object.keys(run.curves).length)) return false;
  new Curves(section);
  return true;
}
