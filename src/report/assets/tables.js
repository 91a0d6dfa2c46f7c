// Tables that sort by a click on a column's head.

/**
 * A table in a box that scrolls.
 * columns: {title, value(row): number, text or null, cell(row): content (default: the value), hint}.
 */
function sortableTable(caption, columns, rows) {
  const body = element("tbody");
  const heads = columns.map((column) => {
    const button = element(
      "button",
      { type: "button", title: column.hint, click: () => sort(column) },
      ...[].concat(column.head ?? column.title),
    );
    return element("th", { scope: "col", "aria-sort": "none" }, button);
  });
  let sorted = { column: null, sign: 1 };

  function sort(column) {
    const first = typeof column.value(rows[0]) === "string" ? 1 : -1; // texts from A, numbers from the largest
    sorted = { column, sign: sorted.column === column ? -sorted.sign : first };
    heads.forEach((head, index) => {
      const own = columns[index] === column;
      head.setAttribute("aria-sort", own ? (sorted.sign > 0 ? "ascending" : "descending") : "none");
    });
    fill([...rows].sort((a, b) => compare(column.value(a), column.value(b), sorted.sign)));
  }

  function fill(ordered) {
    body.replaceChildren(
      ...ordered.map((row) =>
        element(
          "tr",
          {},
          ...columns.map((column, index) => {
            const content = column.cell ? column.cell(row) : fixed(column.value(row));
            return element(index ? "td" : "th", { scope: index ? undefined : "row" }, content);
          }),
        ),
      ),
    );
  }

  fill(rows);
  const table = element(
    "table",
    {},
    element("caption", {}, caption),
    element("thead", {}, element("tr", {}, ...heads)),
    body,
  );
  return element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption }, table);
}

/** Order of two values; those that are missing come last, whatever the direction. */
function compare(a, b, sign) {
  if (a === null || b === null) return (a === null) - (b === null);
  return sign * (typeof a === "string" ? a.localeCompare(b) : a - b);
}
