// The configurations: what differs between the runs, and all keys.

function configText(run, key) {
  return key in run.config ? JSON.stringify(run.config[key]) : "–";
}

function configTable(caption, keys) {
  const columns = [
    { title: "key", value: (key) => key, cell: (key) => key },
    ...RUNS.map((run) => ({
      title: run.name,
      head: [swatch(run.color), run.name],
      value: (key) => configText(run, key),
      cell: (key) =>
        element(
          "code",
          { class: configText(run, key) === configText(RUNS[0], key) ? "" : "changed" },
          configText(run, key),
        ),
    })),
  ];
  return sortableTable(caption, columns, keys);
}

function showConfig(section) {
  const keys = [...new Set(RUNS.flatMap((run) => Object.keys(run.config)))];
  const differing = keys.filter((key) => new Set(RUNS.map((run) => configText(run, key))).size > 1);
  if (differing.length) section.append(configTable("Keys that differ between the runs", differing));
  else if (RUNS.length > 1) section.append(element("p", {}, "The runs have the same configuration."));
  const all = element("details", {}, element("summary", {}, `All ${keys.length} keys`));
  all.addEventListener("toggle", () => {
    if (all.children.length === 1) all.append(configTable("All keys", keys));
  });
  section.append(all);
  return keys.length > 0;
}
