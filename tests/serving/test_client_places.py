"""URLs of servers, and what is said of one that cannot be reached."""

import pytest

from mm_keras.serving.client_places import read_place, unreachable


@pytest.mark.parametrize(
    ("url", "target", "named"),
    [
        ("http://localhost:8501/", "localhost:8501", "http://localhost:8501"),
        ("http://example.org", "example.org:80", "http://example.org"),
        ("https://example.org/models", "example.org:443", "https://example.org/models"),
        ("grpc://localhost", "localhost:8500", "grpc://localhost"),
        ("grpcs://[::1]:9", "[::1]:9", "grpcs://[::1]:9"),
    ],
)
def test_a_url_has_the_usual_port_of_its_scheme(url, target, named):
    place = read_place(url)
    assert (place.target, place.url) == (target, named)


def test_this_machine_is_known():
    assert read_place("http://localhost:1").is_local
    assert read_place("grpc://[::1]:1").is_local
    assert not read_place("http://localhost.example.org:1").is_local


@pytest.mark.parametrize(
    ("reason", "fix"),
    [("Connection refused", "Start one"), ("[SSL: CERTIFICATE_VERIFY_FAILED] self", "verify")],
)
def test_what_to_do_suits_the_reason(reason, fix):
    error = unreachable(read_place("https://localhost:1"), reason)
    assert (error.code, error.http_status) == ("UNAVAILABLE", 503)
    assert f"Received: {reason}." in str(error)
    assert fix in str(error)
