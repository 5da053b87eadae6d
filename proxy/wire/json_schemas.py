"""What the requests and answers look like, as JSON Schema for the API description.

The shapes are OpenAI's and Google's; fields beyond those named here are taken too.
"""

from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
WHOLE: Schema = {"type": "integer"}
FLAG: Schema = {"type": "boolean"}


def an_object(required: tuple[str, ...] = (), **properties: Schema) -> Schema:
    """Return an object schema that names some properties and takes others."""
    schema: Schema = {"type": "object", "additionalProperties": True}
    if properties:
        schema["properties"] = properties
    if required:
        schema["required"] = list(required)
    return schema


def a_list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


ANY_OBJECT = an_object()
MESSAGE = an_object(
    ("role",),
    role={
        "type": "string",
        "enum": ["system", "developer", "user", "assistant", "tool"],
    },
    content={"oneOf": [TEXT, a_list(ANY_OBJECT)], "nullable": True},
    tool_calls=a_list(ANY_OBJECT),
    tool_call_id=TEXT,
)
CHAT_REQUEST = an_object(
    ("messages",),
    model={"type": "string", "description": "Without it DEFAULT_MODEL answers."},
    messages=a_list(MESSAGE),
    stream=FLAG,
    stream_options=an_object(include_usage=FLAG),
    temperature=NUMBER,
    top_p=NUMBER,
    max_completion_tokens=WHOLE,
    n=WHOLE,
    stop={"oneOf": [TEXT, a_list(TEXT)]},
    seed=WHOLE,
    tools=a_list(ANY_OBJECT),
    tool_choice={"oneOf": [TEXT, ANY_OBJECT]},
    response_format=ANY_OBJECT,
    reasoning_effort={
        "type": "string",
        "enum": ["none", "minimal", "low", "medium", "high", "xhigh", "max"],
    },
    web_search_options=ANY_OBJECT,
)
USAGE = an_object(prompt_tokens=WHOLE, completion_tokens=WHOLE, total_tokens=WHOLE)
CHAT_ANSWER = an_object(
    id=TEXT,
    object=TEXT,
    created=WHOLE,
    model=TEXT,
    choices=a_list(ANY_OBJECT),
    usage=USAGE,
)
EMBEDDINGS_REQUEST = an_object(
    ("model", "input"),
    model=TEXT,
    input={"oneOf": [TEXT, a_list(TEXT)]},
    dimensions=WHOLE,
    encoding_format={"type": "string", "enum": ["float", "base64"]},
)
EMBEDDINGS_ANSWER = an_object(data=a_list(ANY_OBJECT), model=TEXT, usage=USAGE)
CONTENT = an_object(role=TEXT, parts=a_list(ANY_OBJECT))
GEMINI_REQUEST = an_object(
    contents=a_list(CONTENT),
    systemInstruction=CONTENT,
    generationConfig=ANY_OBJECT,
    tools=a_list(ANY_OBJECT),
    toolConfig=ANY_OBJECT,
    safetySettings=a_list(ANY_OBJECT),
)
GEMINI_ANSWER = an_object(
    candidates=a_list(ANY_OBJECT),
    usageMetadata=ANY_OBJECT,
    modelVersion=TEXT,
    responseId=TEXT,
)
PLAIN_REQUEST = an_object(("prompt",), prompt=TEXT, model=TEXT)
PLAIN_ANSWER = an_object(text=TEXT, model=TEXT)
_PICTURE_WISHES: Schema = {
    "model": {
        "type": "string",
        "description": "Without it DEFAULT_IMAGE_MODEL draws.",
    },
    "n": {"type": "integer", "minimum": 1, "maximum": 10},
    "size": {
        "type": "string",
        "description": "1536x1024, a ratio such as 16:9, 1K, 2K, 4K, or 16:9@2K.",
    },
    "output_format": {"type": "string", "enum": ["png", "jpeg", "webp"]},
    "output_compression": {"type": "integer", "minimum": 0, "maximum": 100},
    "response_format": {"type": "string", "enum": ["b64_json", "url"]},
    "response_type": {"type": "string", "enum": ["base64", "url"]},
}
_PICTURES: Schema = {
    "description": "One or several: files of a form, data URLs, base64, http(s) URLs."
}
IMAGE_REQUEST = an_object(("prompt",), prompt=TEXT, stream=FLAG, **_PICTURE_WISHES)
IMAGE_EDIT = an_object(
    ("prompt", "image"),
    prompt=TEXT,
    image=_PICTURES,
    mask={"description": "Its transparent area is what may change."},
    stream=FLAG,
    **_PICTURE_WISHES,
)
IMAGE_VARIATION = an_object(("image",), image=_PICTURES, stream=FLAG, **_PICTURE_WISHES)
IMAGES_ANSWER = an_object(
    created=WHOLE,
    data=a_list(an_object(b64_json=TEXT, url=TEXT, revised_prompt=TEXT)),
    size=TEXT,
    output_format=TEXT,
    background=TEXT,
    usage=ANY_OBJECT,
    images=a_list(TEXT),
    model=TEXT,
)
SIMPLE_IMAGE_REQUEST = an_object(
    ("prompt",),
    prompt=TEXT,
    count=_PICTURE_WISHES["n"],
    image=_PICTURES,
    model=_PICTURE_WISHES["model"],
    size=_PICTURE_WISHES["size"],
    response_type=_PICTURE_WISHES["response_type"],
)
SIMPLE_IMAGES = an_object(images=a_list(TEXT), model=TEXT)
MODEL_LIST = an_object(
    object=TEXT, data=a_list(ANY_OBJECT), models=a_list(ANY_OBJECT), nextPageToken=TEXT
)
MODEL = an_object(id=TEXT, name=TEXT)
MODEL_CARDS = an_object(
    models=a_list(an_object(id=TEXT, name=TEXT, description=TEXT)),
    categories=ANY_OBJECT,
    default=TEXT,
)
STATUS = an_object(status=TEXT)
INFO = an_object(
    service=TEXT, version=TEXT, features=ANY_OBJECT, endpoints=a_list(TEXT)
)
