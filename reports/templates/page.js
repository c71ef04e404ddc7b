"use strict";
// Without this class the style sheet hides no rows: a page whose script is blocked shows everything.
document.documentElement.classList.add("js");

document.addEventListener("DOMContentLoaded", () => {
  for (const box of document.querySelectorAll(".table")) {
    const table = box.querySelector("table");
    const body = table.tBodies[0];
    const rows = [...body.rows];
    const first = Number(table.dataset.first);
    const headers = [...table.tHead.rows[0].cells];
    const all = box.querySelector("button.all");
    const scroll = box.querySelector(".scroll");
    const count = box.querySelector(".count");
    const search = box.querySelector("input[type=search]");
    let order = rows;
    let expanded = false;

    function refresh() {
      const wanted = search ? search.value.trim().toLowerCase() : "";
      let matching = 0;
      for (const row of order) {
        const match = !wanted || row.textContent.toLowerCase().includes(wanted);
        matching += match ? 1 : 0;
        row.hidden = !match;
        row.classList.toggle("more", match && !expanded && matching > first);
      }
      if (!all) return;
      const shown = expanded ? matching : Math.min(first, matching);
      const of = wanted ? "matching rows" : "rows";
      count.textContent = `${shown.toLocaleString("en")} of ${matching.toLocaleString("en")} ${of} shown`;
      all.hidden = matching <= first;
      all.textContent = expanded ? `show first ${first}` : "show all";
      all.setAttribute("aria-expanded", String(expanded));
    }

    // A missing value is last in both directions.
    function compare(column, sign) {
      const value = (row) => {
        const cell = row.cells[column];
        if (cell.dataset.value === undefined) return cell.textContent;
        return cell.dataset.value === "" ? null : Number(cell.dataset.value.replace("inf", "Infinity"));
      };
      const values = new Map(rows.map((row) => [row, value(row)]));
      const words = new Intl.Collator("en", { numeric: true });
      return (one, other) => {
        const a = values.get(one);
        const b = values.get(other);
        if (a === null || b === null) return (a === null) - (b === null);
        if (typeof a === "string") return sign * words.compare(a, b);
        return sign * (a < b ? -1 : a > b ? 1 : 0);
      };
    }

    // Ascending, descending, and back to the order of the network.
    function sort(header) {
      const next = { none: "ascending", ascending: "descending", descending: "none" };
      const direction = next[header.getAttribute("aria-sort")];
      for (const each of headers) each.setAttribute("aria-sort", "none");
      header.setAttribute("aria-sort", direction);
      const sign = direction === "descending" ? -1 : 1;
      order = direction === "none" ? rows : [...rows].sort(compare(header.cellIndex, sign));
      body.append(...order);
      refresh();
    }

    for (const header of headers) {
      header.querySelector("button").addEventListener("click", () => sort(header));
    }
    if (search) search.addEventListener("input", refresh);
    if (all) {
      all.addEventListener("click", () => {
        expanded = !expanded;
        scroll.classList.toggle("tall", expanded);
        refresh();
      });
    }
  }
});
