"""The chat request that the benchmark sends: four messages, about 1.8 KB."""

import json

MODEL = "gemini-2.5-flash"
WHOLE_MARK = "benchmark answer"  # occurs in the mock's whole answer

SYSTEM = (
    "You are a senior engineer who reviews designs of services that must stay up. "
    "Answer in plain English, in at most two paragraphs, and name the trade-off that "
    "decides the matter. If a question lacks a number that you need, say which one "
    "and go on with a sensible guess. Do not repeat the question, do not apologise, "
    "and never invent a product name. Quote code in fenced blocks with its language."
)
QUESTION = (
    "Our import service takes files from customers, between ten lines and four "
    "million lines, and writes each line to PostgreSQL. Until now every upload was "
    "handled in the web request, and since last month the big files time out behind "
    "the load balancer after sixty seconds. A colleague wants to put Kafka between "
    "the two parts. We have two application servers, one database with 32 GB of "
    "memory, about 900 uploads on a usual day and three people on the team. Is a "
    "broker the right tool here, or is there something simpler?"
)
ANSWER = (
    "With 900 uploads a day you have one upload each minute and a half, so the "
    "problem is the length of single jobs, not their number. A table of jobs in the "
    "database that you already run, read with SELECT … FOR UPDATE SKIP LOCKED by two "
    "workers, gives you retries, order and visibility without a new system to feed. "
    "The deciding trade-off is who operates it at three in the morning."
)
FOLLOW_UP = (
    "That convinces me. How should the worker split a file of four million lines so "
    "that a restart in the middle does not write lines twice, and what would you "
    "show to the customer while it runs? Please keep it short: I have to explain it "
    'to the team tomorrow under the title "Imports that survive a deploy".'
)


def chat_body(*, stream: bool) -> bytes:
    """Return an OpenAI chat request as compact JSON."""
    request: dict[str, object] = {
        "model": MODEL,
        "messages": [
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": QUESTION},
            {"role": "assistant", "content": ANSWER},
            {"role": "user", "content": FOLLOW_UP},
        ],
        "temperature": 0.3,
        "max_tokens": 600,
    }
    if stream:
        request["stream"] = True
    return json.dumps(request, ensure_ascii=False, separators=(",", ":")).encode()
