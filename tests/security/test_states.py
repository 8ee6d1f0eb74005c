"""Anyone who opens the socket can call every public method of a Reflex State: these prove what that gives them."""

from __future__ import annotations

import asyncio
import inspect
import json
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import socketio
from reflex.istate.data import RouterData
from reflex.state import BaseState, State

from gmcenter.core.settings import Settings
from gmcenter.identity import policy, sessions
from tests.support.console import Console
from tests.support.identity import PASSWORD, make_user

pytestmark = pytest.mark.timeout(180)

# Handlers without an action: none. The login page has no State at all.
OPEN: frozenset[str] = frozenset()
REFLEX = ("reflex.", "reflex_")


def states() -> Iterator[type[BaseState]]:
    """Every State of the portal, found by importing the app that is served."""
    import gmtool.gmtool  # noqa: F401

    waiting: list[type[BaseState]] = [State]
    while waiting:
        state = waiting.pop()
        waiting += state.get_substates()
        if state.__module__.startswith("gmtool"):
            yield state


def handlers() -> list[tuple[type[BaseState], str, Any]]:
    """Every event handler that is ours, with its State and name."""
    return [
        (state, name, handler.fn)
        for state in states()
        for name, handler in state.event_handlers.items()
        if not (handler.fn.__module__ or "").startswith(REFLEX)
    ]


def instance(state: type[BaseState], cookie: str = "") -> BaseState:
    """A State as it is for a socket that was opened with that Cookie header."""
    root: BaseState = State(_reflex_internal_init=True)  # type: ignore[call-arg]
    root.router = RouterData.from_router_data({"headers": {"cookie": cookie}, "token": "t", "sid": "s"})
    found = root
    for part in state.get_full_name().split(".")[1:]:
        found = found.substates[part]
    return found


def arguments(function: Any) -> list[Any]:
    """Something of the right type for each argument."""
    blanks = {"str": "x", "int": 1, "float": 1.0, "bool": True, "list": [], "dict": {}}
    declared = list(inspect.signature(function).parameters.values())[1:]
    return [blanks.get(str(p.annotation).partition("[")[0], "x") for p in declared if p.default is p.empty]


async def call(state: BaseState, function: Any) -> list[Any]:
    """Run a handler to its end; what it returned or yielded."""
    answer = function(state, *arguments(function))
    if inspect.isasyncgen(answer):
        return [step async for step in answer if step is not None]
    made = await answer if inspect.isawaitable(answer) else answer
    return [] if made is None else [made]


def shown(state: BaseState) -> dict[str, Any]:
    """All that a browser is sent of a State tree, without what it said of itself."""
    root = state._get_root_state()
    whole = root.dict()
    return {
        f"{name}.{key}": value
        for name, variables in whole.items()
        for key, value in variables.items()
        if "router" not in key
    }


def test_the_portal_has_states_to_look_at() -> None:
    assert {state.__name__ for state in states()} >= {"Session", "Scope", "Clusters", "ClusterForms", "Home"}
    assert len(handlers()) > 10


def test_every_handler_of_every_state_names_an_action_of_the_policy() -> None:
    bare = [f"{s.__name__}.{n}" for s, n, fn in handlers() if getattr(fn, "_gm_action", None) not in policy.RULES]
    assert set(bare) == OPEN


def test_no_public_method_of_a_state_is_anything_but_a_guarded_handler() -> None:
    loose = [
        f"{state.__name__}.{name}"
        for state in states()
        for name, value in vars(state).items()
        if not name.startswith("_")
        and inspect.isfunction(value)
        and value.__module__.startswith("gmtool")
        and name not in state.event_handlers
    ]
    assert loose == []


def test_no_state_can_be_set_from_outside() -> None:
    setters = [f"{s.__name__}.{name}" for s in states() for name in s.event_handlers if name.startswith("set_")]
    assert setters == []


@pytest.mark.parametrize("installation", ["sqlite"], indirect=True)
async def test_called_raw_by_a_stranger_no_handler_changes_anything_but_the_sign_to_leave(
    installation: Settings,
) -> None:
    for state, name, function in handlers():
        made = instance(state)
        before = shown(made)
        answered = await call(made, function)
        after = shown(made)
        differing = {key for key in after if before.get(key) != after[key]}
        assert {key.rpartition(".")[2] for key in differing} <= {"ended_rx_state_"}, f"{state.__name__}.{name}"
        assert answered == [], f"{state.__name__}.{name}"


@pytest.mark.parametrize("installation", ["sqlite"], indirect=True)
async def test_a_live_session_is_let_in_and_its_revoke_shuts_it_out_at_once(installation: Settings) -> None:
    from gmtool.pages.platform.forms import ClusterForms

    await make_user("boss", "PA")
    live = await sessions.login_browser("boss", PASSWORD, ip=None)
    made = instance(ClusterForms, f"{sessions.cookie_name()}={live.cookie}")
    made.running = "left over"  # type: ignore[attr-defined]
    await call(made, ClusterForms.event_handlers["begin"].fn)
    assert made.running == ""  # type: ignore[attr-defined]
    await sessions.revoke(live.actor, live.actor.session_id or "")
    made.running = "left over"  # type: ignore[attr-defined]
    await call(made, ClusterForms.event_handlers["begin"].fn)
    assert made._get_root_state().substates["gmtool___shell___session____session"].ended  # type: ignore[attr-defined]


@pytest.mark.parametrize("installation", ["sqlite"], indirect=True)
async def test_a_service_admin_is_told_the_rule_and_given_nothing(installation: Settings) -> None:
    from gmtool.pages.platform.forms import ClusterForms

    await make_user("someone", "SA")
    live = await sessions.login_browser("someone", PASSWORD, ip=None)
    made = instance(ClusterForms, f"{sessions.cookie_name()}={live.cookie}")
    await call(made, ClusterForms.event_handlers["load_sites"].fn)
    assert made.sites == []  # type: ignore[attr-defined]
    assert made.problem["code"] == "forbidden"  # type: ignore[attr-defined]
    assert made.problem["params"]["rule"] == "platform-admin"  # type: ignore[attr-defined]


# --- over a real socket ----------------------------------------------------------------------------------------------


class Socket:
    """A client of Reflex's socket, as anyone can write one."""

    def __init__(self, console: Console) -> None:
        self.console, self.token = console, str(uuid.uuid4())
        self.updates: list[dict[str, Any]] = []
        self.news = asyncio.Event()
        self.client = socketio.AsyncClient(reconnection=False)
        self.client.on("event", self._hear, namespace="/_event")

    async def _hear(self, update: Any) -> None:
        self.updates.append(json.loads(update) if isinstance(update, str) else update)
        self.news.set()

    @asynccontextmanager
    async def opened(self, cookie: str = "") -> AsyncIterator[Socket]:
        """Connected, with a Cookie header or without."""
        headers = {"Origin": self.console.url, **({"Cookie": cookie} if cookie else {})}
        await self.client.connect(
            f"{self.console.url}?token={self.token}",
            socketio_path="/_event",
            namespaces=["/_event"],
            transports=["websocket"],
            headers=headers,
        )
        try:
            yield self
        finally:
            await self.client.disconnect()

    async def send(self, name: str, payload: dict[str, Any] | None = None, path: str = "/platform/clusters") -> None:
        """One event, as the browser would send it."""
        router = {"pathname": path, "asPath": path, "query": {}}
        event = {"name": name, "payload": payload or {}, "router_data": router, "token": self.token}
        await self.client.emit("event", event, namespace="/_event")

    async def until(self, found: Any, seconds: float = 10.0) -> Any:
        """Wait until an update has come for which `found` gives something."""
        async with asyncio.timeout(seconds):
            while True:
                for update in self.updates:
                    if (value := found(update)) is not None:
                        return value
                self.news.clear()
                await self.news.wait()

    def told(self) -> dict[str, Any]:
        """The last value of every variable that was sent, by State and name."""
        return {
            f"{name}.{key}": value
            for update in self.updates
            for name, variables in (update.get("delta") or {}).items()
            for key, value in variables.items()
        }


def variable(name: str) -> Any:
    """Finds a variable in an update by its name."""

    def find(update: dict[str, Any]) -> Any:
        for variables in (update.get("delta") or {}).values():
            for key, value in variables.items():
                if key == f"{name}_rx_state_":
                    return value
        return None

    return find


async def test_over_the_socket_a_stranger_calls_every_handler_and_is_sent_only_defaults(console: Console) -> None:
    defaults = shown(instance(State))
    async with Socket(console).opened() as stranger:
        await stranger.send("reflex___state____state.hydrate")
        assert await stranger.until(variable("ended")) is True
        for state, name, function in handlers():
            names = list(inspect.signature(function).parameters)[1:]
            payload = dict(zip(names, arguments(function), strict=False))
            await stranger.send(f"{state.get_full_name()}.{name}", payload)
        count = len(stranger.updates)
        await stranger.send("reflex___state____state.hydrate")
        await stranger.until(lambda _: True if len(stranger.updates) > count else None)
        told = stranger.told()
    odd = {
        key: value
        for key, value in told.items()
        if "router" not in key and not key.endswith(("ended_rx_state_", "is_hydrated_rx_state_"))
        if defaults.get(key) != value
    }
    assert odd == {}
    assert "Traceback" not in console.log()


async def test_over_the_socket_an_administrator_is_sent_what_the_stranger_is_not(console: Console) -> None:
    async with Socket(console).opened(console.cookie("admin")) as admin:
        await admin.send("reflex___state____state.hydrate")
        assert await admin.until(variable("name")) == "admin"
        [name] = [f"{s.get_full_name()}.{n}" for s, n, _ in handlers() if (s.__name__, n) == ("Clusters", "open")]
        await admin.send(name)
        page = await admin.until(lambda update: variable("page")(update) or None)
    assert page["kind"] == "clusters"


async def test_over_the_socket_nobody_is_sent_a_cookie(console: Console) -> None:
    cookie = console.cookie("admin")
    async with Socket(console).opened(cookie) as admin:
        await admin.send("reflex___state____state.hydrate")
        await admin.until(variable("name"))
        assert cookie.partition("=")[2] not in json.dumps(admin.updates)


async def test_the_state_of_a_tab_is_not_given_to_another_session_that_knows_its_token(console: Console) -> None:
    socket = Socket(console)
    async with socket.opened(console.cookie("admin")) as admin:
        await admin.send("reflex___state____state.hydrate")
        assert await admin.until(variable("name")) == "admin"
    thief = Socket(console)
    thief.token = socket.token
    async with thief.opened() as stranger:
        await stranger.send("reflex___state____state.hydrate")
        assert await stranger.until(variable("ended")) is True
        assert "admin" not in json.dumps(stranger.updates)


async def test_a_socket_from_another_origin_is_refused(console: Console) -> None:
    client = socketio.AsyncClient(reconnection=False)
    with pytest.raises(socketio.exceptions.ConnectionError):
        await client.connect(
            f"{console.url}?token={uuid.uuid4()}",
            socketio_path="/_event",
            namespaces=["/_event"],
            transports=["websocket"],
            headers={"Origin": "https://evil.example", "Cookie": console.cookie("admin")},
        )
    await client.eio.http.close()
