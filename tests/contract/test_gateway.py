"""The LiteLLM gateway as documented, held against the configuration models of the LiteLLM that is installed. The proxy is not run."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from meshwright.cli import topology
from meshwright.settings import Settings

pytestmark = pytest.mark.filterwarnings("ignore")  # LiteLLM and what it brings warn about themselves

GATEWAY = Path(__file__).parents[2] / "docs" / "gateway"
CONFIG: dict[str, Any] = yaml.safe_load((GATEWAY / "litellm.yaml").read_text())
KEYS: list[dict[str, Any]] = json.loads((GATEWAY / "keys.json").read_text())
#: Read by the proxy, and in no model of its configuration.
UNDOCUMENTED = {"fail_closed_budget_enforcement"}


def test_litellm_knows_every_word_of_the_configuration() -> None:
    from litellm.proxy import _types as known
    from litellm.types.router import GenericLiteLLMParams

    known.ConfigYAML.model_validate(CONFIG)
    assert set(CONFIG) <= set(known.ConfigYAML.model_fields)
    general = known.ConfigGeneralSettings.model_validate(CONFIG["general_settings"])
    assert set(CONFIG["general_settings"]) - UNDOCUMENTED <= set(known.ConfigGeneralSettings.model_fields)
    assert general.cancel_on_disconnect is True
    for model in CONFIG["model_list"]:
        assert set(model["litellm_params"]) <= {"model", *GenericLiteLLMParams.model_fields}
    spec = find_spec("litellm")
    assert spec is not None
    assert spec.origin is not None
    proxy = (Path(spec.origin).parent / "proxy" / "proxy_server.py").read_text()
    assert all(f'"{word}"' in proxy for word in UNDOCUMENTED)


def test_every_agent_that_may_ask_a_model_has_a_key_of_its_own_with_an_end() -> None:
    from litellm.litellm_core_utils.duration_parser import duration_in_seconds
    from litellm.proxy._types import GenerateKeyRequest

    with_models = {process.name for process in topology.load().processes if "MODEL" in process.settings}
    assert [key["key_alias"] for key in KEYS] == sorted(with_models, key=[k["key_alias"] for k in KEYS].index)
    served = {model["model_name"] for model in CONFIG["model_list"]}
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
        assert set(request.models or ()) == served


def test_nothing_secret_stands_in_it_and_nothing_in_it_undoes_the_reservation() -> None:
    text = (GATEWAY / "litellm.yaml").read_text() + (GATEWAY / "keys.json").read_text()
    assert "sk-" not in text
    for name in ("master_key", "database_url"):
        assert CONFIG["general_settings"][name].startswith("os.environ/")
    assert CONFIG["litellm_settings"]["drop_params"] is False
    retries = [CONFIG["litellm_settings"]["num_retries"], CONFIG["router_settings"]["num_retries"]]
    retries += [model["litellm_params"]["max_retries"] for model in CONFIG["model_list"]]
    assert set(retries) == {0}, "a retry that we do not see is a spend that we did not reserve"
