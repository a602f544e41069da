"""UAI's losses against Algorithm 1 composed by hand, their ablations, and the networks' inputs."""

import keras
import numpy as np
import pytest

from keras_uai import losses, measurements, random, rng_streams, sampling
from keras_uai.measurements import DropPixel, Empirical
from tests.models.oracles import compute_losses, gan_losses, observed_by
from tests.testing import array, images, observations, same_bits, tiny_uai

OFF = {"gan": 0.0, "z": 0.0, "y": 0.0}
ROWS = {  # Table 1: equations 5, 5 + 6, 5 + 7, 8
    "gan": {"z": 0.0, "y": 0.0},
    "gan + z": {"y": 0.0, "z": 0.3},
    "gan + y": {"z": 0.0, "y": 0.4, "y_squared_error": 3.0},
    "gan + z + y": {"gan": 0.9, "z": 0.3, "y": 0.4},
}
LOGS = {
    "gan": {"d_loss", "d_y", "gan_loss", "d_y_tilde"},
    "z": {"z_loss"},
    "y": {"y_loss", "y_squared_error", "d_y_hat", "d_loss", "d_y"},
    "energy": {"energy_loss"},
    "splitting": {"splitting_loss"},
    "marginal": {"marginal_loss"},
}
CHANNELS = Empirical(np.random.default_rng(0).integers(0, 2, (5, 16, 16, 3)))


def made(weights=None, count=4, gan_loss="hinge", shape=None, **kwargs):
    """Returns a compiled model, and `(y, mask)` of `count` images of `shape`."""
    model = tiny_uai(**kwargs)
    model.compile(loss_weights=weights, gan_loss=gan_loss)
    y, mask = observations(model.measurement, count, shape or model.image_shape)
    return model, y, mask


def latents(model, y, keys, stream):
    """Draws z by its definition: one stream for the style, one for the fields."""
    keys = random.fold_in(keys, stream)
    generator, (height, width) = model.generator, y.shape[1:3]
    fields = {
        stride: sampling.noise_field(
            random.fold_in(keys, rng_streams.NOISE),
            stride,
            height // stride,
            width // stride,
            generator.noise_channels,
        )
        for stride in generator.noise_strides
    }
    return array(random.normal(random.fold_in(keys, rng_streams.STYLE), (6,))), fields


def decoded(model, y, mask, style, noise, training=True):
    """Computes G(y, z) by one plain call."""
    inputs = {"observation": y, "mask": mask, "style": style, "noise": noise}
    return array(model.generator(inputs, training=training))


def algorithm_1(model, y, mask, keys):
    """Computes the paper's Algorithm 1 line by line from plain calls of the networks."""

    def d(y, mask):
        return array(model.discriminator.score(y, mask, training=True))

    def e(y, mask):
        return (array(v) for v in model.encoder.encode(y, mask, training=True))

    m_tilde = random.fold_in(keys, rng_streams.MASK_TILDE)
    m_tilde = array(model.measurement.sample(m_tilde, *y.shape[1:3]))
    z, noise = latents(model, y, keys, rng_streams.Z)
    x_tilde = decoded(model, y, mask, z, noise) * (1 - mask) + y
    y_tilde = x_tilde * m_tilde
    z_hat, _ = e(y_tilde * (1 - mask), m_tilde * (1 - mask))
    mean, log_variance = e(y, mask)
    z_tilde, noise = latents(model, y, keys, rng_streams.Z_TILDE)
    z_tilde = mean + np.exp(0.5 * log_variance) * z_tilde
    x_hat = decoded(model, y_tilde, m_tilde, z_tilde, noise) * (1 - m_tilde) + y_tilde
    y_hat = x_hat * mask

    w, name = model.loss_weights, model.gan_loss
    d_tilde, g_tilde = gan_losses(name, d(y, mask), d(y_tilde, m_tilde))
    d_hat, g_hat = gan_losses(name, d(y, mask), d(y_hat, mask))
    seen = mask.sum((1, 2, 3)) * y.shape[-1] / mask.shape[-1]
    squared = np.mean(((y_hat - y) ** 2).sum((1, 2, 3)) / seen)
    terms = {
        "gan_loss": g_tilde,
        "z_loss": np.mean((z_hat - z) ** 2),
        "y_squared_error": squared,
        "y_loss": w["y_squared_error"] * squared + g_hat,
        "d_y": d(y, mask).mean(),
        "d_y_tilde": d(y_tilde, m_tilde).mean(),
        "d_y_hat": d(y_hat, mask).mean(),
    }
    g_loss = sum(w[n] * terms[f"{n}_loss"] for n in ("gan", "z", "y"))
    d_loss = d_tilde if w["gan"] else d_hat
    if model.train_on_y_hat:
        d_loss = (d_tilde + d_hat) / 2
    return d_loss, g_loss, terms


# -- Algorithm 1 and its ablations ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("gan_loss", "options"),
    [
        ("hinge", {}),
        ("hinge", {"train_on_y_hat": True}),
        ("minimax", {"networks": {"normalization": "batch"}}),
        ("least_squares", {"discriminator": {"mask_input": True}, "encoder": {"mask_input": True}}),
        ("hinge", {"measurement": "Patch(6, 5, border=1)", "image_shape": (16, 16, 1)}),
        ("hinge", {"generator": {"input_fill": "push_pull", "noise_channels": 0}}),
        (
            "hinge",
            {"image_shape": (None, None, 3), "shape": (16, 24, 3), "networks": {"levels": 1}},
        ),
        ("hinge", {"measurement": CHANNELS}),
    ],
)
def test_the_losses_are_algorithm_1(gan_loss, options):
    model, y, mask = made({"gan": 0.9, "z": 0.3, "y": 0.4}, gan_loss=gan_loss, **options)
    keys = model.step_keys(4)
    d_expected, g_expected, terms = algorithm_1(model, y, mask, keys)
    d_loss, g_loss, logs = compute_losses(model, {"observation": y, "mask": mask}, keys)
    assert d_loss == pytest.approx(d_expected, abs=1e-4)
    assert g_loss == pytest.approx(g_expected, abs=1e-4)
    for name, value in terms.items():
        assert logs[name] == pytest.approx(value, abs=1e-4), name
    assert logs["d_loss"] == pytest.approx(d_loss)
    assert logs["g_loss"] == pytest.approx(g_loss)


@pytest.mark.parametrize("row", ROWS)
def test_the_rows_of_table_1_are_weights(row):
    """Each row uses exactly its terms: the others are neither logged nor computed."""
    model, y, mask = made(ROWS[row])
    calls = {"encode": 0, "score": 0}
    for network, method in ((model.encoder, "encode"), (model.discriminator, "score")):
        original = getattr(network, method)

        def counted(*args, method=method, original=original, **kwargs):
            calls[method] += 1
            return original(*args, **kwargs)

        setattr(network, method, counted)
    d_loss, g_loss, logs = compute_losses(model, y)
    on = row.split(" + ")
    assert set(logs) == {"g_loss", "std"}.union(*(LOGS[n] for n in on))
    assert set(logs) == set(model.log_names())
    assert calls == {"encode": ("z" in on) + ("y" in on), "score": 1 + ("gan" in on) + ("y" in on)}
    d_expected, _, terms = algorithm_1(model, y, mask, model.step_keys(4))
    expected = sum(model.loss_weights[n] * terms[f"{n}_loss"] for n in on)
    assert g_loss == pytest.approx(expected, abs=1e-4)
    assert d_loss == pytest.approx(d_expected, abs=1e-4)


def test_without_the_adversarial_term_on_y_tilde_d_is_trained_on_y_hat():
    model, y, mask = made({"gan": 0.0, "z": 0.0})
    d_expected, g_expected, _ = algorithm_1(model, y, mask, model.step_keys(4))
    d_loss, g_loss, _ = compute_losses(model, y)
    assert (d_loss, g_loss) == pytest.approx((d_expected, g_expected), abs=1e-4)


@pytest.mark.parametrize("term", ["energy", "splitting", "marginal"])
def test_logs_are_those_announced(term):
    model, y, _ = made({**OFF, term: 1.0})
    logs = compute_losses(model, y)[2]
    assert set(logs) == {"g_loss", "std", f"{term}_loss"} == set(model.log_names())


def test_the_logged_std_is_that_of_two_samples():
    model, y, mask = made()
    keys = model.step_keys(4)
    first, second = (
        decoded(model, y, mask, *latents(model, y, keys, stream), training=False)
        for stream in (rng_streams.Z, rng_streams.Z_DIVERSITY)
    )
    squares = 0.5 * (first - second) ** 2 * (1 - mask)
    expected = np.sqrt(squares.sum() / ((1 - mask).sum() * 3))
    assert compute_losses(model, y, keys)[2]["std"] == pytest.approx(expected, rel=1e-4)


# -- what each network sees -----------------------------------------------------------------------


@pytest.mark.parametrize("weights", [{}, {**OFF, "energy": 1.0}], ids=["paper", "energy"])
def test_values_under_an_explicit_mask_have_no_effect(weights):
    model, y, mask = made(weights)
    garbage = np.where(mask == 1, y, np.float32(np.nan))
    keys = model.step_keys(4)
    plain = compute_losses(model, {"observation": y, "mask": mask}, keys)
    assert compute_losses(model, {"observation": garbage, "mask": mask}, keys) == plain
    assert compute_losses(model, y, keys) == plain  # T(y) is the mask


def test_an_explicit_mask_wins():
    model, y, mask = made()
    keys = model.step_keys(4)
    empty = compute_losses(model, {"observation": y, "mask": mask * 0}, keys)
    assert empty != compute_losses(model, y, keys)


@pytest.mark.parametrize("term", ["energy", "splitting"])
@pytest.mark.parametrize("tau", [0.0, -1.0])
def test_scored_pixels_are_hidden_from_g(term, tau):
    model, y, mask = made(
        {**OFF, term: 1.0}, count=32, measurement=DropPixel(0.3, tau=tau), split_ratio=(0.2, 0.6)
    )
    (y_seen, mask_seen), *_ = observed_by(model.generator, model, {"observation": y, "mask": mask})
    assert (mask_seen <= mask).all()
    hidden = 1 - mask_seen.sum((1, 2, 3)) / mask.sum((1, 2, 3))
    assert 0.1 < hidden.min() < 0.35
    assert 0.45 < hidden.max() < 0.7
    seen = np.broadcast_to(mask_seen == 1, y.shape)
    same_bits(y_seen[seen], y[seen])
    assert (y_seen[~seen] == tau).all()


def test_nothing_is_hidden_without_a_term_that_scores_hidden_pixels():
    model, y, mask = made()
    (y_seen, mask_seen), *_ = observed_by(model.generator, model, y)
    same_bits(y_seen, y)
    same_bits(mask_seen, mask)


def test_the_split_is_by_the_models_arguments():
    """The split itself is tested with `measurements.split_mask`."""
    options = {"split_ratio": (0.3, 0.4), "split_by_measurement": 0.5, "context_dropout": 0.3}
    model, y, mask = made({**OFF, "energy": 1.0}, count=40, **options)
    keys = model.step_keys(40)
    expected = measurements.split_mask(model.measurement, mask, keys, (0.3, 0.4), 0.5, 0.3)
    same_bits(observed_by(model.generator, model, y, keys)[0][1], expected)


# -- terms beyond the paper -----------------------------------------------------------------------


def split(model, y, mask, keys):
    """Returns the observation that G sees, and the hidden pixels."""
    mask_seen = array(measurements.split_mask(model.measurement, mask, keys, model.split_ratio))
    return y * mask_seen, mask_seen, mask - mask_seen


def test_energy_and_splitting_by_hand():
    scales = (None, 2)
    model, y, mask = made({**OFF, "energy": 0.7, "splitting": 0.2}, energy_scales=scales)
    keys = model.step_keys(4)
    y_seen, mask_seen, hidden = split(model, y, mask, keys)
    first, second = (
        decoded(model, y_seen, mask_seen, *latents(model, y, keys, stream))
        for stream in (rng_streams.Z, rng_streams.Z_SECOND)
    )
    energy = float(losses.energy_score(first, second, y, hidden, scales))
    splitting = float(losses.mean_squared_error(first, y, hidden))
    _, g_loss, logs = compute_losses(model, y, keys)
    assert logs["energy_loss"] == pytest.approx(energy, abs=1e-5)
    assert logs["splitting_loss"] == pytest.approx(splitting, abs=1e-5)
    assert g_loss == pytest.approx(0.7 * energy + 0.2 * splitting, abs=1e-5)


def test_sample_every_scores_samples_of_a_part_and_the_mean_of_all():
    generator = {"width": 8, "max_width": 8, "normalization": None, "predicts_mean": True}
    weights = {**OFF, "energy": 1.0, "splitting": 1.0}
    part, y, _ = made(weights, count=5, generator=generator, sample_every=2)
    whole, *_ = made(weights, generator=generator)
    whole.set_weights(part.get_weights())
    keys = part.step_keys(5)
    logs = compute_losses(part, y, keys)[2]
    assert logs["energy_loss"] == pytest.approx(
        compute_losses(whole, y[::2], keys[::2])[2]["energy_loss"], abs=1e-6
    )
    every = compute_losses(whole, y, keys)[2]
    assert logs["splitting_loss"] == pytest.approx(every["splitting_loss"], abs=1e-6)
    assert logs["energy_loss"] != pytest.approx(every["energy_loss"], abs=1e-4)


def test_splitting_trains_a_predicted_mean():
    generator = {"input_fill": "push_pull", "predicts_mean": True}
    model, y, mask = made({**OFF, "energy": 1.0, "splitting": 1.0}, generator=generator)
    keys = model.step_keys(4)
    y_seen, mask_seen, hidden = split(model, y, mask, keys)
    mean = model.generator.observe(y_seen, mask_seen, training=True)["mean"]
    expected = float(losses.mean_squared_error(mean, y, hidden))
    logs = compute_losses(model, y, keys)[2]
    assert logs["splitting_loss"] == pytest.approx(expected, abs=1e-5)


def test_the_marginal_score_by_hand():
    """Reconstructions of two other images are scored on an observation, with its mask."""
    scales = (None, 2)
    model, y, mask = made({**OFF, "marginal": 0.3}, energy_scales=scales)
    keys = model.step_keys(4)
    x_tilde = decoded(model, y, mask, *latents(model, y, keys, rng_streams.Z)) * (1 - mask) + y
    first, second, third = (np.array([(i - k) % 4 for i in range(4)]) for k in (0, 1, 2))
    expected = losses.energy_score(x_tilde[first], x_tilde[second], y[third], mask[third], scales)
    _, g_loss, logs = compute_losses(model, y, keys)
    assert logs["marginal_loss"] == pytest.approx(float(expected), abs=1e-5)
    assert g_loss == pytest.approx(0.3 * float(expected), abs=1e-5)
    # Two images have no two others.
    _, g_loss, logs = compute_losses(model, y[:2], model.step_keys(2))
    assert logs["marginal_loss"] == g_loss == 0.0


# -- steps ----------------------------------------------------------------------------------------


def test_images_of_one_channel_and_any_size_step():
    model, y, _ = made(image_shape=(None, None, 1), shape=(16, 32, 1), networks={"levels": 2})
    assert all(np.isfinite(v) for v in model.train_step(y).values())


def test_fully_observed_and_fully_hidden_images_step():
    model, _, mask = made({"energy": 1.0, "splitting": 1.0})
    mask[0], mask[1] = 1, 0
    logs = model.train_step({"observation": images(4), "mask": mask})
    assert all(np.isfinite(v) for v in logs.values())
    assert all(np.isfinite(w).all() for w in model.get_weights())


def test_batch_statistics_of_g_are_those_of_observations():
    """Equation 7's pass over second measurements leaves the statistics unchanged."""
    found = []
    for weights in ({"z": 0.0, "y": 0.0}, {"z": 0.0, "y": 0.5}):
        keras.utils.set_random_seed(5)
        model, y, _ = made(weights, generator={"normalization": "batch"})
        compute_losses(model, y)
        found.append([w for w in model.generator.non_trainable_weights if "moving" in w.path])
    assert found[0]
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(array(a), array(b), atol=1e-6)
    assert max(np.abs(array(w)).max() for w in found[0] if "mean" in w.path) > 0
