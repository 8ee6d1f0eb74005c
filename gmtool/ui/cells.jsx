// How a value of each column type is shown. Numbers and ages stand right, so that their digits line up.
import { Age, CopyButton, Cut, Status, serverNow, useTicking, useWords } from "./base.jsx";

const RIGHT = new Set(["int", "float", "bytes", "duration", "time"]);
export const isRight = (type) => RIGHT.has(type);

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

export function bytes(value) {
  let size = Number(value);
  let unit = 0;
  while (size >= 1024 && unit < UNITS.length - 1) {
    size /= 1024;
    unit += 1;
  }
  return `${size >= 100 || Number.isInteger(size) ? Math.round(size) : size.toFixed(1)} ${UNITS[unit]}`;
}

const SOON = 30 * 86400;

/** When something ends, as a date: it warns a month ahead, and says so when it is over. */
function Until({ at }) {
  const words = useWords();
  const tone = useTicking(() => (at <= serverNow() ? "tbad" : at - serverNow() < SOON ? "twarn" : ""), at);
  return (
    <time className={`${tone} nw`} dateTime={words.iso(at)} title={words.iso(at)} suppressHydrationWarning>
      {words.when(at).slice(0, 10)}
    </time>
  );
}

function Value({ column, value, row, asOf, room }) {
  const words = useWords();
  if (column.type === "status") return <Status status={value} state={row._state} away={row._away} asOf={asOf} params={row.statusParams} />;
  if (value === null || value === undefined || value === "") return <span className="f">–</span>;
  switch (column.type) {
    case "time":
      return <Age at={value} />;
    case "int":
    case "float":
      return words.n(value, column.type === "float" ? 2 : 0);
    case "bytes":
      return bytes(value);
    case "word":
      return words.t(`${column.words}.${value}`);
    case "date":
      return <Until at={value} />;
    case "bool":
      return words.t(value ? "ui.yes" : "ui.no");
    case "tags": {
      const list = Array.isArray(value) ? value : [value];
      return list.length ? <span title={list.join("\n")}>{list.join(", ")}</span> : <span className="f">–</span>;
    }
    case "ratio": {
      const [have, want] = String(value).split("/");
      return <span className={want !== undefined && have !== want && !row._away ? "twarn" : undefined}>{String(value)}</span>;
    }
    default:
      return /\s/.test(value) ? <span title={value}>{value}</span> : <Cut text={value} room={room} />; // sentences are cut at their end
  }
}

/** One cell; the first column of a list is the object's name, which opens it. */
export function Cell({ column, row, asOf, href, onOpen, isName, room, bold }) {
  if (isName) {
    const open = (event) => {
      if (event.metaKey || event.ctrlKey || event.shiftKey) {
        event.stopPropagation();
        return; // a new tab
      }
      event.preventDefault();
      event.stopPropagation();
      onOpen?.();
    };
    return (
      <td className="gm-name">
        <a href={href} onClick={open} tabIndex={-1}>
          <Cut text={row[column.key]} room={room} weight={bold ? 700 : 400} />
        </a>
        <CopyButton value={String(row[column.key] ?? "")} />
      </td>
    );
  }
  if (column.type === "status") {
    return (
      <td>
        <div className="gm-st"><Value column={column} value={row[column.key]} row={row} asOf={asOf} /></div>
      </td>
    );
  }
  return (
    <td className={isRight(column.type) ? "r" : undefined}>
      <Value column={column} value={row[column.key]} row={row} asOf={asOf} room={room} />
    </td>
  );
}

/** A value outside of a list: the same words, without a cell. */
export function Shown({ type, words, value, row = {}, asOf }) {
  return <Value column={{ type, words }} value={value} row={row} asOf={asOf} />;
}
