"""HTML pages that a load balancer sends instead of the API's own JSON."""

from html import escape

HTML_TYPE = "text/html; charset=UTF-8"
_PAGE = (
    '<!DOCTYPE html>\n<html lang="en">\n<meta charset="utf-8">\n'
    "<title>Error {code} ({name})!!1</title>\n"
    "<p><b>{code}.</b> <ins>That&#39;s an error.</ins>\n"
    "<p>{text} <ins>That&#39;s all we know.</ins>\n</html>\n"
)


def not_found(path: str) -> str:
    """The page for a path that no API serves."""
    text = (
        f"The requested URL <code>{escape(path)}</code> was not found on this server."
    )
    return _PAGE.format(code=404, name="Not Found", text=text)


def bad_gateway() -> str:
    """The page for a backend that does not answer."""
    text = "The server encountered a temporary error. Please try again in 30 seconds."
    return _PAGE.format(code=502, name="Server Error", text=text)
