"""The policy: one table, and no way around it."""

import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmcenter.core import i18n
from gmcenter.core.errors import Forbidden
from gmcenter.identity import policy
from gmcenter.identity.actor import ROLES, SYSTEM, Actor
from gmcenter.identity.model import LoginSession

ROOT = Path(__file__).resolve().parents[3]
PA = Actor(1, "admin", "PA", "s1", None)
SA = Actor(2, "hong", "SA", "s2", None)

PROMISED = {
    "clusters.list", "clusters.register", "clusters.edit", "clusters.delete", "sites.edit", "kinds.list", "kinds.read",
    "system.read", "sessions.revoke", "users.manage", "audit.read",
}  # fmt: skip


def test_every_promised_action_stands_in_the_table() -> None:
    assert set(policy.RULES) >= PROMISED


@pytest.mark.parametrize("action", sorted(policy.RULES))
def test_a_platform_admin_may_do_everything(action: str) -> None:
    policy.require(PA, action)
    policy.require(SYSTEM, action)


@pytest.mark.parametrize("action", sorted(policy.RULES))
def test_a_service_admin_may_read_kinds_and_own_things_only(action: str) -> None:
    decision = policy.allowed(SA, action)
    assert decision.allowed == action.startswith("kinds.")
    assert bool(decision) == decision.allowed
    if not decision:
        with pytest.raises(Forbidden) as caught:
            policy.require(SA, action)
        assert caught.value.params["rule"] == decision.rule
        assert caught.value.params["action"] == action


@pytest.mark.parametrize("action", sorted(a for a, rule in policy.RULES.items() if rule is policy.OWN))
def test_what_is_owned_is_the_owners_and_nobody_elses(action: str) -> None:
    mine = LoginSession(id="a", user_id=2, kind="api", created_at=0, last_seen_at=0, expires_at=0)
    theirs = mine.model_copy(update={"user_id": 3})
    assert policy.allowed(SA, action, mine)
    assert policy.allowed(SA, action, SA)
    assert policy.allowed(SA, action, 2)
    assert not policy.allowed(SA, action, theirs)
    assert not policy.allowed(SA, action, 3)
    assert not policy.allowed(SA, action, None)
    assert not policy.allowed(SA, action, "2")
    assert policy.allowed(PA, action, theirs)


@given(st.text())
def test_an_unknown_action_is_a_programming_error_for_everyone(action: str) -> None:
    if action in policy.RULES:
        return
    for actor in (PA, SA, SYSTEM):
        with pytest.raises(policy.UnknownAction):
            policy.require(actor, action)
        with pytest.raises(policy.UnknownAction):
            policy.allowed(actor, action)


@given(st.text().filter(lambda role: role not in ROLES), st.sampled_from(sorted(policy.RULES)), st.integers())
def test_a_role_that_does_not_exist_may_do_nothing(role: str, action: str, target: int) -> None:
    nobody = Actor(target, "x", role, None, None)  # type: ignore[arg-type]
    assert not policy.allowed(nobody, action, target)


def test_the_table_cannot_be_changed_at_run_time() -> None:
    with pytest.raises(TypeError):
        policy.RULES["everything"] = policy.IN_SCOPE  # type: ignore[index]


def test_every_rule_has_words_in_both_languages() -> None:
    for rule in {rule.id for rule in policy.RULES.values()}:
        for language in i18n.LANGUAGES:
            assert i18n.has(f"policy.rule.{rule}", language), (rule, language)


def test_every_action_that_code_asks_for_stands_in_the_table() -> None:
    asked = set()
    for folder in ("gmcenter", "gmtool"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if (
                    isinstance(node, ast.Call)
                    and isinstance(node.func, ast.Attribute)
                    and node.func.attr in ("require", "allowed")
                    and isinstance(node.func.value, ast.Name)
                    and node.func.value.id == "policy"
                    and len(node.args) > 1
                    and isinstance(node.args[1], ast.Constant)
                ):
                    asked.add((node.args[1].value, f"{path.relative_to(ROOT)}:{node.lineno}"))
    assert asked, "the walk finds no call at all"
    assert [found for found in asked if found[0] not in policy.RULES] == []
