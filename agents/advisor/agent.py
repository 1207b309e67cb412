"""Questions about products and the shop's rules: every answer names its source, or there is none."""

from __future__ import annotations

from typing import Any

from meshwright.agent import Agent, Job
from meshwright.findings import Claim, Evidence, Finding, Gap, Subtask

INSTRUCTIONS = """\
You answer questions about the shop's products and rules: only from the product records and the handbook,
and with the source of every statement. No opinions, no recommendations, nothing from memory. What the
sources do not say is a gap."""


#: Said when nothing was found.
ASKING = "We could not find the answer to your question; a colleague will write to you."


async def playbook(subtask: Subtask, job: Job) -> Finding:
    """Answer each question from the records or the handbook; one that they do not answer is a gap."""
    asked: list[dict[str, Any]] = list(subtask.details.get("questions") or ())
    asked = asked or [{"about": "policy", "words": subtask.instruction}]
    finding = Finding()
    for question in asked:
        if question.get("about") in ("count", "price"):
            await _product(question, job, finding)
        else:
            await _policy(question, job, finding)
    said = list(dict.fromkeys(claim.text for claim in finding.claims))
    if finding.gaps:
        said.append("A colleague will answer what we could not find." if said else ASKING)
    finding.reply = "\n".join(said)
    return finding


async def _product(question: dict[str, Any], job: Job, finding: Finding) -> None:
    words, name = str(question.get("words", "")), str(question.get("product", ""))
    found = (await job.tools.call("find_products", words=name))["products"]
    found = [product for product in found if _plain(product["name"]) == _plain(name)] or found
    if len(found) != 1:
        number = "no product" if not found else "more than one product"
        finding.gaps.append(Gap(what=words, why=f"{number} of the shop is called '{name}'"))
        return
    product = found[0]
    stock = [v for v in product["variants"] if v["available"]]
    if question.get("about") == "count":
        text, value = f"{len(stock)} {product['name']} options are available right now.", str(len(stock))
    elif stock:
        low, high = (edge(v["price_cents"] for v in stock) / 100 for edge in (min, max))
        text, value = (
            f"The {product['name']} options in stock cost from ${low:.2f} to ${high:.2f}.",
            f"{low}-{high}",
        )
    else:
        text, value = f"No {product['name']} is in stock right now.", "0"
    evidence = Evidence(
        source="tool:orderbook.find_products", quote=f"{product['product_id']} {product['name']}: {value}"
    )
    about = f"product:{product['product_id']}:{question['about']}"
    finding.claims.append(Claim(text=text, about=about, value=value, evidence=[evidence]))


def _plain(name: str) -> str:
    """`T-Shirts` and `tshirt` are one name."""
    return "".join(letter for letter in name.lower() if letter.isalnum()).removesuffix("s")


async def _policy(question: dict[str, Any], job: Job, finding: Finding) -> None:
    words = str(question.get("words", ""))
    found = (await job.tools.call("search_handbook", query=words, limit=1))["passages"]
    if not found:
        finding.gaps.append(Gap(what=words, why="the handbook does not say"))
        return
    best = found[0]
    evidence = Evidence(source=f"handbook:{best['article']}", quote=best["text"][:400])
    text = f"{best['title']}: {_whole_sentences(best['text'])}"
    finding.claims.append(Claim(text=text, about=f"policy:{best['article']}", evidence=[evidence]))


def _whole_sentences(text: str, most: int = 600) -> str:
    """The beginning of a passage on one line, cut after a sentence."""
    flat = " ".join(text.split())
    return flat if len(flat) <= most else flat[: flat.rfind(". ", 0, most) + 1] or flat[:most]


AGENT = Agent("advisor", playbook=playbook, instructions=INSTRUCTIONS)
