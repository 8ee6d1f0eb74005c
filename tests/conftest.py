"""What every tier shares: the lab's clusters, PostgreSQL, fresh installations."""

pytest_plugins = [
    "tests.lab.fixtures",
    "tests.support.postgres",
    "tests.support.identity",
    "tests.support.redis",
    "tests.support.console",
    "tests.support.fleet",
    "tests.support.tabs",
]
