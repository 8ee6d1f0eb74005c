"""A cluster that is being made: its step in words, how far it is, how long it is going to take."""

from __future__ import annotations

from typing import Any

import pytest

from gmcenter.clusters.schema import ClusterView
from gmcenter.core import i18n
from gmtool.pages.platform.clusters import STEPS, row_of


def shown(building: dict[str, Any], language: str) -> str:
    """The words of the list's chip, put together as the browser does."""
    view = ClusterView.model_construct(
        cluster_name="edge", state="building", building=building, cluster_endpoint="", cluster_type="edge"
    )
    for name, info in ClusterView.model_fields.items():
        if name not in view.model_fields_set and info.is_required():
            setattr(view, name, None)
    row = row_of(view)
    words = {
        name: i18n.message(value["key"], language, **value.get("params", {})) if isinstance(value, dict) else value
        for name, value in row["statusParams"].items()
    }
    return i18n.message(f"status.{row['status']}", language, **words)


@pytest.mark.parametrize("language", i18n.LANGUAGES)
def test_every_step_has_words_of_its_own(language: str) -> None:
    said = {shown({"percent": 40.0, "etaSeconds": None, "step": step}, language) for step in (*STEPS, "", "new one")}
    assert len(said) == len(STEPS) + 1  # what is not known shares the general words
    assert all(text.endswith("40%") for text in said)


def test_the_time_that_is_left_is_said_where_it_can_be_told() -> None:
    building = {"percent": 41.6, "etaSeconds": 170, "step": "compiling"}
    assert shown(building, "en") == "Compiling 42% · about 3 min left"
    assert shown(building | {"etaSeconds": 5}, "en") == "Compiling 42% · about 1 min left"
