"""Every field of the requests, as Google's discovery document and SDK types know it.

A field's kind is a scalar, the name of a message or the name of an enum; ``[]`` after
it means repeated, ``{}`` a map from strings.
"""

from functools import cache

from proxy.sandbox.code_assist_fields import CODE_ASSIST

MESSAGES: dict[str, dict[str, str]] = {
    **CODE_ASSIST,
    "GenerateContentRequest": {
        "model": "string",
        "contents": "Content[]",
        "systemInstruction": "Content",
        "tools": "Tool[]",
        "toolConfig": "ToolConfig",
        "safetySettings": "SafetySetting[]",
        "generationConfig": "GenerationConfig",
        "cachedContent": "string",
        "serviceTier": "ServiceTier",
        "labels": "string{}",
        "store": "bool",
        "continuationToken": "bytes",
    },
    "CountTokensRequest": {
        "model": "string",
        "contents": "Content[]",
        "generateContentRequest": "GenerateContentRequest",
    },
    "EmbedContentRequest": {
        "model": "string",
        "content": "Content",
        "taskType": "TaskType",
        "title": "string",
        "outputDimensionality": "int32",
    },
    "BatchEmbedContentsRequest": {
        "model": "string",
        "requests": "EmbedContentRequest[]",
    },
    "Content": {"role": "string", "parts": "Part[]"},
    "Part": {
        "text": "string",
        "inlineData": "Blob",
        "fileData": "FileData",
        "functionCall": "FunctionCall",
        "functionResponse": "FunctionResponse",
        "executableCode": "ExecutableCode",
        "codeExecutionResult": "CodeExecutionResult",
        "toolCall": "ToolCall",
        "toolResponse": "ToolResponse",
        "thought": "bool",
        "thoughtSignature": "bytes",
        "videoMetadata": "VideoMetadata",
        "mediaResolution": "PartMediaResolution",
        "partMetadata": "struct",
        "audioTranscription": "struct",
        "mediaProcessing": "MediaProcessing",
        "speechMetadata": "SpeechMetadata",
        "documentMetadata": "struct",
        "spreadsheetMetadata": "struct",
        "audioMetadata": "AudioMetadata",
    },
    "Blob": {"mimeType": "string", "data": "bytes", "displayName": "string"},
    "FileData": {"fileUri": "string", "mimeType": "string", "displayName": "string"},
    "FunctionCall": {"id": "string", "name": "string", "args": "struct"},
    "FunctionResponse": {
        "id": "string",
        "name": "string",
        "response": "struct",
        "parts": "FunctionResponsePart[]",
        "willContinue": "bool",
        "scheduling": "Scheduling",
    },
    "FunctionResponsePart": {
        "inlineData": "Blob",
        "fileData": "FileData",
        "mediaProcessing": "MediaProcessing",
        "mediaResolution": "PartMediaResolution",
        "videoMetadata": "VideoMetadata",
    },
    "ExecutableCode": {"id": "string", "language": "Language", "code": "string"},
    "CodeExecutionResult": {"id": "string", "outcome": "Outcome", "output": "string"},
    "ToolCall": {"id": "string", "toolType": "ToolType", "args": "struct"},
    "ToolResponse": {"id": "string", "toolType": "ToolType", "response": "struct"},
    "VideoMetadata": {
        "startOffset": "duration",
        "endOffset": "duration",
        "fps": "double",
        "contentLayers": "string[]",
    },
    "PartMediaResolution": {"level": "PartResolution", "numTokens": "int32"},
    "SpeechMetadata": {"speaker": "string", "style": "string"},
    "AudioMetadata": {"startOffset": "duration", "endOffset": "duration"},
    "Tool": {
        "functionDeclarations": "FunctionDeclaration[]",
        "googleSearch": "GoogleSearch",
        "googleSearchRetrieval": "GoogleSearchRetrieval",
        "urlContext": "Empty",
        "codeExecution": "Empty",
        "googleMaps": "GoogleMaps",
        "fileSearch": "FileSearch",
        "computerUse": "ComputerUse",
        "mcpServers": "McpServer[]",
    },
    "Empty": {},
    "FunctionDeclaration": {
        "name": "string",
        "description": "string",
        "parameters": "Schema",
        "parametersJsonSchema": "value",
        "response": "Schema",
        "responseJsonSchema": "value",
        "behavior": "Behavior",
    },
    "Schema": {
        "type": "Type",
        "format": "string",
        "title": "string",
        "description": "string",
        "nullable": "bool",
        "enum": "string[]",
        "items": "Schema",
        "minItems": "int64",
        "maxItems": "int64",
        "properties": "Schema{}",
        "required": "string[]",
        "minProperties": "int64",
        "maxProperties": "int64",
        "minimum": "double",
        "maximum": "double",
        "minLength": "int64",
        "maxLength": "int64",
        "pattern": "string",
        "example": "value",
        "anyOf": "Schema[]",
        "propertyOrdering": "string[]",
        "default": "value",
    },
    "GoogleSearch": {"timeRangeFilter": "Interval", "searchTypes": "SearchTypes"},
    "Interval": {"startTime": "timestamp", "endTime": "timestamp"},
    "SearchTypes": {"webSearch": "Empty", "imageSearch": "Empty"},
    "GoogleSearchRetrieval": {"dynamicRetrievalConfig": "DynamicRetrievalConfig"},
    "DynamicRetrievalConfig": {"mode": "string", "dynamicThreshold": "float"},
    "GoogleMaps": {"enableWidget": "bool", "authConfig": "struct"},
    "FileSearch": {
        "fileSearchStoreNames": "string[]",
        "topK": "int32",
        "metadataFilter": "string",
    },
    "ComputerUse": {
        "environment": "Environment",
        "excludedPredefinedFunctions": "string[]",
    },
    "McpServer": {
        "name": "string",
        "streamableHttpTransport": "StreamableHttpTransport",
    },
    "StreamableHttpTransport": {
        "url": "string",
        "headers": "string{}",
        "timeout": "duration",
        "sseReadTimeout": "duration",
        "terminateOnClose": "bool",
    },
    "ToolConfig": {
        "functionCallingConfig": "FunctionCallingConfig",
        "retrievalConfig": "RetrievalConfig",
        "includeServerSideToolInvocations": "bool",
    },
    "FunctionCallingConfig": {"mode": "Mode", "allowedFunctionNames": "string[]"},
    "RetrievalConfig": {"latLng": "LatLng", "languageCode": "string"},
    "LatLng": {"latitude": "double", "longitude": "double"},
    "SafetySetting": {"category": "HarmCategory", "threshold": "HarmBlockThreshold"},
    "GenerationConfig": {
        "temperature": "float",
        "topP": "float",
        "topK": "int32",
        "candidateCount": "int32",
        "maxOutputTokens": "int32",
        "stopSequences": "string[]",
        "seed": "int32",
        "presencePenalty": "float",
        "frequencyPenalty": "float",
        "responseLogprobs": "bool",
        "logprobs": "int32",
        "responseMimeType": "string",
        "responseSchema": "Schema",
        "responseJsonSchema": "value",
        "_responseJsonSchema": "value",
        "responseModalities": "Modality[]",
        "mediaResolution": "MediaResolution",
        "speechConfig": "SpeechConfig",
        "thinkingConfig": "ThinkingConfig",
        "imageConfig": "ImageConfig",
        "enableEnhancedCivicAnswers": "bool",
        "enableAffectiveDialog": "bool",
        "audioTranscriptionConfig": "struct",
        "translationConfig": "struct",
        "responseFormat": "struct[]",
    },
    "SpeechConfig": {
        "voiceConfig": "VoiceConfig",
        "multiSpeakerVoiceConfig": "MultiSpeakerVoiceConfig",
        "languageCode": "string",
    },
    "VoiceConfig": {"prebuiltVoiceConfig": "PrebuiltVoiceConfig"},
    "PrebuiltVoiceConfig": {"voiceName": "string"},
    "MultiSpeakerVoiceConfig": {"speakerVoiceConfigs": "SpeakerVoiceConfig[]"},
    "SpeakerVoiceConfig": {"speaker": "string", "voiceConfig": "VoiceConfig"},
    "ThinkingConfig": {
        "includeThoughts": "bool",
        "thinkingBudget": "int32",
        "thinkingLevel": "ThinkingLevel",
    },
    "ImageConfig": {"aspectRatio": "string", "imageSize": "string"},
}

_BLOCK_LEVELS = "BLOCK_LOW_AND_ABOVE BLOCK_MEDIUM_AND_ABOVE BLOCK_ONLY_HIGH BLOCK_NONE"
_RESOLUTIONS = "MEDIA_RESOLUTION_LOW MEDIA_RESOLUTION_MEDIUM MEDIA_RESOLUTION_HIGH"
_ENUM_TEXTS = {
    "Type": "TYPE_UNSPECIFIED STRING NUMBER INTEGER BOOLEAN ARRAY OBJECT NULL",
    "ServiceTier": "unspecified standard flex priority",
    "Language": "LANGUAGE_UNSPECIFIED PYTHON",
    "Outcome": "OUTCOME_UNSPECIFIED OUTCOME_OK OUTCOME_FAILED"
    " OUTCOME_DEADLINE_EXCEEDED",
    "ToolType": "TOOL_TYPE_UNSPECIFIED GOOGLE_SEARCH_WEB GOOGLE_SEARCH_IMAGE"
    " URL_CONTEXT GOOGLE_MAPS FILE_SEARCH MEDIA_PROCESSING",
    "Scheduling": "SCHEDULING_UNSPECIFIED SILENT WHEN_IDLE INTERRUPT",
    "MediaProcessing": "MEDIA_PROCESSING_UNSPECIFIED STATIC AGENTIC",
    "MediaResolution": f"MEDIA_RESOLUTION_UNSPECIFIED {_RESOLUTIONS}",
    "PartResolution": f"MEDIA_RESOLUTION_UNSPECIFIED {_RESOLUTIONS}"
    " MEDIA_RESOLUTION_ULTRA_HIGH",
    "Behavior": "UNSPECIFIED BLOCKING NON_BLOCKING",
    "Environment": "ENVIRONMENT_UNSPECIFIED ENVIRONMENT_BROWSER ENVIRONMENT_MOBILE"
    " ENVIRONMENT_DESKTOP",
    "Mode": "MODE_UNSPECIFIED AUTO ANY NONE VALIDATED",
    "HarmCategory": "HARM_CATEGORY_UNSPECIFIED HARM_CATEGORY_HARASSMENT"
    " HARM_CATEGORY_HATE_SPEECH HARM_CATEGORY_SEXUALLY_EXPLICIT"
    " HARM_CATEGORY_DANGEROUS_CONTENT HARM_CATEGORY_CIVIC_INTEGRITY",
    "HarmBlockThreshold": f"HARM_BLOCK_THRESHOLD_UNSPECIFIED {_BLOCK_LEVELS} OFF",
    "Modality": "MODALITY_UNSPECIFIED TEXT IMAGE AUDIO VIDEO",
    "ThinkingLevel": "THINKING_LEVEL_UNSPECIFIED LOW MEDIUM HIGH MINIMAL",
    "TaskType": "TASK_TYPE_UNSPECIFIED RETRIEVAL_QUERY RETRIEVAL_DOCUMENT"
    " SEMANTIC_SIMILARITY CLASSIFICATION CLUSTERING QUESTION_ANSWERING"
    " FACT_VERIFICATION CODE_RETRIEVAL_QUERY",
}
ENUMS = {name: tuple(text.split()) for name, text in _ENUM_TEXTS.items()}

# A part holds exactly one of these; everything else in it only modifies.
PART_DATA = (
    "text",
    "inlineData",
    "fileData",
    "functionCall",
    "functionResponse",
    "executableCode",
    "codeExecutionResult",
    "toolCall",
    "toolResponse",
)
ONEOFS = {
    "Part": dict.fromkeys(PART_DATA, "data"),
    "FunctionResponsePart": {"inlineData": "data", "fileData": "data"},
}


def snake(name: str) -> str:
    """``thinkingConfig`` → ``thinking_config``, the name used in error paths."""
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name)


@cache
def spellings(message: str) -> dict[str, str]:
    """Accepted spelling → field name: proto JSON takes camelCase and snake_case."""
    names: dict[str, str] = {}
    for name in MESSAGES[message]:
        names[name] = name
        names[snake(name)] = name
    return names
