"""The README of a kit: what to type."""

from mm_keras.serving.kit_compose import DEMO_PORT, REST_PORT
from mm_keras.serving.kit_kubernetes import resource_name


def readme(models):
    """Returns README.md of a kit."""
    name, resource = models[0].name, resource_name(models)
    names = ", ".join(f"`{model.name}`" for model in models)
    command = (
        f"mm-keras kit {' '.join(f'../saved_models/{model.name}' for model in models)} --output . --force"
    )
    copies = "\n".join(
        f"kubectl cp ../saved_models/{model.name}/serving {resource}-loader:/models/{model.name}"
        for model in models
    )
    if models[0].labels:
        version, label = max((version, label) for label, version in models[0].labels.items())
        labelled = f"`/v1/models/{name}/labels/{label}:predict` asks version {version}."
    else:
        labelled = "There are no labels: the newest version is served as soon as it is written."
    return f"""\
# Serve {names} with TensorFlow Serving

Written by `mm-keras kit`; kit.json tells from what. The commands below are for this folder, and models in
`../saved_models`.

| file | what it does |
|---|---|
| `models.config` | the models, their versions and labels |
| `batching_parameters.txt` | how requests are answered together; each number says why |
| `monitoring.config`, `prometheus.yml` | metrics of the server, and who reads them |
| `docker-compose.yaml`, `Dockerfile.demo` | TensorFlow Serving, Prometheus and the demo page on one machine |
| `kubernetes/` | the same server on Kubernetes, with 2 to 8 pods |
| `load.py`, `requests/` | real requests, and a script that sends many of them |

## On one machine

```
docker compose up --detach                     # MODELS=/path/to/saved_models, if that is not ../saved_models
curl http://localhost:{REST_PORT}/v1/models/{name}
curl -d @requests/{name}.json http://localhost:{REST_PORT}/v1/models/{name}:predict
python load.py --requests 2000 --concurrency 32
```

The demo page is http://localhost:{DEMO_PORT}, Prometheus http://localhost:9090. Other machines reach none of
this until you set `BIND=0.0.0.0`: TensorFlow Serving asks nobody who they are, so put a proxy with TLS and
access control before it first. Without Docker: `mm-keras serve ../saved_models/{name}`.

## On Kubernetes

```
kubectl apply -f kubernetes/volume.yaml -f kubernetes/loader/pod.yaml
kubectl wait --for=condition=Ready pod/{resource}-loader
{copies}
kubectl delete pod {resource}-loader
kubectl apply -f kubernetes/
kubectl rollout status deployment/{resource}
```

The volume is read by all pods: its storage class must allow ReadWriteMany. The autoscaler needs the metrics
server. A pod is ready once its models are loaded and warmed up.

## A new version

{labelled}

1. Serve the version too: `{command} --version 3 --label stable=1 --label canary=2`.
2. When `curl http://localhost:{REST_PORT}/v1/models/{name}` calls it AVAILABLE, move the labels:
   `{command} --label stable=2 --label canary=3`. Back again is the same with the old numbers.

The server reads models.config again every minute; it refuses to move a label to a version that is not loaded,
and serves on as before. On Kubernetes, copy the version to `/models/{name}/3` as above before the first step,
and `kubectl apply -f kubernetes/config.yaml` after each.
"""
