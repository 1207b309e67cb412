"""What one may ask of the charts (to scale, to open, all at once, without some), and what they refuse."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import helm_python
import kubernetes_validate
import pytest
import yaml

from meshwright.cli import topology
from meshwright.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
MESH = {process.name: process for process in topology.load().processes}

Document = dict[str, Any]
Render = Callable[[str, Document], list[Document]]

TO_DATABASE: Document = {
    "ports": [{"protocol": "TCP", "port": 5432}],
    "to": [{"ipBlock": {"cidr": "10.9.0.0/16"}}],
}
SCALED: Document = {
    "secrets": {"DATABASE": {"name": "meshwright-database", "key": "url"}},
    "network": {"egress": [TO_DATABASE]},
    "autoscaling": {"enabled": True, "maxReplicas": 8},
}
OPEN: Document = {
    "publicUrl": "https://desk.example/orchestrator",
    "gateway": {"enabled": True, "parentRefs": [{"name": "edge", "namespace": "gateways"}]},
}

DOOR: Document = {"host": "mesh.example", "tls": "mesh-example", "controller": "ingress-nginx"}
OUT: list[Document] = [{"ports": [{"protocol": "TCP", "port": 4318}]}]


def by_kind(documents: list[Document]) -> dict[str, Document]:
    return {document["kind"]: document for document in documents}


# --- what grows and what stays


def test_alone_the_orchestrator_keeps_its_tasks_and_never_runs_twice(render: Render) -> None:
    release = by_kind(render("orchestrator", {}))
    assert release["Deployment"]["spec"]["replicas"] == 1
    assert release["Deployment"]["spec"]["strategy"] == {"type": "Recreate"}
    assert release["PersistentVolumeClaim"]["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    assert {"HorizontalPodAutoscaler", "PodDisruptionBudget", "HTTPRoute"}.isdisjoint(release)


def test_with_a_database_it_scales_and_rolls_without_a_gap(render: Render) -> None:
    release = by_kind(render("orchestrator", SCALED))
    assert "PersistentVolumeClaim" not in release
    assert "replicas" not in release["Deployment"]["spec"], "it would undo what the autoscaler did"
    assert release["Deployment"]["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    scaler, budget = release["HorizontalPodAutoscaler"]["spec"], release["PodDisruptionBudget"]["spec"]
    assert scaler["scaleTargetRef"]["name"] == release["Deployment"]["metadata"]["name"]
    assert scaler["minReplicas"] <= scaler["maxReplicas"] == 8
    assert budget["maxUnavailable"] == 1
    assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


def test_the_open_route_leads_to_the_card_and_lets_in_the_gateway_and_the_console(render: Render) -> None:
    release = by_kind(render("orchestrator", OPEN))
    route = release["HTTPRoute"]["spec"]
    (rule,) = route["rules"]
    assert release["HTTPRoute"]["apiVersion"] == "gateway.networking.k8s.io/v1"
    assert route["parentRefs"] == [{"name": "edge", "namespace": "gateways"}]
    assert rule["matches"] == [{"path": {"type": "PathPrefix", "value": "/orchestrator"}}]
    rewrite = rule["filters"][0]["urlRewrite"]["path"]
    assert rewrite == {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}
    assert rule["backendRefs"] == [{"name": "orchestrator", "port": 8400}]
    (entrance,) = release["NetworkPolicy"]["spec"]["ingress"]
    console = {"app.kubernetes.io/name": "console", "app.kubernetes.io/part-of": "meshwright"}
    assert entrance["from"] == [
        {"podSelector": {"matchLabels": console}},
        {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "gateways"}}},
    ]


SCRAPER: Document = {
    "ports": [{"protocol": "TCP", "port": "http"}],
    "from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}],
}


@pytest.mark.parametrize("name", ["orders", "console"])
def test_who_scrapes_metrics_is_let_in_beside_the_callers(render: Render, name: str) -> None:
    def let_in(values: Document) -> list[Document]:
        policy = by_kind(render(name, values))["NetworkPolicy"]
        kubernetes_validate.validate(policy, "1.30", strict=True)
        return list(policy["spec"]["ingress"])

    assert let_in({"network": {"ingress": [SCRAPER]}}) == [SCRAPER, *let_in({})]


def test_other_rules_make_other_pods(render: Render) -> None:
    def checksum(rules: str) -> str:
        values = {"policy": {"rules.cedar": rules}}
        (deployment,) = [d for d in render("orchestrator", values) if d["kind"] == "Deployment"]
        annotations: dict[str, str] = deployment["spec"]["template"]["metadata"]["annotations"]
        return annotations["checksum/config"]

    assert checksum("// one\n") == checksum("// one\n") != checksum("// two\n")


def test_the_files_of_a_policy_lie_in_the_folder_that_its_setting_names(render: Render) -> None:
    files = {"rules.cedar": "// one\n", "team.cedarschema": "entity Agent;\n", "facts.toml": ""}
    documents = render("orchestrator", {"policy": files, "access": "[read]\n"})
    (config,) = [d for d in documents if d["kind"] == "ConfigMap"]
    (deployment,) = [d for d in documents if d["kind"] == "Deployment"]
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    (mount,) = [each for each in container["volumeMounts"] if each["name"] == "config"]
    (volume,) = [each for each in pod["volumes"] if each["name"] == "config"]
    settings = {each["name"]: each.get("value") for each in container["env"]}
    found = {
        f"{mount['mountPath']}/{item['path']}": config["data"][item["key"]]
        for item in volume["configMap"]["items"]
    }
    assert found == {
        **{f"{settings['MESHWRIGHT_POLICY']}/{name}": text for name, text in files.items()},
        settings["MESHWRIGHT_ACCESS"]: "[read]\n",
    }


@pytest.mark.parametrize(
    "policy", ["version = 1\n", {"../facts.toml": ""}, {"shop.toml": ""}, {"a.cedar": 1}]
)
def test_a_policy_that_is_no_folder_of_rules_is_refused(render: Render, policy: Any) -> None:
    with pytest.raises(helm_python.HelmError):
        render("orchestrator", {"policy": policy})


# --- where people look


def test_an_ingress_leads_to_the_console_over_tls_and_lets_only_its_controller_in(render: Render) -> None:
    assert "Ingress" not in by_kind(render("console", {}))
    release = by_kind(render("console", {"ingress": {"enabled": True, **DOOR}}))
    spec = release["Ingress"]["spec"]
    (rule,) = spec["rules"]
    (path,) = rule["http"]["paths"]
    assert spec["tls"] == [{"hosts": ["mesh.example"], "secretName": "mesh-example"}]
    assert (rule["host"], path["path"], path["backend"]) == (
        *("mesh.example", "/"),
        {"service": {"name": "console", "port": {"name": "http"}}},
    )
    (entrance,) = release["NetworkPolicy"]["spec"]["ingress"]
    assert entrance["from"] == [
        {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress-nginx"}}}
    ]
    assert settings_of(release).public_url == "https://mesh.example", "it answers to no other name"


def test_behind_a_gateway_the_console_stands_at_the_root(render: Render) -> None:
    open_ = {**OPEN, "publicUrl": "https://mesh.example"}
    (rule,) = by_kind(render("console", open_))["HTTPRoute"]["spec"]["rules"]
    assert rule["matches"] == [{"path": {"type": "PathPrefix", "value": "/"}}]
    assert "filters" not in rule, "its links begin at the root"


def settings_of(release: dict[str, Document]) -> Settings:
    (container,) = release["Deployment"]["spec"]["template"]["spec"]["containers"]
    return Settings.from_env(
        {row["name"]: row.get("value", "") for row in container["env"] if row["name"].startswith(PREFIX)}
    )


# --- traces, and the audit log


def variables(documents: list[Document], name: str) -> dict[str, str]:
    """The variables OTEL_* of a process."""
    (deployment,) = [d for d in documents if d["kind"] == "Deployment" and d["metadata"]["name"] == name]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return {row["name"]: row.get("value", "") for row in container["env"] if row["name"].startswith("OTEL_")}


def test_where_all_traces_go_is_said_once_and_a_process_may_say_otherwise(render: Render) -> None:
    everybody = {"endpoint": "http://collector:4318", "attributes": {"team": "a"}, "egress": OUT}
    own = {"telemetry": {"endpoint": "http://other:4318", "metrics": "none"}}
    documents = render("mesh", {"global": {"telemetry": everybody}, "orders": own})
    for name in MESH:
        told = variables(documents, name)
        assert (
            told["OTEL_EXPORTER_OTLP_ENDPOINT"]
            == f"http://{'other' if name == 'orders' else 'collector'}:4318"
        )
        assert told["OTEL_RESOURCE_ATTRIBUTES"] == "team=a"
        assert ("OTEL_METRICS_EXPORTER" in told) == (name == "orders")
    assert variables(render("mesh", {}), "orders") == {}


def test_the_keys_of_the_audit_log_are_files_from_secrets_and_its_checkpoints_outlive_the_pod(
    render: Render,
) -> None:
    secrets = {"key": {"name": "audit-key"}, "secret": {"name": "audit-hashes", "key": "hmac"}}
    alone = {**SCALED, "autoscaling": {}, "audit": {**secrets, "claim": "audit-anchor"}}
    release = by_kind(render("orchestrator", {**alone, "settings": {"AUDIT_EVERY": "10"}}))
    settings = settings_of(release)
    pod = release["Deployment"]["spec"]["template"]["spec"]
    mounts = {mount["name"]: mount for mount in pod["containers"][0]["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert settings.audit_every == 10
    assert settings.audit_key == Path(mounts["audit"]["mountPath"]) / "key.json"
    assert settings.audit_secret == Path(mounts["audit"]["mountPath"]) / "secret"
    assert settings.audit_anchor == Path(mounts["anchor"]["mountPath"]) / "audit-orchestrator.checkpoints"
    assert [source["secret"]["name"] for source in volumes["audit"]["projected"]["sources"]] == [
        *("audit-key", "audit-hashes")
    ]
    assert (mounts["audit"]["readOnly"], volumes["audit"]["projected"]["defaultMode"]) == (True, 0o440)
    assert volumes["anchor"]["persistentVolumeClaim"] == {"claimName": "audit-anchor"}
    assert release["Deployment"]["spec"]["strategy"] == {"type": "Recreate"}, "its volume has room for one"
    for version in ("1.30", "1.37"):
        kubernetes_validate.validate(release["Deployment"], version, strict=True)


def test_links_to_the_viewer_of_traces_are_a_setting_like_others(render: Render) -> None:
    url = "https://langfuse.example/project/p/traces/{trace}"
    assert settings_of(by_kind(render("orchestrator", {"settings": {"TRACE_URL": url}}))).trace_url == url


# --- the umbrella


def names_of(documents: list[Document], kind: str) -> set[str]:
    return {document["metadata"]["name"] for document in documents if document["kind"] == kind}


def test_the_umbrella_brings_every_process_and_the_shop_they_share(render: Render) -> None:
    documents = render("mesh", {})
    assert names_of(documents, "Deployment") == set(MESH)
    assert names_of(documents, "PersistentVolumeClaim") == {"meshwright-shop", "orchestrator-home"}
    weight = {
        document["kind"]: int(document["metadata"]["annotations"]["helm.sh/hook-weight"])
        for document in documents
        if "helm.sh/hook" in document["metadata"].get("annotations", {})
    }
    assert weight["PersistentVolumeClaim"] < weight["Job"], "first the volume, then what fills it"


@pytest.mark.parametrize("version", ["1.30", "1.37"])
def test_kubernetes_accepts_what_the_umbrella_adds(render: Render, version: str) -> None:
    for document in render("mesh", {}):
        if document["kind"] in ("Job", "PersistentVolumeClaim"):
            kubernetes_validate.validate(document, version, strict=True)


@pytest.mark.parametrize("name", ["advisor", "desk", "orchestrator", "console"])
def test_the_umbrella_leaves_out_what_is_switched_off(render: Render, name: str) -> None:
    documents = render("mesh", {name: {"enabled": False}, "shop": {"enabled": False}})
    assert names_of(documents, "Deployment") == set(MESH) - {name}
    assert names_of(documents, "Job") == set()


def test_a_process_can_be_taken_out_of_the_graph(render: Render) -> None:
    without = {"orchestrator": {"network": {"calls": {"agents": {"advisor": None}}}}}
    for chart, values in (("mesh", without), ("orchestrator", without["orchestrator"])):
        (deployment,) = [
            document
            for document in render(chart, values)
            if document["kind"] == "Deployment" and document["metadata"]["name"] == "orchestrator"
        ]
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        (peers,) = [row["value"] for row in container["env"] if row["name"] == "MESHWRIGHT_PEERS"]
        assert "//advisor:" not in peers
        assert "//triage:" in peers


def test_an_agent_of_somebody_else_is_called_by_its_address(render: Render) -> None:
    theirs = ["https://fraud.example/agent", "http://parcels.logistics:8080"]
    way_out = [{"to": [{"ipBlock": {"cidr": "10.9.0.0/16"}}]}]
    values = {"network": {"calls": {"elsewhere": theirs}, "egress": way_out}}
    assert settings_of(by_kind(render("orders", values))).peers == tuple(theirs)
    peers = settings_of(by_kind(render("orchestrator", values))).peers
    assert set(peers) == {*theirs, *settings_of(by_kind(render("orchestrator", {}))).peers}


def test_one_prefix_moves_all_images(render: Render) -> None:
    documents = render("mesh", {"global": {"imagePrefix": "registry.example/team"}})
    workloads = [document for document in documents if document["kind"] in ("Deployment", "Job")]
    images = {
        container["image"] for w in workloads for container in w["spec"]["template"]["spec"]["containers"]
    }
    assert {image.rsplit(":", 1)[0] for image in images} == {
        f"registry.example/team/{name}" for name in (*MESH, "mesh")
    }


# --- an agent of one's own


def own(shelf: Path, folder: Path, name: str, values: Document) -> list[Document]:
    """What docs/deploy.md says of an agent of one's own: the chart of another under a new name, with values of its own."""
    for each in ("mesh-common", "orders"):
        shutil.copytree(
            shelf / each, folder / each, symlinks=True, ignore=shutil.ignore_patterns("charts", "Chart.lock")
        )
    chart = (folder / "orders").rename(folder / "own")
    about = (chart / "Chart.yaml").read_text()
    (chart / "Chart.yaml").write_text(about.replace("name: orders", f"name: {name}"))
    (chart / "values.yaml").write_text(yaml.safe_dump(values))
    helm_python.dependency_update(str(chart))
    with helm_python.Chart.load(str(chart)) as loaded:
        files = loaded.render({}, name=name, namespace="desk")
    return [document for text in files.values() for document in yaml.safe_load_all(text) if document]


def test_an_agent_of_ones_own_has_a_chart_of_a_few_lines(shelf: Path, tmp_path: Path) -> None:
    calls = {"agents": {"advisor": 8405}, "tools": {"orderbook": 8411}}
    values = {"port": 8430, "network": {"callers": ["orchestrator"], "calls": calls}}
    release = by_kind(own(shelf, tmp_path, "billing", values))
    for document in release.values():
        assert document["metadata"]["name"] == "billing"
        kubernetes_validate.validate(document, "1.30", strict=True)
    assert settings_of(release).peers == ("http://advisor:8405",)
    pod = release["Deployment"]["spec"]["template"]["spec"]
    assert pod["containers"][0]["image"].startswith("meshwright/billing:")
    (identity,) = [volume for volume in pod["volumes"] if volume["name"] == "identity"]
    assert identity["projected"]["sources"][0]["secret"]["name"] == "meshwright-key-billing"


@pytest.mark.parametrize(
    ("name", "values", "complaint"),
    [
        ("second_line", {"port": 8430}, 'no Service can be called "second_line"'),
        ("b" * 60, {"port": 8430}, "at most 58"),
        ("billing", {}, "on which port it listens"),
    ],
)
def test_what_an_own_chart_lacks_is_said(
    shelf: Path, tmp_path: Path, name: str, values: Document, complaint: str
) -> None:
    with pytest.raises(helm_python.HelmError) as refusal:
        own(shelf, tmp_path, name, values)
    assert complaint in str(refusal.value)


# --- what is refused


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"replica": 3}, "additional properties 'replica' not allowed"),
        ({"replicas": 0}, "/replicas"),
        ({"port": 80}, "/port"),
        ({"protocol": "grpc"}, "/protocol"),
        ({"image": {"digest": "sha256:abc"}}, "/image/digest"),
        ({"resources": {"limits": {"memory": "256MB"}}}, "/resources/limits/memory"),
        ({"network": {"callers": ["Orchestrator_1"]}}, "/network/callers/0"),
        ({"network": {"ingress": [{}]}}, "/network/ingress/0"),
        ({"network": {"calls": {"elsewhere": ["fraud.example"]}}}, "/network/calls/elsewhere/0"),
        ({"network": {"calls": {"agents": {"orders": "8402"}}}}, "/network/calls/agents/orders"),
        ({"settings": {"DEADLINES": "30"}}, "DEADLINES"),
        ({"settings": {"DEADLINE": 30}}, "/settings/DEADLINE"),
        ({"settings": {"MODEL_KEY": "in plain sight"}}, "MODEL_KEY"),
        ({"secrets": {"DATABASE": {"name": "database"}}}, "/secrets/DATABASE"),
        ({"publicUrl": "desk.example"}, "/publicUrl"),
        ({"publicUrl": "https://desk.example:port"}, "/publicUrl"),
        ({"publicUrl": "https://word@desk.example"}, "/publicUrl"),
        ({"gateway": {"timeout": "forever"}}, "/gateway/timeout"),
        ({"telemetry": {"endpoint": "collector:4318"}}, "/telemetry/endpoint"),
        ({"telemetry": {"endpoint": "http://key@collector:4318"}}, "/telemetry/endpoint"),
        ({"telemetry": {"headers": {"authorization": "in plain sight"}}}, "/telemetry/headers"),
        ({"telemetry": {"attributes": {"a": "b,c=d"}}}, "/telemetry/attributes/a"),
        ({"global": {"telemetry": {"endpoints": "x"}}}, "endpoints"),
        ({"audit": {"anchor": "/var/log"}}, "anchor"),
        ({"people": {"secret": "People"}}, "/people/secret"),
        ({"settings": {"AUDIT_KEY": "in plain sight"}}, "AUDIT_KEY"),
    ],
)
def test_a_wrong_value_is_refused_by_name(render: Render, values: Document, complaint: str) -> None:
    with pytest.raises(helm_python.HelmError) as refusal:
        render("orders", values)
    assert complaint in str(refusal.value)


@pytest.mark.parametrize(
    ("name", "values", "complaint"),
    [
        (
            "orders",
            {"autoscaling": {"enabled": True, "minReplicas": 9}},
            "minReplicas (9) is above maxReplicas (6)",
        ),
        ("orders", {"drain": {"preStopSeconds": 20}}, "drain.graceSeconds (30) must be at least"),
        ("orders", {"settings": {"GRACE": "20.5"}}, "(settings.GRACE + 2) + 5: 33"),
        ("orders", {"gateway": {"enabled": True, "parentRefs": [{"name": "edge"}]}}, "publicUrl"),
        (
            "orchestrator",
            {**OPEN, "settings": {"DEADLINE_MAX": "600"}},
            "gateway.timeout (130s) is below settings.DEADLINE_MAX (600 seconds)",
        ),
        ("orderbook", {"gateway": {"enabled": True}}, "a tool server is never exposed"),
        ("orchestrator", {"replicas": 2}, "set secrets.DATABASE"),
        ("orchestrator", {"autoscaling": {"enabled": True}}, "set secrets.DATABASE"),
        ("orders", {"replicas": 2}, "set secrets.DATABASE"),
        ("mesh", {"advisr": {"enabled": False}}, "advisr"),
        ("console", {"people": {"secret": ""}}, "the console needs people.secret"),
        ("console", {"gateway": {"enabled": True, "path": "/console"}}, "a host name of its own"),
        (
            "console",
            {"ingress": {"enabled": True, "host": "a.example"}},
            "ingress.enabled needs ingress.host, ingress.tls",
        ),
        ("console", {"gateway": {"enabled": True, "parentRefs": [{"name": "edge"}]}}, "publicUrl"),
        ("orders", {"ingress": {"enabled": True, **DOOR}}, "an ingress is for the console"),
        ("orchestrator", {**SCALED, "audit": {"claim": "anchor"}}, "audit.claim is a volume for one replica"),
        ("orders", {"telemetry": {"endpoint": "http://collector:4318"}}, "needs telemetry.egress"),
        ("mesh", {"global": {"telemetry": {"endpoint": "http://collector:4318"}}}, "needs telemetry.egress"),
        ("mesh", {"orders": {"replica": 2}}, "replica"),
        (
            "orders",
            {"network": {"calls": {"elsewhere": ["http://a.b"]}}},
            "network.calls.elsewhere needs network.egress",
        ),
        ("orders", {"secrets": SCALED["secrets"]}, "secrets.DATABASE needs network.egress"),
        ("orders", {"settings": {"MODEL": "openai/desk"}}, "settings.MODEL needs network.egress"),
    ],
)
def test_values_that_are_wrong_together_are_refused(
    render: Render, name: str, values: Document, complaint: str
) -> None:
    with pytest.raises(helm_python.HelmError) as refusal:
        render(name, values)
    assert complaint in str(refusal.value)


def test_who_gives_the_work_more_time_gives_the_pod_and_the_gateway_more(render: Render) -> None:
    slow = {"settings": {"GRACE": "60", "DEADLINE_MAX": "600"}, "drain": {"graceSeconds": 72}}
    release = by_kind(
        render("orchestrator", {**OPEN, **slow, "gateway": {**OPEN["gateway"], "timeout": "11m"}})
    )
    assert settings_of(release).grace == 60
    assert release["Deployment"]["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == 72
    for enough in ("600s", "0s", "1h"):
        render("orchestrator", {**OPEN, **slow, "gateway": {**OPEN["gateway"], "timeout": enough}})


def test_the_schema_offers_only_settings_that_a_process_knows() -> None:
    schema = yaml.safe_load((ROOT / "charts" / "mesh-common" / "workload.schema.json").read_text())
    properties = schema["properties"]
    offered = [
        *properties["settings"]["propertyNames"]["enum"],
        *properties["secrets"]["propertyNames"]["enum"],
    ]
    for name in offered:
        assert name.lower() in Settings.model_fields, f"{PREFIX}{name} is no setting"
