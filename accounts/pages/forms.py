"""Forms of the portal."""

import datetime

from django import forms
from django.contrib.auth.forms import BaseUserCreationForm

from accounts.models import Token, User
from gemproxy.lib import clock

LIFETIMES = {
    "": "Never",
    "7": "7 days",
    "30": "30 days",
    "90": "90 days",
    "365": "1 year",
}


class TokenForm(forms.Form):
    """What a person says of a new token."""

    name = forms.CharField(
        max_length=Token._meta.get_field("name").max_length,
        help_text="Where you will use it, such as “laptop” or “chat app”.",
    )
    lifetime = forms.ChoiceField(
        choices=list(LIFETIMES.items()), required=False, label="Expires after"
    )

    def expires_at(self) -> datetime.datetime | None:
        """Return the moment chosen in a valid form, None for never."""
        days = self.cleaned_data["lifetime"]
        return clock.now() + datetime.timedelta(days=int(days)) if days else None


class OperatorForm(BaseUserCreationForm):
    """The first operator: a name, a password twice."""

    class Meta(BaseUserCreationForm.Meta):
        model = User
        fields = ("username",)
