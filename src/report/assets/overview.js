// The table of the runs, and where each result comes from.

/** The highest and the last mIoU that a training logged. */
function loggedScores(run) {
  const splits = Object.entries(run.curves).filter(([split]) => split !== TRAINING);
  const scores = splits.flatMap(([, columns]) => columns.mIoU || []).filter((score) => score !== null);
  return { best: scores.length ? Math.max(...scores) : null, last: scores.at(-1) };
}

function lastStep(run) {
  const steps = Object.values(run.curves).flatMap((columns) => columns.step);
  return steps.reduce((most, step) => Math.max(most, step), 0) || null;
}

/** Seconds of all sessions that have ended; null where none is known. */
function trainingSeconds(run) {
  const ended = run.sessions.filter((session) => session.ended);
  return ended.length
    ? ended.reduce((sum, one) => sum + (Date.parse(one.ended) - Date.parse(one.started)) / 1000, 0)
    : null;
}

function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 120) return `${Math.round(seconds)} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

/** Median of the logged training speed. */
function speed(run) {
  const found = (run.curves[TRAINING]?.images_per_second || []).filter(Boolean).sort((a, b) => a - b);
  return found.length ? found[found.length >> 1] : null;
}

/** Of the training's last session, or of the evaluation; null where neither knows it. */
function usedCommit(run) {
  return run.sessions.at(-1)?.commit ?? run.evaluation?.commit ?? null;
}

function showOverview(section) {
  const score = (run, name) => run.evaluation?.scores[name] ?? null;
  const columns = [
    { title: "run", cell: runName, value: (run) => run.index },
    { title: "mIoU", value: (run) => score(run, "mIoU"), hint: "of the evaluation whose images are below, in percent" },
    {
      title: "aAcc",
      value: (run) => score(run, "aAcc"),
      hint: "share of the labeled pixels that are right, in percent",
    },
    { title: "mAcc", value: (run) => score(run, "mAcc"), hint: "mean over the classes of the share that is right" },
    { title: "best mIoU", value: (run) => loggedScores(run).best, hint: "of all evaluations during the training" },
    { title: "last mIoU", value: (run) => loggedScores(run).last ?? null, hint: "of the last one during the training" },
    { title: "steps", value: lastStep, cell: (run) => String(lastStep(run) ?? "–") },
    { title: "trained for", value: trainingSeconds, cell: (run) => duration(trainingSeconds(run)) },
    { title: "images/s", value: speed, cell: (run) => fixed(speed(run), 1), hint: "median of the training" },
    {
      title: "protocol",
      value: (run) => run.evaluation?.scores.protocol.mode ?? null,
      cell: (run) => run.evaluation?.scores.protocol.mode ?? "–",
    },
    {
      title: "commit",
      value: usedCommit,
      cell: (run) => usedCommit(run) ?? "–",
      hint: "of the training, if it is known, or else of the evaluation",
    },
  ];
  section.append(sortableTable("The runs of this report", columns, RUNS));
  const missing = RUNS.filter((run) => !run.evaluation).map((run) => run.name);
  if (missing.length) {
    section.append(
      element(
        "p",
        { class: "note" },
        `Without an evaluation: ${missing.join(", ")}. `,
        "Run eval.py on the checkpoint and add its output folder to see classes and images.",
      ),
    );
  }
}

/** Rows of a list of facts; those without a value are left out. */
function facts(pairs) {
  const known = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return element(
    "dl",
    {},
    ...known.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, String(value))]),
  );
}

function showOrigin(section) {
  section.append(element("p", { class: "note" }, `Written ${DATA.created}, commit ${DATA.commit ?? "unknown"}.`));
  for (const run of RUNS) {
    const parts = run.evaluation ? [evaluationFacts(run.evaluation)] : [];
    parts.push(...run.sessions.map(sessionFacts));
    section.append(element("h3", {}, runName(run)), facts([["folder", run.folder]]), ...parts);
  }
}

function evaluationFacts(evaluation) {
  const { scores } = evaluation;
  return element(
    "details",
    {},
    element("summary", {}, "Evaluation"),
    facts([
      ["split", `${evaluation.split}, ${scores.images} images`],
      ["protocol", scores.protocol.mode],
      ["weights", scores.protocol.weights],
      ["absent classes", scores.absent_classes.join(", ")],
      ["date", evaluation.date],
      ["took", duration(evaluation.seconds)],
      ["commit", evaluation.commit],
      ["device", evaluation.device],
      ...Object.entries(evaluation.environment),
    ]),
  );
}

function sessionFacts(session, index) {
  const title = `Training${index ? `, continued at step ${session.from_step}` : ""}`;
  return element(
    "details",
    {},
    element("summary", {}, title),
    facts([
      ["started", session.started],
      ["ended", session.ended ?? "not noted: killed, or still running"],
      ["steps", `${session.from_step} to ${session.to_step}`],
      ["command", session.command],
      ["commit", session.commit],
      ["device", session.device],
      ["workers", session.workers],
      ...Object.entries(session.environment),
    ]),
  );
}
