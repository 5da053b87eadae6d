"""Ready-to-paste code that edits a picture by the images API."""

import json
import shlex

from accounts.pages.snippets import Snippet

CURL = """curl -so {file} {shell_link}
curl {url}/v1/images/edits -H "Authorization: Bearer $GEMPROXY_TOKEN" \\
  -F image=@{file} -F model={shell_model} -F response_format=url \\
  -F prompt='say what shall change'"""

PYTHON = """import os
from urllib.request import urlopen

from openai import OpenAI

client = OpenAI(base_url="{url}/v1", api_key=os.environ["GEMPROXY_TOKEN"])
picture = urlopen({link}).read()
answer = client.images.edit(
    model={model},
    image=("{file}", picture, "{media_type}"),
    prompt="say what shall change",
    response_format="url",
)
print(answer.data[0].url)"""

JAVASCRIPT = """import OpenAI, {{ toFile }} from "openai";

const client = new OpenAI({{
  baseURL: "{url}/v1",
  apiKey: process.env.GEMPROXY_TOKEN,
}});
const picture = await fetch({link});
const answer = await client.images.edit({{
  model: {model},
  image: await toFile(await picture.arrayBuffer(), "{file}", {{ type: "{media_type}" }}),
  prompt: "say what shall change",
  response_format: "url",
}});
console.log(answer.data[0].url);"""

TEMPLATES = (
    ("curl", CURL),
    ("Python, openai", PYTHON),
    ("JavaScript, openai", JAVASCRIPT),
)


def edits(
    *, url: str, link: str, model: str, file: str, media_type: str
) -> list[Snippet]:
    """Return code for each client; ``url`` is this server's, without a slash.

    The token is read from the environment: a page never has it.
    """
    values = {
        "url": url,
        "link": json.dumps(link),
        "model": json.dumps(model),
        "shell_link": shlex.quote(link),
        "shell_model": shlex.quote(model),
        "file": file,
        "media_type": media_type,
    }
    return [Snippet(title, template.format(**values)) for title, template in TEMPLATES]
