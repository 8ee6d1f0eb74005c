// The frame's icons: one deep import each, because the library's barrel would pull all of it into the page.
import Activity from "lucide-react/dist/esm/icons/activity.mjs";
import Blocks from "lucide-react/dist/esm/icons/blocks.mjs";
import Boxes from "lucide-react/dist/esm/icons/boxes.mjs";
import Check from "lucide-react/dist/esm/icons/check.mjs";
import ChevronDown from "lucide-react/dist/esm/icons/chevron-down.mjs";
import ChevronLeft from "lucide-react/dist/esm/icons/chevron-left.mjs";
import ChevronRight from "lucide-react/dist/esm/icons/chevron-right.mjs";
import CircleCheck from "lucide-react/dist/esm/icons/circle-check.mjs";
import CircleX from "lucide-react/dist/esm/icons/circle-x.mjs";
import Cloud from "lucide-react/dist/esm/icons/cloud.mjs";
import Eye from "lucide-react/dist/esm/icons/eye.mjs";
import EyeOff from "lucide-react/dist/esm/icons/eye-off.mjs";
import FileUp from "lucide-react/dist/esm/icons/file-up.mjs";
import Folder from "lucide-react/dist/esm/icons/folder.mjs";
import Hammer from "lucide-react/dist/esm/icons/hammer.mjs";
import Inbox from "lucide-react/dist/esm/icons/inbox.mjs";
import Info from "lucide-react/dist/esm/icons/info.mjs";
import Keyboard from "lucide-react/dist/esm/icons/keyboard.mjs";
import KeyRound from "lucide-react/dist/esm/icons/key-round.mjs";
import Languages from "lucide-react/dist/esm/icons/languages.mjs";
import Layers from "lucide-react/dist/esm/icons/layers.mjs";
import LoaderCircle from "lucide-react/dist/esm/icons/loader-circle.mjs";
import Lock from "lucide-react/dist/esm/icons/lock.mjs";
import LogOut from "lucide-react/dist/esm/icons/log-out.mjs";
import MapPin from "lucide-react/dist/esm/icons/map-pin.mjs";
import Moon from "lucide-react/dist/esm/icons/moon.mjs";
import PanelLeftClose from "lucide-react/dist/esm/icons/panel-left-close.mjs";
import PanelLeftOpen from "lucide-react/dist/esm/icons/panel-left-open.mjs";
import Pencil from "lucide-react/dist/esm/icons/pencil.mjs";
import Plus from "lucide-react/dist/esm/icons/plus.mjs";
import RadioTower from "lucide-react/dist/esm/icons/radio-tower.mjs";
import RefreshCw from "lucide-react/dist/esm/icons/refresh-cw.mjs";
import Search from "lucide-react/dist/esm/icons/search.mjs";
import Server from "lucide-react/dist/esm/icons/server.mjs";
import ShieldCheck from "lucide-react/dist/esm/icons/shield-check.mjs";
import Sun from "lucide-react/dist/esm/icons/sun.mjs";
import Trash2 from "lucide-react/dist/esm/icons/trash-2.mjs";
import TriangleAlert from "lucide-react/dist/esm/icons/triangle-alert.mjs";
import Unplug from "lucide-react/dist/esm/icons/unplug.mjs";
import User from "lucide-react/dist/esm/icons/user.mjs";
import X from "lucide-react/dist/esm/icons/x.mjs";

const ICONS = {
  activity: Activity, blocks: Blocks, boxes: Boxes, check: Check, "chevron-down": ChevronDown, "chevron-left": ChevronLeft,
  "chevron-right": ChevronRight, "circle-check": CircleCheck, "circle-x": CircleX, cloud: Cloud, eye: Eye,
  "eye-off": EyeOff, "file-up": FileUp, folder: Folder, hammer: Hammer, inbox: Inbox, info: Info, keyboard: Keyboard,
  "key-round": KeyRound, languages: Languages, layers: Layers, "loader-circle": LoaderCircle, lock: Lock,
  "log-out": LogOut, "map-pin": MapPin, moon: Moon, "panel-left-close": PanelLeftClose,
  "panel-left-open": PanelLeftOpen, pencil: Pencil, plus: Plus, "radio-tower": RadioTower, "refresh-cw": RefreshCw,
  search: Search, server: Server, "shield-check": ShieldCheck, sun: Sun, "trash-2": Trash2,
  "triangle-alert": TriangleAlert, unplug: Unplug, user: User, x: X,
};

export function Icon({ name, size = 16, className = "" }) {
  const Found = ICONS[name] ?? Info;
  return <Found className={`i ${className}`} width={size} height={size} style={{ width: size, height: size }} strokeWidth={size <= 12 ? 2.25 : 1.75} aria-hidden="true" />;
}
