// Icons by name, one deep import each: the library's barrel would pull all of it into the page.
import ArrowDown from "lucide-react/dist/esm/icons/arrow-down.mjs";
import ArrowUp from "lucide-react/dist/esm/icons/arrow-up.mjs";
import Boxes from "lucide-react/dist/esm/icons/boxes.mjs";
import Check from "lucide-react/dist/esm/icons/check.mjs";
import ChevronDown from "lucide-react/dist/esm/icons/chevron-down.mjs";
import ChevronLeft from "lucide-react/dist/esm/icons/chevron-left.mjs";
import ChevronRight from "lucide-react/dist/esm/icons/chevron-right.mjs";
import ChevronUp from "lucide-react/dist/esm/icons/chevron-up.mjs";
import CircleCheck from "lucide-react/dist/esm/icons/circle-check.mjs";
import CircleX from "lucide-react/dist/esm/icons/circle-x.mjs";
import Columns3 from "lucide-react/dist/esm/icons/columns-3.mjs";
import Copy from "lucide-react/dist/esm/icons/copy.mjs";
import Download from "lucide-react/dist/esm/icons/download.mjs";
import FileCode2 from "lucide-react/dist/esm/icons/file-code-2.mjs";
import Hammer from "lucide-react/dist/esm/icons/hammer.mjs";
import Inbox from "lucide-react/dist/esm/icons/inbox.mjs";
import Info from "lucide-react/dist/esm/icons/info.mjs";
import Keyboard from "lucide-react/dist/esm/icons/keyboard.mjs";
import ListFilter from "lucide-react/dist/esm/icons/list-filter.mjs";
import LoaderCircle from "lucide-react/dist/esm/icons/loader-circle.mjs";
import Lock from "lucide-react/dist/esm/icons/lock.mjs";
import PanelBottom from "lucide-react/dist/esm/icons/panel-bottom.mjs";
import PanelRight from "lucide-react/dist/esm/icons/panel-right.mjs";
import Plus from "lucide-react/dist/esm/icons/plus.mjs";
import RefreshCw from "lucide-react/dist/esm/icons/refresh-cw.mjs";
import RotateCcw from "lucide-react/dist/esm/icons/rotate-ccw.mjs";
import Search from "lucide-react/dist/esm/icons/search.mjs";
import Server from "lucide-react/dist/esm/icons/server.mjs";
import TriangleAlert from "lucide-react/dist/esm/icons/triangle-alert.mjs";
import Unplug from "lucide-react/dist/esm/icons/unplug.mjs";
import WrapText from "lucide-react/dist/esm/icons/wrap-text.mjs";
import X from "lucide-react/dist/esm/icons/x.mjs";

const ICONS = {
  "arrow-down": ArrowDown,
  "arrow-up": ArrowUp,
  boxes: Boxes,
  check: Check,
  "chevron-down": ChevronDown,
  "chevron-left": ChevronLeft,
  "chevron-right": ChevronRight,
  "chevron-up": ChevronUp,
  "circle-check": CircleCheck,
  "circle-x": CircleX,
  "columns-3": Columns3,
  copy: Copy,
  download: Download,
  "file-code-2": FileCode2,
  hammer: Hammer,
  inbox: Inbox,
  info: Info,
  keyboard: Keyboard,
  "list-filter": ListFilter,
  "loader-circle": LoaderCircle,
  lock: Lock,
  "panel-bottom": PanelBottom,
  "panel-right": PanelRight,
  plus: Plus,
  "refresh-cw": RefreshCw,
  "rotate-ccw": RotateCcw,
  search: Search,
  server: Server,
  "triangle-alert": TriangleAlert,
  unplug: Unplug,
  "wrap-text": WrapText,
  x: X,
};

const SIZES = { xs: 12, s: 14, m: 16, l: 20 };

/** One icon at one of the four sizes of the drawings; decorative, so hidden from screen readers. */
export function Icon({ name, size = "m" }) {
  const Glyph = ICONS[name];
  return (
    <Glyph
      className={`i ${size === "m" ? "" : size}`}
      size={SIZES[size]}
      strokeWidth={size === "xs" ? 2.25 : 1.75}
      aria-hidden="true"
    />
  );
}
