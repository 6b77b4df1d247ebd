"use strict";
const table = document.getElementById("images");
const body = table.tBodies[0];
const value = (row, n) => {
  const cell = row.cells[n];
  return cell.dataset.v !== undefined ? cell.dataset.v : cell.textContent.trim();
};
const sort = (header, n) => {
  const up = header.getAttribute("aria-sort") !== "ascending";
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", up ? "ascending" : "descending");
  const numeric = header.classList.contains("n");
  const compare = (one, other) => {
    const [a, b] = [value(one, n), value(other, n)];
    if (a === "" || b === "") return (a === "") - (b === "");
    const order = numeric ? a - b : a.localeCompare(b, undefined, { numeric: true });
    return up ? order : -order;
  };
  body.append(...[...body.rows].sort(compare));
};
[...table.tHead.rows[0].cells].forEach((header, n) => {
  if (header.dataset.sort === undefined) return;
  const button = document.createElement("button");
  button.type = "button";
  button.append(...header.childNodes);
  header.append(button);
  button.addEventListener("click", () => sort(header, n));
});
