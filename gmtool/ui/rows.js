// From what the server pushes to rows: a page is pushed once, then patches that hold everything changed since that page.
// A patch replaces the one before it, so that one which was never rendered is no loss.

const objects = new WeakMap();

function objectOf(columns, values) {
  let found = objects.get(values);
  if (!found || found.columns !== columns) {
    const row = {};
    columns.forEach((name, index) => (row[name] = values[index]));
    found = { columns, row };
    objects.set(values, found);
  }
  return found.row;
}

/** The rows and the facts of a page with its newest patch on it; rows that did not change stay the same objects. */
export function assemble(page, patch) {
  if (!page || !page.rows) return null;
  const fits = patch && patch.v === page.v;
  const at = page.cols.indexOf("_id");
  const changed = (fits && patch.rows) || {};
  const order = (fits && patch.order) || null;
  let lists;
  if (order) {
    const held = new Map(page.rows.map((row) => [row[at], row]));
    lists = order.map((id) => changed[id] ?? held.get(id)).filter(Boolean);
  } else {
    lists = page.rows.map((row) => changed[row[at]] ?? row);
  }
  const facts = fits ? { ...page, ...patch.facts } : page;
  return { ...facts, rows: lists.map((row) => objectOf(page.cols, row)) };
}

const isNumber = (value) => typeof value === "number";

/** Order of two values as the server has it: empty last, numbers by size, "2/3" by its parts, text by its code points. */
export function compare(a, b) {
  const none = (value) => value === null || value === undefined || value === "";
  if (none(a) || none(b)) return none(a) ? (none(b) ? 0 : 1) : -1;
  if (isNumber(a) && isNumber(b)) return a - b;
  const [x, y] = [String(a), String(b)];
  return x < y ? -1 : x > y ? 1 : 0;
}

/** Filter and sort rows that are all here (small lists: nothing to ask the server for). */
export function arrange(rows, { q, filters, sort }) {
  const has = (value, wanted) => String(Array.isArray(value) ? value.join(" ") : (value ?? "")).toLowerCase().includes(wanted.toLowerCase());
  let out = rows;
  if (q) out = out.filter((row) => Object.entries(row).some(([name, value]) => !name.startsWith("_") && has(value, q)));
  for (const [name, wanted] of Object.entries(filters)) out = out.filter((row) => has(row[name], wanted));
  if (sort) {
    const name = sort.replace(/^-/, "");
    const sign = sort.startsWith("-") ? -1 : 1;
    const empty = (row) => row[name] === null || row[name] === undefined || row[name] === "";
    out = [...out].sort((a, b) => (empty(a) || empty(b) ? Number(empty(a)) - Number(empty(b)) : sign * compare(a[name], b[name])));
  }
  return out;
}
