"""Feature extractors by name: the first step of the Fréchet and the kernel distance."""

from keras_uai.metrics.extractors import efficientnet_lite0, inception
from keras_uai.metrics.extractors.base import Extractor

NAMES = ("inception", "efficientnet_lite0")


def get(identifier=None):
    """Returns a feature extractor.

    Args:
        identifier: an `Extractor`; `"inception"` (the network of FID), also with the place of its
            weights, as in `"inception:some/folder"`; `"efficientnet_lite0"`, which works offline;
            or None for `"inception"` if its weights are on this machine, else
            `"efficientnet_lite0"`. The name stands in the name of every metric.

    Raises:
        FileNotFoundError, ImportError: if weights are missing; the message says how to get them.
    """
    if isinstance(identifier, Extractor):
        return identifier
    if identifier is None:
        identifier = "inception" if inception.local_path() else "efficientnet_lite0"
    name, _, path = str(identifier).partition(":")
    if name == "inception":
        return inception.extractor(path or None)
    if identifier == "efficientnet_lite0":
        return efficientnet_lite0.extractor()
    raise ValueError(
        f"An extractor must be an Extractor or one of {', '.join(NAMES)} (the first also with a "
        f"path, as in 'inception:some/folder'). Received: {identifier!r}"
    )


__all__ = ["NAMES", "Extractor", "get"]
