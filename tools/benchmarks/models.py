"""The models that benchmarks measure."""


def load(path=None, image_shape=(None, None, 3), measurement="DropPixel(0.5)"):
    """Returns a compiled model.

    Args:
        path: A preset's name or folder, a run's folder, or a saved model. None: the recommended
            model, untrained, which costs the same time.
        image_shape, measurement: Of the recommended model.
    """
    from keras_uai import models, presets

    if path is None:
        return models.UAI.recommended(image_shape, measurement)
    model = presets.load_model(path).model
    if not model.compiled:
        model.compile()
    return model


def size(model, default):
    """Returns the height and width of the model, or `default` of a model for any size."""
    height, width, _ = model.image_shape
    return default if height is None else (height, width)
