"""Causes that lie in an upstream account: its credential, its project, its sign-in."""

from collections.abc import Mapping

from proxy.wire.cause_forms import Cause, note, out, rest

_KEYS = "https://aistudio.google.com/apikey"
_REGIONS = "https://ai.google.dev/gemini-api/docs/available-regions"
_BILLING = "https://ai.google.dev/gemini-api/docs/billing"
_API = "https://console.cloud.google.com/apis/library/generativelanguage.googleapis.com"
_CREDENTIALS = "https://console.cloud.google.com/apis/credentials"
_WEB = "https://gemini.google.com/app"
_LICENSES = "https://codeassist.google/"
_HOUR = 3600.0

ACCOUNTS: Mapping[str, Cause] = {
    "upstream_auth": out(
        "The provider refused an account's credential",
        "Test the account; if it still fails, replace its key or disable it.",
        _KEYS,
    ),
    "api_key_invalid": out(
        "Key refused",
        "Google does not know this key: replace it or delete the account.",
        _KEYS,
    ),
    "leaked": out(
        "Key blocked",
        "Google blocked this key as leaked: make a new one and delete this.",
        _KEYS,
    ),
    "key_restricted": out(
        "Key restricted",
        "The key's restrictions exclude this API or address: edit them at Google.",
        _CREDENTIALS,
    ),
    "unauthenticated": out(
        "Credential refused", "Test it, then replace its credential."
    ),
    "account_denied": out(
        "Permission denied to the key's project",
        "The key's project may not use this API: enable it at Google.",
        _API,
    ),
    "service_disabled": out(
        "API not enabled for the key's project",
        "The key's project may not use this API: enable it at Google.",
        _API,
    ),
    "project_denied": out(
        "The project is denied access",
        "Look at the project at Google: its access or the account's role in it.",
    ),
    "bad_project": out(
        "The project does not exist or is not the account's",
        "Correct the account's project, or let it be discovered again.",
    ),
    "security_policy": out(
        "A security policy of the organisation refuses the account",
        "Ask the organisation's administrator.",
    ),
    "org_policy": rest(
        "account",
        _HOUR / 2,
        "The organisation does not allow the account this service",
        "Ask the organisation's administrator, or disable the account.",
        who="operator",
        strike=True,
    ),
    "scope_missing": out(
        "The sign-in does not cover this API",
        "Sign the account in again with all permissions.",
    ),
    "consumer_suspended": out(
        "Project suspended",
        "Google suspended the key's project: appeal there, or use another project.",
        _KEYS,
    ),
    "failed_precondition": out(
        "Billing or region",
        "Billing or region: look at the key's project at Google.",
        _BILLING,
    ),
    "region": out(
        "Place not served",
        "Google does not serve this country: give the account an egress proxy"
        " elsewhere, or enable billing.",
        _REGIONS,
    ),
    "billing": out(
        "Billing is off",
        "Enable billing for the key's project at Google.",
        _BILLING,
    ),
    "refused_unclear": Cause(
        meaning="The provider refused without saying why",
        action="If it goes on, test the account and look at its project at Google.",
        who="operator",
        scope="account_model",
        strike=True,
    ),
    "no_models": out(
        "No models",
        "The key sees no models: enable the Gemini API for its project.",
        _API,
    ),
    "unreadable": out(
        "Secret unreadable",
        "No entry of ENCRYPTION_KEYS opens this secret: enter it again.",
    ),
    "tos_violation": out(
        "Suspended for its terms of service",
        "Google disabled the account: appeal if that is wrong, or delete it.",
    ),
    "validation_required": out(
        "Verification needed",
        "Open the link, verify the account, then enable it.",
    ),
    "no_license": out(
        "No licence",
        "The account has no Gemini Code Assist licence: assign one or delete it.",
        _LICENSES,
    ),
}

#: Sign-ins of Google accounts: by OAuth, and by cookies on gemini.google.com.
SIGN_INS: Mapping[str, Cause] = {
    "token_stale": rest(
        "account",
        _HOUR / 2,
        "The access token was refused twice",
        "Usually a new token helps by itself; sign the account in again if not.",
        who="operator",
    ),
    "login_expired": out("Sign-in expired or revoked", "Sign the account in again."),
    "reauth_required": out(
        "The organisation asks for a new sign-in", "Sign the account in again."
    ),
    "login_policy": out(
        "The organisation forbids the sign-in",
        "Ask the organisation's administrator.",
    ),
    "oauth_client": out(
        "The OAuth client is refused",
        "Correct the client id and secret: all accounts of that client share it.",
        _CREDENTIALS,
    ),
    "oauth_config": note(
        "The request for an access token is set up wrongly",
        "Check the OAuth client's secret and settings; the account is not to blame.",
        "operator",
    ),
    "cookies_expired": out(
        "Cookies expired",
        "Paste new cookies; those exported from Firefox live longest.",
        _WEB,
    ),
    "account_rejected": out(
        "The web account is rejected",
        "Open it in a browser and see what it asks.",
        _WEB,
    ),
    "account_untrusted": out(
        "The web account is not trusted",
        "Open it in a browser, sign in anew, then paste new cookies.",
        _WEB,
    ),
    "terms_pending": out(
        "Terms of service to accept", "Open the site once and accept its terms.", _WEB
    ),
    "guardian": out(
        "A guardian must agree", "Use another account, or let its guardian agree.", _WEB
    ),
    "web_unavailable": rest(
        "account",
        600.0,
        "The web account is not available for a while",
        "Passes by itself; open it in a browser if it does not.",
        link=_WEB,
    ),
    "web_session_distrusted": rest(
        "account",
        300.0,
        "The site distrusts the session",
        "If it goes on, paste cookies exported from Firefox.",
        who="operator",
        strike=True,
        link=_WEB,
    ),
    "web_session_suspect": rest(
        "account",
        60.0,
        "The site refused a request of the session",
        "If it goes on, test the account and paste new cookies.",
        who="operator",
        strike=True,
        link=_WEB,
    ),
}
