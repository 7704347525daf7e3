import asyncio

from service.tasks import end_tasks


async def test_a_task_that_swallows_its_first_cancellation_ends() -> None:
    async def stubborn() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(60)

    tasks = [asyncio.create_task(stubborn()), asyncio.create_task(asyncio.sleep(0))]
    await asyncio.sleep(0.01)
    await asyncio.wait_for(end_tasks(tasks), 5)
    assert all(task.done() for task in tasks)
