"""The sheet: how each row went, for people and for programs."""

from collections.abc import Iterable
from typing import Any

from proxy.faultlab.findings import Finding
from proxy.faultlab.runner import Result

_WIDTHS = (4, 33, 13, 46, 34, 19)
_WORDS = {"account_rest": "account", "account_model": "account's model"}
_TITLES = ("", "row", "form", "the caller, without other accounts", "blamed", "until")


def head() -> str:
    """Return the lines above the rows."""
    return f"{_line(_TITLES)}\n{_line('-' * width for width in _WIDTHS)}"


def line(result: Result) -> str:
    """Return a row of the sheet, with what was wrong in lines below it."""
    first = _line(
        (
            "pass" if result.passed else "FAIL",
            result.row.name,
            result.form.name,
            result.alone.brief if result.alone else "",
            "; ".join(_whose(each) for each in result.blamed) or "nobody",
            "; ".join(_until(each) for each in result.blamed),
        )
    )
    return "\n".join([first, *(f"     {text}" for text in result.complaints)])


def total(results: Iterable[Result]) -> str:
    """Return the last line."""
    verdicts = [result.passed for result in results]
    failed = verdicts.count(False)
    return f"{len(verdicts) - failed} of {len(verdicts)} passed, {failed} failed"


def as_data(result: Result) -> dict[str, Any]:
    """Return a result for programs."""
    return {
        "row": result.row.name,
        "form": result.form.name,
        "passed": result.passed,
        "with_second_account": result.pair.brief if result.pair else None,
        "alone": result.alone.brief if result.alone else None,
        "blamed": [
            {
                "whose": each.whose,
                "cause": each.cause,
                "which": each.model,
                "until": each.until.isoformat() if each.until else None,
            }
            for each in result.blamed
        ],
        "complaints": result.complaints,
        "seconds": round(result.seconds, 1),
    }


def _line(cells: Iterable[str]) -> str:
    padded = (cell.ljust(width) for cell, width in zip(cells, _WIDTHS, strict=True))
    return "  ".join(padded).rstrip()


def _whose(finding: Finding) -> str:
    return f"{_WORDS.get(finding.whose, finding.whose)}: {finding.cause}"


def _until(finding: Finding) -> str:
    if finding.until is not None:
        return finding.until.strftime("%Y-%m-%d %H:%M:%S")
    return "a human acts" if finding.whose == "account" else "it works again"
