"""The training step: which weights move, by which gradient; accumulation and precision."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_uai.models.finite import is_finite
from tests.testing import array, observations, same_bits, tiny_uai

ALL_ON = {"gan": 1.0, "z": 0.5, "y": 0.7, "energy": 0.3, "splitting": 0.2}


def batch(model, count=8, seed=0):
    return observations(model.measurement, count, model.image_shape, seed)[0]


def plain_descent(model, rate=1.0, d_rate=None, **kwargs):
    """Compiles with gradient descent: the difference of weights is the gradient."""
    model.compile(
        keras.optimizers.SGD(rate),
        keras.optimizers.SGD(rate if d_rate is None else d_rate),
        **kwargs,
    )
    return model


def moved(network, before):
    """Names of the weights of `network` that differ from `before`."""
    now = network.get_weights()
    return {
        v.path
        for v, a, b in zip(network.weights, before, now, strict=True)
        if a.tobytes() != b.tobytes()
    }


def trainable(network):
    return {v.path for v in network.trainable_variables}


def singular_vectors(network):
    return {v.path for v in network.weights if v.name == "u"}


# -- moved weights ----------------------------------------------------------------------


@pytest.mark.parametrize("weights", [{}, ALL_ON], ids=["paper", "all"])
def test_d_loss_moves_d_and_g_loss_moves_g_and_e(weights):
    """With one optimizer's rate at 0 only the other's weights move, and all of them.

    Not with the hinge: inside its margin the gradients of y and y_tilde at D's last bias cancel.
    """
    for still in ("discriminator", "generator"):
        model = tiny_uai()
        rates = (1.0, 0.0) if still == "discriminator" else (0.0, 1.0)
        plain_descent(model, *rates, loss_weights=weights, gan_loss="minimax")
        networks = {n: getattr(model, n) for n in ("generator", "discriminator", "encoder")}
        before = {name: network.get_weights() for name, network in networks.items()}
        model.train_step(batch(model))
        for name, network in networks.items():
            expected = singular_vectors(network)
            if (name == "discriminator") != (still == "discriminator"):
                expected |= trainable(network)
            assert moved(network, before[name]) == expected, (still, name)


def test_every_trainable_weight_has_exactly_one_optimizer():
    model = tiny_uai(ema_decay=0.9)
    model.compile()
    (d_optimizer, of_d), (g_optimizer, of_g) = model.updates()
    assert (d_optimizer, g_optimizer) == (model.discriminator_optimizer, model.optimizer)
    assert {id(v) for v in of_d} == {id(v) for v in model.discriminator.trainable_variables}
    owned = sorted(id(v) for v in [*of_d, *of_g])
    assert owned == sorted(id(v) for v in model.trainable_variables)


@pytest.mark.parametrize(
    ("weights", "still"),
    [
        ({"z": 0.0, "y": 0.0}, {"encoder"}),
        ({"gan": 0.0, "y": 0.0}, {"discriminator"}),
        ({"gan": 0.0, "z": 0.0, "y": 0.0, "energy": 1.0}, {"encoder", "discriminator"}),
    ],
)
def test_a_network_without_a_term_stays_as_it_is(weights, still):
    model = plain_descent(tiny_uai(), loss_weights=weights)
    before = {n: getattr(model, n).get_weights() for n in ("generator", "discriminator", "encoder")}
    model.train_step(batch(model))
    assert {n for n, w in before.items() if not moved(getattr(model, n), w)} == still


# -- gradients ----------------------------------------------------------------------


def test_both_optimizers_step_from_the_same_point():
    """Each optimizer applies its own loss's gradient at the weights before the step."""
    model = plain_descent(tiny_uai(), 0.1, 0.2, loss_weights=ALL_ON)
    y = batch(model)
    data, keys = model.unpack(y), model.step_keys(8)
    sides = {
        0.2: model.discriminator.trainable_variables,
        0.1: [*model.generator.trainable_variables, *model.encoder.trainable_variables],
    }
    with tf.GradientTape(persistent=True) as tape:
        losses = model.compute_losses(data, keys, training=True)[:2]
    expected = {}
    for (rate, variables), loss in zip(sides.items(), losses, strict=True):
        for v, gradient in zip(
            variables, tape.gradient(loss, [v.value for v in variables]), strict=True
        ):
            expected[id(v)] = array(v) - rate * array(gradient)
    model.train_step(y)
    for v in model.trainable_variables:
        np.testing.assert_allclose(v, expected.pop(id(v)), atol=1e-5, err_msg=v.path)
    assert not expected


def test_u_advances_once_a_step():
    """D runs three times a step and G several times; each spectral layer iterates once."""
    model = plain_descent(tiny_uai(), 0.0, loss_weights=ALL_ON, gradient_accumulation_steps=2)
    networks = model.generator, model.discriminator, model.encoder
    weights = {(n.name, v.path): v for n in networks for v in n.weights}
    vectors = [key for key in weights if key[1].endswith("/u")]
    assert len(vectors) > 10
    expected = {}
    for network, path in vectors:
        kernel = array(weights[network, f"{path[:-1]}kernel"], "float64")
        matrix = kernel.reshape(-1, kernel.shape[-1])
        u = matrix.T @ (matrix @ array(weights[network, path], "float64"))
        expected[network, path] = u / np.linalg.norm(u)
    model.train_step(batch(model))
    for key, u in expected.items():
        np.testing.assert_allclose(weights[key], u, atol=1e-5)


def test_steps_are_counted_and_their_noise_differs():
    model = plain_descent(tiny_uai(), 0.0)
    y = batch(model)
    keys, seen = [], []
    for step in range(3):
        assert int(model.step) == step
        keys.append(array(model.step_keys(4)))
        model.log_means.means["z_loss"].reset_state()
        seen.append(float(model.train_step(y)["z_loss"]))
    assert len(np.unique(np.concatenate(keys), axis=0)) == 12
    assert len(set(seen)) == 3


def test_noise_is_a_function_of_seed_and_step_alone():
    for seed, same in ((0, True), (1, False)):
        one, other = tiny_uai(seed=0), tiny_uai(seed=seed)
        assert np.array_equal(one.step_keys(4), other.step_keys(4)) == same


def test_training_noise_is_not_the_noise_of_masks_under_the_same_seed():
    from keras_uai import random

    model = tiny_uai(seed=0)
    step_keys = {tuple(k) for s in range(20) for k in array(_keys_at(model, s))}
    mask_keys = {tuple(k) for k in array(random.key(0, np.arange(20)))}
    assert not step_keys & mask_keys
    own = {tuple(p) for k in mask_keys for p in _pairs(random.bits(np.array([k], "uint32"), (40,)))}
    assert not step_keys & own


def _keys_at(model, step):
    model.step.assign(step)
    return model.step_keys(20)


def _pairs(bits):
    half = len(bits[0]) // 2
    return zip(array(bits[0, :half]).tolist(), array(bits[0, half:]).tolist(), strict=True)


# -- numbers that are not finite ----------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "gradient", "scale", "finite"),
    [
        (1.0, 2.0, None, True),
        (np.nan, 2.0, None, False),
        (-np.inf, 2.0, None, False),
        (1.0, np.nan, None, False),
        (1.0, np.inf, None, False),
        (1.0, np.inf, 2.0, True),  # the scale will be halved
        (1.0, np.inf, 1.0, False),  # there is nothing left to halve
        (np.inf, 2.0, 2.0, False),
    ],
)
def test_losses_and_gradients_that_are_not_finite(value, gradient, scale, finite):
    optimizer = keras.optimizers.SGD()
    if scale:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=scale)
        optimizer.build([])
    gradients = [tf.zeros((2, 3)), tf.constant([0.0, gradient])]
    updates = [(keras.optimizers.SGD(), []), (optimizer, [])]
    found = is_finite({"g_loss": 0.0, "z_loss": value}, updates, [[], gradients])
    assert bool(found) == finite


def test_a_gradient_that_is_not_finite_shows_in_the_loss():
    """So that one number says whether a training goes on, `TerminateOnNaN` for example."""
    model = plain_descent(tiny_uai(), loss_weights={"z": 0.0, "y": 0.0})
    y = batch(model)
    model.train_step(y)
    compute_losses = model.compute_losses

    def infinite_gradient(*args, **kwargs):
        d_loss, g_loss, logs = compute_losses(*args, **kwargs)
        return d_loss, g_loss + tf.sqrt(0.0 * g_loss), logs

    model.compute_losses = infinite_gradient
    logs = {name: float(value) for name, value in model.train_step(y).items()}
    assert [name for name, value in logs.items() if not np.isfinite(value)] == ["loss"]


# -- accumulation ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("weights", "parts"),
    [({}, 4), (ALL_ON, 2), ({"y": 0.0}, 2), ({"gan": 0.0, "z": 0.0, "y": 0.0, "energy": 1.0}, 8)],
    ids=str,
)
def test_accumulated_gradients_are_those_of_the_batch(weights, parts):
    """With group norm, where images do not mix, losses and updates equal those of one pass."""
    results = []
    for k in (1, parts):
        keras.utils.set_random_seed(0)
        model = plain_descent(tiny_uai(), loss_weights=weights, gradient_accumulation_steps=k)
        before = model.get_weights()
        logs = {k: float(v) for k, v in model.train_step(batch(model, 8)).items()}
        steps = [b - a for a, b in zip(before, model.get_weights(), strict=True)]
        results.append((logs, steps))
    (logs, steps), (other_logs, other_steps) = results
    assert other_logs.keys() == logs.keys()
    for name in logs:
        if name != "std":  # a root, of the first images of each part
            assert other_logs[name] == pytest.approx(logs[name], abs=2e-6), name
    for a, b in zip(steps, other_steps, strict=True):
        np.testing.assert_allclose(b, a, atol=1e-5 * max(1e-2, np.abs(a).max()))
    assert max(np.abs(s).max() for s in steps) > 1e-3


def test_the_batch_must_divide():
    model = plain_descent(tiny_uai(), gradient_accumulation_steps=3)
    with pytest.raises(
        tf.errors.InvalidArgumentError, match="multiple of gradient_accumulation_steps=3"
    ):
        model.train_step(batch(model, 8))


def test_clean_images_and_masks_stay_with_their_part():
    """A dict batch in two parts gives the step of one part."""
    results = []
    for parts in (1, 2):
        keras.utils.set_random_seed(0)
        model = plain_descent(tiny_uai(), gradient_accumulation_steps=parts)
        y, mask = observations(model.measurement, 4)
        model.train_step({"observation": y, "mask": mask, "clean": y})
        results.append(model.get_weights())
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5 * max(1.0, np.abs(a).max()))


# -- graphs and precision ----------------------------------------------------------------------


@pytest.mark.parametrize("jit_compile", [False, True])
def test_graphs_compute_the_same_step(jit_compile):
    results = []
    for graph in (False, True):
        keras.utils.set_random_seed(0)
        model = plain_descent(
            tiny_uai(),
            0.1,
            gradient_accumulation_steps=2 - jit_compile,
            loss_weights={"z": 0.0, "y": 0.0},
        )
        step = (
            tf.function(model.train_step, jit_compile=jit_compile, autograph=False)
            if graph
            else model.train_step
        )
        logs = step(tf.constant(batch(model, 4)))
        results.append(({k: float(v) for k, v in logs.items()}, model.get_weights()))
    (logs, weights), (graph_logs, graph_weights) = results
    assert graph_logs == pytest.approx(logs, abs=1e-4)
    for a, b in zip(weights, graph_weights, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


def test_mixed_float16_scales_both_losses():
    keras.config.set_dtype_policy("mixed_float16")
    model = tiny_uai()
    model.compile()
    optimizers = model.optimizer, model.discriminator_optimizer
    for optimizer in optimizers:
        assert isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
        optimizer.dynamic_scale.assign(2.0**10)
    before = model.get_weights()
    for _ in range(3):
        logs = model.train_step(batch(model, 4))
        assert all(np.isfinite(v) for v in logs.values())
    for optimizer in optimizers:
        assert int(optimizer.inner_optimizer.iterations) == 3  # no step was skipped as not finite
    assert any((a != b).any() for a, b in zip(before, model.get_weights(), strict=True))
    for v in model.trainable_variables:
        assert v.dtype == "float32"


def test_mixed_float16_gradients_are_about_those_of_float32():
    results = []
    for policy in ("float32", "mixed_float16"):
        keras.config.set_dtype_policy(policy)
        keras.utils.set_random_seed(0)
        model = plain_descent(tiny_uai(), loss_weights=ALL_ON)
        if policy == "mixed_float16":
            for optimizer in (model.optimizer, model.discriminator_optimizer):
                optimizer.dynamic_scale.assign(2.0**6)  # the first, 2^15, would have to be halved
        before = model.get_weights()
        model.train_step(batch(model, 4))
        steps = [b - a for a, b in zip(before, model.get_weights(), strict=True)]
        results.append(np.concatenate([s.ravel() for s in steps]))
    full, half = results
    assert np.abs(full).max() > 1e-3
    assert np.linalg.norm(half - full) < 0.05 * np.linalg.norm(full)


def test_loss_scaling_can_be_switched_off():
    keras.config.set_dtype_policy("mixed_float16")
    model = tiny_uai()
    model.compile(auto_scale_loss=False)
    for optimizer in (model.optimizer, model.discriminator_optimizer):
        assert isinstance(optimizer, keras.optimizers.Adam)


def test_compiled_functions_read_the_present_weights():
    model = tiny_uai()
    y = batch(model, 2)
    before = model.inpaint(y, num_samples=2)
    kernel = model.generator.get_layer("decoder").get_layer("head_image").kernel
    old = array(kernel)
    kernel.assign(kernel * 2.0)
    assert (model.inpaint(y, num_samples=2) != before).any()
    kernel.assign(old)
    same_bits(model.inpaint(y, num_samples=2), before)
