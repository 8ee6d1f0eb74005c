"""``gm bench``: measure against the budgets, and print one document with the machine's facts beside the figures."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import os
import platform
import sqlite3
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from gmcenter import __version__
from gmcenter.cli.command import USAGE, Output, answer, fail

app = typer.Typer(add_completion=False)
ROOT = Path(__file__).resolve().parents[2]
BENCHES = tuple(sorted(path.stem for path in (ROOT / "tests" / "bench").glob("[a-z]*.py")))


@app.command()
def bench(
    names: Annotated[list[str] | None, typer.Argument(help=f"Of: {', '.join(BENCHES)}. All when left out.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document (a list for several).")] = False,
) -> None:
    """Run benches; exit code 1 when a figure misses its budget."""
    for name in names or ():
        if name not in BENCHES:
            fail(f"no such bench: {name} (of {', '.join(BENCHES)})", USAGE)
    documents = [_run(name) for name in names or BENCHES]
    one_or_all = documents[0] if len(documents) == 1 else documents
    answer(one_or_all, Output.JSON if as_json else Output.TEXT, lambda: _show(documents))
    if not all(result["ok"] in (True, None) for document in documents for result in document["results"]):
        raise typer.Exit(1)


def _run(name: str) -> dict[str, Any]:
    """One bench's document. A module's `bench()`, sync or async, returns its results, or a document with `results`."""
    module = importlib.import_module(f"tests.bench.{name}")
    before, began = machine(), time.monotonic()
    found = module.bench()
    if inspect.isawaitable(found):
        found = asyncio.run(_awaited(found))
    results = found["results"] if isinstance(found, dict) else found
    facts = {**before, "load_after": load(), "seconds": round(time.monotonic() - began, 1)}
    return {"name": name, "machine": facts, "results": [whole(result) for result in results]}


async def _awaited(work: Any) -> Any:
    return await work


def whole(result: dict[str, Any]) -> dict[str, Any]:
    """A result with every field of the document: judged against its budget, and set in ratio to its baseline.

    `budget` is the largest value allowed, or the smallest when `at_least` is true; a result without one is ok: null.
    """
    value, budget, baseline = result["value"], result.get("budget"), result.get("baseline")
    ok = result.get("ok")
    if ok is None and budget is not None:
        ok = value >= budget if result.get("at_least") else value <= budget
    ratio = result.get("ratio")
    if ratio is None and baseline:
        ratio = round(value / baseline, 3)
    kept = {key: entry for key, entry in result.items() if key != "at_least"}
    return {**kept, "budget": budget, "ok": ok, "baseline": baseline, "ratio": ratio}


def load() -> list[float]:
    """The machine's load over 1, 5 and 15 minutes: how busy it was besides."""
    return [round(average, 2) for average in os.getloadavg()]


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    import psutil

    names = [line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    return {
        "cpu": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "gm": __version__,
        "load": load(),
    }


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def _show(documents: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    for document in documents:
        facts = document["machine"]
        console.print(
            f"{document['name']}: {facts['cores']} × {facts['cpu']}, {facts['memory_gib']} GiB, "
            f"load {facts['load'][0]} → {facts['load_after'][0]}, {facts['seconds']} s"
        )
        table = Table("metric", "value", "unit", "budget", "ok", "baseline", "ratio", box=None)
        for result in document["results"]:
            fields = ("metric", "value", "unit", "budget", "ok", "baseline", "ratio")
            table.add_row(*("-" if result.get(field) is None else str(result[field]) for field in fields))
        console.print(table)
    sys.stdout.flush()
