"""The objective against Algorithm 1 composed by hand, its ablations, and what it shows to whom."""

import keras
import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from keras_uai import losses, random
from keras_uai.measurements import DropPixel, Patch
from keras_uai.models import UAI, uai
from tests.testing import array, images, observations, run_serialization_test, same_bits, tiny_uai

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
}


def made(weights=None, count=4, gan_loss="hinge", **kwargs):
    model = tiny_uai(**kwargs)
    model.compile(loss_weights=weights, gan_loss=gan_loss)
    y, mask = observations(model.measurement, count, model.image_shape)
    return model, y, mask


def objective(model, data, keys=None):
    batch = model.unpack(data)
    keys = model.step_keys(len(batch["y"])) if keys is None else keys
    d_loss, g_loss, logs = model.objective(batch, keys, training=True)
    return float(d_loss), float(g_loss), {k: float(v) for k, v in logs.items()}


def gan_losses(name, real, fake):
    """`(D's loss, G's loss)` in numpy."""
    if name == "hinge":
        return np.maximum(0, 1 - real).mean() + np.maximum(0, 1 + fake).mean(), -fake.mean()
    if name == "minimax":
        d = np.log1p(np.exp(-real)).mean() + np.log1p(np.exp(fake)).mean()
        return d, np.log1p(np.exp(-fake)).mean()
    return 0.5 * ((real - 1) ** 2).mean() + 0.5 * (fake**2).mean(), 0.5 * ((fake - 1) ** 2).mean()


def algorithm_1(model, y, mask, keys):
    """The box of the paper, line by line, from the networks' plain calls and numpy."""

    def g(y, mask, z):
        return array(model.generator([tf.constant(v) for v in (y, mask, z)], training=True))

    def d(y, mask):
        return array(model.discriminator.score(y, mask, training=True))

    def e(y, mask):
        return (array(v) for v in model.encoder.encode(y, mask, training=True))

    def noise(purpose):
        return array(random.normal(random.fold_in(keys, purpose), (model.generator.z_dim,)))

    size = model.latent_dim
    m_tilde = array(model.measurement.sample(random.fold_in(keys, uai._MASK_TILDE), 16, 16))
    z = noise(uai._Z)
    x_tilde = g(y, mask, z) * (1 - mask) + y
    y_tilde = x_tilde * m_tilde
    z_hat, _ = e(y_tilde * (1 - mask), m_tilde * (1 - mask))
    mean, log_variance = e(y, mask)
    z_tilde = noise(uai._Z_TILDE)
    z_tilde[:, :size] = mean + np.exp(0.5 * log_variance) * z_tilde[:, :size]
    x_hat = g(y_tilde, m_tilde, z_tilde) * (1 - m_tilde) + y_tilde
    y_hat = x_hat * mask

    w, name = model.loss_weights, model.gan_loss
    d_tilde, g_tilde = gan_losses(name, d(y, mask), d(y_tilde, m_tilde))
    d_hat, g_hat = gan_losses(name, d(y, mask), d(y_hat, mask))
    seen = mask.sum((1, 2, 3)) * y.shape[-1]
    squared = np.mean(((y_hat - y) ** 2).sum((1, 2, 3)) / seen)
    terms = {
        "gan_loss": g_tilde,
        "z_loss": np.mean((z_hat - z[:, :size]) ** 2),
        "y_squared_error": squared,
        "y_loss": w["y_squared_error"] * squared + g_hat,
        "d_y": d(y, mask).mean(),
        "d_y_tilde": d(y_tilde, m_tilde).mean(),
        "d_y_hat": d(y_hat, mask).mean(),
    }
    g_loss = sum(w[n] * terms[f"{n}_loss"] for n in ("gan", "z", "y"))
    d_loss = d_tilde if w["gan"] else d_hat
    if model.discriminate_y_hat:
        d_loss = (d_tilde + d_hat) / 2
    return d_loss, g_loss, terms


# -- Algorithm 1 and its ablations ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gan_loss", "options"),
    [
        ("hinge", {}),
        ("hinge", {"discriminate_y_hat": True}),
        ("minimax", {"networks": {"normalization": "batch"}}),
        ("least_squares", {"discriminator": {"sees_mask": True}, "encoder": {"sees_mask": True}}),
        ("hinge", {"measurement": "Patch(6, 5, border=1)", "image_shape": (16, 16, 1)}),
        ("hinge", {"generator": {"fill": True, "noise_channels": 0}}),
    ],
)
def test_the_objective_is_algorithm_1(gan_loss, options):
    model, y, mask = made({"gan": 0.9, "z": 0.3, "y": 0.4}, gan_loss=gan_loss, **options)
    keys = model.step_keys(4)
    d_expected, g_expected, terms = algorithm_1(model, y, mask, keys)
    d_loss, g_loss, logs = objective(model, y, keys)
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
    calls = {"encoder": [], "discriminator": []}
    for name, method in (("encoder", "encode"), ("discriminator", "score")):
        network = getattr(model, name)
        original = getattr(network, method)

        def counted(*args, name=name, original=original, **kwargs):
            calls[name].append(args)
            return original(*args, **kwargs)

        setattr(network, method, counted)
    d_loss, g_loss, logs = objective(model, y)
    on = row.split(" + ")
    assert set(logs) == {"g_loss", "std"}.union(*(LOGS[n] for n in on))
    assert set(logs) == set(model.log_names()) - {"mse", "mse_mean"}
    assert len(calls["encoder"]) == ("z" in on) + ("y" in on)
    assert len(calls["discriminator"]) == 1 + ("gan" in on) + ("y" in on)
    d_expected, _, terms = algorithm_1(model, y, mask, model.step_keys(4))
    expected = sum(model.loss_weights[n] * terms[f"{n}_loss"] for n in on)
    assert g_loss == pytest.approx(expected, abs=1e-4)
    assert d_loss == pytest.approx(d_expected, abs=1e-4)


def test_without_the_game_on_y_tilde_d_is_trained_on_y_hat():
    model, y, mask = made({"gan": 0.0, "z": 0.0})
    d_expected, g_expected, _ = algorithm_1(model, y, mask, model.step_keys(4))
    d_loss, g_loss, _ = objective(model, y)
    assert (d_loss, g_loss) == pytest.approx((d_expected, g_expected), abs=1e-4)


def test_logs_are_those_announced():
    for term in ("energy", "splitting"):
        model, y, _ = made({**OFF, term: 1.0})
        logs = objective(model, y)[2]
        assert set(logs) == {"g_loss", "std", f"{term}_loss"}
        assert set(logs) == set(model.log_names()) - {"mse", "mse_mean"}
        assert set(model.trackers) == set(model.log_names())


def test_the_logged_std_is_that_of_two_samples():
    model, y, mask = made()
    keys = model.step_keys(4)
    x = [
        array(model.generator([tf.constant(y), tf.constant(mask), model.draw_z(keys, purpose)]))
        for purpose in (uai._Z, uai._Z_DIVERSITY)
    ]
    squares = 0.5 * (x[0] - x[1]) ** 2 * (1 - mask)
    expected = np.sqrt(squares.sum() / ((1 - mask).sum() * 3))
    assert objective(model, y, keys)[2]["std"] == pytest.approx(expected, rel=1e-4)


# -- what is shown to whom --------------------------------------------------------------------------


@pytest.mark.parametrize("weights", [{}, {**OFF, "energy": 1.0}], ids=["paper", "energy"])
def test_what_lies_under_an_explicit_mask_matters_to_nothing(weights):
    model, y, mask = made(weights)
    garbage = np.where(mask == 1, y, np.float32(np.nan))
    keys = model.step_keys(4)
    plain = objective(model, {"observation": y, "mask": mask}, keys)
    assert objective(model, {"observation": garbage, "mask": mask}, keys) == plain
    assert objective(model, y, keys) == plain  # T(y) is the mask


def test_an_explicit_mask_wins():
    model, y, mask = made()
    keys = model.step_keys(4)
    assert objective(model, {"observation": y, "mask": mask * 0}, keys) != objective(model, y, keys)


def shown(model, data):
    """What G's first pass is given: `(y_seen, mask_seen)`."""
    seen, original = [], model.generator.observe

    def observe(y, mask, training=False):
        seen.append((array(y), array(mask)))
        return original(y, mask, training=training)

    model.generator.observe = observe
    objective(model, data)
    model.generator.observe = original
    return seen[0]


@pytest.mark.parametrize("term", ["energy", "splitting"])
@pytest.mark.parametrize("tau", [0.0, -1.0])
def test_what_is_scored_was_hidden_from_g(term, tau):
    model, y, mask = made(
        {**OFF, term: 1.0}, count=32, measurement=DropPixel(0.3, tau=tau), hide=(0.2, 0.6)
    )
    y_seen, mask_seen = shown(model, {"observation": y, "mask": mask})
    assert (mask_seen <= mask).all()
    hidden = 1 - mask_seen.sum((1, 2, 3)) / mask.sum((1, 2, 3))
    assert 0.1 < hidden.min() < 0.35
    assert 0.45 < hidden.max() < 0.7
    seen = np.broadcast_to(mask_seen == 1, y.shape)
    same_bits(y_seen[seen], y[seen])
    assert (y_seen[~seen] == tau).all()


def test_without_a_term_that_scores_hidden_pixels_nothing_is_hidden():
    model, y, mask = made()
    y_seen, mask_seen = shown(model, y)
    same_bits(y_seen, y)
    same_bits(mask_seen, mask)


def test_flips_mirror_half_of_the_images_with_their_masks():
    model, y, mask = made(count=40, flip=True)
    y_seen, mask_seen = shown(model, y)
    mirrored = [np.array_equal(a, b[:, ::-1]) for a, b in zip(y_seen, y, strict=True)]
    same = [np.array_equal(a, b) for a, b in zip(y_seen, y, strict=True)]
    assert all(m != s for m, s in zip(mirrored, same, strict=True))
    assert 8 < sum(mirrored) < 32
    same_bits(mask_seen, np.where(np.array(mirrored)[:, None, None, None], mask[:, :, ::-1], mask))
    np.testing.assert_array_equal(model.inpaint(y, num_samples=1)[:, 0] * mask, y)  # training only


def test_energy_and_splitting_by_hand():
    scales = (None, 2)
    model, y, _ = made({**OFF, "energy": 0.7, "splitting": 0.2}, energy_scales=scales)
    keys = model.step_keys(4)
    y_seen, mask_seen = shown(model, y)
    mask = (y != 0).any(-1, keepdims=True).astype("float32")
    x_1, x_2 = (
        model.generator([tf.constant(y_seen), tf.constant(mask_seen), model.draw_z(keys, purpose)])
        for purpose in (uai._Z, uai._Z_SECOND)
    )
    energy = float(losses.energy_score(x_1, x_2, y, mask - mask_seen, scales))
    splitting = float(losses.mean_squared_error(x_1, y, mask - mask_seen))
    _, g_loss, logs = objective(model, y, keys)
    assert logs["energy_loss"] == pytest.approx(energy, abs=1e-5)
    assert logs["splitting_loss"] == pytest.approx(splitting, abs=1e-5)
    assert g_loss == pytest.approx(0.7 * energy + 0.2 * splitting, abs=1e-5)


def test_a_mean_is_trained_by_splitting_and_z_by_the_energy():
    generator = {"fill": True, "predicts_mean": True}
    model, y, _ = made({**OFF, "energy": 1.0, "splitting": 1.0}, generator=generator)
    batch, keys = model.unpack(y), model.step_keys(4)
    y_seen, mask_seen = model._hide(batch["y"], batch["mask"], keys)
    mean = array(model.generator.observe(y_seen, mask_seen)[-1])
    expected = losses.mean_squared_error(mean, y, array(batch["mask"]) - array(mask_seen))
    assert objective(model, y, keys)[2]["splitting_loss"] == pytest.approx(
        float(expected), abs=1e-5
    )


# -- the latent's distributions ---------------------------------------------------------------------


def test_prior_is_standard_normal():
    model, _, _ = made()
    prior = model.prior
    assert prior.event_shape == (6,)
    point = np.linspace(-1, 1, 6).astype("float32")
    expected = scipy.stats.norm.logpdf(point).sum()
    assert float(prior.log_prob(point)) == pytest.approx(expected, rel=1e-5)
    draws = array(prior.sample(20_000, seed=1))
    assert np.abs(draws.mean(0)).max() < 5 / np.sqrt(20_000)
    assert np.abs(draws.var(0) - 1).max() < 5 * np.sqrt(2 / 20_000)


def test_posterior_is_what_e_predicts():
    model, y, mask = made()
    layer = model.encoder.get_layer("log_variance")
    layer.bias.assign(np.linspace(-1, 0.5, 6))  # a fresh E has variance 1
    posterior = model.posterior(y)
    mean, log_variance = (array(v, "float64") for v in model.encoder.encode(y, mask))
    assert posterior.batch_shape == (4,)
    assert posterior.event_shape == (6,)
    np.testing.assert_allclose(posterior.mean(), mean, atol=1e-5)
    np.testing.assert_allclose(posterior.stddev(), np.exp(0.5 * log_variance), rtol=1e-5)
    point = np.ones((4, 6), "float32")
    expected = scipy.stats.norm.logpdf(point, mean, np.exp(0.5 * log_variance)).sum(1)
    np.testing.assert_allclose(posterior.log_prob(point), expected, rtol=1e-4)
    import tensorflow_probability as tfp

    divergence = tfp.distributions.kl_divergence(posterior, model.prior)
    closed = 0.5 * (mean**2 + np.exp(log_variance) - 1 - log_variance).sum(1)
    np.testing.assert_allclose(divergence, closed, rtol=1e-4)
    assert float(losses.gaussian_kl(mean, log_variance)) == pytest.approx(
        closed.mean() / 6, rel=1e-4
    )
    same_bits(model.posterior(y, mask).mean(), posterior.mean())


# -- construction -----------------------------------------------------------------------------------


def test_serialization():
    hidden = {
        n: lambda m, n=n: m.get_config()[n] for n in ("generator", "discriminator", "encoder")
    }
    model = run_serialization_test(
        UAI,
        {
            "image_shape": (16, 16, 1),
            "measurement": Patch(3, 5, border=1, tau=0.25),
            "latent_dim": 5,
            "average_decay": 0.9,
            "discriminate_y_hat": True,
            "hide": (0.2, 0.3),
            "energy_scales": (None, 4),
            "flip": True,
            "seed": 7,
            "generator": {"width": 8, "max_width": 16, "stem": 2, "fill": True},
            "discriminator": {"width": 8, "max_width": 8, "sees_mask": True},
            "encoder": {"width": 8, "max_width": 8, "depth": 2},
            "name": "mine",
        },
        hidden,
    )
    assert (model.generator.width, model.generator.fill, model.generator.latent_dim) == (8, True, 5)
    assert model.discriminator.sees_mask
    assert (model.encoder.depth, model.encoder.latent_dim) == (2, 5)


def test_recommended_is_compiled_and_can_be_overridden():
    small = {"width": 8, "max_width": 16}
    model = UAI.recommended(
        (16, 16, 1),
        "DropPixel(0.5)",
        steps=1000,
        generator=small,
        discriminator=small,
        encoder=small,
        seed=3,
    )
    assert (model.generator.width, model.generator.fill, model.seed) == (8, True, 3)
    assert model.compiled
    assert model.loss_weights["energy"] > 0
    schedule = model.optimizer._learning_rate
    assert float(schedule(0)) == 0
    assert float(schedule(1000)) == pytest.approx(0, abs=1e-7)
    assert float(schedule(101)) == pytest.approx(1e-3, rel=0.1)
    logs = model.train_step(observations(model.measurement, 4, (16, 16, 1))[0])
    assert all(np.isfinite(v) for v in logs.values())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"image_shape": (20, 20, 3)}, "Received: image_shape="),
        ({"image_shape": 16}, "Received: image_shape=16"),
        ({"measurement": "Patch(3, 30)"}, "Received: k=30, border=4, image size 16 x 16"),
        ({"measurement": None}, "Received: None"),
        ({"average_decay": 1.0}, "Received: average_decay=1.0"),
        ({"hide": 0.3}, "Received: hide=0.3"),
        ({"hide": (0.5, 0.2)}, r"Received: hide=\(0.5, 0.2\)"),
        ({"hide": (0.0, 0.2)}, r"Received: hide=\(0.0, 0.2\)"),
        ({"energy_scales": (32,)}, r"Received: energy_scales=\(32,\)"),
    ],
)
def test_arguments_that_cannot_be(arguments, message):
    with pytest.raises(ValueError, match=message):
        UAI(**{"image_shape": (16, 16, 3), "measurement": "DropPixel(0.5)", **arguments})


def test_unknown_arguments_of_networks_are_refused():
    for network in ("generator", "discriminator", "encoder"):
        with pytest.raises(TypeError, match="widht"):
            UAI((16, 16, 3), "DropPixel(0.5)", **{network: {"widht": 8}})


def test_images_of_one_channel_step():
    model, y, _ = made(image_shape=(16, 16, 1))
    assert all(np.isfinite(v) for v in model.train_step(y).values())
    assert keras.ops.shape(y) == (4, 16, 16, 1)


def test_fully_observed_and_fully_hidden_images_step():
    """Batches as users have them: some images complete, some empty."""
    model, _, mask = made({"energy": 1.0, "splitting": 1.0})
    mask[0], mask[1] = 1, 0
    logs = model.train_step({"observation": images(4), "mask": mask})
    assert all(np.isfinite(v) for v in logs.values())
    assert all(np.isfinite(w).all() for w in model.get_weights())
