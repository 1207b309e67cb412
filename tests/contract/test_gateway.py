"""The LiteLLM gateway as documented: its files against the LiteLLM that is installed, its doorman, and, where it is installed, the proxy itself."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from starlette.requests import Request

from meshwright.cli import topology
from meshwright.settings import Settings

pytestmark = pytest.mark.filterwarnings("ignore")  # LiteLLM and what it brings warn about themselves

ROOT = Path(__file__).parents[2]
GATEWAY = ROOT / "docs" / "gateway"
#: With a database, and without.
MODES = ("litellm.yaml", "without-database.yaml")
CONFIGS: dict[str, dict[str, Any]] = {mode: yaml.safe_load((GATEWAY / mode).read_text()) for mode in MODES}
KEYS: list[dict[str, Any]] = json.loads((GATEWAY / "keys.json").read_text())
#: Read by the proxy, and in no model of its configuration.
UNDOCUMENTED = {"fail_closed_budget_enforcement", "custom_auth_run_common_checks"}
#: What a call may have beside what a provider is asked for.
LITELLMS_OWN = {"max_tokens", "additional_drop_params"}


@pytest.mark.parametrize("mode", MODES)
def test_litellm_knows_every_word_of_the_configuration(mode: str) -> None:
    from litellm.proxy import _types as known
    from litellm.types.router import GenericLiteLLMParams
    from litellm.utils import get_optional_params

    config = CONFIGS[mode]
    known.ConfigYAML.model_validate(config)
    assert set(config) <= set(known.ConfigYAML.model_fields)
    general = known.ConfigGeneralSettings.model_validate(config["general_settings"])
    unknown = set(config["general_settings"]) - set(known.ConfigGeneralSettings.model_fields)
    assert unknown <= UNDOCUMENTED
    assert general.cancel_on_disconnect is True
    for model in config["model_list"]:
        params = model["litellm_params"]
        assert set(params) <= {"model", *GenericLiteLLMParams.model_fields, *LITELLMS_OWN}
        provider, name = params["model"].split("/", 1)
        dropped = params["additional_drop_params"]
        get_optional_params(  # raises for what our client sends and this model does not take
            model=name,
            custom_llm_provider=provider,
            max_tokens=5,
            temperature=0,
            additional_drop_params=dropped,
        )
    spec = find_spec("litellm")
    assert spec is not None
    assert spec.origin is not None
    proxy = (Path(spec.origin).parent / "proxy" / "proxy_server.py").read_text()
    assert all(f'"{word}"' in proxy for word in unknown)


def test_every_agent_that_may_ask_a_model_has_a_key_of_its_own_with_an_end() -> None:
    from litellm.litellm_core_utils.duration_parser import duration_in_seconds
    from litellm.proxy._types import GenerateKeyRequest

    with_models = {process.name for process in topology.load().processes if "MODEL" in process.settings}
    assert [key["key_alias"] for key in KEYS] == sorted(with_models, key=[k["key_alias"] for k in KEYS].index)
    (served,) = {
        frozenset(model["model_name"] for model in config["model_list"]) for config in CONFIGS.values()
    }
    for key in KEYS:
        assert set(key) <= set(GenerateKeyRequest.model_fields)
        request = GenerateKeyRequest.model_validate(key)
        assert request.max_budget is not None
        assert request.max_budget > 0
        assert duration_in_seconds(str(request.budget_duration)) == 86_400, "a day, as ours"
        assert request.tpm_limit is not None
        assert request.tpm_limit >= Settings().budget_tokens, (
            "less would refuse what the mesh allows in one request"
        )
        assert request.rpm_limit, "calls that fail or are broken off are not counted in tokens"
        assert set(request.models or ()) == served


@pytest.mark.parametrize("mode", MODES)
def test_nothing_secret_stands_in_it_and_nothing_in_it_undoes_the_reservation(mode: str) -> None:
    config, text = CONFIGS[mode], (GATEWAY / mode).read_text() + (GATEWAY / "keys.json").read_text()
    assert "sk-" not in text
    for name in {"master_key", "database_url"} & set(config["general_settings"]):
        assert config["general_settings"][name].startswith("os.environ/")
    assert config["litellm_settings"]["drop_params"] is False
    retries = [config["litellm_settings"]["num_retries"], config["router_settings"]["num_retries"]]
    retries += [model["litellm_params"]["max_retries"] for model in config["model_list"]]
    assert set(retries) == {0}, "a retry that we do not see is a spend that we did not reserve"
    assert "max_tokens" not in {
        word for model in config["model_list"] for word in model["litellm_params"]["additional_drop_params"]
    }


# --- the doorman of the mode without a database


@pytest.fixture
def doorman(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """Who knows one key: that of the agent orders."""
    spec = importlib.util.spec_from_file_location("doorman", GATEWAY / "doorman.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    hashes = {module.hashed("sk-orders"): "orders", module.hashed("sk-gone"): "an agent without limits"}
    (tmp_path / "hashes.json").write_text(json.dumps(hashes))
    monkeypatch.setenv("GATEWAY_HASHES", str(tmp_path / "hashes.json"))
    return module


PLAIN = {"model": "desk", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 5}


async def status_of(
    doorman: ModuleType, key: str, body: Any = PLAIN, path: str = "/chat/completions", **headers: str
) -> str:
    """The status that the doorman refuses with, or the name of whom he lets in."""
    from litellm.proxy._types import ProxyException

    async def receive() -> dict[str, Any]:
        return {
            "type": "http.request",
            "body": body if isinstance(body, bytes) else json.dumps(body).encode(),
        }

    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "headers": named,
        "query_string": b"",
        "server": ("x", 1),
        "scheme": "http",
    }
    try:
        return str((await doorman.let_in(Request(scope, receive), key))["key_alias"])
    except ProxyException as refused:
        return str(refused.code)


async def test_the_doorman_lets_an_agent_in_with_its_limits_and_knows_no_key(doorman: ModuleType) -> None:
    assert await status_of(doorman, "sk-orders") == "orders"
    limits = doorman.limits_of(doorman.hashed("sk-orders"))
    (said,) = [key for key in KEYS if key["key_alias"] == "orders"]
    assert limits == {
        name: said[name]
        for name in ("key_alias", "models", "tpm_limit", "rpm_limit", "max_parallel_requests")
    }
    assert [await status_of(doorman, key) for key in ("", "sk-other", "sk-gone")] == ["401"] * 3


async def test_a_key_that_is_taken_out_of_the_file_is_refused_from_then_on_and_without_a_file_everybody_is(
    doorman: ModuleType, tmp_path: Path
) -> None:
    hashes = tmp_path / "hashes.json"
    hashes.write_text(json.dumps({doorman.hashed("sk-new"): "orders"}))
    assert [await status_of(doorman, key) for key in ("sk-orders", "sk-new")] == ["401", "orders"]
    hashes.write_text("{")
    assert await status_of(doorman, "sk-new") == "503"
    hashes.unlink()
    assert await status_of(doorman, "sk-new") == "503"


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"not json", b"[]", b"max_tokens=5"),
        *({**PLAIN, "max_tokens": wrong} for wrong in (None, 0, -1, 5.0, "5", True)),
        {**PLAIN, "max_completion_tokens": -1},
        *(
            {**PLAIN, wish: 3}
            for wish in ("n", "num_retries", "fallbacks", "api_base", "mock_response", "user_config")
        ),
    ],
    ids=str,
)
async def test_the_doorman_takes_no_orders_with_a_question(doorman: ModuleType, body: Any) -> None:
    assert await status_of(doorman, "sk-orders", body) == "400"


async def test_the_doorman_opens_one_door_and_takes_no_orders_in_headers(doorman: ModuleType) -> None:
    for path in ("/key/generate", "/v1/embeddings", "/v1/responses", "/config/update", "/chat/completions/"):
        assert await status_of(doorman, "sk-orders", path=path) == "403"
    assert await status_of(doorman, "sk-orders", x_litellm_num_retries="3") == "400"


# --- the proxy


@pytest.mark.skipif(
    not (ROOT / ".venv-gateway" / "installed").exists(),
    reason="the LiteLLM proxy is not installed: make gateway does that (740 MB, in an environment of its own)",
)
@pytest.mark.timeout(300)
def test_the_proxy_serves_our_agents_and_holds_one_that_takes_no_notice_of_budgets() -> None:
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.gateway"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-4000:]
    figures: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    assert figures["breaches"] == 0
    assert figures["tokens_by_the_minute_are_an_end"]["refused"] > 0
