// Scores per class, and their differences to those of the first run.

const CLASS_SCORES = ["IoU", "Acc", "Precision", "Fscore"];

/** Names of the classes of all runs, with a color: a run's own, in its order. */
function allClasses() {
  const found = new Map();
  for (const { evaluation } of EVALUATED) {
    evaluation.classes.forEach((name, index) => found.has(name) || found.set(name, evaluation.colors[index]));
  }
  return [...found].map(([name, color]) => ({ name, color }));
}

/** Share of a class in the labeled pixels of an evaluation, in percent. */
function labelShares(evaluation) {
  const sums = evaluation.classes.map(() => 0);
  for (const [label, , count] of evaluation.confusion) sums[label] += count;
  const total = sums.reduce((a, b) => a + b, 0);
  return new Map(evaluation.classes.map((name, index) => [name, total ? (100 * sums[index]) / total : null]));
}

function className({ name, color }) {
  return element("span", { class: "run" }, swatch(rgb(color)), name);
}

/** A score with a bar behind it. */
function barCell(value) {
  const made = element("span", { class: "bar" }, fixed(value));
  made.style.setProperty("--share", `${value ?? 0}%`);
  return made;
}

function differenceCell(value) {
  if (value === null) return "–";
  const kind = Math.abs(value) < 0.005 ? "same" : value > 0 ? "better" : "worse";
  const sign = { same: "", better: "▲ +", worse: "▼ −" }[kind];
  return element("span", { class: kind }, `${sign}${fixed(Math.abs(value))}`);
}

function classColumns(score) {
  const [first, ...others] = EVALUATED;
  const shares = labelShares(first.evaluation);
  const value = (run, { name }, which) => run.evaluation.scores.per_class[name]?.[which] ?? null;
  const columns = [
    { title: "class", value: ({ name }) => name, cell: className },
    { title: "share", value: ({ name }) => shares.get(name) ?? null, hint: "of the labeled pixels, in percent" },
  ];
  const scoreColumn = (run, which, title, head) => ({
    title,
    head,
    hint: `${which} of ${run.name}, in percent`,
    value: (row) => value(run, row, which),
    cell: (row) => barCell(value(run, row, which)),
  });
  if (!others.length) return [...columns, ...CLASS_SCORES.map((which) => scoreColumn(first, which, which))];
  columns.push(...EVALUATED.map((run) => scoreColumn(run, score, run.name, [swatch(run.color), run.name])));
  for (const run of others) {
    const difference = (row) => {
      const [own, base] = [value(run, row, score), value(first, row, score)];
      return own === null || base === null ? null : own - base;
    };
    columns.push({
      title: `Δ ${run.name}`,
      head: ["Δ ", swatch(run.color), run.name],
      hint: `${run.name} minus ${first.name}`,
      value: difference,
      cell: (row) => differenceCell(difference(row)),
    });
  }
  return columns;
}

function showClasses(section) {
  if (!EVALUATED.length) return false;
  const holder = element("div");
  const show = (score) =>
    holder.replaceChildren(sortableTable("Scores per class, in percent", classColumns(score), allClasses()));
  if (EVALUATED.length > 1) {
    section.append(
      element(
        "div",
        { class: "controls" },
        labeled(
          "Score",
          choice(
            CLASS_SCORES.map((s) => [s, s]),
            show,
          ),
        ),
      ),
    );
  }
  show(CLASS_SCORES[0]);
  section.append(holder);
  return true;
}
