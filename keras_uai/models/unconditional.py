"""Unconditional generation, for the models that learn the distribution of images itself."""

from keras import ops

from keras_uai import checks, sampling


def generate(model, n, seed, batch_size):
    """Draws `n` images from the unconditional generator of `model`; see `AmbientGAN.generate`."""
    count = checks.check_integer("generate", "n", n, 1)
    seeds = checks.per_image_seeds(seed, count)
    keys = ops.convert_to_numpy(sampling.sample_keys(seeds, 1))[:, 0]
    draw = model.inference.compiled(
        "generate", lambda keys: model.values.clip(generate_images(model, keys, training=False))
    )
    parts = [draw(keys[i : i + batch_size]) for i in range(0, count, batch_size)]
    return ops.convert_to_numpy(ops.concatenate(parts, axis=0))


def generate_images(model, keys, training):
    """Computes `G_x(z)` with `z ~ p_z`, one image per key, as a graph: `(N, H, W, C)`."""
    generator = model.data_generator
    height, width, channels = model.image_shape
    blank = ops.zeros((ops.shape(keys)[0], height, width, channels))
    mask = ops.zeros_like(blank[..., :1])
    if generator.mask_channels > 1:
        mask = ops.zeros_like(blank)
    features = generator.observe(blank, mask, training=training)
    style, noise = sampling.draw_latents(generator, keys, height, width)
    return generator.decode(features, style, noise, training=training)
