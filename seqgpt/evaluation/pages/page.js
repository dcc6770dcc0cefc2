// All is there without this script: it filters, sorts, and opens what a link points to.
"use strict";
const all = (selector, inside = document) => [...inside.querySelectorAll(selector)];

for (const tools of all(".tools")) tools.hidden = false;

function openTarget() {
  const target = document.getElementById(location.hash.slice(1));
  const section = target && target.closest("details");
  if (!section) return;
  section.open = true;
  section.scrollIntoView();
}
addEventListener("hashchange", openTarget);
openTarget();

const search = document.getElementById("search");
search?.addEventListener("input", () => {
  const words = search.value.toLowerCase().split(/\s+/);
  for (const one of all("[data-search]"))
    one.hidden = !words.every((word) => one.dataset.search.toLowerCase().includes(word));
});

for (const heading of all("th[data-sort]"))
  heading.addEventListener("click", () => {
    const body = heading.closest("table").tBodies[0];
    const column = heading.cellIndex;
    const value = (row) => {
      const words = row.cells[column].textContent;
      return heading.dataset.sort === "number" ? parseFloat(words) : words;
    };
    const sign = (heading.dataset.sign = heading.dataset.sign === "-1" ? "1" : "-1");
    const rows = [...body.rows].map((row) => [value(row), row]);
    rows.sort(([a], [b]) => {
      if (typeof a === "string") return -sign * a.localeCompare(b);
      return Number.isNaN(a) - Number.isNaN(b) || sign * (a - b);
    });
    body.append(...rows.map(([, row]) => row));
  });

for (const tools of all(".tools[data-listing]")) {
  const articles = all("article", tools.parentElement);
  const filter = () => {
    const kinds = all("input:checked", tools).map((box) => box.value);
    const words = tools.querySelector("input[type=search]").value.toLowerCase();
    let left = 0;
    for (const one of articles) {
      one.hidden =
        !one.dataset.kinds.split(" ").some((kind) => kinds.includes(kind)) ||
        !one.textContent.toLowerCase().includes(words);
      left += !one.hidden;
    }
    tools.querySelector("output").textContent = left === articles.length ? "" : `${left} of ${articles.length}`;
  };
  tools.addEventListener("input", filter);
}
