"""Rules for the turns of a conversation and for what their parts hold."""

import io
import re
import warnings
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from PIL import Image

from proxy.sandbox.catalogue import Card
from proxy.sandbox.fields import PART_DATA
from proxy.sandbox.refusals import Complaints, Refusal, invalid_argument

_FILE_RESOURCE = re.compile(r"(https?://[^/]+/(v\w+/)?)?files/([\w-]+)")
_OUTSIDE = re.compile(r"(https?|gs)://[^\s/]+\S*")
_DECODABLE = ("image/png", "image/jpeg", "image/webp")
_MEDIA = re.compile(
    r"(image/(png|jpeg|webp|heic|heif)|audio/[\w.+-]+|video/[\w.+-]+|text/[\w.+-]+"
    r"|application/(pdf|json|rtf|x-javascript|x-python-code|typescript|xml))"
)
_AFTER_CALL = (
    "Please ensure that function response turn comes immediately after a function"
    " call turn."
)
_AFTER_USER = (
    "Please ensure that function call turn comes immediately after a user turn or"
    " after a function response turn."
)
_EQUAL_NUMBER = (
    "Please ensure that the number of function response parts is equal to the number"
    " of function call parts of the function call turn."
)


def check_contents(contents: list[dict[str, Any]], complaints: Complaints) -> None:
    """Note contents without parts and parts without data."""
    if not contents:
        complaints.add("contents", "contents is not specified")
    for index, content in enumerate(contents):
        check_parts(content, f"contents[{index}]", complaints)


def check_parts(content: dict[str, Any], path: str, complaints: Complaints) -> None:
    """Note an empty parts list, and parts that hold no data, of one content."""
    if not content.get("parts"):
        complaints.add(f"{path}.parts", "contents.parts must not be empty.")
    for index, part in enumerate(content.get("parts", ())):
        here = f"{path}.parts[{index}]"
        if not any(name in part for name in PART_DATA):
            text = "required oneof field 'data' must have one initialized field"
            complaints.add(f"{here}.data", text)
        for name in ("functionCall", "functionResponse"):
            if name in part and not part[name].get("name"):
                field = (
                    "function_call" if name == "functionCall" else "function_response"
                )
                complaints.add(f"{here}.{field}.name", "Name cannot be empty.")


def check_turns(contents: list[dict[str, Any]]) -> None:
    """Refuse unknown roles, and calls and their responses out of order."""
    for content in contents:
        if content.get("role", "") not in ("", "user", "model"):
            raise invalid_argument("Please use a valid role: user, model.")
    pending = 0
    first = True
    for is_model, calls, responses in _turns(contents):
        if responses and (is_model or not pending):
            raise invalid_argument(_AFTER_CALL)
        if pending != responses:
            raise invalid_argument(_EQUAL_NUMBER)
        if calls and (first or not is_model):
            raise invalid_argument(_AFTER_USER)
        pending = calls
        first = False
    if pending:
        raise invalid_argument(_EQUAL_NUMBER)


def _turns(contents: list[dict[str, Any]]) -> Iterator[tuple[bool, int, int]]:
    """Who speaks, with how many calls and responses, turn by turn.

    Model contents in a row are one turn: that is how Google's SDKs send back what was
    streamed in several chunks. User contents stay apart.
    """
    for is_model, group in groupby(contents, lambda c: c.get("role") == "model"):
        counts = [
            (_count(c, "functionCall"), _count(c, "functionResponse")) for c in group
        ]
        if is_model:
            counts = [(sum(c for c, _ in counts), sum(r for _, r in counts))]
        for calls, responses in counts:
            yield is_model, calls, responses


def _count(content: dict[str, Any], name: str) -> int:
    return sum(name in part for part in content.get("parts", ()))


def check_system(request: dict[str, Any], card: Card, complaints: Complaints) -> None:
    """Refuse a system instruction which is no text or which the model lacks."""
    instruction = request.get("systemInstruction")
    if instruction is None:
        return
    if card.is_gemma:
        raise invalid_argument(f"Developer instruction is not enabled for {card.name}")
    check_parts(instruction, "system_instruction", complaints)
    if any("text" not in part for part in instruction.get("parts", ())):
        complaints.add("system_instruction.parts", "only text parts are allowed.")


def check_media(contents: list[dict[str, Any]]) -> None:
    """Refuse media that cannot be read: unknown types, broken pictures, lost files."""
    for content in contents:
        for part in content.get("parts", ()):
            _check_media_part(part)
            for nested in part.get("functionResponse", {}).get("parts", ()):
                _check_media_part(nested)


def _check_media_part(part: dict[str, Any]) -> None:
    if "inlineData" in part:
        _check_inline(part["inlineData"])
    if "fileData" in part:
        _check_file(part["fileData"].get("fileUri", ""))


def _check_inline(blob: dict[str, Any]) -> None:
    mime_type = blob.get("mimeType", "")
    if not _MEDIA.fullmatch(mime_type.partition(";")[0]):
        raise invalid_argument(f"Unsupported MIME type: {mime_type}")
    if mime_type not in _DECODABLE:
        return
    try:
        open_picture(blob.get("data", b""))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise invalid_argument("Unable to process input image.") from error


def open_picture(data: bytes) -> Image.Image:
    """A decoded picture. Raises Pillow's errors for anything else."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        picture = Image.open(io.BytesIO(data))
        picture.load()
    return picture


def _check_file(uri: str) -> None:
    resource = _FILE_RESOURCE.fullmatch(uri)
    if resource:
        raise Refusal(
            403,
            f"You do not have permission to access the File {resource[3]} or it may"
            " not exist.",
        )
    if not _OUTSIDE.fullmatch(uri):
        raise invalid_argument(f"Invalid or unsupported file uri: {uri}")
