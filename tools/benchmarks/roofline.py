"""Convolutions of a TensorFlow function, their speed alone, and a profile of a step."""

import collections
import glob
import math
import os
import tempfile
import time

_KINDS = {
    "Conv2D": "forward",
    "Conv2DBackpropInput": "backward, input",
    "Conv2DBackpropFilter": "backward, kernel",
}
#: Groups of events: parts of the operation's kind or, with / or _ in front, of the layer's name.
#: The first match counts.
GROUPS = {
    "convolutions, backward": ("Conv2DBackprop",),
    "convolutions, forward": ("Conv2D",),
    "attention, matrix products": ("/attention", "_attention", "Softmax", "MatMul"),
    "normalisation and modulation": ("BatchNorm", "/norm_", "/head_norm", "/modulation_"),
    "pooling and shuffling": ("AvgPool", "/shuffle"),
    "variables and optimizers": ("Assign", "ReadVariableOp", "/adam"),
}


def convolutions(concrete):
    """Counts the convolutions that a concrete function executes: `{signature: count}`.

    As in TensorFlow, operations that no output and no side effect needs do not count. Loops are not
    followed.
    """
    graph = concrete.graph
    todo = [tensor.op for tensor in graph.outputs] + list(graph.control_outputs)
    seen, found = set(), collections.Counter()
    while todo:
        op = todo.pop()
        if op.name in seen:
            continue
        seen.add(op.name)
        todo += [tensor.op for tensor in op.inputs] + list(op.control_inputs)
        if op.type in _KINDS:
            found[_signature(op)] += 1
    return found


def _signature(op):
    """Returns `(type, image shape, kernel shape, strides, padding)`."""
    import tensorflow as tf

    if op.type == "Conv2D":
        image, kernel = op.inputs[0].shape, op.inputs[1].shape
    elif op.type == "Conv2DBackpropInput":
        image, kernel = op.outputs[0].shape, op.inputs[1].shape
        if not image.is_fully_defined():
            image = tf.TensorShape(tf.get_static_value(op.inputs[0]))
    else:
        image, kernel = op.inputs[0].shape, op.outputs[0].shape
        if not kernel.is_fully_defined():
            kernel = tf.TensorShape(tf.get_static_value(op.inputs[1]))
    strides, padding = tuple(op.get_attr("strides")), op.get_attr("padding").decode()
    return op.type, tuple(image.as_list()), tuple(kernel.as_list()), strides, padding


def flops(signature):
    """Returns the multiplications and additions of a convolution of stride 1, padded "same"."""
    _, image, kernel, *_ = signature
    return 2 * math.prod(image[:3]) * math.prod(kernel)


def alone(found, repeats=5):
    """Returns `{signature: seconds}`: the fastest of `repeats` runs of each convolution alone."""
    seconds = {}
    for signature in found:
        run = _operation(signature)
        run()
        times = []
        for _ in range(repeats):
            begun = time.perf_counter()
            run()
            times.append(time.perf_counter() - begun)
        seconds[signature] = min(times)
    return seconds


def _operation(signature):
    import tensorflow as tf

    kind, image, kernel, strides, padding = signature
    options = {"strides": strides, "padding": padding}
    x, w = tf.random.normal(image), tf.random.normal(kernel)
    out = tf.random.normal((*image[:3], kernel[-1]))
    if kind == "Conv2D":
        function = tf.function(lambda x, w, out: tf.raw_ops.Conv2D(input=x, filter=w, **options))
    elif kind == "Conv2DBackpropInput":
        function = tf.function(
            lambda x, w, out: tf.raw_ops.Conv2DBackpropInput(
                input_sizes=image, filter=w, out_backprop=out, **options
            )
        )
    else:
        function = tf.function(
            lambda x, w, out: tf.raw_ops.Conv2DBackpropFilter(
                input=x, filter_sizes=kernel, out_backprop=out, **options
            )
        )
    concrete = function.get_concrete_function(x, w, out)
    return lambda: concrete(x, w, out)


def roofline(concrete, repeats=5):
    """Computes the arithmetic and the attainable time of a function's convolutions.

    Returns:
        Dict of "gflop" of all convolutions, "attainable_s", their time at the rates they reach
        alone, and "rows", a list of dicts by kind and shape, the slowest first.
    """
    found = convolutions(concrete)
    seconds = alone(found, repeats)
    rows = [
        {
            "kind": _KINDS[signature[0]],
            "image": list(signature[1]),
            "kernel": list(signature[2]),
            "count": count,
            "gflop": count * flops(signature) / 1e9,
            "seconds": count * seconds[signature],
            "gflop_per_s": flops(signature) / seconds[signature] / 1e9,
        }
        for signature, count in found.items()
    ]
    rows.sort(key=lambda row: -row["seconds"])
    return {
        "gflop": sum(row["gflop"] for row in rows),
        "attainable_s": sum(row["seconds"] for row in rows),
        "rows": rows,
    }


def profile(function):
    """Returns `{group: share}` of the time of TensorFlow's threads in operations, in one call."""
    import tensorflow as tf
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    totals = collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        with tf.profiler.experimental.Profile(folder):
            function()
        for path in glob.glob(os.path.join(folder, "**", "*.xplane.pb"), recursive=True):
            space = xplane_pb2.XSpace()
            with open(path, "rb") as file:
                space.ParseFromString(file.read())
            for plane in space.planes:
                names = {key: value.name for key, value in plane.event_metadata.items()}
                for line in plane.lines:
                    if not line.name.startswith("tf_"):
                        continue
                    for event in line.events:
                        totals[_group(names[event.metadata_id])] += event.duration_ps
    totals.pop(None, None)
    whole = sum(totals.values())
    return {name: value / whole for name, value in totals.most_common()}


def _group(name):
    """Returns the group of an event, or None if the event is no operation."""
    layer, _, kind = name.rpartition(":")
    if not layer or layer.endswith(":"):
        return None
    for group, parts in GROUPS.items():
        if any(part in (layer if part[0] in "/_" else kind) for part in parts):
            return group
    return "other"
