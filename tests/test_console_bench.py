"""What the console prints of measurements."""

import io

from rich.console import Console

from mm_keras.console_bench import show_input

FOUND = {
    "rows": 20_000,
    "sample": 2_048,
    "stages": [
        {"name": "decode image", "examples_per_second": 1234.5},
        {"name": "finish batches", "examples_per_second": 56_789.0},
    ],
    "shares": {"decode image": 0.75, "finish batches": 0.25},
    "advice": ["Input is the limit.", "Set `data.cache: file`."],
}


def printed(found):
    out = Console(file=io.StringIO(), width=100, markup=False, highlight=False, emoji=False)
    show_input(out, found)
    return [" ".join(line.split()) for line in out.file.getvalue().splitlines()]


def test_stages_stand_above_what_to_change():
    lines = printed(FOUND)
    assert "Input, each stage alone, over 2,048 of 20,000 rows" in lines
    assert "decode image 1,234 75.0%" in lines or "decode image 1,235 75.0%" in lines
    assert "finish batches 56,789 25.0%" in lines
    assert lines[-2:] == FOUND["advice"]


def test_what_a_cache_costs_is_shown():
    lines = printed({**FOUND, "shares": {"read the cache": 1.0}})
    assert "read the cache 100.0%" in lines and "finish batches 56,789" in lines
