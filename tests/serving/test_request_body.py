"""Bodies of requests: how long they may be, each and all together, and how long they may take."""

import asyncio

import pytest

from mm_keras.serving.errors import ServingError
from mm_keras.serving.request_body import HeldBodies


def receiving(*parts, then=None):
    """Returns `receive` of ASGI that gives the parts, and then waits, or gives `then`."""
    events = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    events += [then] if then else []

    async def receive():
        if not events:
            await asyncio.sleep(60)
        return events.pop(0)

    return receive


END = {"type": "http.request", "body": b"", "more_body": False}


def scope(length=None):
    return {"headers": [] if length is None else [(b"content-length", b"%d" % length)]}


def refusal(body, *arguments):
    with pytest.raises(ServingError) as caught:
        asyncio.run(body.read(*arguments))
    return caught.value


def test_the_parts_of_a_body_are_taken_once_and_count_until_the_end():
    bodies = HeldBodies(10, 5)
    with bodies.body() as body:
        asyncio.run(body.read(scope(), receiving(b"abc", b"de", then=END)))
        assert (body.take(), body.take(), body.size, bodies.held) == (b"abcde", b"", 5, 5)
    assert bodies.held == 0


def test_a_body_is_refused_as_soon_as_it_is_known_to_be_too_long():
    bodies = HeldBodies(10, 5)
    with bodies.body() as body:
        assert refusal(body, scope(11), receiving()).http_status == 413
        assert body.size == 0
    with bodies.body() as body:
        assert refusal(body, scope(), receiving(b"a" * 6, b"a" * 6)).http_status == 413
    assert bodies.held == 0


def test_a_body_that_does_not_come_in_time_and_a_client_that_goes_are_told():
    bodies = HeldBodies(10, 0.05)
    with bodies.body() as body:
        error = refusal(body, scope(9), receiving(b"abc"))
        assert (error.http_status, error.code) == (408, "DEADLINE_EXCEEDED")
        assert "3 bytes" in str(error)
    with bodies.body() as body:
        assert refusal(body, scope(9), receiving(b"a", then={"type": "http.disconnect"})).code == "CANCELLED"
    assert bodies.held == 0


def test_only_so_many_bytes_are_held_at_once():
    bodies = HeldBodies(10, 5)
    held = [bodies.body() for _ in range(8)]
    for context in held:
        asyncio.run(context.__enter__().read(scope(), receiving(b"a" * 10, then=END)))
    with bodies.body() as body:
        error = refusal(body, scope(1), receiving(b"a", then=END))
        assert (error.code, error.retry_after) == ("RESOURCE_EXHAUSTED", 1)
    held.pop().__exit__(None, None, None)
    with bodies.body() as body:
        asyncio.run(body.read(scope(1), receiving(b"a", then=END)))
        assert body.take() == b"a"
