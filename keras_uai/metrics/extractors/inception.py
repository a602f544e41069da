"""The Inception networks: the canonical one of FID (2015 weights), and Keras's InceptionV3.

Only the canonical network makes an FID. It is the graph of 2015-12-05 that Heusel et al. (NeurIPS
2017) used and TF-GAN offers through TF-Hub; images are resized to 299 x 299 as TF-GAN does. Keras's
InceptionV3 has other weights: its distances are called `frechet_inception_v3`.
"""

import os

import keras

from keras_uai import backend
from keras_uai.metrics.extractors import base

SIZE = 299
FEATURES = "pool_3"  # the output with the features, in SavedModel and frozen graph
FROZEN_INPUT = "Mul"  # images in [-1, 1], after the frozen graph's own resize and scaling
HANDLE = "https://tfhub.dev/tensorflow/tfgan/eval/inception/1"  # TF-GAN's INCEPTION_TFHUB
PATH_VARIABLE = "KERAS_UAI_INCEPTION"
_RUN = "The canonical Inception network is run by TensorFlow"
_HOW = (
    "The canonical Inception network of FID is not here. Either let TF-Hub fetch it once, on a "
    "machine with a network, from {handle}; or download {handle}?tf-hub-format=compressed, unpack "
    "it, and pass extractor='inception:FOLDER' or set {variable}=FOLDER (a frozen graph, *.pb, "
    "with 'Mul' and 'pool_3' works too); or choose extractor='efficientnet_lite0', which needs no "
    "network and whose numbers are no FIDs."
)


def local_path():
    """Folder or file of a canonical network on this machine, or None: `KERAS_UAI_INCEPTION`, else
    TF-Hub's cache.
    """
    import hashlib
    import tempfile

    path = os.environ.get(PATH_VARIABLE)
    if path:
        return path
    cache = os.environ.get("TFHUB_CACHE_DIR") or os.path.join(
        tempfile.gettempdir(), "tfhub_modules"
    )
    if not os.path.isdir(cache):
        return None
    folder = os.path.join(cache, hashlib.sha1(HANDLE.encode("utf8")).hexdigest())
    return folder if os.path.isfile(os.path.join(folder, "saved_model.pb")) else None


def extractor(path=None):
    """The extractor `inception`.

    Args:
        path: folder of a SavedModel, or a frozen graph (`*.pb`); by default `KERAS_UAI_INCEPTION`,
            else TF-Hub's module, which is fetched once.

    Raises:
        FileNotFoundError: where there is no network at `path`, or none can be fetched.
    """
    if path is None:
        path = local_path() or _fetch()
    if not os.path.exists(path):
        raise FileNotFoundError(f"{_how()} Received: path={path!r}, where there is nothing.")
    load = _saved_model if os.path.isdir(path) else _frozen_graph
    return base.Extractor(
        "inception", load(path), SIZE, antialias=False, digest=base.file_digest(path)
    )


def keras_extractor(path=None):
    """The extractor `inception_v3`: Keras's InceptionV3 without its classifier, averaged.

    Args:
        path: weights file (`*.h5`); by default Keras's own, which are fetched once.
    """
    try:
        model = keras.applications.InceptionV3(
            weights=path or "imagenet", include_top=False, pooling="avg"
        )
    except Exception as error:
        if path is not None:
            raise ValueError(
                "These are not weights of Keras's InceptionV3 without its top. "
                f"Received: path={path!r} ({error})"
            ) from error
        raise FileNotFoundError(
            "The weights of Keras's InceptionV3 are not here and could not be fetched "
            f"({str(error).splitlines()[0]}). Put inception_v3_weights_tf_dim_ordering_tf_kernels_"
            "notop.h5 into Keras's folder `models`, pass extractor='inception_v3:FILE', or choose "
            "extractor='efficientnet_lite0', which needs no network."
        ) from error
    return base.Extractor(
        "inception_v3",
        lambda images: base.infer(model, images),
        SIZE,
        digest=base.weights_digest(model.get_weights()),
    )


def _how():
    return _HOW.format(handle=HANDLE, variable=PATH_VARIABLE)


def _fetch():
    from keras_uai import tfgan

    _ = tfgan.eval  # loads TF-Hub, or says what is missing
    import tensorflow_hub

    try:
        return tensorflow_hub.resolve(HANDLE)
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise FileNotFoundError(f"{_how()} Received: no path, and TF-Hub said: {reason}") from error


def _saved_model(path):
    tf = backend.tensorflow(_RUN)
    module = tf.saved_model.load(path)
    call = module if callable(module) else module.signatures["serving_default"]

    def network(images):
        output = call(tf.convert_to_tensor(images))
        if isinstance(output, dict):
            if FEATURES not in output:
                raise ValueError(
                    f"An Inception network has an output {FEATURES!r}. "
                    f"Received: {path} with outputs {sorted(output)}"
                )
            output = output[FEATURES]
        return tf.reshape(output, (len(images), -1))

    network.module = module  # a SavedModel's variables live as long as it does
    return network


def _frozen_graph(path):
    tf = backend.tensorflow(_RUN)
    graph_def = tf.compat.v1.GraphDef()
    try:
        with open(path, "rb") as file:
            graph_def.ParseFromString(file.read())
        nodes = {node.name for node in graph_def.node}
    except Exception as error:
        raise ValueError(f"Not a frozen graph. Received: path={path!r} ({error})") from error
    if not {FROZEN_INPUT, FEATURES} <= nodes:
        raise ValueError(
            f"A frozen Inception graph has the nodes {FROZEN_INPUT!r} and {FEATURES!r}. "
            f"Received: path={path!r} with {len(nodes)} nodes without them"
        )

    @tf.function(input_signature=[tf.TensorSpec((None, SIZE, SIZE, 3), "float32")])
    def network(images):
        (features,) = tf.graph_util.import_graph_def(
            graph_def, input_map={f"{FROZEN_INPUT}:0": images}, return_elements=[f"{FEATURES}:0"]
        )
        return tf.reshape(features, (tf.shape(images)[0], -1))

    return network
