"""How torch's threads wait for one another."""

import os
import subprocess
import sys
from collections.abc import Mapping

import pytest

pytestmark = pytest.mark.processes

CODE = """
import os, runpy, sys
sys.argv = ["service", "--help"]
try:
    runpy.run_module("service", run_name="__main__")
except SystemExit:
    pass
print("torch" in sys.modules, os.environ.get("GOMP_SPINCOUNT"))
"""


@pytest.mark.parametrize(
    ("given", "spins"),
    [({}, "1000"), ({"GOMP_SPINCOUNT": "5"}, "5"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "None")],
    ids=["default", "spins given", "policy given"],
)
def test_they_spin_for_a_moment_unless_the_environment_says_otherwise(given: Mapping[str, str], spins: str) -> None:
    """Before torch is imported: libgomp reads the environment then."""
    environment = {
        name: value for name, value in os.environ.items() if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
    }
    done = subprocess.run(
        [sys.executable, "-c", CODE], env={**environment, **given}, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == f"False {spins}"
