"""The one data table, for every list of the product."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import reflex as rx

import gmtool.shell.i18n  # noqa: F401  the scripts import its module
from gmtool.ui import LUCIDE, script


class DataTable(rx.Component):
    """See `table` for what the props mean."""

    library = script("table.jsx")
    tag = "DataTable"
    lib_dependencies: list[str] = [LUCIDE]

    kind: rx.Var[str]
    title: rx.Var[str]
    columns: rx.Var[list[dict[str, Any]]]
    page: rx.Var[dict[str, Any]]
    patch: rx.Var[dict[str, Any]]
    fresh: rx.Var[dict[str, Any]]
    problem: rx.Var[dict[str, Any]]
    mode: rx.Var[str]
    source: rx.Var[str]
    selectable: rx.Var[bool]
    openable: rx.Var[bool]
    labels: rx.Var[bool]
    empty_hint: rx.Var[str]
    on_open: rx.EventHandler[rx.event.passthrough_event_spec(str)]
    on_export: rx.EventHandler[rx.event.passthrough_event_spec(list[str], list[str])]
    on_retry: rx.EventHandler[rx.event.no_args_event_spec]


def table(
    kind: str,
    columns: Sequence[Mapping[str, Any]],
    *actions: rx.Component,
    title: rx.Var[str] | str,
    page: rx.Var[dict[str, Any]],
    patch: rx.Var[dict[str, Any]] | None = None,
    fresh: rx.Var[dict[str, Any]] | None = None,
    problem: rx.Var[dict[str, Any]] | None = None,
    mode: Literal["url", "local"] = "url",
    source: str | None = None,
    **props: Any,
) -> rx.Component:
    """A list.

    `kind` names the list (its settings are remembered under it, and a page of another kind is not shown); `columns`
    are those of `kinds.describe`: key, type, label (translation key), sortable, filterable, width, shown. `page`,
    `patch` and `fresh` are made by `gmtool.live.frames`; `problem` is an error as `guard.problem` gives it. `actions`
    stand at the right of the tool bar. `source` is where the REST API shows one object, for its YAML; `on_export` is
    asked for the whole list as CSV, with the keys and headings of the columns that are shown.

    In "url" mode the address holds the question (q, sort, f.<column>, limit, cursor, open) and the State answers it in
    on_load; in "local" mode all rows are on the page already, and the browser sorts and filters them.
    """
    given = {"patch": patch, "fresh": fresh, "problem": problem, "source": source, **props}
    return DataTable.create(
        *actions,
        kind=kind,
        columns=[dict(column) for column in columns],
        title=title,
        page=page,
        mode=mode,
        **{name: value for name, value in given.items() if value is not None},
    )
