"""Ready-to-paste code that talks to this server."""

from dataclasses import dataclass

CURL = """curl {url}/v1/chat/completions \\
  -H "Authorization: Bearer {token}" \\
  -H "Content-Type: application/json" \\
  -d '{{"model": "{model}", "messages": [{{"role": "user", "content": "Hello"}}]}}'"""

OPENAI = """from openai import OpenAI

client = OpenAI(base_url="{url}/v1", api_key="{token}")
answer = client.chat.completions.create(
    model="{model}",
    messages=[{{"role": "user", "content": "Hello"}}],
)
print(answer.choices[0].message.content)"""

GENAI = """from google import genai

client = genai.Client(api_key="{token}", http_options={{"base_url": "{url}"}})
answer = client.models.generate_content(model="{model}", contents="Hello")
print(answer.text)"""

TEMPLATES = (
    ("curl", CURL),
    ("Python, openai", OPENAI),
    ("Python, google-genai", GENAI),
)


@dataclass(frozen=True, slots=True)
class Snippet:
    title: str
    code: str


def snippets(url: str, token: str, model: str) -> list[Snippet]:
    """Return code for each client; ``url`` is this server's, without a slash."""
    return [
        Snippet(title, template.format(url=url, token=token, model=model))
        for title, template in TEMPLATES
    ]
