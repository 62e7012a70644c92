"""The parts of a kit for one machine: docker-compose.yaml, Dockerfile of the demo page, prometheus.yml."""

from mm_keras.serving.kit_configs import METRICS
from mm_keras.serving.kit_models import numbers_of

SERVER = "tensorflow-serving"
REST_PORT, GRPC_PORT, DEMO_PORT = 8501, 8500, 7860
IMAGES = ("2.17.1", "2.18.0", "2.19.1", "2.20.0")
PROMETHEUS = "prom/prometheus:v3.2.1"
CONFIGS = ("models.config", "batching_parameters.txt", "monitoring.config")

DOCKERFILE = f"""\
# The page to try a model: asks TensorFlow Serving through the client.
FROM python:3.11-slim
RUN apt-get update && apt-get install -y --no-install-recommends libsndfile1 && rm -rf /var/lib/apt/lists/*
# Another source is a wheel beside this file, or git+https://...: docker compose build --build-arg PACKAGE=...
ARG PACKAGE="mm_keras[demo]"
RUN pip install --no-cache-dir "$PACKAGE"
RUN useradd --create-home demo
USER demo
WORKDIR /home/demo
EXPOSE {DEMO_PORT}
ENTRYPOINT ["mm-keras", "demo", "--host", "0.0.0.0"]
"""


def server_image(models):
    """Returns the image of TensorFlow Serving: no older than the TensorFlow that wrote any of the models."""
    wanted = max((model.tensorflow for model in models), key=numbers_of)
    fitting = [image for image in IMAGES if numbers_of(image) >= numbers_of(wanted)]
    return f"tensorflow/serving:{fitting[0] if fitting else wanted}"


def server_flags(folder):
    """Returns the flags of `tensorflow_model_server` that point to the kit's files in a folder."""
    return [
        f"--model_config_file={folder}/models.config",
        "--model_config_file_poll_wait_seconds=60",
        "--allow_version_labels_for_unavailable_models=true",  # None is loaded yet when the server starts.
        "--enable_batching=true",
        f"--batching_parameters_file={folder}/batching_parameters.txt",
        f"--monitoring_config_file={folder}/monitoring.config",
    ]


def compose(models, cpus):
    """Returns docker-compose.yaml as data.

    Two environment variables change it: MODELS, by default `../saved_models`, the folder of NAME/serving with
    the models' versions; and BIND, by default 127.0.0.1, the address of this machine that others reach.
    """
    server = {
        "image": server_image(models),
        "command": server_flags("/config"),
        "ports": [_published(GRPC_PORT), _published(REST_PORT)],
        "volumes": [  # Of the folder, not of each file: an editor may put another file in the place of one.
            ".:/config:ro",
            *(
                f"${{MODELS:-../saved_models}}/{model.name}/serving:/models/{model.name}:ro"
                for model in models
            ),
        ],
        "cpus": cpus,
        "healthcheck": {
            "test": ["CMD", "bash", "-c", health_check(models[0].name)],
            "interval": "10s",
            "timeout": "6s",
            "start_period": "60s",
            "retries": 3,
        },
        "stop_grace_period": "30s",
        "restart": "unless-stopped",
    }
    prometheus = {
        "image": PROMETHEUS,
        "volumes": ["./prometheus.yml:/etc/prometheus/prometheus.yml:ro"],
        "ports": [_published(9090)],
        "depends_on": [SERVER],
        "restart": "unless-stopped",
    }
    demo = {
        "build": {"context": ".", "dockerfile": "Dockerfile.demo"},
        "command": ["--url", f"http://{SERVER}:{REST_PORT}", "--model", models[0].name],
        "ports": [_published(DEMO_PORT)],
        "depends_on": {SERVER: {"condition": "service_healthy"}},
        "restart": "unless-stopped",
    }
    return {"services": {SERVER: server, "prometheus": prometheus, "demo": demo}}


def _published(port):
    return f"${{BIND:-127.0.0.1}}:{port}:{port}"


def health_check(name):
    """Returns a command of bash that asks for a model's status: the image has no curl."""
    ask = rf"printf 'GET /v1/models/{name} HTTP/1.0\r\n\r\n' >&3"
    return f"exec 3<>/dev/tcp/127.0.0.1/{REST_PORT} && {ask} && timeout 5 grep -q AVAILABLE <&3"


def prometheus():
    """Returns prometheus.yml as data."""
    job = {
        "job_name": SERVER,
        "metrics_path": METRICS,
        "static_configs": [{"targets": [f"{SERVER}:{REST_PORT}"]}],
    }
    return {"global": {"scrape_interval": "15s"}, "scrape_configs": [job]}
