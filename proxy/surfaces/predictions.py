"""Google's ``:predict``, by which Imagen is asked: here by all picture routes."""

from django.http.response import HttpResponseBase

from imaging import threads
from proxy.surfaces.base import Surface
from proxy.surfaces.dialects import json_response
from proxy.surfaces.image_answers import harvest
from proxy.surfaces.image_requests import read_commission
from proxy.surfaces.streams import remarked
from proxy.wire.openai_image_answer import Delivered
from proxy.wire.predictions import parse_prediction, prediction_answer


async def predict(view: Surface, model: str) -> HttpResponseBase:
    """Draw what a prediction asks for. Raises faults.

    With one picture at least the answer is a good one; it names what is missing.
    """
    commission = await read_commission(
        view.request._request, parse_prediction, model=model
    )
    wanted, finishing = commission.request, commission.finishing
    call = view.new_call(
        method="generateContent",
        model=model,
        body=commission.body,
        copies=wanted.copies,
        needs=wanted.needs,
        keep_empty=True,
        finish=finishing if finishing else None,
    )
    found = await harvest(call, commission, "")
    # Pictures as text are megabytes, too much to write on the event loop.
    response = await threads.run(_rendered, found.pictures, found.missing)
    for name, value in found.headers(wanted.copies).items():
        response[name] = value
    return remarked(response, {}, wanted.dropped)


def _rendered(pictures: list[Delivered], missing: list[str]) -> HttpResponseBase:
    return json_response(prediction_answer(pictures, missing))
