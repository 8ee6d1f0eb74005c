"""Draws assets/brand.svg, the login page's map of Korea, from Natural Earth's 1:10m countries (public domain).

npm pack world-atlas@2.0.2 && tar xzf world-atlas-2.0.2.tgz
python -m gmtool.art.brand package/countries-10m.json assets/brand.svg
"""

from __future__ import annotations

import json
import math
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

WIDTH, HEIGHT = 648, 900
PIXELS_PER_DEGREE = 84.0  # of longitude
CENTRE = (127.62, 35.98, 270.0, 420.0)  # longitude, latitude, x, y
TOLERANCE = 0.55  # pixels that a coast may be off
KOREA, NEIGHBOURS = "410", ("408", "392", "156", "643")
HUB = "daejeon"
SITES = {
    "goyang": (126.80, 37.68, 3.9),
    "seoul": (126.93, 37.49, 5.8),
    "pangyo": (127.26, 37.36, 4.8),
    "sejong": (127.22, 36.53, 3.9),
    "daejeon": (127.43, 36.30, 4.8),
    "gwangju": (126.86, 35.16, 4.8),
    "busan": (129.08, 35.20, 4.8),
    "jeju": (126.53, 33.47, 3.9),
}
BENDS = {"goyang": 0.16, "seoul": 0.12, "pangyo": 0.2, "sejong": 0.1, "gwangju": -0.16, "busan": 0.14, "jeju": -0.16}
ISLETS = ((130.87, 37.50, 3.0), (131.87, 37.24, 1.8))  # Ulleungdo, Dokdo
Point = tuple[float, float]


def project(longitude: float, latitude: float) -> Point:
    """Mercator, in pixels of the drawing."""

    def northing(degrees: float) -> float:
        return math.degrees(math.log(math.tan(math.pi / 4 + math.radians(degrees) / 2)))

    centre_longitude, centre_latitude, x, y = CENTRE
    return (
        x + (longitude - centre_longitude) * PIXELS_PER_DEGREE,
        y - (northing(latitude) - northing(centre_latitude)) * PIXELS_PER_DEGREE,
    )


def decode_arcs(topology: dict[str, Any]) -> list[list[Point]]:
    """TopoJSON arcs (delta-coded, quantised) as projected points."""
    scale, shift = topology["transform"]["scale"], topology["transform"]["translate"]
    arcs = []
    for arc in topology["arcs"]:
        x = y = 0
        points = []
        for dx, dy in arc:
            x, y = x + dx, y + dy
            latitude = max(-85.0, min(85.0, y * scale[1] + shift[1]))
            points.append(project(x * scale[0] + shift[0], latitude))
        arcs.append(points)
    return arcs


def rings(geometry: dict[str, Any], arcs: list[list[Point]]) -> Iterator[list[Point]]:
    """The outer rings of a polygon or multipolygon."""
    polygons = geometry["arcs"] if geometry["type"] == "MultiPolygon" else [geometry["arcs"]]
    for polygon in polygons:
        points: list[Point] = []
        for index in polygon[0]:
            part = arcs[index] if index >= 0 else arcs[~index][::-1]
            points += part[1:] if points else part
        yield points


def simplify(points: list[Point], tolerance: float) -> list[Point]:
    """Douglas and Peucker's line simplification (1973)."""
    keep = [False] * len(points)
    keep[0] = keep[-1] = True
    spans = [(0, len(points) - 1)]
    while spans:
        first, last = spans.pop()
        (x1, y1), (x2, y2) = points[first], points[last]
        length = math.hypot(x2 - x1, y2 - y1)
        worst, at = tolerance, 0
        for i in range(first + 1, last):
            x, y = points[i]
            off = abs((x2 - x1) * (y1 - y) - (x1 - x) * (y2 - y1)) / length if length else math.hypot(x - x1, y - y1)
            if off > worst:
                worst, at = off, i
        if at:
            keep[at] = True
            spans += [(first, at), (at, last)]
    return [p for p, kept in zip(points, keep, strict=True) if kept]


def paths(geometry: dict[str, Any], arcs: list[list[Point]]) -> str:
    """Path data of what of a country can be seen, with a margin of 40 px."""
    found = []
    for ring in rings(geometry, arcs):
        inside = [p for p in ring if -40 < p[0] < WIDTH + 40 and -40 < p[1] < HEIGHT + 40]
        if not inside:
            continue
        clamped = [(max(-40.0, min(WIDTH + 40.0, x)), max(-40.0, min(HEIGHT + 40.0, y))) for x, y in ring]
        line = simplify(clamped, TOLERANCE)
        if len(line) > 3:
            found.append("M" + "L".join(f"{x:.1f} {y:.1f}".replace(".0", "") for x, y in line) + "Z")
    return "".join(found)


def arc_between(a: Point, b: Point, bend: float) -> str:
    """A curve from one place to another, bowed to the side by a part of its length."""
    middle = ((a[0] + b[0]) / 2 - (b[1] - a[1]) * bend, (a[1] + b[1]) / 2 + (b[0] - a[0]) * bend)
    return f"M{a[0]:.1f} {a[1]:.1f}Q{middle[0]:.1f} {middle[1]:.1f} {b[0]:.1f} {b[1]:.1f}"


def draw(topology: dict[str, Any]) -> str:
    """The whole drawing as SVG."""
    arcs = decode_arcs(topology)
    countries = {str(g.get("id")): g for g in topology["objects"]["countries"]["geometries"]}
    korea = paths(countries[KOREA], arcs)
    far = "".join(paths(countries[code], arcs) for code in NEIGHBOURS if code in countries)
    places = {name: project(lon, lat) for name, (lon, lat, _) in SITES.items()}
    hub = places[HUB]
    chance = random.Random(11)  # noqa: S311 - the same drawing every time
    spokes, edges = [], []
    for x, y in places.values():
        for _ in range(7):
            angle, reach = chance.uniform(0, math.tau), chance.uniform(18, 58)
            px, py = x + math.cos(angle) * reach, y + math.sin(angle) * reach
            spokes.append(f"M{x:.1f} {y:.1f}L{px:.1f} {py:.1f}")
            edges.append(f'<circle cx="{px:.1f}" cy="{py:.1f}" r="{chance.choice((1.3, 1.6, 2.1))}"/>')
    bends = {
        "goyang": 0.16,
        "seoul": 0.12,
        "pangyo": 0.2,
        "sejong": 0.1,
        "gwangju": -0.16,
        "busan": 0.14,
        "jeju": -0.16,
    }
    links = "".join(arc_between(hub, places[name], bend) for name, bend in bends.items())
    ring_of = "".join(
        f'<circle cx="{hub[0]:.1f}" cy="{hub[1]:.1f}" r="{radius}"/>' for radius in (110, 190, 280, 380, 490)
    )
    spare = arc_between(places["gwangju"], places["busan"], -0.06) + arc_between(places["busan"], places["jeju"], 0.16)
    marks = []
    for name, (x, y) in places.items():
        size = SITES[name][2]
        marks.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size * 7:.0f}" fill="url(#glow)"/>'
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size}" fill="#0f1630" stroke="#00d3ff" stroke-width="1.8"/>'
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size * 0.42:.1f}" fill="#e6f6ff"/>'
        )
    islets = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r}" fill="#5674c4"/>'
        for (x, y), r in ((project(lon, lat), r) for lon, lat, r in ISLETS)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}">'
        '<defs><radialGradient id="glow"><stop offset="0" stop-color="#00d3ff" stop-opacity=".5"/>'
        '<stop offset=".35" stop-color="#268eff" stop-opacity=".18"/>'
        '<stop offset="1" stop-color="#268eff" stop-opacity="0"/></radialGradient>'
        '<linearGradient id="land" x2=".4" y2="1"><stop stop-color="#2c3d72"/><stop offset="1" stop-color="#1f2b55"/>'
        '</linearGradient><pattern id="dots" width="7" height="7" patternUnits="userSpaceOnUse">'
        '<circle cx="1.6" cy="1.6" r="1.1" fill="#7f9be0" opacity=".55"/></pattern></defs>'
        f'<g fill="none" stroke="#4a5fa5" opacity=".5" stroke-dasharray="1 6">{ring_of}</g>'
        f'<path d="{far}" fill="#18214a" opacity=".75"/>'
        f'<path id="korea" d="{korea}" fill="url(#land)" stroke="#4763b0" stroke-width=".9"/>'
        f'<path d="{korea}" fill="url(#dots)"/>'
        f'<path d="{"".join(spokes)}" stroke="#7f9be0" stroke-width=".7" opacity=".5" fill="none"/>'
        f'<g fill="#c9d8ff" opacity=".8">{"".join(edges)}</g>'
        f'<path d="{spare}" fill="none" stroke="#2bc4d9" stroke-dasharray="2 4" opacity=".7"/>'
        f'<path d="{links}" fill="none" stroke="#2b93ff" stroke-width="1.6" stroke-linecap="round"/>'
        f"{''.join(marks)}{islets}</svg>\n"
    )


def main() -> None:
    """Read the atlas, write the drawing."""
    source, target = map(Path, sys.argv[1:3])
    target.write_text(draw(json.loads(source.read_text())))


if __name__ == "__main__":
    main()
