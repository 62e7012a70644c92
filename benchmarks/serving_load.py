"""The load process of `serving.py`: sends the same requests again and again over several connections.

    python benchmarks/serving_load.py rest|grpc|peer PORT MODEL ROWS.json --concurrency 32 --seconds 10

Writes one line of JSON: requests, answers by code, requests a second, and quantiles of the time of an
answer in ms. What is sent is encoded before the clock starts, and HTTP is written and read by hand, so that
little of the machine goes to this process.
"""

import argparse
import asyncio
import base64
import collections
import json
import time
from pathlib import Path

import numpy as np
import uvloop


async def http_client(port, requests, until, times, codes, offset):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    index = offset
    while time.perf_counter() < until:
        began = time.perf_counter()
        writer.write(requests[index % len(requests)])
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        times.append(time.perf_counter() - began)
        codes[head[9:12].decode()] += 1
        index += 1
    writer.close()


def http_requests(path, bodies):
    head = (
        "POST {} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n"
    )
    return [head.format(path, len(body)).encode() + body for body in bodies]


def rest_requests(model, rows):
    def value(row):
        return {key: text if key == "text" else {"b64": text} for key, text in row.items()}

    bodies = [json.dumps({"instances": [value(row)]}).encode() for row in rows]
    return http_requests(f"/v1/models/{model}:predict", bodies)


def grpc_requests(model, rows):
    from tensorflow_serving.apis import predict_pb2

    requests = []
    for row in rows:
        request = predict_pb2.PredictRequest()
        request.model_spec.name = model
        for key, text in row.items():
            proto = request.inputs[key]
            proto.dtype = 7
            proto.tensor_shape.dim.add(size=1)
            proto.string_val.append(text.encode() if key == "text" else base64.b64decode(text))
        requests.append(request.SerializeToString())
    return requests


async def grpc_client(call, requests, until, times, codes, offset, timeout):
    import grpc

    index = offset
    while time.perf_counter() < until:
        began = time.perf_counter()
        try:
            await call(requests[index % len(requests)], timeout=timeout)
            codes["OK"] += 1
        except grpc.aio.AioRpcError as error:
            codes[error.code().name] += 1
        times.append(time.perf_counter() - began)
        index += 1


async def flood(ask, rate, until, times, codes):
    """Begins `rate` requests a second, whatever becomes of those before; waits for all of them."""
    began, count, running = time.perf_counter(), 0, set()

    async def one(index):
        start = time.perf_counter()
        code = await ask(index)
        times.append(time.perf_counter() - start)
        codes[code] += 1

    while time.perf_counter() < until:
        while count < (time.perf_counter() - began) * rate:
            task = asyncio.ensure_future(one(count))
            running.add(task)
            task.add_done_callback(running.discard)
            count += 1
        await asyncio.sleep(0.002)
    await asyncio.wait_for(asyncio.gather(*running), 60)


async def load(arguments):
    rows = json.loads(Path(arguments.rows).read_text(encoding="utf-8"))
    times, codes = [], collections.Counter()
    count = arguments.concurrency
    if arguments.kind == "grpc":
        import grpc

        requests = grpc_requests(arguments.model, rows)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{arguments.port}") as channel:
            call = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
            began = time.perf_counter()
            until = began + arguments.seconds
            if arguments.rate:

                async def ask(index):
                    try:
                        await call(requests[index % len(requests)], timeout=arguments.timeout)
                        return "OK"
                    except grpc.aio.AioRpcError as error:
                        return error.code().name

                await flood(ask, arguments.rate, until, times, codes)
            else:
                clients = [
                    grpc_client(call, requests, until, times, codes, 7 * i, arguments.timeout)
                    for i in range(count)
                ]
                await asyncio.gather(*clients)
    else:
        if arguments.kind == "rest":
            requests = rest_requests(arguments.model, rows)
        else:
            requests = http_requests("/predict", [json.dumps(row).encode() for row in rows])
        began = time.perf_counter()
        until = began + arguments.seconds
        clients = [http_client(arguments.port, requests, until, times, codes, 7 * i) for i in range(count)]
        await asyncio.gather(*clients)
    seconds = time.perf_counter() - began
    quantiles = np.quantile(times, [0.5, 0.99, 1]) * 1000
    return {
        "requests": len(times),
        "codes": dict(codes),
        "per_second": round(len(times) / seconds, 1),
        **dict(zip(("p50_ms", "p99_ms", "worst_ms"), quantiles.round(1).tolist(), strict=True)),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=["rest", "grpc", "peer"])
    parser.add_argument("port", type=int)
    parser.add_argument("model")
    parser.add_argument("rows")
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--timeout", type=float, default=10, help="Deadline of a request, in seconds.")
    parser.add_argument(
        "--rate", type=float, help="Of grpc: requests begun a second, in place of the concurrency."
    )
    print(json.dumps(uvloop.run(load(parser.parse_args()))))


if __name__ == "__main__":
    main()
