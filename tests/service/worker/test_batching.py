"""Which waiting jobs run together."""

import random
from dataclasses import dataclass

import pytest

from service.worker.batching import BatchLimits, Shape, next_batch, wait_left_ms

SMALL, LARGE = Shape("adain", 64, 64), Shape("adain", 512, 512)
LIMITS = BatchLimits(size=4, pixels=2 * 512 * 512)


@dataclass(frozen=True)
class Waiting:
    number: int
    shape: Shape


def waiting(*shapes: Shape) -> list[Waiting]:
    return [Waiting(number, shape) for number, shape in enumerate(shapes)]


def numbers(batch: list[Waiting]) -> list[int]:
    return [job.number for job in batch]


def test_nothing_waits() -> None:
    assert next_batch([], LIMITS) == []


def test_the_oldest_leads_and_only_its_shape_joins() -> None:
    jobs = waiting(LARGE, SMALL, SMALL, LARGE, SMALL)
    assert numbers(next_batch(jobs, LIMITS)) == [0, 3]
    assert numbers(next_batch(jobs[1:], LIMITS)) == [1, 2, 4]
    assert len(jobs) == 5, "what waits is not changed"


@pytest.mark.parametrize("other", [Shape("adain", 64, 72), Shape("adain", 72, 64), Shape("wave", 64, 64)])
def test_a_shape_is_model_height_and_width(other: Shape) -> None:
    assert numbers(next_batch(waiting(SMALL, other, SMALL), LIMITS)) == [0, 2]


def test_caps_in_images_and_in_pixels() -> None:
    assert numbers(next_batch(waiting(*[SMALL] * 9), LIMITS)) == [0, 1, 2, 3]
    assert numbers(next_batch(waiting(*[LARGE] * 9), LIMITS)) == [0, 1]
    exact = BatchLimits(size=4, pixels=3 * LARGE.pixels - 1)
    assert exact.room(LARGE) == 2


def test_an_image_above_the_cap_runs_alone() -> None:
    huge = Shape("adain", 2048, 2048)
    assert LIMITS.room(huge) == 1
    assert numbers(next_batch(waiting(huge, huge, SMALL), LIMITS)) == [0]


def test_limits_are_halved_down_to_one() -> None:
    limits = BatchLimits(3, 5)
    assert limits.halved() == BatchLimits(1, 2)
    assert limits.halved().halved().halved() == BatchLimits(1, 1)


@pytest.mark.parametrize("seed", range(20))
def test_nothing_is_overtaken_for_ever(seed: int) -> None:
    """Whatever arrives: every batch keeps the limits, and the oldest job is always in the next one."""
    dice = random.Random(seed)
    shapes = [SMALL, LARGE, Shape("adain", 128, 96), Shape("wave", 64, 64)]
    queue: list[Waiting] = []
    arrived, ran = 0, []
    while arrived < 200 or queue:
        for _ in range(dice.randrange(6) if arrived < 200 else 0):
            queue.append(Waiting(arrived, dice.choices(shapes, (9, 3, 1, 1))[0]))
            arrived += 1
        batch = next_batch(queue, LIMITS)
        if not queue:
            assert batch == []
            continue
        assert batch[0] is queue[0]
        assert numbers(batch) == sorted(numbers(batch))
        assert len({job.shape for job in batch}) == 1
        assert len(batch) <= LIMITS.size
        assert len(batch) == 1 or sum(job.shape.pixels for job in batch) <= LIMITS.pixels
        queue = [job for job in queue if job not in batch]
        ran += numbers(batch)
    assert sorted(ran) == list(range(arrived)), "each job runs exactly once"


def test_an_idle_device_does_not_wait_unless_told_to() -> None:
    assert wait_left_ms(waiting(SMALL), 0.0, LIMITS, max_wait_ms=0) == 0
    assert wait_left_ms([], 0.0, LIMITS, max_wait_ms=50) == 0


def test_waiting_ends_with_time_or_with_a_full_batch() -> None:
    assert wait_left_ms(waiting(SMALL), 10.0, LIMITS, max_wait_ms=50) == 40
    assert wait_left_ms(waiting(SMALL), 60.0, LIMITS, max_wait_ms=50) == 0
    assert wait_left_ms(waiting(SMALL, SMALL, SMALL, LARGE, LARGE), 10.0, LIMITS, max_wait_ms=50) == 40
    assert wait_left_ms(waiting(*[SMALL] * 4), 10.0, LIMITS, max_wait_ms=50) == 0
    assert wait_left_ms(waiting(LARGE, SMALL, LARGE), 10.0, LIMITS, max_wait_ms=50) == 0
