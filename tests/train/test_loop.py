import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from paths import HELPERS, ROOT
from tiny import images
from torch import nn
from torchvision.utils import make_grid

from model_store.runtime import Runtime
from train.data import PairCrops, list_images
from train.distributed import Rank
from train.loop import Task, Training, training_runtime
from train.recipe import Recipe, SettingError, Stage
from train.state import StateError, check_continues, load_state

STEPS = 6
RECIPE = Recipe(
    steps=STEPS,
    stages=(Stage(0.5, 32, 2, (32, 64)), Stage(1.0, 40, 2, (40, 64))),
    weights={"content": 1.0, "style": 1.0, "reconstruction": 1.0},
    peak_lr=1e-2,
)
CPU = Runtime(torch.device("cpu"), torch.float32)


class Tint(Task):
    """A task of a few weights: two convolutions learn to make the content as bright as the style."""

    name = "tint"

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Tanh(), nn.Conv2d(4, 3, 1))
        self.arguments: dict[str, object] = {}
        self.calls = 0
        self.on_call: dict[int, object] = {}

    def to(self, device: torch.device) -> None:
        self.network.to(device)

    def losses(self, *inputs: torch.Tensor) -> dict[str, torch.Tensor]:
        content, style = inputs
        self.calls += 1
        self.on_call.get(self.calls, lambda: None)()
        result = self.network(content)
        brightness = (result.mean(dim=(2, 3)) - style.mean(dim=(2, 3))).square().mean()
        return {"content": (result - content).square().mean(), "style": brightness}

    def sample_images(self, *inputs: torch.Tensor) -> torch.Tensor:
        return make_grid(torch.cat(inputs))


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    images(folder / "content", 5, seed=0)
    images(folder / "style", 4, seed=1)
    return folder


def training(task, data: Path, out: Path, resume: bool = False, **changes) -> Training:
    crops = PairCrops(list_images([data / "content"]), RECIPE, STEPS, style=list_images([data / "style"]))
    settings = {"workers": 0, "save_every_s": 1e9, "max_minutes": None, "data": {"seed": 0}} | changes
    state = load_state(out / "state.pt", task.name) if resume else None
    return Training(task, RECIPE, crops, CPU, out, Rank(0, 0, 1), resume=state, **settings)


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_a_training_lowers_its_loss_and_saves(data, tmp_path):
    task = Tint()
    before = {name: tensor.clone() for name, tensor in task.network.state_dict().items()}
    state = training(task, data, tmp_path).run()
    assert (state.step, state.steps) == (STEPS, STEPS) and state.seconds > 0
    assert not same(before, state.network)
    saved = load_state(tmp_path / "state.pt", "tint")
    assert same(saved.network, state.network) and saved.recipe == RECIPE and saved.data == {"seed": 0}
    assert list(tmp_path.glob("events.out.tfevents.*")), "TensorBoard has its file"
    assert not list(tmp_path.glob("*.unfinished"))


def test_every_step_tells_its_number_and_its_own_losses(data, tmp_path):
    heard: list[tuple[int, dict[str, float]]] = []
    straight = training(Tint(), data, tmp_path, on_step=lambda step, losses: heard.append((step, losses))).run()
    assert [step for step, _ in heard] == list(range(1, STEPS + 1))
    means = dict(heard[0][1])
    for _, losses in heard[1:]:
        means = {name: 0.98 * means[name] + 0.02 * value for name, value in losses.items()}
    assert means == pytest.approx(straight.losses), "what is told is what the running means are made of"
    assert len({losses["style"] for _, losses in heard}) == STEPS


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_a_resumed_training_equals_an_uninterrupted_one(data, tmp_path, number):
    handler = signal.getsignal(number)
    straight = training(Tint(), data, tmp_path / "straight").run()
    task = Tint()
    task.on_call[2] = lambda: os.kill(os.getpid(), number)
    cut = training(task, data, tmp_path / "cut").run()
    assert cut.step == 2, "the step that the signal met is finished, the next not begun"
    assert signal.getsignal(number) == handler
    resumed = training(Tint(), data, tmp_path / "cut", resume=True).run()
    assert resumed.step == STEPS
    assert same(resumed.network, straight.network)
    assert resumed.losses == straight.losses
    for index, moments in straight.optimizer["state"].items():
        assert same(moments, resumed.optimizer["state"][index])


def test_the_time_limit_ends_a_training_and_saves(data, tmp_path):
    state = training(Tint(), data, tmp_path, max_minutes=0).run()
    assert state.step == 1 and load_state(tmp_path / "state.pt").step == 1


def test_a_kill_between_saves_loses_only_what_came_after(data, tmp_path):
    def dies():
        raise KeyboardInterrupt

    task = Tint()
    task.on_call[4] = dies
    with pytest.raises(KeyboardInterrupt):
        training(task, data, tmp_path, save_every_s=0).run()
    assert load_state(tmp_path / "state.pt").step == 3
    resumed = training(Tint(), data, tmp_path, resume=True).run()
    assert same(resumed.network, training(Tint(), data, tmp_path / "straight").run().network)


def test_a_finished_training_resumes_to_itself(data, tmp_path):
    first = training(Tint(), data, tmp_path).run()
    again = training(Tint(), data, tmp_path, resume=True).run()
    assert again.step == STEPS and same(first.network, again.network)


def test_a_gradient_that_is_no_number_stops_with_advice(data, tmp_path):
    task = Tint()
    task.network[0].weight.data[:] = float("nan")
    with pytest.raises(FloatingPointError, match="step 0: the gradient is nan; try a lower --peak-lr"):
        training(task, data, tmp_path).run()


def test_unreadable_images_are_counted_at_the_end(data, tmp_path, capsys):
    broken = images(tmp_path / "data/content", 2, seed=0)
    images(tmp_path / "data/style", 2, seed=0)
    (broken / "torn.png").write_bytes(b"\x89PNG torn")
    training(Tint(), tmp_path / "data", tmp_path / "out").run()
    error = capsys.readouterr().err
    assert "skipped 1 unreadable images, such as" in error and "torn.png" in error.replace("\n", "")


def test_a_state_of_another_training_is_refused(data, tmp_path):
    path = tmp_path / "state.pt"
    training(Tint(), data, tmp_path, max_minutes=0).run()
    state = load_state(path)
    check_continues(state, path, RECIPE, STEPS, {"seed": 0})
    check_continues(replace(state, data={}), path, RECIPE, STEPS, {"seed": 0})
    with pytest.raises(StateError, match="its steps: 6; asked for: 7"):
        check_continues(state, path, RECIPE, 7, {"seed": 0})
    with pytest.raises(StateError, match=r"its recipe: .*peak_lr=0\.01.*asked for: .*peak_lr=0\.5"):
        check_continues(state, path, replace(RECIPE, peak_lr=0.5), STEPS, {"seed": 0})
    with pytest.raises(StateError, match=r"trained on \{'seed': 0\}, asked for \{'seed': 1\}"):
        check_continues(state, path, RECIPE, STEPS, {"seed": 1})
    with pytest.raises(StateError, match="a training of 'tint', not of 'adain'"):
        load_state(path, "adain")


def test_what_is_no_state_is_named(tmp_path):
    with pytest.raises(StateError, match="no such file; a training writes it"):
        load_state(tmp_path / "state.pt")
    (tmp_path / "state.pt").write_bytes(b"nothing of the kind")
    with pytest.raises(StateError, match=r"state\.pt: not a training state"):
        load_state(tmp_path / "state.pt")


def test_half_precision_training_is_refused():
    with pytest.raises(SettingError, match="gradients overflow"):
        training_runtime("cpu", "float16")
    with pytest.raises(SettingError, match="unknown device 'tpu9000'"):
        training_runtime("tpu9000", "auto")


def test_torchrun_gives_each_process_its_gpu(monkeypatch):
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    rank = Rank.from_environment()
    assert rank == Rank(3, 1, 4) and not rank.leads
    assert [rank.device_name(name) for name in ("auto", "cuda", "cuda:0", "cpu")] == [
        "cuda:1",
        "cuda:1",
        "cuda:0",
        "cpu",
    ]
    assert Rank(0, 0, 1).device_name("auto") == "auto"


TWO_PROCESSES = """
import sys
from pathlib import Path
import torch
from tests.train.test_loop import CPU, RECIPE, STEPS, Tint
from train.data import PairCrops, list_images
from train.distributed import process_group
from train.loop import Training

data, out = Path(sys.argv[1]), Path(sys.argv[2])
with process_group(CPU.device) as rank:
    crops = PairCrops(
        list_images([data / "content"]),
        RECIPE,
        STEPS,
        0,
        rank.index,
        rank.world_size,
        style=list_images([data / "style"]),
    )
    task = Tint()
    Training(task, RECIPE, crops, CPU, out, rank, 0, 1e9, None, {}).run()
    torch.save(task.network.state_dict(), out / f"rank{rank.index}.pt")
"""


@pytest.mark.processes
@pytest.mark.slow
def test_two_processes_end_with_equal_weights(data, tmp_path):
    script = tmp_path / "two.py"
    script.write_text(TWO_PROCESSES)
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, (HELPERS, ROOT))),
        "OMP_NUM_THREADS": "1",
    }
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run([*launch, script, data, tmp_path], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    first, second = (torch.load(tmp_path / f"rank{rank}.pt") for rank in range(2))
    assert same(first, second)
    assert load_state(tmp_path / "state.pt", "tint").step == STEPS
