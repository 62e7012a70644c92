"""The parts of a kit for Kubernetes, as data: Deployment, Service, autoscaler, configuration and volume."""

import math
import re

from mm_keras.serving.kit_compose import GRPC_PORT, REST_PORT, server_flags, server_image
from mm_keras.serving.kit_configs import METRICS

BASE_BYTES, COPIES = 400 * 2**20, 6  # TensorFlow Serving itself; two versions while one replaces the other.
STEP_BYTES = 256 * 2**20
LEAST_PODS, MOST_PODS, CPU_SHARE = 2, 8, 70


def manifests(models, cpus, configs):
    """Returns the manifests of the folder `kubernetes`, file -> data.

    Args:
        models: list of KitModel.
        cpus: int > 0. Processors of a pod.
        configs: dict, file name -> contents of TensorFlow Serving's files.
    """
    name = resource_name(models)
    labels = {"app.kubernetes.io/name": name, "app.kubernetes.io/component": "model-server"}
    head = {"name": name, "labels": labels}
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": f"{name}-models", "labels": labels},
        "spec": {
            "accessModes": ["ReadWriteMany"],
            "resources": {"requests": {"storage": _mebibytes(10 * sum(model.size for model in models))}},
        },
    }
    config_map = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": f"{name}-config", "labels": labels},
        "data": configs,
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": head,
        "spec": {
            "selector": labels,
            "ports": [
                {"name": "grpc", "port": GRPC_PORT, "targetPort": "grpc"},
                {"name": "rest", "port": REST_PORT, "targetPort": "rest"},
            ],
        },
    }
    return {
        "config.yaml": config_map,
        "volume.yaml": claim,
        "deployment.yaml": _deployment(models, cpus, name, labels),
        "service.yaml": service,
        "autoscaler.yaml": _autoscaler(name, head),
    }


def loader(models):
    """Returns a pod that holds the volume writable for a while, so that versions can be copied onto it."""
    name = resource_name(models)
    container = {
        "name": "loader",
        "image": "busybox:1.36",
        "command": ["sleep", "3600"],
        "volumeMounts": [{"name": "models", "mountPath": "/models"}],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"{name}-loader"},
        "spec": {
            "restartPolicy": "Never",
            "containers": [container],
            "volumes": [_claimed(name)],
        },
    }


def resource_name(models):
    """Returns a name that Kubernetes allows: small letters, digits and hyphens."""
    name = re.sub(r"[^a-z0-9]+", "-", models[0].name.lower()).strip("-") or "models"
    return f"serve-{name}"[:50].rstrip("-")


def _deployment(models, cpus, name, labels):
    annotations = {
        "prometheus.io/scrape": "true",
        "prometheus.io/path": METRICS,
        "prometheus.io/port": str(REST_PORT),
    }
    spec = {
        "securityContext": {"runAsNonRoot": True, "runAsUser": 1000, "fsGroup": 1000},
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 60,
        "containers": [_container(models, cpus)],
        "volumes": [
            {"name": "config", "configMap": {"name": f"{name}-config"}},
            {**_claimed(name, read_only=True)},
            {"name": "tmp", "emptyDir": {}},
        ],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": labels},
        "spec": {  # Without `replicas`, which the autoscaler sets.
            "selector": {"matchLabels": labels},
            "strategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "template": {"metadata": {"labels": labels, "annotations": annotations}, "spec": spec},
        },
    }


def _container(models, cpus):
    need = BASE_BYTES + COPIES * sum(model.size for model in models)
    ask = {"httpGet": {"path": f"/v1/models/{models[0].name}", "port": "rest"}}
    return {
        "name": "tensorflow-serving",
        "image": server_image(models),
        "args": server_flags("/config"),
        "ports": [
            {"name": "grpc", "containerPort": GRPC_PORT},
            {"name": "rest", "containerPort": REST_PORT},
        ],
        "resources": {
            "requests": {"cpu": str(cpus), "memory": _mebibytes(need)},
            "limits": {"cpu": str(cpus), "memory": _mebibytes(2 * need)},
        },
        # The ports open once all models are loaded: until then the first probe fails, for up to 5 minutes.
        "startupProbe": {**ask, "periodSeconds": 5, "failureThreshold": 60},
        "readinessProbe": {**ask, "periodSeconds": 5, "timeoutSeconds": 2, "failureThreshold": 2},
        "livenessProbe": {**ask, "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 6},
        # Requests still arrive while the pod is taken out of the Service.
        "lifecycle": {"preStop": {"exec": {"command": ["sleep", "10"]}}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "config", "mountPath": "/config", "readOnly": True},
            {"name": "models", "mountPath": "/models", "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},
        ],
    }


def _autoscaler(name, head):
    share = {"type": "Utilization", "averageUtilization": CPU_SHARE}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": head,
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "minReplicas": LEAST_PODS,
            "maxReplicas": MOST_PODS,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": share}}],
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 300}},
        },
    }


def _claimed(name, read_only=False):
    claim = {"claimName": f"{name}-models", **({"readOnly": True} if read_only else {})}
    return {"name": "models", "persistentVolumeClaim": claim}


def _mebibytes(count):
    """Returns an amount as Kubernetes writes it, rounded up to 256 MiB."""
    return f"{math.ceil(count / STEP_BYTES) * STEP_BYTES // 2**20}Mi"
