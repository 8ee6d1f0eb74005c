// How wide columns are: as declared where there is room for it, less where there is not, more where there is more.

const NARROW = 134; // columns up to this width hold numbers, ages and addresses: cut, they would say nothing
const SQUEEZE = 0.64; // how far the others may shrink before the table scrolls sideways
const STATUS = 220; // "연결 끊김 · 실행 중이었음 4분 전" has to be read

// What is right of its heading needs no more than its heading does.
const MOST = { time: 104, int: 92, ratio: 84, bool: 84, float: 92 };

const wish = (column) => (column.type === "status" ? Math.max(STATUS, column.width) : Math.min(column.width, MOST[column.type] ?? Infinity));

/** Widths in pixels, in the order of the columns, for a table that is `room` wide. */
export function fit(columns, room) {
  const wishes = columns.map(wish);
  const flexible = columns.map((column, index) => wishes[index] > NARROW || columns.length === 1);
  const sum = (wanted) => wishes.reduce((total, width, index) => total + (flexible[index] === wanted ? width : 0), 0);
  const rest = room - sum(false);
  const elastic = sum(true);
  if (!elastic) return wishes.map((width) => (width * Math.max(room, sum(false))) / sum(false));
  const factor = Math.max(SQUEEZE, rest / elastic);
  return wishes.map((width, index) => (flexible[index] ? width * factor : width));
}
