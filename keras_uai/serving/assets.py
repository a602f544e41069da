"""Files beside an export: warm-up requests, a server's configuration, the contract in words."""

import pathlib
import textwrap

WARM_UP = pathlib.PurePath("assets.extra", "tf_serving_warmup_requests")
WARM_UP_SAMPLES = (1, 10)
WARM_UP_SIDE = 64  # pixels, for models of any size


def write(version, contract, name, signatures, webp):
    """Writes the warm-up requests and the contract into the folder of a version."""
    import tensorflow as tf

    path = version / WARM_UP
    path.parent.mkdir()
    with tf.io.TFRecordWriter(str(path)) as writer:
        for log in warm_up_requests(contract, name, signatures):
            writer.write(log.SerializeToString())
    (version / "README.md").write_text(describe(contract, signatures, webp), encoding="utf-8")


def describe(contract, signatures, webp):
    """Returns the contract in words, in Markdown."""
    height, width, channels = contract.image_shape
    size = f"exactly {height} x {width}" if contract.fixed_size else "any height and width"
    bounded = contract.values.is_bounded
    units = "in [-1, 1]" if bounded else "in the data's units"
    parts = [_CONTRACT.format(size=size, C=channels, M=contract.mask_channels, units=units)]
    if "pixels" in signatures:
        parts.append(_PIXELS)
    if "image_bytes" in signatures:
        parts.append(_FILES.format(formats="PNG, JPEG or WebP" if webp else "PNG or JPEG"))
    if "encode" in signatures:
        parts.append(_ENCODE)
    parts.append(
        _RULES.format(
            **{n: getattr(contract.limits, n) for n in contract.limits.__dataclass_fields__}
        )
    )
    return "\n".join(parts)


def write_configuration(folder, name):
    """Writes the files beside all versions, and keeps those that are there."""
    texts = {
        "models.config": _MODELS.format(name=name),
        "batching.config": _BATCHING,
        "README.md": _HOW_TO.format(name=name, command=command(name)),
    }
    for file, text in texts.items():
        if not (folder / file).exists():
            (folder / file).write_text(text, encoding="utf-8")


def command(name):
    """Returns the command that serves the model, from the folder of its versions."""
    return _COMMAND.format(name=name)


def warm_up_requests(contract, name, signatures):
    """Yields `PredictionLog` protos that a server answers before it is ready."""
    from tensorflow_serving.apis import prediction_log_pb2

    for signature in signatures:
        counts = WARM_UP_SAMPLES if signature not in ("encode", "describe") else (None,)
        for count in counts:
            log = prediction_log_pb2.PredictionLog()
            request = log.predict_log.request
            request.model_spec.name = name
            request.model_spec.signature_name = signature
            for key, proto in _inputs(contract, signature, count).items():
                request.inputs[key].CopyFrom(proto)
            yield log


def _inputs(contract, signature, count):
    """`{name: TensorProto}` of one request."""
    import numpy as np
    import tensorflow as tf

    from keras_uai import files

    height, width, channels = contract.image_shape
    sides = (height or WARM_UP_SIDE, width or WARM_UP_SIDE)

    def full(value, shape, dtype):
        """A tensor of one value, which is stored once."""
        proto = tf.make_tensor_proto(value, dtype, (1,))
        proto.tensor_shape.CopyFrom(tf.TensorShape(shape).as_proto())
        return proto

    if signature == "describe":
        return {"row": full(0, (1,), "int32")}
    if signature == "image_bytes":
        images = {"image": np.full((*sides, channels), 128), "mask": np.full((*sides, 1), 255)}
        found = {
            f"{name}_bytes": tf.make_tensor_proto([files.encode_image(v.astype("uint8"))])
            for name, v in images.items()
        }
    else:
        dtype = "uint8" if signature == "pixels" else "float32"
        found = {
            "pixels" if signature == "pixels" else "y": full(0, (1, *sides, channels), dtype),
            "mask": full(1, (1, *sides, contract.mask_channels), dtype),
        }
    if signature == "tile":
        found["origin"] = full(0, (1, 2), "int32")
    if signature != "encode":
        found["seed"] = full(0, (1,), "int64")
        found["num_samples"] = full(count, (1,), "int32")
    return found


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
# For servers of many small requests; see README.md.
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
    curl localhost:8501/v1/models/{name}             # its state
    curl localhost:8501/v1/models/{name}/metadata    # its signatures
    ```

    Without a container: `tensorflow_model_server --port=8500 --rest_api_port=8501
    --model_name={name} --model_base_path=$PWD`. A server loads the largest version and warms it up before it answers.

    An image with transparent damage, one reconstruction back as PNG:

    ```sh
    curl localhost:8501/v1/models/{name}:predict -d '{{"signature_name": "image_bytes", "inputs": {{
      "image_bytes": [{{"b64": "'$(base64 -w0 damaged.png)'"}}], "mask_bytes": [{{"b64": ""}}],
      "seed": [0], "num_samples": [1]}}}}' |
      python3 -c 'import base64, json, sys; out = json.load(sys.stdin)["outputs"];
    open("filled.png", "wb").write(base64.b64decode(out["samples_bytes"][0][0]["b64"]))'
    ```

    `--enable_batching=true --batching_parameters_file=/models/{name}/batching.config` merges small
    requests. Servers merge images of one size only, except for `image_bytes`. An invalid request
    fails together with those it was merged with: check images before they are sent, as
    keras_uai.serving.Client does. Several models: `--model_config_file` with the entries of their
    `models.config`.

    The contract of each version is in its README.md.
    """
)

_CONTRACT = textwrap.dedent(
    """\
    # Contract

    Fills in images of {size} and {C} channels, at their own size. Every input and output of a
    signature has one row per image.

    `serving_default`: `y` float32 (N, H, W, {C}) {units}, `mask` float32 (N, H, W, {M}) with
    1 = observed, `seed` int64 (N), `num_samples` int32 (N) -> `samples` (N, K, H, W, {C}), `mean` and
    `std` (N, H, W, {C}).

    `tile`: the same with `origin` int32 (N, 2), the row and column of `y` in a larger image.
    """
)

_PIXELS = textwrap.dedent(
    """\
    `pixels`: the same with uint8 `pixels`, `mask` (1 or 255 = observed), `samples` and `mean`;
    `std` in 8-bit units.
    """
)

_FILES = textwrap.dedent(
    """\
    `image_bytes`: `image_bytes` and `mask_bytes` (N), each {formats} of 8 or 16 bits, white = observed.
    Transparent pixels are missing; an empty mask adds none. `seed`, `num_samples` -> PNGs of each
    image's size: `samples_bytes` (N, K), empty beyond an image's own; `mean_bytes` and `std_bytes` (N).
    `std_bytes` has 16 bits, white = half of the images' range.
    """
)

_ENCODE = "`encode`: `y`, `mask` -> `mean`, `log_variance` (N, latent_dim) of z.\n"

_RULES = textwrap.dedent(
    """\
    `describe`: `row` int32 (N) -> `contract`, this contract as JSON.

    K is the largest `num_samples` of the batch: cut the answer to your own. The same image and seed
    give the same samples in any batch. Observed values come back bit-equal. `std` is 0 for one sample.

    Limits: {max_samples:,} samples an image; {max_bytes:,} bytes and {max_pixels:,} pixels an image or
    mask; {max_answer_pixels:,} pixels in all samples of a request. Requests beyond them are invalid
    arguments (HTTP 400, gRPC INVALID_ARGUMENT); the message says how to change them.
    """
)
