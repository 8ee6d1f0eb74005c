"""The rules that `./gm lint` enforces hold, and the rules see what they are for."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from gmcenter.cli import lint, lints
from gmcenter.cli.lints import RULES, Source

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("step", [name for name in lint.STEPS if name != "texts"])  # test_texts.py has those
def test_lint_has_nothing_to_say(step: str) -> None:
    command = [sys.executable, "-m", "gmcenter.cli", "lint", step]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr


def complaints(path: str, text: str) -> list[str]:
    source = Source(path, text, ast.parse(text))
    return [complaint.words for rule in RULES for complaint in rule(source)]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("gmtool/pages/x.py", "from gmcenter.core import database"),
        ("gmtool/pages/x.py", "from gmcenter.fleet.model import Cluster"),
        ("gmtool/pages/x.py", "import gmcenter.core.vault"),
        ("gmtool/pages/x.py", "from gmcenter.clusters.model import Anything"),
        ("gmcenter/tenancy/service.py", "from gmcenter.clusters.model import Anything"),
        ("gmcenter/core/x.py", "TEXT = '\uac00\uc785'"),
        ("gmcenter/core/x.py", "TEXT = 1  # TO" + "DO: later"),
        ("gmcenter/core/x.py", "raise NotImpl" + "ementedError"),
        ("gmcenter/core/x.py", "get(url, verify=" + "False)"),
        ("tests/unit/test_x.py", "pytest.mark." + "skip"),
        ("tests/unit/test_x.py", "PATH = '/ro" + "ot/x'"),
    ],
)
def test_what_is_forbidden_is_seen(path: str, text: str) -> None:
    assert len(complaints(path, text)) == 1


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("gmtool/pages/x.py", "from gmcenter.clusters import service"),
        ("gmtool/pages/x.py", "from gmcenter.clusters.schema import ClusterView"),
        ("gmtool/pages/x.py", "from gmcenter.inventory.service import ListQuery"),
        ("gmtool/asgi.py", "from gmcenter.api.app import create_api"),
        ("gmcenter/clusters/service.py", "from gmcenter.clusters.model import Anything"),
        ("gmcenter/clusters/service.py", "from gmcenter.fleet.model import Cluster"),
        ("gmcenter/core/x.py", "get(url, verify=" + "False)  # allowed: a reason"),
        ("tests/unit/test_x.py", "TEXT = '\uac00\uc785'"),
    ],
)
def test_what_is_allowed_is_left_alone(path: str, text: str) -> None:
    assert complaints(path, text) == []


def test_every_package_of_ours_is_read() -> None:
    paths = {source.path for source in lints.sources()}
    assert {"gmcenter/cli/lints.py", "gmtool/asgi.py", "tests/lab/cluster.py"} <= paths
