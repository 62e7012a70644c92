"""Dynamic batching: rows of requests that wait at the same time are asked of the model at once."""

import asyncio
import threading
import time
from collections import deque
from dataclasses import dataclass, field

import numpy as np

from mm_keras.checks import message
from mm_keras.serving.errors import ServingError
from mm_keras.serving.served_model import ServedModel, Signature


@dataclass(eq=False)
class Task:
    """Rows of one request that wait or are answered.

    Args:
        model, signature: what is asked.
        inputs: dict, name -> NumPy array.
        rows: int.
        deadline: float. Of `time.monotonic()`.
        future: asyncio.Future of the answer.
        began: float. When it was queued.
    """

    model: ServedModel
    signature: Signature
    inputs: dict
    rows: int
    deadline: float
    future: asyncio.Future
    began: float = field(default_factory=time.monotonic)

    @property
    def key(self):
        """What tasks have in common that can be answered at once."""
        if not self.signature.batched:
            return id(self)
        shapes = tuple(x.shape[1:] for x in self.inputs.values())
        return (id(self.model), self.signature.name, shapes)


class Batcher:
    """Answers tasks in threads of its own: each takes what waits, up to `most_rows`, as soon as it is free.

    Nothing waits for a batch to fill: while all threads work, batches fill by themselves.

    Args:
        most_rows: int > 0. Rows of a batch. A request with more of them is answered in parts.
        most_waiting: int > 0. Rows that may wait. A request that comes while as many wait is refused at once.
        workers: int > 0. Batches that are answered at the same time.
        observe: callable or None, called with (task, its seconds of waiting, of running, rows of its batch).

    Call `start` inside the event loop that `ask` is called in.
    """

    def __init__(self, most_rows=32, most_waiting=256, workers=2, observe=None):
        self.most_rows, self.most_waiting = most_rows, most_waiting
        self.waiting_rows = 0
        self._observe = observe
        self._queues = {}  # Key -> deque of tasks.
        self._changed = threading.Condition()
        self._stopping = False
        self._loop = None
        self._threads = [
            threading.Thread(target=self._work, name=f"batch-{i}", daemon=True) for i in range(workers)
        ]

    def start(self):
        self._loop = asyncio.get_running_loop()
        for thread in self._threads:
            thread.start()

    async def ask(self, model, signature, inputs, rows, deadline):
        """Returns the answers to the rows of a request.

        Args:
            model: ServedModel.
            signature: Signature.
            inputs: dict, name -> NumPy array of `rows` rows.
            rows: int.
            deadline: float. Of `time.monotonic()`; later, nothing is asked of the model.

        Raises: ServingError: RESOURCE_EXHAUSTED if too many rows wait, DEADLINE_EXCEEDED, or the model's own.
        """
        self.check_room()
        step = self.most_rows if signature.batched else rows
        parts = [
            inputs if rows <= step else {name: x[at : at + step] for name, x in inputs.items()}
            for at in range(0, rows, step)
        ]
        futures = [self._loop.create_future() for _ in parts]
        with self._changed:
            for index, (part, future) in enumerate(zip(parts, futures, strict=True)):
                count = min(step, rows - index * step)
                task = Task(model, signature, part, count, deadline, future)
                self._queues.setdefault(task.key, deque()).append(task)
                self.waiting_rows += count
            self._changed.notify(len(parts))
        try:
            async with asyncio.timeout_at(self._loop.time() + deadline - time.monotonic()):
                answers = [await future for future in futures]
        except TimeoutError:
            raise late() from None
        finally:
            for future in futures:
                if not future.done():
                    future.cancel()
                elif not future.cancelled():
                    future.exception()  # Read, so that it is not told as forgotten.
        if len(answers) == 1:
            return answers[0]
        return {name: np.concatenate([answer[name] for answer in answers]) for name in answers[0]}

    def check_room(self):
        """Raises the ServingError of a request for which there is no room, before any work is done for it."""
        if self.waiting_rows >= self.most_waiting or self._stopping:
            fix = "Ask again later, or start more servers."
            text = message(
                "serve", f"fewer than {self.most_waiting} rows to wait", f"{self.waiting_rows}", fix
            )
            raise ServingError("RESOURCE_EXHAUSTED", text, retry_after=1)

    def stop(self):
        """Ends the threads once what waits is answered; nothing more is taken."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def join(self, seconds):
        end = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(end - time.monotonic(), 0))

    def _work(self):
        while tasks := self._take():
            done = self._answer(tasks)
            if not self._loop.is_closed():
                self._loop.call_soon_threadsafe(_settle, done)

    def _take(self):
        """Returns the tasks of the next batch, those that waited longest first; waits for one; None at the
        end."""
        with self._changed:
            while not self._queues:
                if self._stopping:
                    return None
                self._changed.wait()
            key = min(self._queues, key=lambda key: self._queues[key][0].began)
            queue, tasks, rows = self._queues[key], [], 0
            while queue and (not tasks or rows + queue[0].rows <= self.most_rows):
                tasks.append(queue.popleft())
                rows += tasks[-1].rows
            if not queue:
                del self._queues[key]
            self.waiting_rows -= rows
        return tasks

    def _answer(self, tasks):
        """Returns (task, answer or error) of each."""
        now = time.monotonic()
        ended = [task for task in tasks if task.deadline <= now or task.future.cancelled()]
        done = [(task, late()) for task in ended]
        tasks = [task for task in tasks if task not in ended]
        if tasks:
            done += self._run(tasks, now)
        return done

    def _run(self, tasks, began):
        try:
            answers = _ask_at_once(tasks)
        except Exception as error:
            if len(tasks) == 1 or getattr(error, "code", "") != "INVALID_ARGUMENT":
                return [(task, error) for task in tasks]
            # Some are at fault, and no other is to be hurt by them.
            half = len(tasks) // 2
            return self._run(tasks[:half], began) + self._run(tasks[half:], began)
        if self._observe:
            seconds, rows = time.monotonic() - began, sum(task.rows for task in tasks)
            for task in tasks:
                self._observe(task, began - task.began, seconds, rows)
        return list(zip(tasks, answers, strict=True))


def _ask_at_once(tasks):
    first = tasks[0]
    if len(tasks) == 1:
        return [first.model.run(first.signature, first.inputs)]
    inputs = {name: np.concatenate([task.inputs[name] for task in tasks]) for name in first.inputs}
    outputs = first.model.run(first.signature, inputs)
    answers, start = [], 0
    for task in tasks:
        answers.append({name: x[start : start + task.rows] for name, x in outputs.items()})
        start += task.rows
    return answers


def _settle(done):
    for task, result in done:
        if task.future.done():
            continue
        if isinstance(result, Exception):
            task.future.set_exception(result)
        else:
            task.future.set_result(result)


def late():
    """Returns the ServingError of a request whose time is over."""
    fix = "Give it more time, or ask when the server is less busy."
    return ServingError("DEADLINE_EXCEEDED", message("serve", "an answer in time", "none", fix))
