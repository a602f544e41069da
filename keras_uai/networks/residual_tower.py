"""The residual tower that D and E share: from an observation to a vector of features."""

from keras import Input, layers

from keras_uai.layers import (
    PixelUnshuffle,
    PushPull,
    ResidualBlock,
    SelfAttention,
    conv2d,
    make_normalization,
)
from keras_uai.networks.sizes import Levels


def residual_tower(
    image_shape,
    mask_channels,
    width,
    max_width,
    levels,
    depth,
    space_to_depth,
    normalization,
    spectral_normalization,
    attention_level,
    efficient_resampling,
    input_fill,
    mask_input,
):
    """Builds the graph from an observation to globally pooled features.

    Args: See `Discriminator`.

    Returns:
        `(inputs, vector)`: a list of Keras inputs, and a symbolic tensor `(N, channels)`.

    Raises:
        ValueError: if `input_fill` is set without `mask_input`.
    """
    if input_fill and not mask_input:
        raise ValueError(
            "`input_fill` needs the mask: mask_input=True. "
            f"Received: input_fill={input_fill!r}, mask_input={mask_input!r}"
        )
    pyramid = Levels(image_shape, levels, space_to_depth, width, max_width, attention_level)
    height, columns, channels = image_shape
    y = Input((height, columns, channels), name="observation")
    inputs = [y]
    x = y
    if mask_input:
        mask = Input((height, columns, mask_channels), name="mask")
        inputs.append(mask)
        x = PushPull(name="fill")(y, mask) if input_fill else y
        x = layers.Concatenate(name="input")([x, mask])
    if space_to_depth > 1:
        x = PixelUnshuffle(space_to_depth, name="unshuffle")(x)
    x = conv2d(width, 3, spectral_normalization, name="stem")(x)
    for level, (stride, filters) in enumerate(pyramid):
        for block in range(depth):
            x = ResidualBlock(
                filters,
                "down" if level and not block else None,
                normalization=normalization,
                spectral_normalization=spectral_normalization,
                efficient_resampling=efficient_resampling,
                name=f"block_{stride}_{block}",
            )(x)
        if stride == pyramid.attention_stride:
            x = SelfAttention(spectral_normalization, name=f"attention_{stride}")(x)
    x = make_normalization(normalization, x.shape[-1], "head_norm")(x)
    x = layers.ReLU(name="head_relu")(x)
    return inputs, layers.GlobalAveragePooling2D(name="head_pool")(x)
