"""What lies beside an export: requests that warm it up, a server's configuration, and how to run one."""

import os
import pathlib
import textwrap

WARM_UP = pathlib.PurePath("assets.extra", "tf_serving_warmup_requests")
WARM_UP_SAMPLES = (1, 10)


def write(version, model, name, signatures, webp, limits):
    """Writes what belongs into the folder of a version."""
    import tensorflow as tf

    path = version / WARM_UP
    path.parent.mkdir()
    with tf.io.TFRecordWriter(str(path)) as writer:
        for log in warm_up_requests(model.image_shape, name, signatures):
            writer.write(log.SerializeToString())
    text = _CONTRACT.format(
        image_shape="x".join(map(str, model.image_shape)),
        formats="PNG, JPEG or WebP" if webp else "PNG or JPEG",
        encode=_ENCODE.format(latent_dim=model.latent_dim) if "encode" in signatures else "",
        **vars(limits),
    )
    (version / "README.md").write_text(text, encoding="utf-8")


def write_configuration(folder, name):
    """Writes what belongs beside all versions; a configuration that is there already is kept.

    Returns:
        the files written.
    """
    written = []
    for file, text in {
        "models.config": _MODELS.format(name=name),
        "batching.config": _BATCHING,
        "README.md": _HOW_TO.format(name=name, command=command(name)),
    }.items():
        path = folder / file
        if not path.exists():
            path.write_text(text, encoding="utf-8")
            written.append(str(path))
    return written


def of_others(folder, name):
    """Paths of configurations in `folder` that were kept and do not name this model."""
    paths = [os.path.join(folder, file) for file in ("models.config", "README.md")]
    return [path for path in paths if name not in pathlib.Path(path).read_text(encoding="utf-8")]


def command(name):
    """What serves the model, in the folder of its versions."""
    return _COMMAND.format(name=name)


def warm_up_requests(image_shape, name, signatures):
    """`PredictionLog` protos, a server's first requests: it is not ready before they are answered."""
    import tensorflow as tf

    try:
        from tensorflow_serving.apis import predict_pb2, prediction_log_pb2
    except ImportError as error:
        raise ImportError(
            "Warm-up requests are written by tensorflow-serving-api: pip install "
            f"tensorflow-serving-api. Received: {error}"
        ) from error

    def full(value, shape, dtype):
        """A tensor of one value, which is stored once."""
        proto = tf.make_tensor_proto(value, dtype, (1,))
        proto.tensor_shape.CopyFrom(tf.TensorShape(shape).as_proto())
        return proto

    def inputs(signature, count):
        draws = {"seed": full(0, (1,), "int64"), "num_samples": full(count, (1,), "int32")}
        if signature == "image_bytes":
            pixels = tf.fill(image_shape, tf.constant(128, "uint8"))
            mask = tf.fill((*image_shape[:2], 1), tf.constant(255, "uint8"))
            png = {n: tf.io.encode_png(p).numpy() for n, p in (("image", pixels), ("mask", mask))}
            return {
                **{f"{n}_bytes": tf.make_tensor_proto([data]) for n, data in png.items()},
                **draws,
            }
        dtype = "uint8" if signature == "uint8" else "float32"
        found = {
            "image": full(0, (1, *image_shape), dtype),
            "mask": full(1, (1, *image_shape[:2], 1), dtype),
        }
        return found if signature == "encode" else {**found, **draws}

    for signature in signatures:
        for count in WARM_UP_SAMPLES[:1] if signature == "encode" else WARM_UP_SAMPLES:
            request = predict_pb2.PredictRequest()
            request.model_spec.name = name
            request.model_spec.signature_name = signature
            for key, proto in inputs(signature, count).items():
                request.inputs[key].CopyFrom(proto)
            log = prediction_log_pb2.PredictionLog()
            log.predict_log.request.CopyFrom(request)
            yield log


_MODELS = """\
model_config_list {{
  config {{
    name: "{name}"
    base_path: "/models/{name}"
    model_platform: "tensorflow"
  }}
}}
"""

_BATCHING = """\
# For servers of many small requests; README.md says when.
max_batch_size { value: 32 }
batch_timeout_micros { value: 2000 }
max_enqueued_batches { value: 256 }
"""

_COMMAND = """\
docker run --rm -p 8500:8500 -p 8501:8501 -v "$PWD:/models/{name}:ro" -e MODEL_NAME={name} \\
  tensorflow/serving"""

_HOW_TO = textwrap.dedent(
    """\
    # Serving {name}

    From the folder of this file:

    ```sh
    {command}
    curl localhost:8501/v1/models/{name}             # is it there?
    curl localhost:8501/v1/models/{name}/metadata    # its signatures
    ```

    Without a container: `tensorflow_model_server --port=8500 --rest_api_port=8501 --model_name={name}
    --model_base_path=$PWD`. A server loads the largest version and warms it up before it answers.

    An image with transparent damage, one reconstruction back as PNG (columns; rows are `"instances"`):

    ```sh
    curl localhost:8501/v1/models/{name}:predict -d '{{"signature_name": "image_bytes", "inputs": {{
      "image_bytes": [{{"b64": "'$(base64 -w0 damaged.png)'"}}], "mask_bytes": [{{"b64": ""}}],
      "seed": [0], "num_samples": [1]}}}}' |
      python3 -c 'import base64, json, sys; out = json.load(sys.stdin)["outputs"];
    open("filled.png", "wb").write(base64.b64decode(out["samples_bytes"][0][0]["b64"]))'
    ```

    Many small requests at a time are merged with `--enable_batching=true
    --batching_parameters_file=/models/{name}/batching.config`. Servers merge only images of one size, but for
    the signature `image_bytes`, and a request that is refused takes those along that it was merged with: check
    images before they are sent (keras_uai.serving.Client does). Several models: `--model_config_file` with the
    entries of their `models.config`.

    The contract of each version is in its README.md.
    """
)

_ENCODE = "\n`encode`: `image`, `mask` -> `mean`, `log_variance` (N, {latent_dim}) of z.\n"

_CONTRACT = textwrap.dedent(
    """\
    # Contract

    Reconstructs images of {image_shape}; others are resized in and the answer is resized back. Every input and output
    of a signature has one row an image.

    `serving_default`: `image` float32 (N, h, w, C) in [-1, 1], `mask` float32 (N, h, w, 1) with 1 = observed, `seed`
    int64 (N), `num_samples` int32 (N) -> `samples` (N, K, h, w, C), `mean` (N, h, w, C), `std` (N, h, w).

    `uint8`: the same with uint8 `image`, `mask` (white = observed), `samples` and `mean`.

    `image_bytes`: `image_bytes` and `mask_bytes` (N), each {formats}, white = observed; an empty mask stands for the
    image's alpha channel; `seed`, `num_samples` -> PNGs of each image's size, `samples_bytes` (N, K), `mean_bytes` and
    `std_bytes` (N, white = 1), and `samples`, `mean`, `std` at the model's size.
    {encode}
    K is the largest `num_samples` of the batch: cut the answer to what you asked for. The same image and seed give
    the same samples in any batch. Observed pixels come back as they were sent. `std` is 0 for one sample.

    Limits: {max_samples:,} samples an image; {max_bytes:,} bytes and {max_pixels:,} pixels an image or mask;
    {max_answer_pixels:,} pixels in all samples of a request together. Everything beyond is refused as an invalid
    argument (HTTP 400, gRPC INVALID_ARGUMENT) whose message says what to do.
    """
)
