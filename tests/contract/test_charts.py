"""The charts keep their promises: right for two Kubernetes versions, and true to the mesh's topology."""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import helm_python
import kubernetes_validate
import pytest
import yaml

from meshwright.cli import topology
from meshwright.process import FAREWELL, exports
from meshwright.settings import Settings

#: Seconds from SIGTERM until a process is gone.
LEAVING = int(Settings().grace) + FAREWELL

ROOT = Path(__file__).parents[2]
MESH = {process.name: process for process in topology.load().processes}
TOOLS = {name for name, process in MESH.items() if process.kind == "mcp"}
KUBERNETES = ("1.30", "1.37")
#: No built-in kind of Kubernetes, so kubernetes_validate knows no schema; its shape is tested below.
GATEWAY_API = "gateway.networking.k8s.io/v1"

HARDENED: dict[str, Any] = {
    "image": {"digest": "sha256:" + "a" * 64, "pullPolicy": "Always", "pullSecrets": ["registry"]},
    "settings": {"LOG_LEVEL": "WARNING", "MAX_BODY": "2097152"},
    "secrets": {"MODEL_KEY": {"name": "model", "key": "api-key"}},
    "telemetry": {
        "endpoint": "http://collector.telemetry:4318",
        "headers": {"name": "meshwright-otlp", "key": "headers"},
        "attributes": {"deployment.environment.name": "production", "k8s.cluster.name": "a"},
        "metrics": "none",
        "egress": [
            {"ports": [{"protocol": "TCP", "port": 4318}], "to": [{"ipBlock": {"cidr": "10.8.0.0/16"}}]}
        ],
    },
    "autoscaling": {
        "enabled": True,
        "maxReplicas": 8,
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": 300}},
    },
    "policy": {"rules.cedar": "// none\n", "team.cedarschema": "entity Agent;\n", "facts.toml": ""},
    "access": "[read]\n",
    "network": {
        "egress": [
            {"ports": [{"protocol": "TCP", "port": 5432}], "to": [{"ipBlock": {"cidr": "10.9.0.0/16"}}]}
        ]
    },
    "nodeSelector": {"pool": "agents"},
    "tolerations": [{"key": "agents", "operator": "Exists"}],
}
#: A database that all replicas share.
SHARED: dict[str, Any] = {
    "secrets": {**HARDENED["secrets"], "DATABASE": {"name": "meshwright-database", "key": "url"}}
}
#: Open to the world.
OPEN: dict[str, Any] = {
    "publicUrl": "https://desk.example/orchestrator",
    "gateway": {
        "enabled": True,
        "parentRefs": [{"name": "edge", "namespace": "gateways"}],
        "hostnames": ["desk.example"],
    },
}
#: Where people log in, by an ingress.
INGRESS: dict[str, Any] = {
    "ingress": {
        "enabled": True,
        "className": "nginx",
        "host": "mesh.example",
        "tls": "mesh-example",
        "controller": "ingress-nginx",
        "annotations": {"cert-manager.io/cluster-issuer": "ours"},
    }
}

Document = dict[str, Any]
Release = dict[str, Document]
Render = Callable[[str, Document], list[Document]]


def values_of(name: str, kind: str) -> Document:
    if kind == "default":
        return {}
    shared = SHARED if MESH[name].kind == "a2a" else {}
    return copy.deepcopy({**HARDENED, **shared, **{"orchestrator": OPEN, "console": INGRESS}.get(name, {})})


@pytest.fixture(scope="module", params=["default", "hardened"])
def releases(request: pytest.FixtureRequest, render: Render) -> dict[str, Release]:
    """Every process rendered alone, by name and then by kind of document."""
    rendered: dict[str, Release] = {}
    for name in MESH:
        documents = render(name, values_of(name, request.param))
        rendered[name] = {document["kind"]: document for document in documents}
        assert len(rendered[name]) == len(documents), f"{name} renders a kind twice"
    return rendered


def pod_of(release: Release) -> Document:
    spec: Document = release["Deployment"]["spec"]["template"]["spec"]
    return spec


def container_of(release: Release) -> Document:
    (container,) = pod_of(release)["containers"]
    assert isinstance(container, dict)
    return container


def environment_of(release: Release) -> dict[str, str]:
    from_secrets = {
        "MESHWRIGHT_DATABASE": "postgresql://database/mesh",
        "MESHWRIGHT_MODEL_KEY": "a key",
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Basic%20a2V5",
    }
    rows = container_of(release)["env"]
    environment = {row["name"]: row.get("value") or from_secrets[row["name"]] for row in rows}
    assert len(environment) == len(rows), "a variable is there twice"
    return environment


# --- the shelf


def test_there_is_a_chart_for_every_process_and_for_nothing_else() -> None:
    found = {path.name for path in (ROOT / "charts").iterdir()}
    assert found == {*MESH, "mesh", "mesh-common"}


def test_every_chart_carries_the_version_of_the_distribution() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    for name in (*MESH, "mesh"):
        chart = yaml.safe_load((ROOT / "charts" / name / "Chart.yaml").read_text())
        assert chart["appVersion"] == version
        assert chart["kubeVersion"] == ">=1.30.0-0", "a library's is not enforced, so each repeats it"


def test_every_process_has_the_one_schema() -> None:
    for name in MESH:
        schema = ROOT / "charts" / name / "values.schema.json"
        assert schema.is_symlink()
        assert schema.resolve() == ROOT / "charts" / "mesh-common" / "workload.schema.json"


@pytest.mark.parametrize("kind", ["default", "hardened"])
def test_helm_lints_every_chart_without_a_warning(shelf: Path, kind: str) -> None:
    for name in MESH:
        report = helm_python.lint(
            str(shelf / name), values_of(name, kind), strict=True, kube_version="v1.30.0"
        )
        assert report["errors"] == [], name
        assert all(message["severity"] <= 1 for message in report["messages"]), report
    assert helm_python.lint(str(shelf / "mesh"), {}, strict=True)["errors"] == []


# --- what Kubernetes says


@pytest.mark.parametrize("version", KUBERNETES)
def test_kubernetes_accepts_every_document(releases: dict[str, Release], version: str) -> None:
    for release in releases.values():
        for document in release.values():
            if document["apiVersion"] != GATEWAY_API:
                kubernetes_validate.validate(document, version, strict=True)


# --- the promises of every pod


def test_selectors_find_the_pods_and_outlive_an_upgrade(releases: dict[str, Release]) -> None:
    for name, release in releases.items():
        labels = release["Deployment"]["spec"]["template"]["metadata"]["labels"]
        selectors = [
            release["Deployment"]["spec"]["selector"]["matchLabels"],
            release["Service"]["spec"]["selector"],
            release["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
        ]
        if "PodDisruptionBudget" in release:
            selectors.append(release["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"])
        for selector in selectors:
            assert selector == {"app.kubernetes.io/name": name, "app.kubernetes.io/part-of": "meshwright"}
            assert selector.items() <= labels.items()


def test_a_pod_has_no_rights_it_does_not_need(releases: dict[str, Release]) -> None:
    for release in releases.values():
        pod, container = pod_of(release), container_of(release)
        assert release["ServiceAccount"]["automountServiceAccountToken"] is False
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == 65532
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


def test_memory_is_reserved_whole_and_cpu_is_not_capped(releases: dict[str, Release]) -> None:
    for release in releases.values():
        resources = container_of(release)["resources"]
        assert resources["requests"]["memory"] == resources["limits"]["memory"]
        assert "cpu" in resources["requests"]
        assert "cpu" not in resources["limits"]
        assert "ephemeral-storage" in resources["limits"]


def test_an_agent_has_room_for_the_tasks_that_it_keeps_in_its_pod(releases: dict[str, Release]) -> None:
    for name, release in releases.items():
        (home,) = [volume for volume in pod_of(release)["volumes"] if volume["name"] == "home"]
        if MESH[name].kind == "a2a" and "emptyDir" in home:
            assert home["emptyDir"] == {"sizeLimit": "1Gi"}
            limit = container_of(release)["resources"]["limits"]["ephemeral-storage"]
            assert int(limit.removesuffix("Mi")) > 1024, "the home, what is logged, and /tmp"


def test_a_pod_has_time_to_leave_in_order(releases: dict[str, Release]) -> None:
    for release in releases.values():
        quiet = container_of(release)["lifecycle"]["preStop"]["sleep"]["seconds"]
        assert pod_of(release)["terminationGracePeriodSeconds"] >= quiet + LEAVING + 5


def test_liveness_asks_the_process_and_only_readiness_what_it_waits_for(releases: dict[str, Release]) -> None:
    for release in releases.values():
        container = container_of(release)
        assert container["livenessProbe"]["httpGet"] == {"path": "/livez", "port": "http"}
        assert container["startupProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}
        assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}
        patience = {
            k: container[k]["periodSeconds"] * container[k]["failureThreshold"]
            for k in container
            if "Probe" in k
        }
        assert patience["livenessProbe"] > patience["readinessProbe"], "out of the way first, killed last"
        assert container["startupProbe"]["periodSeconds"] == 1, "a second after it is ready it takes calls"
        assert patience["startupProbe"] >= 60, "all that WARM allows, on a busy node"


def test_only_its_own_key_reaches_a_process_and_only_for_reading(releases: dict[str, Release]) -> None:
    for name, release in releases.items():
        (identity,) = [volume for volume in pod_of(release)["volumes"] if volume["name"] == "identity"]
        secret, trust = identity["projected"]["sources"]
        assert secret["secret"]["name"] == f"meshwright-key-{name}"
        assert trust["configMap"]["name"] == "meshwright-trust"
        assert identity["projected"]["defaultMode"] == 0o440
        (mount,) = [m for m in container_of(release)["volumeMounts"] if m["name"] == "identity"]
        environment = environment_of(release)
        assert mount["readOnly"] is True
        assert environment["MESHWRIGHT_KEY"] == f"{mount['mountPath']}/key.json"
        assert environment["MESHWRIGHT_TRUST"] == f"{mount['mountPath']}/trust.json"


def test_every_volume_that_is_mounted_is_there(releases: dict[str, Release]) -> None:
    for release in releases.values():
        mounted = {mount["name"] for mount in container_of(release)["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod_of(release)["volumes"]}


# --- the settings and the call graph


def test_a_process_understands_every_setting_it_is_given(releases: dict[str, Release]) -> None:
    for name, release in releases.items():
        settings = Settings.from_env(environment_of(release))
        assert settings.port == topology.BASE_PORT + MESH[name].port
        assert not settings.is_loopback


def test_ports_are_the_meshs_and_the_protocol_is_announced(releases: dict[str, Release]) -> None:
    for name, release in releases.items():
        (port,) = release["Service"]["spec"]["ports"]
        (listens,) = container_of(release)["ports"]
        assert port["port"] == listens["containerPort"] == topology.BASE_PORT + MESH[name].port
        assert port["targetPort"] == listens["name"]
        kind = MESH[name].kind
        assert port["appProtocol"] == ("http" if kind == "web" else f"agentgateway.dev/{kind}")


def test_each_process_is_told_whom_the_topology_lets_it_call(releases: dict[str, Release]) -> None:
    for name, release in releases.items():
        settings = Settings.from_env(environment_of(release))
        assert set(settings.peers) == {address(callee) for callee in MESH[name].asks}
        assert set(settings.tools) == {address(callee) for callee in MESH[name].uses}


def address(name: str) -> str:
    return f"http://{name}:{topology.BASE_PORT + MESH[name].port}"


def test_the_network_lets_through_exactly_the_calls_that_both_sides_name(
    releases: dict[str, Release],
) -> None:
    for name, release in releases.items():
        policy = release["NetworkPolicy"]["spec"]
        assert policy["policyTypes"] == ["Ingress", "Egress"]
        callees = {*MESH[name].asks, *MESH[name].uses}
        callers = {caller for caller, process in MESH.items() if name in (*process.asks, *process.uses)}
        assert {
            (who, rule["ports"][0]["port"]) for rule in policy["egress"] for who in pods_in(rule["to"])
        } == {(callee, topology.BASE_PORT + MESH[callee].port) for callee in callees}
        assert {who for rule in policy["ingress"] for who in pods_in(rule["from"])} == callers


def pods_in(peers: list[Document]) -> list[str]:
    return [p["podSelector"]["matchLabels"]["app.kubernetes.io/name"] for p in peers if "podSelector" in p]


def test_names_are_looked_up_in_the_cluster_and_not_at_large(releases: dict[str, Release]) -> None:
    for release in releases.values():
        lookups = release["NetworkPolicy"]["spec"]["egress"][0]
        assert {port["port"] for port in lookups["ports"]} == {53}
        assert all(lookups["to"])


def test_only_tool_servers_see_the_shop_and_all_on_one_node(releases: dict[str, Release]) -> None:
    for name, release in releases.items():
        claims = [
            v["persistentVolumeClaim"]["claimName"] for v in pod_of(release)["volumes"] if v["name"] == "shop"
        ]
        assert claims == (["meshwright-shop"] if name in TOOLS else [])
        if name in TOOLS:
            (together,) = pod_of(release)["affinity"]["podAffinity"][
                "requiredDuringSchedulingIgnoredDuringExecution"
            ]
            assert together["topologyKey"] == "kubernetes.io/hostname"
            labels = release["Deployment"]["spec"]["template"]["metadata"]["labels"]
            assert together["labelSelector"]["matchLabels"].items() <= labels.items()


# --- what looks at it, and where its traces go


def test_every_process_exports_as_it_is_told_and_takes_the_keys_of_that_from_a_secret(
    releases: dict[str, Release],
) -> None:
    for release in releases.values():
        rows = {row["name"]: row for row in container_of(release)["env"] if row["name"].startswith("OTEL_")}
        if not rows:
            continue
        headers = rows["OTEL_EXPORTER_OTLP_HEADERS"]["valueFrom"]["secretKeyRef"]
        assert headers == {"name": "meshwright-otlp", "key": "headers"}
        environment = environment_of(release)
        assert exports(environment)
        assert environment["OTEL_METRICS_EXPORTER"] == "none"
        assert environment["OTEL_RESOURCE_ATTRIBUTES"] == (
            "deployment.environment.name=production,k8s.cluster.name=a"
        )
        out = release["NetworkPolicy"]["spec"]["egress"]
        assert 4318 in [port["port"] for rule in out for port in rule["ports"]]


def test_the_console_reaches_the_orchestrator_and_nobody_else_and_knows_who_logs_in(
    releases: dict[str, Release],
) -> None:
    release = releases["console"]
    environment = environment_of(release)
    settings = Settings.from_env(environment)
    (people,) = [volume for volume in pod_of(release)["volumes"] if volume["name"] == "people"]
    (mount,) = [mount for mount in container_of(release)["volumeMounts"] if mount["name"] == "people"]
    assert settings.peers == ("http://orchestrator:8400",)
    assert settings.tools == ()
    assert settings.console_users == Path(mount["mountPath"]) / "people.json"
    file = [{"key": "people.json", "path": "people.json"}]
    assert people["secret"] == {"secretName": "meshwright-people", "defaultMode": 0o440, "items": file}
    assert mount["readOnly"] is True
    assert not [
        volume
        for name in MESH.keys() - {"console"}
        for volume in pod_of(releases[name])["volumes"]
        if volume["name"] == "people"
    ]
    ways_out = release["NetworkPolicy"]["spec"]["egress"]
    assert [who for rule in ways_out for who in pods_in(rule["to"])] == ["orchestrator"]
