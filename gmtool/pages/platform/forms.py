"""What may be done with clusters and sites: the State behind the forms and the components that draw them.

A credential comes with an event and goes to the service; it is never put into a State variable, because a State is sent
to the browser again at every reconnect.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Mapping
from typing import Any, TypeVar

import reflex as rx
from pydantic import BaseModel, ValidationError

from gmcenter.clusters import service
from gmcenter.clusters.schema import ClusterChange, KubeconfigText, NewCluster, PreflightRequest, SiteInput
from gmcenter.core.errors import FieldError, GMError, InvalidInput
from gmtool.scripts import script
from gmtool.shell import frame  # noqa: F401 - forms.jsx imports frame.jsx, which this module puts into the bundle
from gmtool.shell.guard import actor, requires
from gmtool.shell.session import Session
from gmtool.ui import LUCIDE

Model = TypeVar("Model", bound=BaseModel)
_serial = itertools.count(1)
REASONS = {
    "string_too_long": "reason.too_long",
    "float_parsing": "reason.not_number",
    "bool_parsing": "reason.not_boolean",
}


def parse(model: type[Model], form: Mapping[str, Any]) -> Model:
    """A form's fields as the service takes them; empty ones count as left out. Raises InvalidInput."""
    given = {name: value for name, value in form.items() if value not in ("", None)}
    try:
        return model.model_validate(given)
    except ValidationError as error:
        errors = [
            FieldError(str(e["loc"][0]) if e["loc"] else "", REASONS.get(e["type"], "reason.not_text"))
            for e in error.errors(include_input=False, include_context=False, include_url=False)
        ]
        raise InvalidInput(errors=errors) from None


def _stage(result: Any) -> dict[str, Any]:
    return {
        "stage": result.stage,
        "state": result.state,
        "reason": result.reason,
        "params": {name: str(value) for name, value in result.params.items()},
        "ms": round(result.duration_ms),
    }


class ClusterForms(rx.State):
    """What the forms of this tab show; `running` names what is going on, `finished` what has just been done."""

    sites: list[dict[str, Any]] = []
    contexts: list[dict[str, Any]] = []
    stages: list[dict[str, Any]] = []
    dependents: dict[str, Any] = {}
    running: str = ""
    problem: dict[str, Any] = {}
    finished: dict[str, Any] = {}

    def _refused(self, problem: dict[str, Any]) -> None:
        self.running = ""
        self.problem = problem

    def _start(self, what: str) -> None:
        self.running, self.problem, self.finished = what, {}, {}

    async def _finish(self, what: str, name: str) -> None:
        self.running, self.problem = "", {}
        self.finished = {"what": what, "name": name, "n": next(_serial)}
        if what != "register":
            session = await self.get_state(Session)
            session._notify("good", f"clusters.done.{what}", name=name)

    async def _read_sites(self) -> None:
        self.sites = [
            {
                "name": site.name,
                "address": site.address,
                "zone": site.zone,
                "latitude": site.latitude,
                "longitude": site.longitude,
                "clusters": site.clusters,
            }
            for site in await service.list_sites(actor())
        ]

    @requires("sites.list")
    async def load_sites(self) -> None:
        """Runs when a page with forms opens."""
        await self._read_sites()
        self._clear()

    def _clear(self) -> None:
        self.contexts, self.stages, self.dependents = [], [], {}
        self.running, self.problem, self.finished = "", {}, {}

    @requires("clusters.list")
    def begin(self) -> None:
        """A form opens: nothing of the last one is left."""
        self._clear()

    @requires("clusters.register")
    async def read_kubeconfig(self, text: str) -> None:
        """List the contexts of a kubeconfig that was pasted or uploaded."""
        self.contexts, self.problem = [], {}
        found = await service.list_contexts(actor(), parse(KubeconfigText, {"kubeconfig": text}))
        self.contexts = [
            {
                "name": one.name,
                "endpoint": one.endpoint,
                "user": one.user,
                "current": one.current,
                "problem": {key: one.problem.get(key) for key in ("code", "params")} if one.problem else None,
            }
            for one in found
        ]

    @requires("clusters.register")
    async def check(self, form: dict[str, Any]) -> AsyncIterator[None]:
        """Check a way to a cluster, stage by stage."""
        self.stages = []
        self._start("check")
        yield
        async for result in service.preflight(actor(), parse(PreflightRequest, _access(form))):
            self.stages = [*self.stages, _stage(result)]
            yield
        self.running = ""

    @requires("clusters.edit")
    async def check_stored(self, name: str) -> AsyncIterator[None]:
        """Check a registered cluster with the credential that is stored."""
        self.stages = []
        self._start("check")
        yield
        async for result in service.check(actor(), name):
            self.stages = [*self.stages, _stage(result)]
            yield
        self.running = ""

    @requires("clusters.register")
    async def register(self, form: dict[str, Any]) -> AsyncIterator[None]:
        """Register a cluster; it is checked once more on the way."""
        self._start("register")
        yield
        try:
            made = await service.register(actor(), parse(NewCluster, form))
        except GMError as error:
            self._show_stages(error)
            raise
        await self._finish("register", made.cluster_name)

    def _show_stages(self, error: GMError) -> None:
        if stages := getattr(error, "stages", ()):
            self.stages = [_stage(result) for result in stages]

    @requires("clusters.edit")
    async def update_cluster(self, name: str, form: dict[str, Any]) -> AsyncIterator[None]:
        """Change what a cluster says of itself, or its credential."""
        self.stages = []
        self._start("update")
        yield
        keep = {key: form[key] for key in ("site", "cloudType") if key in form}
        change = parse(ClusterChange, form).model_copy(
            update={"site": keep.get("site"), "cloud_type": keep.get("cloudType")}
        )
        try:
            await service.update(actor(), name, change)
        except GMError as error:
            self._show_stages(error)
            raise
        await self._finish("update", name)

    @requires("clusters.delete")
    async def depends(self, name: str) -> None:
        """What would no longer be shown without the cluster."""
        self.dependents = {}
        found = await service.what_depends(actor(), name)
        self.dependents = {"name": name, "objects": dict(found.objects), "total": found.total}

    @requires("clusters.delete")
    async def delete_cluster(self, name: str, typed: str) -> AsyncIterator[Any]:
        """Take a cluster out of the fleet; its name has to be typed."""
        self._start("delete")
        yield
        await service.delete(actor(), name, confirm=typed)
        await self._finish("delete", name)
        yield rx.redirect("/platform/clusters")

    @requires("sites.edit")
    async def save_site(self, name: str, form: dict[str, Any]) -> AsyncIterator[None]:
        """Make a site, or with a name replace it."""
        self._start("site")
        yield
        given = parse(SiteInput, form)
        saved = await (service.update_site(actor(), name, given) if name else service.create_site(actor(), given))
        await self._read_sites()
        await self._finish("site", saved.name)

    @requires("sites.edit")
    async def delete_site(self, name: str) -> AsyncIterator[None]:
        """Delete a site where no cluster stands."""
        self._start("site")
        yield
        await service.delete_site(actor(), name)
        await self._read_sites()
        await self._finish("site_deleted", name)


ACCESS = frozenset(PreflightRequest.model_fields[name].alias or name for name in PreflightRequest.model_fields)


def _access(form: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a form that say how to reach the cluster."""
    return {name: value for name, value in form.items() if name in ACCESS}


# --- components ------------------------------------------------------------------------------------------------------


_text = rx.event.passthrough_event_spec(str)
_form = rx.event.passthrough_event_spec(dict[str, Any])
_name_and_form = rx.event.passthrough_event_spec(str, dict[str, Any])
_two_texts = rx.event.passthrough_event_spec(str, str)


class _Form(rx.Component):
    library = script(__name__, "forms.jsx")
    lib_dependencies: list[str] = [LUCIDE]


class ZoneTabs(_Form):
    """All clusters, edge zone, cloud zone."""

    tag = "ZoneTabs"
    page: rx.Var[dict[str, Any]]
    path: rx.Var[str]


class RegisterButton(_Form):
    """Leads to the registration, for those whose role may register."""

    tag = "RegisterButton"
    role: rx.Var[str]


class ClusterActions(_Form):
    """The buttons of an open cluster, with their dialogs."""

    tag = "ClusterActions"
    cluster: rx.Var[Any]
    sites: rx.Var[list[dict[str, Any]]]
    contexts: rx.Var[list[dict[str, Any]]]
    stages: rx.Var[list[dict[str, Any]]]
    running: rx.Var[str]
    problem: rx.Var[dict[str, Any]]
    finished: rx.Var[dict[str, Any]]
    dependents: rx.Var[dict[str, Any]]
    on_contexts: rx.EventHandler[_text]
    on_check: rx.EventHandler[_text]
    on_save: rx.EventHandler[_name_and_form]
    on_depends: rx.EventHandler[_text]
    on_delete: rx.EventHandler[_two_texts]
    on_reset: rx.EventHandler[rx.event.no_args_event_spec]


class RegisterWizard(_Form):
    """Site, connection, check, done."""

    tag = "RegisterWizard"
    sites: rx.Var[list[dict[str, Any]]]
    contexts: rx.Var[list[dict[str, Any]]]
    stages: rx.Var[list[dict[str, Any]]]
    running: rx.Var[str]
    problem: rx.Var[dict[str, Any]]
    finished: rx.Var[dict[str, Any]]
    on_contexts: rx.EventHandler[_text]
    on_check: rx.EventHandler[_form]
    on_register: rx.EventHandler[_form]
    on_site: rx.EventHandler[_name_and_form]
    on_reset: rx.EventHandler[rx.event.no_args_event_spec]


class Sites(_Form):
    """The list of sites with its dialogs."""

    tag = "Sites"
    sites: rx.Var[list[dict[str, Any]]]
    running: rx.Var[str]
    problem: rx.Var[dict[str, Any]]
    finished: rx.Var[dict[str, Any]]
    on_save: rx.EventHandler[_name_and_form]
    on_delete: rx.EventHandler[_text]
    on_reset: rx.EventHandler[rx.event.no_args_event_spec]
