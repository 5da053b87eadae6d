"""The map of the API paths."""

from django.urls import path, re_path

from proxy.surfaces import cookies, gemini, models, openai_images, simple
from proxy.surfaces.openai_chat import ChatCompletions
from proxy.surfaces.openai_embeddings import Embeddings
from proxy.surfaces.xai import Relay

# SDKs and people double the version, leave it out, or put /gemini before it.
ANY = r"^(?:gemini/)?(?:(?:v1|v1beta|v1alpha)/)*"
SOME = r"^(?:gemini/)?(?:(?:v1|v1beta|v1alpha)/)+"
METHOD = r"(?P<method>[A-Za-z]{1,40})$"


class AnyModelMethod(gemini.ModelMethod):
    """The same under the other spellings of its path; documented once."""

    schema = None


urlpatterns = [
    path("health", simple.Health.as_view()),
    path("healthz", simple.Health.as_view(schema=None)),
    path("wake", simple.Wake.as_view()),
    path("api/info", simple.Info.as_view()),
    path("api/models", simple.ModelCards.as_view()),
    path("api/operator/status", simple.OperatorStatus.as_view()),
    path("api/cookies", cookies.Cookies.as_view()),
    path("api/cookies/status", cookies.CookiesStatus.as_view()),
    path("v1/generate", simple.Generate.as_view()),
    path("v1/chat/completions", ChatCompletions.as_view()),
    path("v1/embeddings", Embeddings.as_view()),
    path("v1/images/generations", openai_images.Generations.as_view()),
    path("v1/images/edits", openai_images.Edits.as_view()),
    path("v1/images/edit", openai_images.Edits.as_view(schema=None)),
    path("v1/images/variations", openai_images.Variations.as_view()),
    path("v1/generate-images", openai_images.SimpleImages.as_view()),
    path("v1/models", models.UnionModels.as_view()),
    path("xai/<path:path>", Relay.as_view()),
    path("v1beta/models/<str:model>:<str:method>", gemini.ModelMethod.as_view()),
    re_path(ANY + r"models/(?P<model>.+):" + METHOD, AnyModelMethod.as_view()),
    re_path(ANY + r"(?P<model>tunedModels/.+):" + METHOD, AnyModelMethod.as_view()),
    re_path(SOME + r"(?P<model>[^/:]+):" + METHOD, AnyModelMethod.as_view()),
    path("v1/models/<path:model>", models.UnionModel.as_view()),
    re_path(ANY + r"models/?$", models.NativeModels.as_view()),
    re_path(ANY + r"tunedModels/?$", models.TunedModels.as_view()),
    re_path(ANY + r"models/(?P<model>.+)$", models.NativeModel.as_view()),
]
