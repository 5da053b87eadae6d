"""What answers say about themselves, in JSON and in headers."""

import pytest

from proxy.wire.remarks import headers_for, remarks


@pytest.mark.parametrize(
    ("dropped", "estimated", "said"),
    [
        ((), False, {}),
        (("seed",), False, {"gemproxy": {"dropped": ["seed"]}}),
        ((), True, {"gemproxy": {"usage": "estimated"}}),
        (("a", "b"), True, {"gemproxy": {"dropped": ["a", "b"], "usage": "estimated"}}),
    ],
)
def test_only_what_there_is_to_say_is_said(dropped, estimated, said):
    assert remarks(dropped, estimated=estimated) == said


@pytest.mark.parametrize(
    ("data", "dropped", "headers"),
    [
        ({}, (), {}),
        ({"gemproxy": "odd"}, (), {}),
        ({"gemproxy": {"dropped": "odd"}}, (), {}),
        ({}, ("user",), {"x-gemproxy-dropped": "user"}),
        ({"gemproxy": {"emulated": "odd"}}, (), {}),
        (
            remarks(emulated=["tools", "json_schema"]),
            (),
            {"x-gemproxy-emulated": "tools, json_schema"},
        ),
        (
            remarks(["seed", "user"], estimated=True),
            ("user",),
            {"x-gemproxy-dropped": "user, seed", "x-gemproxy-usage": "estimated"},
        ),
    ],
)
def test_headers_name_what_was_left_out_once(data, dropped, headers):
    assert headers_for(data, dropped) == headers
