"""Where pictures are read."""

from django.urls import path

from imaging.views import picture

urlpatterns = [
    path("<str:name>", picture, name="picture"),
    path("<str:name>/<str:part>", picture, name="picture-part"),
]
