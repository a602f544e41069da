"""Saved, loaded, interrupted and resumed trainings end bit-equal to an uninterrupted one."""

import keras
import numpy as np
import pytest

from keras_uai.measurements import DropPixel, Empirical
from keras_uai.sampling import TwoStage
from keras_uai.values import ValueScaling
from tests.testing import array, observations, run_python, same_bits, tiny_uai

EPOCHS, HALF, BATCH = 4, 2, 4


def made(seed=0):
    keras.utils.set_random_seed(seed)
    model = tiny_uai(ema_decay=0.9, networks={"normalization": "batch"})
    model.compile(loss_weights={"y": 0.0})
    return model


def data():
    return observations(DropPixel(0.5), 2 * BATCH)[0]


def state(model):
    """Returns all that training changes: weights, averages, the step, both optimizers."""
    optimizers = model.optimizer, model.discriminator_optimizer
    variables = [*model.variables, *(v for o in optimizers for v in o.variables)]
    return [array(v) for v in variables]


def assert_same_state(a, b):
    assert len(a) == len(b)
    for one, other in zip(a, b, strict=True):
        same_bits(one, other)


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """Trains for four epochs without interruption; the whole model is saved after two."""
    folder = tmp_path_factory.mktemp("straight")
    model, states = made(), []

    def on_epoch_end(epoch, logs):
        states.append(state(model))
        if epoch + 1 == HALF:
            model.save(folder / "half.keras")

    callback = keras.callbacks.LambdaCallback(on_epoch_end=on_epoch_end)
    history = model.fit(
        data(), batch_size=BATCH, epochs=EPOCHS, shuffle=False, verbose=0, callbacks=[callback]
    )
    assert all(np.isfinite(v).all() for v in history.history.values())
    return folder, states


def test_the_whole_state_moves(straight):
    """The comparisons below would otherwise pass without effect."""
    _, states = straight
    moved = [(a != b).any() for a, b in zip(states[HALF - 1], states[-1], strict=True)]
    assert np.mean(moved) > 0.9


def test_resumed_by_backup_and_restore_is_bit_equal(straight, tmp_path):
    """The same seed gives the same training, also where the second one is interrupted."""
    _, states = straight

    class PowerCut(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch + 1 == HALF:
                raise KeyboardInterrupt

    backup = keras.callbacks.BackupAndRestore(tmp_path / "backup", delete_checkpoint=False)
    options = {"batch_size": BATCH, "epochs": EPOCHS, "shuffle": False, "verbose": 0}
    interrupted = made()
    with pytest.raises(KeyboardInterrupt):
        interrupted.fit(data(), callbacks=[backup, PowerCut()], **options)
    assert_same_state(state(interrupted), states[HALF - 1])

    resumed = made(seed=99)  # other weights, until the backup is read
    backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
    history = resumed.fit(data(), callbacks=[backup], **options)
    assert history.epoch == list(range(HALF, EPOCHS))
    assert_same_state(state(resumed), states[-1])


def test_continued_in_a_fresh_process_is_bit_equal(straight, tmp_path):
    folder, states = straight
    np.save(tmp_path / "y.npy", data())
    run_python(
        "import sys, keras, keras_uai, numpy as np\n"
        f"model = keras.saving.load_model({str(folder / 'half.keras')!r})\n"
        f"y = np.load({str(tmp_path / 'y.npy')!r})\n"
        f"model.fit(y, batch_size={BATCH}, epochs={EPOCHS - HALF}, shuffle=False, verbose=0)\n"
        "optimizers = model.optimizer, model.discriminator_optimizer\n"
        "variables = [*model.variables, *(v for o in optimizers for v in o.variables)]\n"
        f"np.savez({str(tmp_path / 'state.npz')!r}, *[v.numpy() for v in variables])\n"
        f"model.save({str(tmp_path / 'm.keras')!r})\n"
        "assert 'tensorflow_probability' not in sys.modules  # slow, and not needed\n"
    )
    with np.load(tmp_path / "state.npz") as saved:
        assert_same_state([saved[name] for name in saved.files], states[-1])


def test_loaded_model_is_the_saved_one(straight):
    folder, states = straight
    model = keras.saving.load_model(folder / "half.keras")
    assert_same_state(state(model), states[HALF - 1])
    assert model.compiled
    assert model.loss_weights == {**type(model).default_loss_weights, "y": 0.0}
    assert model.ema_decay == 0.9
    assert model.measurement == DropPixel(0.5)
    assert int(model.step) == 2 * HALF
    assert int(model.discriminator_optimizer.iterations) == 2 * HALF


def test_loaded_without_compile(straight):
    folder, _ = straight
    whole = keras.saving.load_model(folder / "half.keras")
    model = keras.saving.load_model(folder / "half.keras", compile=False)
    assert not model.compiled
    y = data()
    same_bits(model.inpaint(y, num_samples=2), whole.inpaint(y, num_samples=2))


def test_weights_alone_move_to_a_model_with_other_terms(straight, tmp_path):
    """Networks, average and step count move, from adversarial training to the energy score."""
    folder, _ = straight
    model = keras.saving.load_model(folder / "half.keras")
    model.save_weights(tmp_path / "model.weights.h5")
    other = made(seed=5)
    other.compile(loss_weights={"gan": 0.0, "z": 0.0, "y": 0.0, "energy": 1.0})
    other.load_weights(tmp_path / "model.weights.h5")
    for a, b in zip(other.get_weights(), model.get_weights(), strict=True):
        same_bits(a, b)


def test_models_are_saved_uncompiled_with_sampler_values_and_masks(tmp_path):
    bank = np.random.default_rng(0).integers(0, 2, (5, 16, 16))
    model = tiny_uai(
        Empirical(bank, tau=0.25),
        values=ValueScaling("float32", location=[1.0, 2.0, 3.0], scale=[4.0, 5.0, 6.0]),
        sampler=TwoStage(stride=2, inflation=1.5),
        generator={"predicts_mean": True},
    )
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    assert loaded.measurement == model.measurement
    assert loaded.values == model.values
    assert loaded.sampler == TwoStage(stride=2, inflation=1.5)
    assert not loaded.compiled
    y, mask = observations(model.measurement, 3)
    same_bits(loaded.inpaint(y, mask, num_samples=2), model.inpaint(y, mask, num_samples=2))


def test_saved_under_mixed_float16(tmp_path):
    """Both optimizers come back with their scale; float32 gives the same samples nearly."""
    keras.config.set_dtype_policy("mixed_float16")
    model = tiny_uai()
    model.compile()
    model.discriminator_optimizer.dynamic_scale.assign(64.0)
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    for optimizer in (loaded.optimizer, loaded.discriminator_optimizer):
        assert isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
        assert isinstance(optimizer.inner_optimizer, keras.optimizers.Adam)
    assert_same_state(state(loaded), state(model))
    y, _ = observations(model.measurement, 3)
    expected = model.inpaint(y, num_samples=2)
    same_bits(loaded.inpaint(y, num_samples=2), expected)
    keras.config.set_dtype_policy("float32")
    plain = keras.saving.load_model(tmp_path / "m.keras")
    np.testing.assert_allclose(plain.inpaint(y, num_samples=2), expected, atol=0.02)
