// How wide columns are: as declared where there is room for it, less where there is not, more where there is more.

const NARROW = 134; // columns up to this width hold numbers, ages and addresses: cut, they would say nothing
const FLOOR = 0.58; // how far the others may shrink before the table scrolls sideways
const NAME_FLOOR = 0.52; // the name is the longest, and what is cut out of its middle is said by its title
const PADDING = { wide: 10, tight: 6 };
const ENOUGH = 0.1; // of what may shrink: with less than this left, cells stand closer together
const STATUS = { width: 228, least: 190 }; // "연결 끊김 · 실행 중이었음 4분 전", at the least "CrashLoopBackOff" without an age
const KEPT = new Set(["cluster"]); // shrinks when nothing else can: two clusters' names often differ only in the middle

// What is right of its heading needs no more than its heading does.
const MOST = { time: 100, int: 84, ratio: 70, bool: 84, float: 92 };

function wish(column) {
  const most = MOST[column.type] ?? Infinity;
  if (column.type === "status") {
    return { width: Math.max(STATUS.width, column.width), least: STATUS.least, grows: false, turn: 1 };
  }
  const width = Math.min(column.width, most);
  if (width <= NARROW) return { width, least: width, grows: false };
  return { width, least: width * (column.key === "name" ? NAME_FLOOR : FLOOR), grows: true, turn: KEPT.has(column.key) ? 2 : 0 };
}

const sum = (wishes, value) => wishes.reduce((total, one) => total + value(one), 0);

/** Take `missing` pixels from those that may shrink, each its share; returns what is still missing. */
function shrink(wishes, missing) {
  const slack = sum(wishes, (one) => one.width - one.least);
  const share = slack ? Math.min(1, missing / slack) : 0;
  for (const one of wishes) one.width -= (one.width - one.least) * share;
  return Math.max(0, missing - slack);
}

/** Widths in pixels, in the order of the columns, for a table that is `room` wide, and the padding beside its cells. */
export function fit(columns, room) {
  const wishes = columns.map(wish);
  const least = sum(wishes, (one) => one.least);
  const tight = least + ENOUGH * (sum(wishes, (one) => one.width) - least) > room;
  if (tight) {
    const saved = 2 * (PADDING.wide - PADDING.tight);
    for (const one of wishes) {
      one.width -= saved;
      one.least -= saved;
    }
  }
  const padding = tight ? PADDING.tight : PADDING.wide;
  const extra = room - sum(wishes, (one) => one.width);
  if (extra < 0) {
    let missing = -extra;
    for (const turn of [0, 1, 2]) missing = shrink(wishes.filter((one) => (one.turn ?? 0) === turn), missing);
    return { widths: wishes.map((one) => one.width), padding };
  }
  const growing = sum(wishes, (one) => (one.grows ? one.width : 0));
  const all = growing || sum(wishes, (one) => one.width);
  return {
    widths: wishes.map((one) => one.width + (one.grows || !growing ? (extra * one.width) / all : 0)),
    padding,
  };
}
