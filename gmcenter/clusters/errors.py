"""What can go wrong with clusters and sites, beyond the errors that every domain has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gmcenter.core import i18n
from gmcenter.core.errors import Conflict, GMError
from gmcenter.kube.preflight import StageResult


class ClusterExists(Conflict):
    """Another cluster has the name."""

    code = "cluster_exists"


class ClusterBuilding(Conflict):
    """The cluster does not exist yet."""

    code = "cluster_building"


class SiteExists(Conflict):
    """Another site has the name."""

    code = "site_exists"


class SiteInUse(Conflict):
    """Clusters stand at the site; `clusters` names them."""

    code = "site_in_use"


class ConfirmationNeeded(Conflict):
    """A cluster is removed only when its name is given once more; `objects` would no longer be shown."""

    code = "confirmation_needed"


class PreflightFailed(GMError):
    """The check of a cluster ended in a stage that failed, or in warnings that nobody accepted.

    `stages` are all results. The words are those of the first stage that is not in order.
    """

    code, status = "preflight_failed", 422

    def __init__(self, stages: Sequence[StageResult]) -> None:
        self.stages = tuple(stages)
        worst = next((s for s in stages if s.state == "failed"), None) or next(s for s in stages if s.state == "warn")
        self.stage = worst
        super().__init__(reason=worst.reason, stage=worst.stage, **worst.params)

    def _words(self, language: str) -> dict[str, Any]:
        key = f"clusters.preflight.reason.{self.stage.reason}"
        remedy = i18n.message(self.stage.remedy or "", language, **self.stage.params)
        return {**self.params, "reason": i18n.message(key, language, **self.stage.params), "remedy": remedy}


class PreflightWarned(PreflightFailed):
    """Nothing failed, but there are warnings, and the caller did not say that they are accepted."""

    code = "preflight_warned"
