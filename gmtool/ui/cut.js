// Cutting a name in its middle by the width of its letters, so that head, dots and tail stand close together. A browser's
// own ellipsis leaves a gap of up to a letter before what follows it.

const DOTS = "…";
const widths = new Map(); // weight → letter → width in pixels at 12 px
const listeners = new Set();
let fonts = 0;
let ruler = null;

function letter(char, weight) {
  const known = widths.get(weight) ?? widths.set(weight, new Map()).get(weight);
  if (!known.has(char)) {
    if (!ruler?.isConnected) {
      ruler = document.createElement("span");
      ruler.setAttribute("aria-hidden", "true");
      ruler.style.cssText = "position:fixed;left:-9999px;top:0;font-size:12px;white-space:pre;visibility:hidden";
      document.body.append(ruler);
    }
    ruler.style.fontWeight = weight;
    ruler.className = char === DOTS ? "gm-dots" : "";
    ruler.textContent = char.repeat(20);
    known.set(char, ruler.getBoundingClientRect().width / 20);
    ruler.textContent = "";
  }
  return known.get(char);
}

const measure = (chars, weight) => chars.reduce((total, char) => total + letter(char, weight), 0);

/** Head and tail of a name that is to stand in `room` pixels; null when it fits. The tail gets a little less. */
export function cutMiddle(name, room, weight = 400) {
  const chars = [...name];
  const space = room - 2; // letters that stand close to each other differ by a fraction
  if (measure(chars, weight) <= space) return null;
  const left = space - letter(DOTS, weight);
  const tail = [];
  let used = 0;
  for (let at = chars.length - 1; at > 0 && used + letter(chars[at], weight) <= left * 0.48; at -= 1) {
    tail.unshift(chars[at]);
    used += letter(chars[at], weight);
  }
  const head = [];
  for (const char of chars.slice(0, chars.length - tail.length)) {
    if (used + letter(char, weight) > left) break;
    head.push(char);
    used += letter(char, weight);
  }
  return [head.join(""), tail.join("")];
}

/** For useSyncExternalStore: a number that changes when a font has arrived and every width is to be taken again. */
export const fontsArrived = {
  subscribe(listener) {
    if (!listeners.size) document.fonts.addEventListener("loadingdone", again);
    listeners.add(listener);
    return () => {
      listeners.delete(listener);
      if (!listeners.size) document.fonts.removeEventListener("loadingdone", again);
    };
  },
  count: () => fonts,
  none: () => 0,
};

function again() {
  widths.clear();
  fonts += 1;
  for (const listener of listeners) listener();
}
