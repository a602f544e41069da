"""Files inside an export: warm-up requests, a batching configuration, the contract in words."""

_WARM_UP_SIDE = 64  # pixels, for models of any size


def write(folder, contract, name, functions):
    """Writes the files into the folder of a version; `functions` is `{signature: tf.function}`."""
    import tensorflow as tf

    warm_up = folder / "assets.extra" / "tf_serving_warmup_requests"
    warm_up.parent.mkdir()
    with tf.io.TFRecordWriter(str(warm_up)) as writer:
        for log in _warm_up_requests(contract, name, functions):
            writer.write(log.SerializeToString())
    (folder / "batching.config").write_text(_BATCHING, encoding="utf-8")
    height, width, channels = contract.image_shape
    text = _README + _FILES * ("image_bytes" in functions)
    text = text.format(
        name=name,
        command=command(name),
        size=f"exactly {height} x {width}" if contract.fixed_size else "any height and width",
        units="in [-1, 1]" if contract.values.is_bounded else "in the data's units",
        C=channels,
        M=contract.mask_channels,
        **vars(contract.limits),
    )
    (folder / "README.md").write_text(text, encoding="utf-8")


def command(name):
    """Returns the command that serves a model, from the folder of its versions."""
    return (
        f'docker run --rm -p 8500:8500 -p 8501:8501 -v "$PWD:/models/{name}:ro" \\\n'
        f"  -e MODEL_NAME={name} tensorflow/serving"
    )


def _warm_up_requests(contract, name, functions):
    """Yields `PredictionLog` protos that a server answers before it is ready."""
    import numpy as np
    import tensorflow as tf
    from tensorflow_serving.apis import prediction_log_pb2

    from keras_uai import files

    sides = [side or _WARM_UP_SIDE for side in contract.image_shape[:2]]
    file = files.encode_image(np.full(sides, 255, "uint8"))
    for signature, function in functions.items():
        log = prediction_log_pb2.PredictionLog()
        request = log.predict_log.request
        request.model_spec.name = name
        request.model_spec.signature_name = signature
        for spec in function.input_signature:
            value = file if spec.dtype == tf.string else int(spec.name in ("mask", "num_samples"))
            shape = [n or side for n, side in zip(spec.shape, (1, *sides, 1), strict=False)]
            # One value is stored once, whatever the shape.
            request.inputs[spec.name].CopyFrom(tf.make_tensor_proto(value, spec.dtype, shape))
        yield log


_BATCHING = """\
# For servers of many small requests; see README.md.
max_batch_size { value: 32 }
batch_timeout_micros { value: 2000 }
max_enqueued_batches { value: 256 }
"""

_README = """\
# Serving {name}

From the folder above this one:

```sh
{command}
curl localhost:8501/v1/models/{name}/metadata    # its signatures
```

A server loads the largest version and warms it up before it answers. `--enable_batching=true
--batching_parameters_file=/models/{name}/VERSION/batching.config` merges small requests of one
image size (`image_bytes`: of any). An invalid request fails together with those it was merged with:
check images before they are sent, as keras_uai.serving.Client does.

# Contract

Fills in images of {size} and {C} channels, at their own size. Every input and output of a
signature has one row per image.

`serving_default`: `y` float32 (N, H, W, {C}) {units}, `mask` float32 (N, H, W, {M}) with
1 = observed, `seed` int64 (N), `num_samples` int32 (N) -> `samples` (N, K, H, W, {C}), `mean` and
`std` (N, H, W, {C}).

`tile`: the same with `origin` int32 (N, 2), the row and column of `y` in a larger image.

`describe`: `row` int32 (N) -> `contract`, this contract as JSON.

K is the largest `num_samples` of the batch: cut the answer to your own. The same image and seed
give the same samples in any batch. Observed values come back bit-equal. `std` is 0 for one sample.

Limits: {max_samples:,} samples an image; {max_pixels:,} pixels an image; {max_answer_pixels:,}
pixels in all samples of a request. Requests beyond them are invalid arguments (HTTP 400, gRPC
INVALID_ARGUMENT); the message says how to change them.
"""

_FILES = """
`image_bytes`: `image_bytes` and `mask_bytes` (N), each PNG or JPEG of 8 or 16 bits, white =
observed. Transparent pixels are missing; an empty mask adds none. `seed`, `num_samples` -> PNGs of
each image's size: `samples_bytes` (N, K), empty beyond an image's own; `mean_bytes` and `std_bytes`
(N). `std_bytes` has 16 bits, white = the images' whole range. An image with transparent damage,
one reconstruction back:

```sh
curl localhost:8501/v1/models/{name}:predict -d '{{"signature_name": "image_bytes", "inputs": {{
  "image_bytes": [{{"b64": "'$(base64 -w0 damaged.png)'"}}], "mask_bytes": [{{"b64": ""}}],
  "seed": [0], "num_samples": [1]}}}}' |
  python3 -c 'import base64, json, sys; out = json.load(sys.stdin)["outputs"];
open("filled.png", "wb").write(base64.b64decode(out["samples_bytes"][0][0]["b64"]))'
```
"""
