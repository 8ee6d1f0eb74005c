"""What every tier shares: the lab's clusters."""

pytest_plugins = ["tests.lab.fixtures"]
