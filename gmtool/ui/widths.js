// How wide columns are: as declared where there is room for it, less where there is not, more where there is more.

const NARROW = 134; // columns up to this width hold numbers, ages and addresses: cut, they would say nothing
const FLOOR = 0.58; // how far the others may shrink before the table scrolls sideways
const NAME_FLOOR = 0.62;
const STATUS = 228; // "연결 끊김 · 실행 중이었음 4분 전" has to be read

// What is right of its heading needs no more than its heading does.
const MOST = { time: 104, int: 92, ratio: 84, bool: 84, float: 92 };

function wish(column) {
  const most = MOST[column.type] ?? Infinity;
  const width = column.type === "status" ? Math.max(STATUS, column.width) : Math.min(column.width, most);
  if (column.type === "status") return { width, least: width, grows: true };
  if (width <= NARROW) return { width, least: width, grows: false };
  return { width, least: width * (column.key === "name" ? NAME_FLOOR : FLOOR), grows: true };
}

/** Widths in pixels, in the order of the columns, for a table that is `room` wide. */
export function fit(columns, room) {
  const wishes = columns.map(wish);
  const sum = (value) => wishes.reduce((total, one) => total + value(one), 0);
  const extra = room - sum((one) => one.width);
  if (extra < 0) {
    const slack = sum((one) => one.width - one.least);
    const share = slack ? Math.min(1, -extra / slack) : 0;
    return wishes.map((one) => one.width - (one.width - one.least) * share);
  }
  const growing = sum((one) => (one.grows ? one.width : 0));
  const all = growing || sum((one) => one.width);
  return wishes.map((one) => one.width + (one.grows || !growing ? (extra * one.width) / all : 0));
}
