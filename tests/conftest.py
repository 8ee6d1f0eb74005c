"""What every tier shares: the lab's clusters, PostgreSQL, fresh installations."""

import os
import tempfile

# A test that forgets to say where its installation lies must not find, or make, the one of whoever runs it.
os.environ["GM_DATA"] = tempfile.mkdtemp(prefix="gm-tests-")

pytest_plugins = [
    "tests.lab.fixtures",
    "tests.support.postgres",
    "tests.support.identity",
    "tests.support.redis",
    "tests.support.console",
    "tests.support.fleet",
    "tests.support.tabs",
]
