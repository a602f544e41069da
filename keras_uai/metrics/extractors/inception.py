"""The canonical Inception network of FID.

It is the graph of 2015-12-05 that Heusel et al. (NeurIPS 2017) used and TF-GAN offers through
TF-Hub; images are resized to 299 x 299 as TF-GAN does.
"""

import hashlib
import os
import tempfile

from keras_uai import backend
from keras_uai.metrics.extractors.base import Extractor, file_digest

SIZE = 299
FEATURES = "pool_3"
HANDLE = "https://tfhub.dev/tensorflow/tfgan/eval/inception/1"  # TF-GAN's INCEPTION_TFHUB
PATH_VARIABLE = "KERAS_UAI_INCEPTION"
_HOW = (
    "The canonical Inception network of FID is not here. Either let TF-Hub fetch it once, on a "
    f"machine with a network, from {HANDLE}; or download {HANDLE}?tf-hub-format=compressed, unpack "
    f"it, and pass extractor='inception:FOLDER' or set {PATH_VARIABLE}=FOLDER; or choose "
    "extractor='efficientnet_lite0', which needs no network and whose numbers are no FIDs."
)


def local_path():
    """Returns the folder of a canonical network on this machine, or None: `KERAS_UAI_INCEPTION`,
    else TF-Hub's cache.
    """
    if path := os.environ.get(PATH_VARIABLE):
        return path
    default = os.path.join(tempfile.gettempdir(), "tfhub_modules")
    cache = os.environ.get("TFHUB_CACHE_DIR") or default
    folder = os.path.join(cache, hashlib.sha1(HANDLE.encode("utf8")).hexdigest())
    return folder if os.path.isfile(os.path.join(folder, "saved_model.pb")) else None


def extractor(path=None):
    """Returns the extractor `inception`.

    Args:
        path: folder of a SavedModel. Default: `KERAS_UAI_INCEPTION`, else TF-Hub's module, which is
            fetched once.

    Raises:
        FileNotFoundError: if there is no network at `path`, or none can be fetched.
    """
    path = path or local_path() or _fetch()
    if not os.path.isdir(path):
        raise FileNotFoundError(f"{_HOW} Received: path={path!r}, which is no folder.")
    tf = backend.tensorflow("The canonical Inception network is run by TensorFlow")
    module = tf.saved_model.load(path)
    call = module if callable(module) else module.signatures["serving_default"]

    def network(images):
        output = call(tf.convert_to_tensor(images))
        if isinstance(output, dict) and FEATURES not in output:
            raise ValueError(
                f"An Inception network must have an output {FEATURES!r}. "
                f"Received: {path} with outputs {sorted(output)}"
            )
        return output[FEATURES] if isinstance(output, dict) else output

    network.module = module  # a SavedModel's variables live as long as it does
    return Extractor("inception", network, SIZE, antialias=False, digest=file_digest(path))


def _fetch():
    from keras_uai import tfgan

    _ = tfgan.eval  # loads TF-Hub, or says what is missing
    import tensorflow_hub

    try:
        return tensorflow_hub.resolve(HANDLE)
    except Exception as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise FileNotFoundError(f"{_HOW} Received: no path, and TF-Hub said: {reason}") from error
