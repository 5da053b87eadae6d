"""The table of what a stranger may reach says only what it means."""

import pytest

from gemproxy.public_routes import PUBLIC_ROUTES, PublicRoute, is_public


@pytest.mark.parametrize(
    ("method", "path", "public"),
    [
        ("GET", "/health", True),
        ("HEAD", "/health", True),
        ("OPTIONS", "/health", True),
        ("POST", "/health", False),
        ("GET", "/health/", False),
        ("GET", "/healthzz", False),
        ("POST", "/sign-in/", True),
        ("GET", "/static/app.css", True),
        ("POST", "/static/app.css", False),
        ("GET", "/static", False),
        ("GET", "/v1/models", False),
        ("GET", "/admin/", False),
        ("GET", "/api/info", False),
    ],
)
def test_the_table_is_read_exactly(method: str, path: str, public: bool) -> None:
    assert is_public(method, path) is public


def test_head_does_not_go_with_post() -> None:
    route = PublicRoute("POST", "/leave/", "test")
    assert route.covers("POST", "/leave/")
    assert not route.covers("HEAD", "/leave/")


def test_every_entry_has_a_reason_and_appears_once() -> None:
    assert all(route.reason for route in PUBLIC_ROUTES)
    assert len({(r.method, r.path) for r in PUBLIC_ROUTES}) == len(PUBLIC_ROUTES)


def test_no_entry_opens_operators_pages_or_the_api() -> None:
    wide = [r.path for r in PUBLIC_ROUTES if r.path.endswith("*")]
    # A picture's address is its own key; tests/imaging tries to do without one.
    assert wide == ["/static/*", "/images/*"]
