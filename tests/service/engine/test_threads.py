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
print("torch" in sys.modules, os.environ.get("GOMP_SPINCOUNT"), os.environ.get("LRU_CACHE_CAPACITY"))
"""


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "1000 16"),
        ({"GOMP_SPINCOUNT": "5", "LRU_CACHE_CAPACITY": "7"}, "5 7"),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, "None 16"),
    ],
    ids=["default", "spins given", "policy given"],
)
def test_they_spin_and_remember_little_unless_the_environment_says_otherwise(
    given: Mapping[str, str], expected: str
) -> None:
    """Before torch is imported: its libraries read the environment then."""
    ours = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "LRU_CACHE_CAPACITY")
    environment = {name: value for name, value in os.environ.items() if name not in ours}
    done = subprocess.run(
        [sys.executable, "-c", CODE], env={**environment, **given}, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == f"False {expected}"
