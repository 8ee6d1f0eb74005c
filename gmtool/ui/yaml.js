// Colours for YAML that is only read: key, text, number, comment. An editor would cost 300 KB; this costs forty lines.

const ENTRY = /^(\s*(?:- )*)("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^\s#:'"[{&*!|>%@`-][^:#]*?|[^\s#:]+)(:)(?=\s|$)(.*)$/;
const NUMBER = /^[-+]?(\d[\d_]*(\.\d+)?([eE][-+]?\d+)?|true|false|null|~)$/;

function value(text) {
  const comment = /(^|\s)#.*$/.exec(text);
  const quoted = /^\s*["']/.test(text);
  const body = comment && !quoted ? text.slice(0, comment.index) : text;
  const parts = [];
  if (body.trim()) {
    const lead = body.length - body.trimStart().length;
    if (lead) parts.push(["", body.slice(0, lead)]);
    parts.push([NUMBER.test(body.trim()) ? "d" : "v", body.slice(lead)]);
  }
  if (comment && !quoted) parts.push(["c", comment[0]]);
  return parts;
}

/** Lines of [class, text] pairs; the text of all pairs put together is the input. */
export function tokens(source) {
  let block = -1; // indentation of the key whose block text we are in
  return String(source ?? "").split("\n").map((line) => {
    const indent = line.length - line.trimStart().length;
    if (block >= 0 && (indent > block || !line.trim())) return line ? [["v", line]] : [];
    block = -1;
    if (!line.trim()) return [];
    if (/^\s*#/.test(line)) return [["c", line]];
    if (line === "---") return [["c", line]];
    const entry = ENTRY.exec(line);
    if (!entry) {
      const [, lead, rest] = /^(\s*(?:- )*)(.*)$/.exec(line);
      return [["", lead], ...value(rest)];
    }
    const [, lead, key, colon, rest] = entry;
    if (/^\s*[|>][-+\d]*\s*$/.test(rest)) block = indent;
    return [["", lead], ["k", key], ["", colon], ...value(rest)];
  });
}
