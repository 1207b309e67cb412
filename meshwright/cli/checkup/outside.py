"""What a mesh uses and does not own: where traces go, and the model. Both are asked something that costs nothing."""

from __future__ import annotations

from importlib.util import find_spec
from urllib.parse import unquote, urlsplit

from meshwright.cli.checkup.diagnosis import Diagnosis, Patient, ill, watch, well
from meshwright.process import exports
from meshwright.settings import PREFIX

_OTLP = "OTEL_EXPORTER_OTLP_"
#: Whose models need no key.
_LOCAL = ("ollama", "ollama_chat", "lm_studio", "hosted_vllm", "llamafile")


async def exporter(patient: Patient) -> list[Diagnosis]:
    """Where spans go: installed, and does it take an empty batch with the headers that are set?"""
    import httpx

    environ = patient.environ
    if not exports(environ):
        return [well("exporter", f"none ({_OTLP}ENDPOINT is not set): decisions are kept, traces are not")]
    if not _installed("opentelemetry.exporter.otlp.proto.http"):
        return [ill("exporter", "it is not installed", "pip install 'meshwright[otlp]'")]
    if (protocol := environ.get(f"{_OTLP}PROTOCOL") or "http/protobuf") != "http/protobuf":
        return [
            watch("exporter", f"{_OTLP}PROTOCOL is {protocol}, and http/protobuf is what is sent", "unset it")
        ]
    whole = environ.get(f"{_OTLP}TRACES_ENDPOINT")
    url = whole or f"{environ[f'{_OTLP}ENDPOINT'].rstrip('/')}/v1/traces"
    headers, wrong = _headers(environ.get(f"{_OTLP}TRACES_HEADERS") or environ.get(f"{_OTLP}HEADERS") or "")
    if wrong:
        says = f"{_OTLP}HEADERS: its part {wrong} is not name=value"
        return [ill("exporter", says, "percent-encode what stands in a value: , is %2C, = is %3D")]
    try:
        kind = {"content-type": "application/x-protobuf"}
        answer = await patient.outward.post(url, content=b"", headers={**headers, **kind})
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        says = f"{_place(url)} does not answer ({type(error).__name__})"
        return [
            ill(
                "exporter",
                says,
                "start it, or mend the endpoint; requests do not wait for it, traces are lost",
            )
        ]
    with_ = f"with {', '.join(sorted(headers))}" if headers else "without headers"
    says = f"{_place(url)} answers {answer.status_code} to an empty batch, {with_}"
    if answer.status_code in (401, 403):
        return [ill("exporter", says, f"set {_OTLP}HEADERS to what it asks for: docs/observability.md")]
    if answer.status_code == 404:
        return [ill("exporter", says, "/v1/traces is added to the endpoint: name what stands before it")]
    if answer.status_code >= 500:
        return [ill("exporter", says, "see its own log")]
    return [
        well("exporter", says) if answer.is_success else watch("exporter", says, "see whether traces arrive")
    ]


async def model(patient: Patient) -> list[Diagnosis]:
    """What agents reason with: configured, and does its server know it? Nothing is generated."""
    import httpx

    chosen = patient.settings
    if chosen is None:
        return []
    if not chosen.model:
        return [well("model", f"none ({PREFIX}MODEL is not set): agents follow their playbooks")]
    if not _installed("litellm"):
        return [ill("model", f"{chosen.model} needs LiteLLM", "pip install 'meshwright[model]'")]
    if not chosen.model_url:
        if not chosen.model_key and chosen.model.partition("/")[0] not in _LOCAL:
            says = f"{chosen.model}, and no {PREFIX}MODEL_KEY"
            return [watch("model", says, "set it, unless the provider's own variable holds the key")]
        return [well("model", f"{chosen.model}, at its provider's own address (not asked)")]
    headers = {"authorization": f"Bearer {chosen.model_key}"} if chosen.model_key else {}
    place = _place(chosen.model_url)
    try:
        answer = await patient.outward.get(chosen.model_url.rstrip("/") + "/models", headers=headers)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        says = f"{place} does not answer ({type(error).__name__})"
        return [ill("model", says, "start it, or mend MESHWRIGHT_MODEL_URL; playbooks answer meanwhile")]
    if answer.status_code in (401, 403):
        return [
            ill("model", f"{place} does not take the key ({answer.status_code})", f"set {PREFIX}MODEL_KEY")
        ]
    if not answer.is_success:
        return [
            watch("model", f"{place} answers {answer.status_code} when asked for its models", "see its log")
        ]
    name, served = chosen.model.rpartition("/")[2], _served(answer)
    if served and chosen.model not in served and name not in served:
        says = f"{place} serves {', '.join(served[:5])}, and not {chosen.model}"
        return [ill("model", says, f"set {PREFIX}MODEL to one of them")]
    if None in (chosen.price_in, chosen.price_out):
        return [
            watch(
                "model",
                f"{chosen.model} at {place}, and no prices",
                "without PRICE_IN and PRICE_OUT no money is counted",
            )
        ]
    return [well("model", f"{chosen.model} at {place}")]


def _served(answer: object) -> list[str]:
    """The names in an OpenAI-compatible list of models; none where it is no such list."""
    try:
        document = answer.json()  # type: ignore[attr-defined]
    except ValueError:
        return []
    rows = document.get("data") if isinstance(document, dict) else None
    return (
        [str(row["id"]) for row in rows if isinstance(row, dict) and row.get("id")]
        if isinstance(rows, list)
        else []
    )


def _headers(text: str) -> tuple[dict[str, str], int]:
    """As the SDK reads them; and the number of the first part that is none. The text may hold a key, so it is not shown."""
    found = {}
    for number, part in enumerate(filter(None, (each.strip() for each in text.split(","))), 1):
        name, equals, value = part.partition("=")
        if not (equals and name.strip()) or "\n" in unquote(value):
            return {}, number
        found[unquote(name).strip()] = unquote(value).strip()
    return found, 0


def _place(url: str) -> str:
    """An address without what may be secret in it."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname or '?'}{port}{parts.path}"


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False
