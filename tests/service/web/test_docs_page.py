"""``/docs`` in a real browser that can reach nothing but the service."""

import subprocess
from pathlib import Path

import pytest
from processes import Service
from studio import chromium_path


@pytest.mark.browser
def test_the_page_shows_every_operation(api_alone: Service, tmp_path: Path) -> None:
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--virtual-time-budget=15000"]
    isolation = [f"--user-data-dir={tmp_path}", "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"]
    done = subprocess.run(
        [chromium_path(), *options, *isolation, "--dump-dom", f"{api_alone.url}/docs"], capture_output=True, text=True
    )
    assert done.returncode == 0
    for path, item in api_alone.client.get("/openapi.json").json()["paths"].items():
        for operation in item.values():
            assert f'id="operations-{operation["tags"][0]}-{operation["operationId"]}"' in done.stdout, path
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert console == [], "what a policy refuses, or a script cannot do, is told there"
