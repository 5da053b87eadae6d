"""Addresses of the portal pages about my pictures."""

from django.urls import path

from imaging import pages

urlpatterns = [
    path("", pages.pictures, name="pictures"),
    path("delete/", pages.delete, name="delete-pictures"),
    path("<str:name>/", pages.picture, name="picture-page"),
]
