"""Forms for upstream accounts. Secrets go in and never come out."""

import datetime
from typing import Any

from django import forms

from accounts.credentials.authorities import LARGEST, described, valid_authorities
from accounts.models import Account
from accounts.models.upstream import LAST_PRIORITY, fingerprint
from gemproxy.adminkit import Checkbox, PasswordInput, Select, Textarea, TextInput
from gemproxy.lib import clock
from proxy.imports import PROXY_SCHEMES, checked_url
from proxy.upstreams.kinds import KINDS, kind_named

KIND_CHOICES = [(kind.name, kind.label) for kind in KINDS.values()]
ACCEPTED = " ".join(f"{k.label}: {k.accepts}." for k in KINDS.values())
WARNINGS = " ".join(f"{k.label}: {k.warning}" for k in KINDS.values() if k.warning)
#: Kinds whose secrets people paste as files or tables.
LONG_SECRETS = (Account.Kind.GEMINI_WEB, Account.Kind.CODE_ASSIST)
MOST_PASTED = 500_000
LONGEST_REST = datetime.timedelta(days=365)


def valid_proxy(url: str) -> str:
    """Return a proxy's address; raise ValidationError for what is none."""
    try:
        return checked_url("proxy", url.strip(), PROXY_SCHEMES)
    except ValueError as error:
        raise forms.ValidationError(str(error)) from error


class AuthoritiesField(forms.CharField):
    """Certificate authorities in PEM; no secret, so what is stored is shown."""

    def __init__(self, **options: Any) -> None:
        attrs = {"rows": 4, "autocomplete": "off", "spellcheck": "false"}
        super().__init__(
            label="Own certificate authorities",
            required=False,
            max_length=LARGEST,
            widget=Textarea(attrs=attrs),
            help_text=Account._meta.get_field("ca_pem").help_text,
            **options,
        )

    def clean(self, value: Any) -> str:
        try:
            return valid_authorities(super().clean(value))
        except ValueError as error:
            raise forms.ValidationError(str(error)) from error


def told_authorities(account: Account) -> str:
    """Return whose certificates an account trusts beside the known; empty for none."""
    try:
        told = described(account.ca_pem)
    except ValueError:
        return "own CA: it cannot be read"
    return f"own CA: {told}" if told else ""


def _secret_field(**options: Any) -> forms.CharField:
    attrs = {"autocomplete": "off", "spellcheck": "false"}
    return forms.CharField(widget=PasswordInput(attrs=attrs), **options)


class SecretArea(Textarea):
    """Takes a secret of several lines, and never shows one."""

    def format_value(self, value: Any) -> str:
        return ""


class AccountForm(forms.ModelForm):
    """One account. Empty secret fields keep what is stored."""

    new_secret = _secret_field(label="Secret", required=False)
    new_proxy = _secret_field(
        label="Egress proxy",
        required=False,
        help_text="http://, https://, socks4:// or socks5://; stored encrypted.",
    )
    drop_proxy = forms.BooleanField(
        label="Remove the proxy", required=False, widget=Checkbox()
    )
    in_use = forms.BooleanField(
        label="In use",
        required=False,
        widget=Checkbox(),
        help_text="Without the tick it answers no requests until somebody sets it.",
    )
    clear_now = forms.BooleanField(
        label="Clear now",
        required=False,
        widget=Checkbox(),
        help_text="End all rests, forget failures, and put it back to work.",
    )
    base_url = forms.URLField(
        label="Base URL",
        required=False,
        assume_scheme="https",
        widget=TextInput(),
        help_text=Account._meta.get_field("base_url").help_text,
    )

    ca_pem = AuthoritiesField()

    class Meta:
        model = Account
        fields = ("kind", "label", "base_url", "ca_pem")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "kind" in self.fields:
            self.fields["kind"].choices = KIND_CHOICES
            self.fields["kind"].help_text = WARNINGS
        stored = self.instance.pk is not None
        if stored:
            disabled = self.instance.state == Account.State.DISABLED
            self.fields["in_use"].initial = not disabled
        else:
            del self.fields["in_use"], self.fields["clear_now"]
        secret = self.fields["new_secret"]
        secret.required = not stored
        if not stored or self.instance.kind in LONG_SECRETS:
            rows = {"rows": 4, "autocomplete": "off", "spellcheck": "false"}
            secret.widget = SecretArea(attrs=rows)
        if stored:
            secret.help_text = (
                f"Stored: {self.instance.secret_hint}. Leave empty to keep it."
            )
        if stored and self.instance.proxy_url:
            self.fields["new_proxy"].help_text = "One is set. Leave empty to keep it."
        else:
            del self.fields["drop_proxy"]

    @property
    def _kind(self) -> str:
        return self.cleaned_data.get("kind") or self.instance.kind

    def clean_new_secret(self) -> str:
        pasted = self.cleaned_data["new_secret"]
        if not pasted:
            return ""
        try:
            secret = kind_named(self._kind).validate_secret(pasted)
        except ValueError as error:
            raise forms.ValidationError(str(error)) from error
        twin = Account.objects.filter(fingerprint=fingerprint(self._kind, secret))
        other = twin.exclude(pk=self.instance.pk).first()
        if other:
            raise forms.ValidationError(f"This credential is in the pool: {other}.")
        return secret

    def clean_new_proxy(self) -> str:
        return valid_proxy(self.cleaned_data["new_proxy"])

    def columns(self) -> list[str]:
        """Return the columns that the form changes."""
        own = {field.name for field in Account._meta.concrete_fields}
        found = [name for name in self.changed_data if name in own]
        if self.cleaned_data["new_secret"]:
            found += ["secret", "secret_hint", "fingerprint", "facts"]
        if self.cleaned_data["new_proxy"] or self.cleaned_data.get("drop_proxy"):
            found.append("proxy_url")
        return found

    def save(self, commit: bool = True) -> Account:
        values = self.cleaned_data
        if values["new_secret"]:
            self.instance.set_secret(values["new_secret"])
        if values["new_proxy"]:
            self.instance.proxy_url = values["new_proxy"]
        elif values.get("drop_proxy"):
            self.instance.proxy_url = ""
        return super().save(commit)


class PasteForm(forms.Form):
    """Many credentials of one kind, one on each line."""

    kind = forms.ChoiceField(choices=KIND_CHOICES, widget=Select(), help_text=WARNINGS)
    lines = forms.CharField(
        label="Credentials",
        max_length=MOST_PASTED,
        widget=Textarea(
            attrs={"rows": 12, "spellcheck": "false", "autocomplete": "off"}
        ),
        help_text=f"{ACCEPTED} Those already in the pool are left out, or renewed.",
    )
    base_url = forms.URLField(
        label="Base URL", required=False, assume_scheme="https", widget=TextInput()
    )
    proxy_url = _secret_field(label="Egress proxy", required=False)
    ca_pem = AuthoritiesField()
    label = forms.CharField(
        required=False,
        max_length=Account._meta.get_field("label").max_length,
        widget=TextInput(),
        help_text="A name for all of them, such as the project they belong to.",
    )
    priority = forms.IntegerField(
        required=False,
        min_value=0,
        max_value=LAST_PRIORITY,
        widget=TextInput(attrs={"inputmode": "numeric"}),
        help_text=Account._meta.get_field("priority").help_text,
    )

    def clean_proxy_url(self) -> str:
        return valid_proxy(self.cleaned_data["proxy_url"])


class CoolForm(forms.Form):
    """Until when accounts rest: so many minutes from now, or a moment."""

    minutes = forms.IntegerField(
        label="For so many minutes",
        required=False,
        min_value=1,
        max_value=int(LONGEST_REST.total_seconds() // 60),
        widget=TextInput(attrs={"inputmode": "numeric"}),
    )
    until = forms.DateTimeField(
        label="Or until",
        required=False,
        widget=TextInput(attrs={"type": "datetime-local"}),
        help_text="In the time zone of the server (TIME_ZONE).",
    )

    def clean(self) -> dict[str, Any]:
        """Put the moment that is meant into ``until``."""
        values = super().clean() or {}
        minutes, until = values.get("minutes"), values.get("until")
        if self.errors:
            return values
        if bool(minutes) == bool(until):
            raise forms.ValidationError("Give minutes or a moment.")
        now = clock.now()
        end = until or now + datetime.timedelta(minutes=minutes)
        if not now < end <= now + LONGEST_REST:
            raise forms.ValidationError("Give a moment that is to come within a year.")
        return {**values, "until": end}
