"""`compile`, batches, the parts of a step, `fit` and its logs."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_uai import backend, losses, random, rng_streams
from tests.testing import array, images, observations, same_bits, tiny_uai


def compiled(weights=None, **kwargs):
    model = tiny_uai(**kwargs)
    model.compile(loss_weights=weights)
    return model


def batch(model, count=4):
    return observations(model.measurement, count, model.image_shape)


# -- compile --------------------------------------------------------------------------------------


def test_compile_without_arguments_is_the_papers():
    """Section 3.3: Adam with beta_1 = 0 and beta_2 = 0.99, hinge; SAGAN's two rates."""
    model = compiled()
    for optimizer, rate in ((model.optimizer, 1e-4), (model.discriminator_optimizer, 4e-4)):
        assert isinstance(optimizer, keras.optimizers.Adam)
        assert (optimizer.beta_1, optimizer.beta_2) == (0.0, 0.99)
        assert float(optimizer.learning_rate) == pytest.approx(rate)
    assert (model.discriminator_loss, model.generator_loss) == losses.get("hinge")
    on = {name for name, weight in model.loss_weights.items() if weight}
    assert on == {"gan", "z", "y", "y_squared_error"}
    assert model.gradient_accumulation_steps == 1


def test_compile_config_comes_back():
    model = tiny_uai()
    assert model.get_compile_config() is None
    model.compile(
        keras.optimizers.SGD(0.3, momentum=0.5),
        keras.optimizers.RMSprop(0.2),
        gan_loss="minimax",
        loss_weights={"z": 0.25},
        gradient_accumulation_steps=2,
    )
    other = tiny_uai()
    other.compile_from_config(model.get_compile_config())
    assert other.get_compile_config() == model.get_compile_config()
    assert isinstance(other.optimizer, keras.optimizers.SGD)
    assert float(other.optimizer.momentum) == 0.5
    assert isinstance(other.discriminator_optimizer, keras.optimizers.RMSprop)
    assert other.discriminator_optimizer is not model.discriminator_optimizer
    assert (other.gan_loss, other.loss_weights["z"], other.gradient_accumulation_steps) == (
        "minimax",
        0.25,
        2,
    )


def test_compile_builds_both_optimizers():
    """`load_model` would otherwise skip their state with a mere warning."""
    model = compiled({"z": 0.0, "y": 0.0})
    assert len(model.optimizer.variables) > 2 * len(model.encoder.trainable_variables)
    assert model.discriminator_optimizer.built


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"gan_loss": "wgan"}, "Received: gan_loss='wgan'"),
        ({"loss_weights": {"gam": 1.0}}, r"must name terms of \['energy', .*Received: .*'gam'"),
        ({"gradient_accumulation_steps": 0}, "Received: gradient_accumulation_steps=0"),
        ({"gradient_accumulation_steps": 2.0}, r"Received: gradient_accumulation_steps=2\.0"),
        ({"loss": "mse"}, "`loss` must not be given.*Received: loss="),
        ({"metrics": ["mse"]}, "`metrics` must not be given.*Received: metrics="),
    ],
)
def test_compile_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        tiny_uai().compile(**arguments)


@pytest.mark.parametrize("accelerator", [False, True])
def test_xla_is_for_accelerators(accelerator, monkeypatch):
    handed_on = []
    compile_model = keras.Model.compile

    def spy(model, **arguments):
        handed_on.append(arguments.get("jit_compile", "auto"))
        compile_model(model, **arguments)

    monkeypatch.setattr(backend, "accelerators", lambda: ["GPU"] * accelerator)
    monkeypatch.setattr(keras.Model, "compile", spy)
    model = tiny_uai()
    model.compile()
    model.compile(jit_compile=True)
    assert handed_on == ["auto" if accelerator else False, True]


def test_one_name_gives_two_optimizers():
    model = tiny_uai()
    model.compile("adam", "adam")
    assert model.optimizer is not model.discriminator_optimizer


def test_one_optimizer_object_for_both_is_refused():
    optimizer = keras.optimizers.Adam()
    with pytest.raises(ValueError, match="must be two objects"):
        tiny_uai().compile(optimizer, optimizer)


def test_fit_before_compile():
    with pytest.raises(ValueError, match="compile"):
        tiny_uai().fit(images(4), verbose=0)


# -- parts of a step ---------------------------------------------------------------------------


def test_composite_is_equation_4():
    model = tiny_uai()
    y, mask = batch(model)
    x = images(4, seed=1)
    np.testing.assert_array_equal(model.composite(x, y, mask), x * (1 - mask) + y)


def test_the_average_by_hand():
    """decay = min(ema_decay, (1 + t) / (10 + t)), for all weights, with batch statistics."""
    model = compiled({"z": 0.0, "y": 0.0}, ema_decay=0.2, networks={"normalization": "batch"})
    expected = [array(w, "float64") for w in model.generator.get_weights()]
    for t in range(4):
        model.train_step(batch(model)[0])
        decay = min(0.2, (1 + t) / (10 + t))
        for mean, weight in zip(expected, model.generator.get_weights(), strict=True):
            mean += (1 - decay) * (weight - mean)
    assert min((1 + t) / (10 + t) for t in range(4)) < 0.2 < (1 + 3) / (10 + 3)
    for mean, weight in zip(expected, model.ema_generator.get_weights(), strict=True):
        np.testing.assert_allclose(weight, mean, atol=1e-5)
    paths = [v.path for v in model.generator.weights]
    assert any("moving_variance" in path for path in paths)


def test_the_average_is_not_trained():
    model = compiled(ema_decay=0.9)
    average = {id(v) for v in model.ema_generator.weights}
    assert not average & {id(v) for v in model.trainable_variables}
    assert len(average) == len(model.generator.weights)
    for a, b in zip(model.ema_generator.get_weights(), model.generator.get_weights(), strict=True):
        same_bits(a, b)
    assert tiny_uai().ema_generator is None


def test_logs_are_running_means():
    model = compiled()
    for value, mean in ((1.0, 1.0), (4.0, 2.5), (1.0, 2.0)):
        logs = model.update_metrics({"std": value, "g_loss": -value, "d_loss": 3 * value})
        expected = {"std": mean, "g_loss": -mean, "d_loss": 3 * mean, "loss": 2 * mean}
        assert {k: float(v) for k, v in logs.items()} == expected
    names = {metric.name for metric in model.metrics}
    assert names == {*model.log_names(), "loss", "mse", "mse_mean"}


def test_scores_by_hand():
    """`mse` is that of a sample over all pixels, `mse_mean` that of two samples' mean."""
    model = compiled()
    y, mask = batch(model)
    x = images(4)
    keys = random.key(model.seed, rng_streams.EVALUATION, np.arange(4))
    keys = np.stack([array(random.fold_in(keys, i)) for i in (0, 1)], axis=1)
    samples = array(model.inference.reconstruct(y, mask, keys), "float64")
    variance = samples.var(axis=1, ddof=1) * (1 - mask)
    expected = {
        "std": np.sqrt(variance.sum() / (3 * (1 - mask).sum())),
        "mse": np.mean((samples[:, 0] - x) ** 2),
        "mse_mean": np.mean((samples.mean(axis=1) - x) ** 2),
    }
    data = {"observation": y, "mask": mask, "clean": x}
    for step in (0, 7):  # evaluation draws the same noise at every step
        model.step.assign(step)
        logs = model.evaluate(data, verbose=0, return_dict=True)
        assert {name: logs[name] for name in expected} == pytest.approx(expected, rel=1e-4)


def test_logs_count_by_weight():
    model = compiled()
    model.update_metrics({"std": 1.0}, 3)
    assert float(model.update_metrics({"std": 5.0}, 1)["std"]) == 2.0


# -- what Keras offers and the models do not -------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [("image_data_format", "channels_first"), ("floatx", "float64"), ("dtype_policy", "bfloat16")],
)
def test_other_settings_of_keras_are_refused(name, value):
    wanted = {"image_data_format": "channels_last"}.get(name, "float32")
    getattr(keras.config, f"set_{name}")(value)
    try:
        with pytest.raises(
            ValueError, match=rf"set_{name}\('{wanted}'\).*Received: {name}='{value}'"
        ):
            tiny_uai()
    finally:
        getattr(keras.config, f"set_{name}")(wanted)


def test_quantization_is_refused():
    with pytest.raises(NotImplementedError, match=r"weights=\"float16\".*Received: mode='int8'"):
        tiny_uai().quantize("int8")


# -- fit ------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("eagerly")
def test_fit_logs_validates_and_goes_on():
    model = compiled({"z": 0.0, "y": 0.0}, ema_decay=0.9)
    y, _ = batch(model, 8)
    clean = tf.data.Dataset.from_tensor_slices({"observation": y, "clean": images(8)}).batch(4)
    history = model.fit(y, batch_size=4, epochs=2, validation_data=clean, verbose=0).history
    training = {"loss", "g_loss", "d_loss", "d_y", "gan_loss", "d_y_tilde", "std"}
    assert set(history) == training | {"val_std", "val_mse", "val_mse_mean"}
    assert all(np.isfinite(v).all() for v in history.values())
    assert int(model.step) == 4
    assert int(model.optimizer.iterations) == int(model.discriminator_optimizer.iterations) == 4
    assert model.predict(clean, verbose=0).shape == (8, 16, 16, 3)


def test_summary():
    lines = []
    compiled().summary(print_fn=lambda line, **kwargs: lines.append(line))
    text = "\n".join(lines)
    assert all(name in text for name in ("generator", "discriminator", "encoder", "Trainable"))


def test_other_weights_after_training():
    """A second `compile` keeps weights and step count, and logs the new terms."""
    model = compiled({"z": 0.0, "y": 0.0})
    y, _ = batch(model)
    model.train_step(y)
    before = model.get_weights()
    model.compile(loss_weights={"gan": 0.0, "z": 0.0, "y": 0.0, "energy": 1.0})
    for a, b in zip(before, model.get_weights(), strict=True):
        same_bits(a, b)
    assert int(model.step) == 1
    assert set(model.train_step(y)) == {"loss", "g_loss", "std", "energy_loss"}


def test_initial_weights_depend_on_keras_seed():
    """`seed` is that of the noise; weights are initialized as in any Keras model."""
    weights = []
    for start in (0, 0, 1):
        keras.utils.set_random_seed(start)
        weights.append(np.concatenate([w.ravel() for w in tiny_uai().get_weights()]))
    same_bits(weights[0], weights[1])
    assert (weights[0] != weights[2]).any()


@pytest.mark.usefixtures("eagerly")
def test_images_count_the_same_in_a_small_last_batch():
    model = tiny_uai()
    y, _ = observations(model.measurement, 7)
    model.compile()
    x = images(7)
    x[6] = -x[6]  # an image whose error stands out
    dataset = tf.data.Dataset.from_tensor_slices({"observation": y, "clean": x})
    parts = [d.batch(6) for d in (dataset.take(6), dataset.skip(6))]
    six, one = (model.evaluate(d, verbose=0, return_dict=True)["mse"] for d in parts)
    assert not 0.9 < one / six < 1.1
    scores = model.evaluate(dataset.batch(6), verbose=0, return_dict=True)
    assert scores["mse"] == pytest.approx((6 * six + one) / 7, rel=0.02)
