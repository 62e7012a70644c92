"""The manifests: that they name each other rightly, and that pods are started, watched and stopped well."""

import re

import pytest
from ruamel.yaml import YAML

from mm_keras.serving.kit import config_files, yaml_text
from mm_keras.serving.kit_kubernetes import loader, manifests, resource_name
from mm_keras.serving.kit_models import KitModel

MODELS = [KitModel("key_pad", (1,), {"stable": 1}, 4.0, size=100 * 2**20, tensorflow="2.17.1")]


@pytest.fixture(scope="module")
def parts():
    made = manifests(MODELS, 2, config_files(MODELS, 2))
    return {part["kind"]: part for part in (YAML(typ="safe").load(yaml_text(data)) for data in made.values())}


@pytest.fixture(scope="module")
def pod(parts):
    return parts["Deployment"]["spec"]["template"]


def test_each_kind_has_its_version(parts):
    assert {kind: part["apiVersion"] for kind, part in parts.items()} == {
        "ConfigMap": "v1",
        "PersistentVolumeClaim": "v1",
        "Deployment": "apps/v1",
        "Service": "v1",
        "HorizontalPodAutoscaler": "autoscaling/v2",
    }
    for part in parts.values():
        assert re.fullmatch(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", part["metadata"]["name"])


def test_what_belongs_together_has_the_same_names(parts, pod):
    labels = pod["metadata"]["labels"]
    assert parts["Deployment"]["spec"]["selector"]["matchLabels"] == labels
    assert parts["Service"]["spec"]["selector"] == labels
    target = parts["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", parts["Deployment"]["metadata"]["name"])
    volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
    assert volumes["config"]["configMap"]["name"] == parts["ConfigMap"]["metadata"]["name"]
    claim = parts["PersistentVolumeClaim"]["metadata"]["name"]
    assert volumes["models"]["persistentVolumeClaim"]["claimName"] == claim
    assert loader(MODELS)["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"] == claim
    (container,) = pod["spec"]["containers"]
    assert {mount["name"] for mount in container["volumeMounts"]} == set(volumes)
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"grpc": 8500, "rest": 8501}
    assert {port["targetPort"]: port["port"] for port in parts["Service"]["spec"]["ports"]} == ports


def test_probes_ask_for_the_status_of_the_model(pod):
    (container,) = pod["spec"]["containers"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"] == {"path": "/v1/models/key_pad", "port": "rest"}


def test_the_files_of_the_flags_are_in_the_configuration(parts, pod):
    (container,) = pod["spec"]["containers"]
    files = {flag.split("=/config/")[1] for flag in container["args"] if "=/config/" in flag}
    assert files == set(parts["ConfigMap"]["data"])
    assert parts["ConfigMap"]["data"] == config_files(MODELS, 2)


def test_the_autoscaler_decides_how_many_pods_there_are(parts, pod):
    assert "replicas" not in parts["Deployment"]["spec"]
    scaler = parts["HorizontalPodAutoscaler"]["spec"]
    assert scaler["minReplicas"] == 2 and scaler["maxReplicas"] == 8
    assert scaler["metrics"][0]["resource"]["target"] == {"type": "Utilization", "averageUtilization": 70}
    resources = pod["spec"]["containers"][0]["resources"]
    assert resources["requests"] == {"cpu": "2", "memory": "1024Mi"}  # 400 MiB, and 6 times the model.
    assert resources["limits"] == {"cpu": "2", "memory": "2048Mi"}


def test_pods_may_do_no_more_than_they_need(pod):
    assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
    (container,) = pod["spec"]["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["allowPrivilegeEscalation"] is False


@pytest.mark.parametrize("name", ["Key.Pad", "__x__", "a" * 80, "ä"])
def test_any_model_gets_a_name_that_kubernetes_allows(name):
    assert re.fullmatch(r"[a-z]([-a-z0-9]{0,50}[a-z0-9])?", resource_name([KitModel(name, (), {}, 1.0)]))
