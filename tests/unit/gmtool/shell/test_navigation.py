"""The menu: one declaration, cut by role."""

from __future__ import annotations

import pytest

from gmcenter.core import i18n
from gmcenter.identity import policy
from gmtool.pages import pages
from gmtool.shell import navigation


def test_every_line_of_the_menu_leads_to_a_page_that_is_built() -> None:
    built = {page.route for page in pages()}
    paths = {entry.path.partition("?")[0] for section in navigation.MENU for entry in section.entries}
    paths |= {tab["path"] for section in navigation.tree() for entry in section["entries"] for tab in entry["tabs"]}
    assert paths <= built


def test_every_word_of_the_menu_is_there_in_both_languages() -> None:
    labels = {section["label"] for section in navigation.tree()}
    for section in navigation.tree():
        labels |= {entry["label"] for entry in section["entries"]}
        labels |= {tab["label"] for entry in section["entries"] for tab in entry["tabs"]}
    for language in i18n.LANGUAGES:
        assert labels <= set(i18n.catalogue(language))


def test_a_service_admin_sees_no_platform_page_and_a_platform_admin_sees_all() -> None:
    entries = [entry for section in navigation.tree() for entry in section["entries"]]
    assert all("PA" in entry["roles"] for entry in entries)
    assert {e["path"] for e in entries if "SA" in e["roles"]} == {
        "/service/workloads/deployments",
        "/service/namespaces",
        "/service/events",
    }


def test_every_action_of_the_menu_is_one_of_the_policy() -> None:
    assert {entry.action for section in navigation.MENU for entry in section.entries} <= set(policy.RULES)


@pytest.mark.parametrize(("role", "path"), [("PA", "/platform/clusters"), ("SA", "/service/workloads/deployments")])
def test_each_role_lands_on_the_first_page_of_its_menu(role: str, path: str) -> None:
    assert navigation.landing(role) == path


def test_a_page_knows_its_place_also_behind_a_tab() -> None:
    place = navigation.locate("/service/workloads/pods")
    assert place is not None
    assert (place[0].key, place[1].key) == ("service", "workloads")
    assert navigation.locate("/nowhere") is None
