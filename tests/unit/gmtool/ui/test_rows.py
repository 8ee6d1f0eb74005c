"""The browser's half of lists, run by the Node that builds the front end."""

from __future__ import annotations

import json
import random
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from gmcenter.kube.kinds import KINDS, describe
from gmtool.live import frames

UI = Path(__file__).resolve().parents[4] / "gmtool" / "ui"
NODE = Path(sysconfig.get_path("scripts")) / "node"
COLUMNS = frames.column_keys(("name", "status", "restart"))


def run(script: str, given: Any) -> Any:
    """What a module prints as JSON, given `given` on its standard input."""
    source = (
        "import {readFileSync} from 'node:fs';"
        "const given = JSON.parse(readFileSync(0, 'utf8'));"
        f"{script}"
        "process.stdout.write(JSON.stringify(answer));"
    )
    done = subprocess.run(
        [str(NODE), "--input-type=module", "-e", source],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=UI,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def row(number: int, chance: random.Random) -> dict[str, Any]:
    return {
        "_id": number,
        "_cluster": "edge",
        "_state": chance.choice(["good", "bad"]),
        "_away": chance.random() < 0.2,
        "uid": f"u{number}",
        "name": f"pod-{number}",
        "status": chance.choice(["Running", "Pending", None]),
        "restart": chance.randrange(3),
    }


def change(rows: list[dict[str, Any]], chance: random.Random, numbers: list[int]) -> list[dict[str, Any]]:
    """Some rows changed, some gone, some new, some moved."""
    out = [dict(each) for each in rows if chance.random() > 0.1]
    for each in chance.sample(out, min(len(out), chance.randrange(4))):
        each.update(row(each["_id"], chance))
    for _ in range(chance.randrange(3)):
        numbers[0] += 1
        out.insert(chance.randrange(len(out) + 1), row(numbers[0], chance))
    if chance.random() < 0.2:
        chance.shuffle(out)
    return out


def test_page_and_newest_patch_give_the_rows_that_the_server_read_whatever_patches_were_missed() -> None:
    cases, truths = [], []
    for seed in range(150):
        chance, numbers = random.Random(seed), [seed * 1000]
        rows = [row(seed * 1000 - n, chance) for n in range(chance.randrange(1, 12))]
        made = frames.page("pods", COLUMNS, rows, {"count": len(rows), "exact": True})
        for _ in range(chance.randrange(1, 9)):
            rows = change(rows, chance, numbers)
            made.follow(rows, {"count": len(rows), "exact": True})
            if chance.random() < 0.4:  # a browser that comes, or looks, just now
                cases.append(json.loads(json.dumps(made.full)))
                truths.append({"rows": rows, "count": len(rows)})
    shown = run(
        "const {assemble} = await import('./rows.js');"
        "const one = ({page, patch}) => { const a = assemble(page, patch); return {rows: a.rows, count: a.count}; };"
        "const answer = given.map(one);",
        cases,
    )
    assert len(cases) > 100
    assert shown == truths


def test_a_patch_to_another_page_changes_nothing() -> None:
    chance = random.Random(1)
    first = frames.page("pods", COLUMNS, [row(n, chance) for n in range(3)], {"count": 3})
    second = frames.page("pods", COLUMNS, [row(n, chance) for n in range(3)], {"count": 3})
    second.follow([row(7, chance)], {"count": 1})
    shown = run(
        "const {assemble} = await import('./rows.js'); const answer = assemble(given.page, given.patch).rows;",
        {"page": first.page, "patch": second.patch},
    )
    assert [each["_id"] for each in shown] == [0, 1, 2]


def test_rows_that_did_not_change_stay_the_same_objects_so_that_they_are_not_drawn_again() -> None:
    chance = random.Random(2)
    rows = [row(n, chance) for n in range(6)]
    made = frames.page("pods", COLUMNS, rows, {"count": 6})
    page = made.page
    rows[2] = {**rows[2], "restart": 99}
    made.follow(rows, {"count": 6})
    same = run(
        "const {assemble} = await import('./rows.js');"
        "const before = assemble(given.page, {}).rows; const after = assemble(given.page, given.patch).rows;"
        "const answer = after.map((row, at) => row === before[at]);",
        {"page": page, "patch": made.patch},
    )
    assert same == [True, True, False, True, True, True]


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ({"q": "", "filters": {}, "sort": "size"}, ["b", "a", "c", "d"]),
        ({"q": "", "filters": {}, "sort": "-size"}, ["c", "a", "b", "d"]),
        ({"q": "", "filters": {"name": "A"}, "sort": ""}, ["a"]),
        ({"q": "zone", "filters": {}, "sort": "name"}, ["c", "d"]),
    ],
)
def test_short_lists_are_filtered_and_sorted_in_the_browser_with_empty_values_last(
    asked: dict[str, Any], names: list[str]
) -> None:
    rows = [
        {"name": "a", "size": 3, "tags": ["x"]},
        {"name": "b", "size": 2, "tags": None},
        {"name": "c", "size": 10, "tags": ["zone-1"]},
        {"name": "d", "size": None, "tags": ["zone-2"]},
    ]
    shown = run(
        "const {arrange} = await import('./rows.js'); const answer = arrange(given.rows, given.asked);",
        {"rows": rows, "asked": asked},
    )
    assert [each["name"] for each in shown] == names


def test_a_csv_says_what_the_table_shows_and_runs_nothing_in_a_spreadsheet() -> None:
    columns = [{"key": "name"}, {"key": "at", "type": "time"}, {"key": "note"}, {"key": "n", "type": "int"}]
    rows = [
        {"name": 'a "b", c', "at": 1_700_000_000, "note": "=HYPERLINK(1)", "n": -3},
        {"name": "이름", "note": ["x", "y"]},
    ]
    text = run(
        "const {toCsv} = await import('./export.js'); const answer = toCsv(given.rows, given.columns, (c) => c.key);",
        {"rows": rows, "columns": columns},
    )
    assert text.splitlines() == [
        "\ufeffname,at,note,n",
        '"a ""b"", c",2023-11-14T22:13:20Z,\'=HYPERLINK(1),-3',
        "\uc774\ub984,,x y,",
    ]


def test_coloured_yaml_is_the_same_text() -> None:
    text = (
        "apiVersion: v1\nmetadata:\n  name: a-b # note\n  annotations:\n"
        '    k8s.io/x: \'it\'\'s: #1\'\n    "q": "a\\"b"\n'
        "spec:\n  args:\n  - --flag=x: y\n  - name: web\n    port: 8080\n  script: |\n"
        "    echo 'a: b'\n    # not a comment\n\n"
        "    done\n  ok: true\n"
    )
    lines = run("const {tokens} = await import('./yaml.js'); const answer = tokens(given);", text)
    assert "\n".join("".join(part for _, part in line) for line in lines) == text
    kinds = {part: kind for line in lines for kind, part in line}
    assert kinds["apiVersion"] == "k"
    assert kinds["8080"] == "d"
    assert kinds["true"] == "d"
    assert kinds[" # note"] == "c"
    assert kinds["    # not a comment"] == "v"


@pytest.mark.parametrize(("room", "fits"), [(1170, True), (1650, True), (600, False)])
def test_columns_fill_the_room_and_shrink_only_as_far_as_they_can_be_read(room: int, fits: bool) -> None:
    columns = [{"type": "text", "width": w} for w in (260, 150, 160, 160, 170, 130)]
    columns += [{"type": "ratio", "width": 80}, {"type": "int", "width": 100}, {"type": "status", "width": 150}]
    columns += [{"type": "time", "width": 130}]
    widths = run(
        "const {fit} = await import('./widths.js'); const answer = fit(given.columns, given.room).widths;",
        {"columns": columns, "room": room},
    )
    assert widths[5] == (130 if fits else 122)  # less padding where there is no room
    assert widths[8] >= 174
    assert (sum(widths) <= room + 1) is fits
    if fits:
        assert sum(widths) >= room - 1


@pytest.mark.parametrize("room", [1010, 1170, 1650])
def test_the_columns_of_pods_and_nodes_have_room_from_1280_pixels_on(room: int) -> None:
    for kind in ("pods", "nodes"):
        columns = [column for column in describe(KINDS[kind])["columns"] if column["shown"]]
        made = run(
            "const {fit} = await import('./widths.js'); const answer = fit(given.columns, given.room);",
            {"columns": columns, "room": room},
        )
        widths = dict(zip([column["key"] for column in columns], made["widths"], strict=True))
        assert sum(widths.values()) <= room + 1
        assert widths["status"] - 2 * made["padding"] >= 162  # the chip of CrashLoopBackOff is 140 wide
        if room >= 1170:
            assert widths["cluster"] >= 160  # lmo-seoul-openstack-01 whole


def test_a_name_is_cut_in_its_middle_as_wide_as_there_is_room_for() -> None:
    browser = (
        "const span = {style: {}, isConnected: true, setAttribute() {},"
        " getBoundingClientRect() { return {width: this.textContent.length * 7}; }};"
        "globalThis.document = {createElement: () => span, body: {append() {}}};"
    )
    cut = run(
        f"{browser} const {{cutMiddle}} = await import('./cut.js');"
        "const answer = given.map(([name, room]) => cutMiddle(name, room));",
        [["lmo-seoul-openstack-01-worker-4", 142], ["short", 142], ["jeju-edge-01", 86]],
    )
    assert cut == [["lmo-seoul-", "-worker-4"], None, None]
