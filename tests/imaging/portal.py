"""The gallery of the portal, as tests look at it."""

from typing import Any

from django.test import Client
from django.urls import reverse

from imaging.models import Image
from tests.imaging.pictures import saved


def of(person: Any, **origin: Any) -> Image:
    return saved(caller=f"u{person.pk}", user_id=person.pk, **origin)


def listed(client: Client, **query: Any) -> list[str]:
    """Return the prompts of the pictures that the list shows."""
    answer = client.get("/pictures/", query)
    assert answer.status_code == 200
    return [card["image"].prompt for card in answer.context["cards"]]


def page(image: Image) -> str:
    return reverse("picture-page", args=[image.name])


def gone(image: Image) -> bool:
    return not Image.objects.filter(pk=image.pk).exists()
