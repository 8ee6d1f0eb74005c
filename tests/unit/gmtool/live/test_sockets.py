"""The State of a tab is freed when its socket has been gone for a while, and not before."""

from __future__ import annotations

import gc
import weakref
from types import SimpleNamespace
from typing import Any

import pytest
import reflex as rx
from reflex.istate.manager.memory import StateManagerMemory

from gmtool.live import sockets
from gmtool.live.sockets import Tabs
from gmtool.pages.kinds import KindPage


@pytest.fixture
def tabs() -> Tabs:
    """Tabs of an app that has Reflex's own state manager; only the sockets are made up."""
    namespace = SimpleNamespace(token_to_sid={})
    return Tabs(SimpleNamespace(event_namespace=namespace, state_manager=StateManagerMemory()))  # type: ignore[arg-type]


async def state_of(tabs: Tabs, token: str) -> weakref.ref[Any]:
    """Make a tab's State as an event does, and let go of it."""
    manager: Any = tabs.app.state_manager
    async with manager.modify_state(rx.BaseStateToken(ident=token, cls=KindPage)) as root:
        page = await root.get_state(KindPage)
        page.page = {"rows": [[1]] * 50}
        return weakref.ref(page)


async def test_a_closed_tab_leaves_no_state_behind(tabs: Tabs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "GRACE_SECONDS", 0.0)
    manager: Any = tabs.app.state_manager
    states = [await state_of(tabs, f"tab-{number}") for number in range(50)]
    await tabs.sweep()
    await tabs.sweep()
    gc.collect()
    assert not manager.states
    assert not manager._states_locks
    assert [state for state in states if state() is not None] == []
    assert not tabs._gone
    await manager.close()


async def test_an_open_tab_and_one_that_may_come_back_keep_theirs(tabs: Tabs) -> None:
    manager: Any = tabs.app.state_manager
    tabs.app.event_namespace.token_to_sid["open"] = "sid"  # type: ignore[union-attr, index]
    kept = [await state_of(tabs, token) for token in ("open", "closed")]
    await tabs.sweep()
    await tabs.sweep()
    gc.collect()
    assert all(state() is not None for state in kept)
    assert set(tabs._gone) == {"closed"}
    await manager.close()
