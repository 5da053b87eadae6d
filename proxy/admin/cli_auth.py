"""POST /admin/cli-auth/import: a Gemini CLI login from an operator's program."""

from collections.abc import Mapping
from typing import Any

import orjson
from django.http import HttpRequest, JsonResponse
from django.middleware.csrf import CsrfViewMiddleware
from django.views.decorators.csrf import csrf_exempt

from accounts.authentication import credentials, find_caller
from accounts.credentials.cli_json import read_one
from proxy.admin.probe import try_account
from proxy.cli_logins import store_login
from proxy.imports import Where

_LONGEST_LABEL = 80
_FIELDS = {"credentials_json", "label"}


# A token is no cookie: who brings none must pass the check below.
@csrf_exempt
def import_login(request: HttpRequest) -> JsonResponse:
    """Store the login in ``{credentials_json, label?}`` and ask Google with it once.

    For operators' tokens, and for signed-in operators. Answers the account's id, its
    state after the test, and its e-mail address.
    """
    by = _operator(request)
    if by is None:
        return _error(401, "An operator's token or sign-in is needed.")
    if request.method != "POST":
        return _error(405, "Use POST.")
    try:
        pasted, label = _asked(request.body)
        stored = store_login(read_one(pasted), Where(label=label), by=by)
    except ValueError as error:
        return _error(400, str(error))
    account = stored.account
    tested = try_account(account)
    account.refresh_from_db()
    return JsonResponse(
        {
            "account_id": account.pk,
            "state": account.state,
            "account_email": account.facts.get("email", ""),
            "message": tested.text,
        }
    )


def _operator(request: HttpRequest) -> str | None:
    """Return who asks, if that is an operator."""
    token = credentials(request.headers, "")
    if token:
        caller = find_caller(token).caller
        known = caller is not None and caller.scope == "operator"
        return caller.username if caller is not None and known else None
    user = request.user
    may = user.is_active and user.is_staff and user.has_perm("accounts.add_account")
    if not may or _is_forged(request):
        return None
    return str(user.get_username())


def _is_forged(request: HttpRequest) -> bool:
    """Whether a request with a session's cookie lacks the form's token."""
    check = CsrfViewMiddleware(lambda _request: JsonResponse({}))
    return check.process_view(request, None, (), {}) is not None


def _asked(body: bytes) -> tuple[str, str]:
    try:
        asked: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise ValueError("The body is not JSON.") from None
    if not isinstance(asked, Mapping) or "credentials_json" not in asked:
        raise ValueError("Send an object with credentials_json.")
    unknown = sorted(asked.keys() - _FIELDS)
    if unknown:
        raise ValueError(f"There is no field {unknown[0][:40]!r}.")
    pasted, label = asked["credentials_json"], asked.get("label") or ""
    if not isinstance(label, str) or len(label) > _LONGEST_LABEL:
        raise ValueError(f"label is a text of at most {_LONGEST_LABEL} characters.")
    if isinstance(pasted, str):
        return pasted, label
    return orjson.dumps(pasted).decode(), label


def _error(status: int, message: str) -> JsonResponse:
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    body = {"error": {"message": message, "code": status}}
    return JsonResponse(body, status=status, headers=headers)
