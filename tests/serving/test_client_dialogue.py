"""Repetition, deadlines and the order of the client's steps, without a server."""

import numpy as np
import pytest
from fake_server import DESCRIPTION, metadata

from mm_keras.serving.client_answers import read_signatures
from mm_keras.serving.client_dialogue import Dialogue, Pause, Send, Work, delays
from mm_keras.serving.errors import ServingError


class Wire:
    """Requests are words; what reads an answer gives it back."""

    model = "fake"

    def predict(self, signature, inputs, outputs):
        return f"predict {signature}", lambda response: response

    def metadata(self):
        return "metadata", lambda response: response

    def status(self):
        return "status", lambda response: response


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def play(talk, clock, answers, seconds=0.0):
    """Takes the steps of a dialogue with answers from a list; returns its result and the steps."""
    steps, step = [], next(talk)
    try:
        while True:
            if isinstance(step, Work):
                step = talk.send(step.function())
                continue
            steps.append(step.request if isinstance(step, Send) else round(step.seconds, 3))
            if isinstance(step, Pause):
                clock.now += step.seconds
                step = talk.send(None)
                continue
            clock.now += seconds
            answer = answers.pop(0)
            step = talk.throw(answer) if isinstance(answer, Exception) else talk.send(answer)
    except StopIteration as end:
        return end.value, steps
    except ServingError as error:
        return error, steps


def busy(wait=None, code="UNAVAILABLE"):
    return ServingError(code, "busy", retry_after=wait)


def dialogue(clock, **arguments):
    return Dialogue(Wire(), **{"timeout": 30.0, "retries": 3, "clock": clock, **arguments})


def test_delays_double_less_a_random_part_and_stop_growing():
    assert list(delays(4, lambda: 1.0)) == [0.1, 0.2, 0.4, 0.8]
    assert list(delays(2, lambda: 0.0)) == [0.05, 0.1]
    assert max(delays(20, lambda: 1.0)) == 5.0


@pytest.mark.parametrize("code", ["UNAVAILABLE", "RESOURCE_EXHAUSTED"])
def test_a_busy_server_is_asked_again_later(code):
    clock = Clock()
    result, steps = play(dialogue(clock).status(), clock, [busy(code=code), busy(code=code), "fine"])
    assert result == "fine"
    assert steps[::2] == ["status"] * 3
    assert 0.05 <= steps[1] <= 0.1 <= steps[3] <= 0.2


def test_the_error_is_raised_after_the_last_repetition():
    clock = Clock()
    error = busy()
    result, steps = play(dialogue(clock, retries=2).status(), clock, [busy(), busy(), error])
    assert result is error
    assert steps.count("status") == 3


@pytest.mark.parametrize("code", ["INVALID_ARGUMENT", "NOT_FOUND", "DEADLINE_EXCEEDED", "INTERNAL"])
def test_what_would_fail_again_is_not_repeated(code):
    clock = Clock()
    _, steps = play(dialogue(clock).status(), clock, [busy(code=code)])
    assert steps == ["status"]


def test_a_message_that_is_too_large_is_not_repeated():
    clock = Clock()
    error = ServingError("RESOURCE_EXHAUSTED", "Received message larger than max (5 vs. 4)")
    _, steps = play(dialogue(clock).status(), clock, [error])
    assert steps == ["status"]


def test_the_server_says_how_long_to_wait():
    clock = Clock()
    _, steps = play(dialogue(clock).status(), clock, [busy(wait=2.0), "fine"])
    assert steps == ["status", 2.0, "status"]


def test_nothing_is_repeated_that_would_come_after_the_deadline():
    clock = Clock()
    _, steps = play(dialogue(clock, timeout=5.0).status(), clock, [busy(wait=5.0)])
    assert steps == ["status"]
    _, steps = play(dialogue(clock, timeout=5.0).status(), clock, [busy(), busy()], seconds=2.49)
    assert steps.count("status") == 2


def test_an_attempt_has_the_time_that_the_others_left():
    clock = Clock()
    talk = dialogue(clock, timeout=5.0).status()
    assert next(talk).timeout == 5.0
    clock.now = 2.0
    pause = talk.throw(busy())
    clock.now += 1.0
    assert isinstance(pause, Pause)
    assert talk.send(None).timeout == 2.0


def learned():
    return read_signatures(metadata()), {"description": np.array([json_of(DESCRIPTION)], object)}


def json_of(value):
    return repr(value).replace("'", '"').encode()


def test_a_model_is_learned_once_and_again_after_a_refusal():
    clock = Clock()
    client = dialogue(clock)
    answer = {"label": np.array([b"a"], object)}
    result, steps = play(client.one("serving_default", {"text": "a"}), clock, [*learned(), answer])
    assert result == {"label": "a"}
    assert steps == ["metadata", "predict describe", "predict serving_default"]
    _, steps = play(client.one("serving_default", {"text": "a"}), clock, [answer])
    assert steps == ["predict serving_default"]
    play(client.one("serving_default", {"text": "a"}), clock, [busy(code="NOT_FOUND")])
    _, steps = play(client.one("serving_default", {"text": "a"}), clock, [*learned(), answer])
    assert steps[0] == "metadata"


def test_given_modalities_are_not_asked_for():
    clock = Clock()
    client = dialogue(clock, modalities=DESCRIPTION["modalities"])
    answers = [learned()[0], {"label": np.array([b"a"], object)}]
    _, steps = play(client.one("serving_default", {"text": "a"}), clock, answers)
    assert steps == ["metadata", "predict serving_default"]
