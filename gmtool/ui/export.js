// Rows as files: CSV of what the table shows, YAML of the objects themselves. The objects come from the REST API with the
// reader's own session, so that a file holds nothing that its maker may not see.

const FORMULA = /^[=+\-@\t\r]/; // a spreadsheet would run it

function cell(value, type) {
  let out = value;
  if (value === null || value === undefined) out = "";
  else if (Array.isArray(value)) out = value.join(" ");
  else if (type === "time" && typeof value === "number") out = new Date(value * 1000).toISOString().replace(".000Z", "Z");
  out = String(out);
  if (FORMULA.test(out) && !/^-?\d+(\.\d+)?$/.test(out)) out = `'${out}`;
  return /[",\r\n]/.test(out) ? `"${out.replaceAll('"', '""')}"` : out;
}

/** CSV (RFC 4180, with a byte order mark so that spreadsheets read Korean) of rows, in the columns that are shown. */
export function toCsv(rows, columns, heading) {
  const lines = [columns.map((column) => cell(heading(column))).join(",")];
  for (const row of rows) lines.push(columns.map((column) => cell(row[column.key], column.type)).join(","));
  return `\uFEFF${lines.join("\r\n")}\r\n`;
}

async function answerOf(response) {
  if (response.ok) return response;
  let reason = `${response.status}`;
  try {
    const problem = await response.json();
    reason = problem.detail ?? problem.title ?? reason;
  } catch {
    // Not a problem document: the status has to do.
  }
  throw new Error(reason);
}

/** The objects of rows as one YAML stream; `source` is where the API shows one object of the rows' kind. */
export async function toYaml(source, rows) {
  const documents = [];
  for (const row of rows) {
    const where = Object.entries({ cluster: row._cluster, namespace: row.namespace, format: "yaml" }).filter(([, value]) => value);
    const [path, query] = source.split("?");
    const response = await answerOf(await fetch(`${path}/${encodeURIComponent(row.name)}?${new URLSearchParams([...new URLSearchParams(query), ...where])}`));
    documents.push(`# ${[row._cluster, row.namespace, row.name].filter(Boolean).join(" / ")}\n${(await response.text()).trimEnd()}`);
  }
  return `${documents.join("\n---\n")}\n`;
}
