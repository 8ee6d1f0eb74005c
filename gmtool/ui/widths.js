// How wide columns are: as declared where there is room for it, less where there is not, more where there is more.

const NARROW = 140; // columns up to this width hold numbers, ages and addresses: cut, they would say nothing
const SQUEEZE = 0.64; // how far the others may shrink before the table scrolls sideways
const STATUS = 220; // "연결 끊김 · 실행 중이었음 4분 전" has to be read

const wish = (column) => (column.type === "status" ? Math.max(STATUS, column.width) : column.width);

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
