"""The cases of `tools/benchmark step`: the step of `UAI` as the paper has it, and PyTorch's."""

import os

import numpy as np

DROPPED = 0.9  # the measurement: DropPixel(0.9)
TOLERANCE = 1e-4  # of the outputs, relative to their scale


def make_model(options, jit=False):
    """Returns a compiled `UAI` whose networks have the width `options["width"]`."""
    import keras

    from keras_uai import models

    keras.utils.set_random_seed(0)
    side, networks = options["image_size"], {"width": options["width"]}
    model = models.UAI(
        (side, side, 3),
        f"DropPixel({DROPPED})",
        generator=networks,
        discriminator=networks,
        encoder=networks,
    )
    steps = options["gradient_accumulation_steps"]
    model.compile(gradient_accumulation_steps=steps, jit_compile=jit)
    return model


def make_batch(model, count):
    """Returns `(y, mask)` of `count` random images, NumPy."""
    side = model.image_shape[0]
    x = np.random.default_rng(0).integers(0, 256, (count, *model.image_shape)) / 127.5 - 1
    mask = np.array(model.measurement.masks(np.arange(count), side, side))
    return np.where(mask > 0.5, x, model.measurement.tau).astype("float32"), mask


def keras_step(model, y):
    """Returns `(concrete function, function that runs one step)`, compiled as `fit` does."""
    import tensorflow as tf

    y = tf.constant(y)
    compiled = tf.function(model.train_step, jit_compile=model.jit_compile, autograph=False)
    concrete = compiled.get_concrete_function(y)
    return concrete, lambda: float(concrete(y)["g_loss"])


def torch_steps(model, options, y, mask):
    """Builds the same networks in PyTorch.

    Weights are perturbed before the comparison, since zeros of fresh ones hide differences.

    Returns:
        `({name: function that runs one step}, {name: largest difference of the outputs})`.

    Raises:
        ModuleNotFoundError: if PyTorch is not installed.
        ValueError: if the networks are not the same.
    """
    # Threads wait without spinning. Spinning would count other load on the machine twice.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    try:
        import torch
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "PyTorch is not installed: install keras_uai[benchmark], or use --notorch. "
            "Received: --torch"
        ) from error

    from benchmarks.torch_step import TorchUAI

    variants = {
        "PyTorch, eager": {},
        "PyTorch, eager, channels last": {"channels_last": True},
    }
    if options["torch_compile"]:
        variants["PyTorch, compiled"] = {"compiled": True}
    perturb(model)
    torch.manual_seed(0)
    cases, differences = {}, {}
    for name, arguments in variants.items():
        peer = TorchUAI(model.image_shape, DROPPED, options["width"], **arguments)
        differences[name] = compare(model, peer, y, mask)
        feed = [
            torch.from_numpy(v).permute(0, 3, 1, 2).contiguous(memory_format=peer.format)
            for v in (y, mask)
        ]
        cases[name] = lambda peer=peer, feed=feed: peer.step(*feed)
    return cases, differences


def perturb(model, seed=0):
    """Adds a little noise to all weights, so that none has a special value."""
    random = np.random.default_rng(seed)
    for v in model.trainable_variables:
        v.assign(v + random.normal(scale=0.05, size=v.shape).astype("float32"))


def compare(model, peer, y, mask, count=4):
    """Copies the weights and compares the outputs.

    Returns:
        The largest difference of any network's output, relative to its scale.

    Raises:
        ValueError: if it is above `TOLERANCE`, or if the numbers of weights differ.
    """
    import torch
    from keras import ops

    from benchmarks import torch_weights

    y, mask = y[:count], mask[:count]
    z = np.random.default_rng(0).normal(size=(len(y), model.latent_dim)).astype("float32")
    y_t, mask_t = (torch.from_numpy(v).permute(0, 3, 1, 2) for v in (y, mask))
    generator = model.generator
    calls = {
        "generator": (
            lambda: [generator.decode(generator.observe(y, mask), ops.convert_to_tensor(z), {})],
            (y_t, mask_t, torch.from_numpy(z)),
        ),
        "discriminator": (lambda: [model.discriminator.score(y, mask)], (y_t,)),
        "encoder": (lambda: model.encoder.encode(y, mask), (y_t,)),
    }
    worst = 0.0
    for name, module in peer.networks.items():
        network = getattr(model, name)
        ours, theirs = calls[name]
        weights = sum(int(np.prod(v.shape)) for v in network.trainable_variables)
        if torch_weights.count(module) != weights:
            raise ValueError(
                f"PyTorch's {name} must have the {weights} weights of Keras's. "
                f"Received: {torch_weights.count(module)}"
            )
        torch_weights.copy(network, module)
        module.eval()
        with torch.no_grad():
            found = module(*theirs)
        module.train()
        found = found if isinstance(found, tuple) else (found,)
        for a, b in zip(found, ours(), strict=True):
            a = a.numpy()
            a = a.transpose(0, 2, 3, 1) if a.ndim == 4 else a
            b = np.array(b)
            worst = max(worst, float(np.abs(a - b).max() / max(1.0, np.abs(b).max())))
    if not worst <= TOLERANCE:
        raise ValueError(
            f"With the same weights, PyTorch's networks must differ by at most {TOLERANCE:.0e}. "
            f"Received: {worst:.1e}"
        )
    return worst
