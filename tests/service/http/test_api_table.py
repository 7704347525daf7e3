"""``docs/api.md`` is true: every cell of its table of networks and controls, by a request of its own."""

import re
import shutil
from pathlib import Path

import httpx
import image_files as files
import pytest
from answers import problem
from controls import WHITE, registered_style, send
from paths import ROOT
from processes import Service, photo, wait_for
from services import Services
from tiny import add_painting, learned_checkpoint

PAGE = ROOT / "docs" / "api.md"
FLAT = photo(128, 16, seed=1)
"""A style image that is quick to encode."""

STYLES = {
    "`adain`: upload": {"styles": (FLAT,)},
    "`adain`: shipped id": {"style_id": "first"},
    "registered id": {"style_id": "mine"},
    "conditional: `residual-cin`": {"style_id": "sea"},
    "one style: `residual-*`": {"style_id": "ink"},
    "`pyramid-*`": {"style_id": "mist"},
    "`method=gatys`": {"styles": (FLAT,), "method": "gatys", "headers": {"Prefer": "respond-async"}},
}
CONTROLS = {
    "`alpha`": {"alpha": 0.5},
    "`weights`": {"weights": "2"},
    "`color=luminance`": {"color": "luminance"},
    "`color=match`": {"color": "match"},
    "`mask`": {"masks": (WHITE,)},
    "`style_size`": {"style_size": 128},
    "`seed`": {"seed": 1},
    "`size=original`": {"size": "original"},
    "`model=adain`": {"model": "adain"},
    "`steps`": {"steps": 1},
}


def cells() -> list[tuple[str, str, str]]:
    """Network, control and what the page says of the two."""
    section = PAGE.read_text().split("## Networks and controls")[1].split("\n\n")
    rows = next(part for part in section if part.startswith("| |")).splitlines()
    (_, *networks), _, *table = ([cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows)
    return [(network, row[0], said) for row in table for network, said in zip(networks, row[1:], strict=True)]


@pytest.fixture(scope="module")
def service(services: Services, every_network: Path, tmp_path_factory: pytest.TempPathFactory) -> Service:
    folder = shutil.copytree(every_network, tmp_path_factory.mktemp("table") / "checkpoints")
    add_painting(folder, files.photo(96, 32, seed=7), "first", "sea", "ink", "mist")
    learned_checkpoint(folder / "fog.safetensors", "mist", network="pyramid", norm="instance")
    return services.shared(folder)


@pytest.fixture(scope="module")
def mine(client: httpx.Client) -> str:
    return registered_style(client, files.saved(files.photo(96, 32, seed=5), "png"))


def test_the_table_has_all_networks_and_controls() -> None:
    assert {(network, control) for network, control, _ in cells()} == {
        (network, control) for network in STYLES for control in CONTROLS
    }


@pytest.mark.parametrize(("network", "control", "said"), cells())
def test_a_cell(client: httpx.Client, mine: str, network: str, control: str, said: str) -> None:
    fields = {"size": "64", "steps": 1} if "gatys" in network else {"size": "64"}
    fields |= STYLES[network] | CONTROLS[control]
    if fields.get("style_id") == "mine":
        fields["style_id"] = mine
    answer = send(client, **fields)
    if said == "refused":
        problem(answer, 422, control.strip("`").partition("=")[0])
        return
    if answer.status_code == 202:
        path = answer.headers["location"]
        wait_for(lambda: client.get(path).json()["state"] not in ("queued", "running"), 60)
        answer = client.get(f"{path}/result")
    assert answer.status_code == 200, answer.text
