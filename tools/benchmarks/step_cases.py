"""What `tools/benchmark step` times: the training step of `UAI` in the paper's configuration, and PyTorch's."""

import os

import numpy as np

DROPPED = 0.9  # the measurement: DropPixel(0.9)
TOLERANCE = 1e-4  # largest difference of the networks' outputs, relative to their scale


def make_model(options, jit=False):
    """A compiled `UAI`, all networks of `options["width"]`, seeded."""
    import keras

    from keras_uai import models

    keras.utils.set_random_seed(0)
    side, networks = options["image_size"], {"width": options["width"]}
    model = models.UAI(
        (side, side, 3), f"DropPixel({DROPPED})",
        generator=networks, discriminator=networks, encoder=networks,
    )  # fmt: skip
    model.compile(micro_batches=options["micro_batches"], jit_compile=jit)
    return model


def make_batch(model, count):
    """`(y, mask)` of `count` random images, NumPy."""
    side = model.image_shape[0]
    x = np.random.default_rng(0).integers(0, 256, (count, *model.image_shape)) / 127.5 - 1
    mask = np.array(model.measurement.masks(np.arange(count), side, side))
    return np.where(mask > 0.5, x, model.measurement.tau).astype("float32"), mask


def keras_step(model, y):
    """`(concrete function, function that runs one step)`, compiled as `fit` does."""
    import tensorflow as tf

    y = tf.constant(y)
    compiled = tf.function(model.train_step, jit_compile=model.jit_compile, autograph=False)
    concrete = compiled.get_concrete_function(y)
    return concrete, lambda: float(concrete(y)["g_loss"])


def torch_steps(model, options, y, mask):
    """`({name: function that runs one step}, differences)` of the same networks in PyTorch.

    `differences` are the largest ones of the networks' outputs with the Keras model's weights, which are stirred
    first: fresh ones hold zeros that hide a difference.

    Raises:
        ModuleNotFoundError: PyTorch is not installed.
        ValueError: the networks are not the same.
    """
    # Threads that wait for each other without spinning: what else the machine does would hit PyTorch twice.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    try:
        import torch
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "PyTorch is not installed. Install keras_uai[benchmark], or use --notorch. "
            "Received: --torch"
        ) from error

    from benchmarks.torch_step import TorchUAI

    variants = {
        "PyTorch, eager": {},
        "PyTorch, eager, channels last": {"channels_last": True},
    }
    if options["torch_compile"]:
        variants["PyTorch, compiled"] = {"compiled": True}
    stir(model)
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


def stir(model, seed=0):
    """Adds a little noise to all weights, so that none is at a special value."""
    random = np.random.default_rng(seed)
    for v in model.trainable_variables:
        v.assign(v + random.normal(scale=0.05, size=v.shape).astype("float32"))


def compare(model, peer, y, mask, count=4):
    """Copies the weights, and returns the largest difference of any network's output, relative to its scale.

    Raises:
        ValueError: if it is above `TOLERANCE`, or the numbers of weights differ.
    """
    import torch

    from benchmarks import torch_weights

    y, mask = y[:count], mask[:count]
    z = np.random.default_rng(0).normal(size=(len(y), model.latent_dim)).astype("float32")
    y_t, mask_t = (torch.from_numpy(v).permute(0, 3, 1, 2) for v in (y, mask))
    calls = {
        "generator": ([y, mask, z], (y_t, mask_t, torch.from_numpy(z))),
        "discriminator": (y, (y_t,)),
        "encoder": (y, (y_t,)),
    }
    worst = 0.0
    for name, module in peer.networks.items():
        network, (ours, theirs) = getattr(model, name), calls[name]
        weights = sum(int(np.prod(v.shape)) for v in network.trainable_variables)
        if torch_weights.count(module) != weights:
            raise ValueError(
                f"PyTorch's {name} is another network. Received: "
                f"{torch_weights.count(module)} weights, Keras's {weights}."
            )
        torch_weights.copy(network, module)
        module.eval()
        with torch.no_grad():
            found = module(*theirs)
        module.train()
        expected = network(ours)
        pairs = zip(found, expected, strict=True) if name == "encoder" else [(found, expected)]
        for a, b in pairs:
            a, b = a.numpy(), np.array(b)
            a = a.transpose(0, 2, 3, 1) if a.ndim == 4 else a
            worst = max(worst, float(np.abs(a - b).max() / max(1.0, np.abs(b).max())))
    if not worst <= TOLERANCE:
        raise ValueError(
            f"PyTorch's networks are others than Keras's. Received: outputs that differ by {worst:.1e} "
            f"with the same weights; {TOLERANCE:.0e} is allowed."
        )
    return worst
