"""Dynamic batching: what waits together is asked together, and nobody pays for another's fault."""

import asyncio
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

from mm_keras.serving.batcher import Batcher
from mm_keras.serving.errors import ServingError


class Model:
    """Doubles rows; refuses those below 0; waits until it is let go."""

    def __init__(self):
        self.batches, self.gate, self.entered = [], threading.Event(), threading.Event()
        self.gate.set()

    def run(self, signature, inputs, outputs=None):
        self.entered.set()
        self.gate.wait(20)
        self.batches.append(len(inputs["x"]))
        if (inputs["x"] < 0).any():
            raise ServingError("INVALID_ARGUMENT", "negative")
        return {"y": 2 * inputs["x"]}


def signature(batched=True, name="serving_default"):
    return SimpleNamespace(name=name, batched=batched)


SIGNATURE = signature()


def run(scenario, **settings):
    """Runs the coroutine `scenario(ask, model, batcher)`."""
    model = Model()

    async def main():
        batcher = Batcher(**{"workers": 1, **settings})
        batcher.start()

        def ask(*values, seconds=20, of=SIGNATURE):
            x = np.asarray(values)
            return batcher.ask(model, of, {"x": x}, len(x), time.monotonic() + seconds)

        try:
            return await scenario(ask, model, batcher)
        finally:
            model.gate.set()
            batcher.stop()
            batcher.join(20)

    return asyncio.run(main()), model


async def occupy(ask, model):
    """Starts a task that the only thread is busy with, and returns it."""
    model.gate.clear()
    first = asyncio.ensure_future(ask(0))
    while not model.entered.is_set():
        await asyncio.sleep(0.001)
    return first


async def behind(ask, model, *tasks):
    """Starts tasks while the only thread is busy with another one, and returns their results."""
    first = await occupy(ask, model)
    started = [asyncio.ensure_future(task) for task in tasks]
    await asyncio.sleep(0.01)
    model.gate.set()
    await first
    return await asyncio.gather(*started, return_exceptions=True)


def lists(results):
    return [result["y"].tolist() for result in results]


def test_rows_that_wait_together_are_asked_at_once_and_each_gets_its_own():
    async def scenario(ask, model, batcher):
        return lists(await behind(ask, model, ask(1), ask(2, 3), ask(4)))

    answers, model = run(scenario)
    assert answers == [[2], [4, 6], [8]]
    assert model.batches == [1, 4]


def test_a_batch_has_at_most_its_rows_and_a_longer_request_is_answered_in_parts():
    async def scenario(ask, model, batcher):
        return lists(await behind(ask, model, ask(1, 2), ask(3, 4), ask(*range(7))))

    answers, model = run(scenario, most_rows=3)
    assert answers == [[2, 4], [6, 8], [0, 2, 4, 6, 8, 10, 12]]
    assert max(model.batches) == 3
    assert sum(model.batches) == 12


def test_a_faulty_row_fails_its_own_request_alone():
    async def scenario(ask, model, batcher):
        return await behind(ask, model, *(ask(-1 if i == 5 else i) for i in range(9)))

    answers, _ = run(scenario)
    assert [str(answer) for answer in answers if isinstance(answer, Exception)] == ["negative"]
    assert lists(answers[:5] + answers[6:]) == [[2 * i] for i in range(9) if i != 5]


def test_signatures_and_shapes_are_not_mixed():
    async def scenario(ask, model, batcher):
        tasks = [ask(1), ask(2, of=signature(name="other")), ask([3, 4]), ask(5)]
        return lists(await behind(ask, model, *tasks))

    answers, model = run(scenario)
    assert answers == [[2], [4], [[6, 8]], [10]]
    assert model.batches == [1, 2, 1, 1]


def test_without_a_batch_axis_each_request_stays_alone():
    async def scenario(ask, model, batcher):
        alone = signature(batched=False)
        return lists(await behind(ask, model, ask(1, of=alone), ask(2, of=alone)))

    answers, model = run(scenario)
    assert answers == [[2], [4]]
    assert model.batches == [1, 1, 1]


def test_more_than_may_wait_is_refused_at_once():
    async def scenario(ask, model, batcher):
        first = await occupy(ask, model)
        waiting = [asyncio.ensure_future(ask(i)) for i in range(4)]
        await asyncio.sleep(0)
        with pytest.raises(ServingError) as caught:
            await ask(9)
        model.gate.set()
        return caught.value, lists(await asyncio.gather(first, *waiting))

    (error, answers), _ = run(scenario, most_waiting=4)
    assert (error.code, error.http_status, error.retry_after) == ("RESOURCE_EXHAUSTED", 503, 1)
    assert answers == [[0], [0], [2], [4], [6]]


def test_after_its_deadline_nothing_is_asked_of_the_model():
    async def scenario(ask, model, batcher):
        return await behind(ask, model, ask(1, seconds=0.001), ask(2))

    (late, answer), model = run(scenario)
    assert late.code == "DEADLINE_EXCEEDED"
    assert answer["y"].tolist() == [4]
    assert model.batches == [1, 1]


def test_a_request_that_is_given_up_costs_no_row():
    async def scenario(ask, model, batcher):
        first = await occupy(ask, model)
        second = asyncio.ensure_future(ask(1))
        await asyncio.sleep(0.01)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        model.gate.set()
        return lists([await first, await ask(2)])

    answers, model = run(scenario)
    assert answers == [[0], [4]]
    assert model.batches == [1, 1]


def test_a_stop_answers_what_waits_and_refuses_what_comes():
    async def scenario(ask, model, batcher):
        first = await occupy(ask, model)
        tasks = [first, *(asyncio.ensure_future(ask(i)) for i in (1, 2))]
        await asyncio.sleep(0.01)
        batcher.stop()
        with pytest.raises(ServingError):
            await ask(9)
        model.gate.set()
        return lists(await asyncio.gather(*tasks))

    answers, _ = run(scenario)
    assert answers == [[0], [2], [4]]
