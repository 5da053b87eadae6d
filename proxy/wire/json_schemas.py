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
