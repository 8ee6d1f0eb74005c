// Lists as files: CSV of what the table shows, YAML of the objects themselves. All of it through the REST API, with the
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

const REST = { q: "q", sort: "sort", cluster: "cluster", project: "project", workspace: "workspace", user: "user", namespace: "namespace" };
const LIMIT = 500;
const MOST = 100_000;

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

/** Every row that the present question finds, page by page. `source` is the kind's REST collection. */
export async function exportAll(source, query, progress) {
  const params = new URLSearchParams({ limit: String(LIMIT) });
  for (const [name, value] of query) {
    if (REST[name] && value) params.append(REST[name], value);
    if (name.startsWith("f.") && value) params.append(name.slice(2), value);
  }
  const rows = [];
  for (;;) {
    const response = await answerOf(await fetch(`${source}?${params}`, { headers: { accept: "application/json" } }));
    const answer = await response.json();
    rows.push(...answer.data);
    progress(rows.length);
    const next = answer.page?.next;
    if (!next || rows.length >= MOST) return rows;
    params.set("cursor", next);
  }
}

/** The objects of rows as one YAML stream. */
export async function toYaml(source, rows) {
  const documents = [];
  for (const row of rows) {
    const params = new URLSearchParams();
    if (row._cluster) params.set("cluster", row._cluster);
    if (row._ns) params.set("namespace", row._ns);
    const response = await answerOf(
      await fetch(`${source}/${encodeURIComponent(row.name)}/raw?${params}`, { headers: { accept: "application/yaml" } }),
    );
    documents.push(`# ${[row._cluster, row._ns, row.name].filter(Boolean).join(" / ")}\n${(await response.text()).trimEnd()}`);
  }
  return `${documents.join("\n---\n")}\n`;
}
