"""The objective against Algorithm 1 composed by hand, its ablations, and what it shows to whom."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_uai import losses, random
from keras_uai.measurements import DropPixel
from keras_uai.models import purposes
from tests.models.oracles import gan_losses
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
    m_tilde = array(model.measurement.sample(random.fold_in(keys, purposes.MASK_TILDE), 16, 16))
    z = noise(purposes.Z)
    x_tilde = g(y, mask, z) * (1 - mask) + y
    y_tilde = x_tilde * m_tilde
    z_hat, _ = e(y_tilde * (1 - mask), m_tilde * (1 - mask))
    mean, log_variance = e(y, mask)
    z_tilde = noise(purposes.Z_TILDE)
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
    for term in ("energy", "splitting", "marginal"):
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
        for purpose in (purposes.Z, purposes.Z_DIVERSITY)
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
        for purpose in (purposes.Z, purposes.Z_SECOND)
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


def test_the_marginal_score_by_hand():
    """Reconstructions of two other images on an observation: the third image's, with its mask."""
    scales = (None, 2)
    model, y, mask = made({**OFF, "marginal": 0.3}, energy_scales=scales, energy_spread=1.2)
    keys = model.step_keys(4)
    z = model.draw_z(keys, purposes.Z)
    x_tilde = array(model.generator([tf.constant(y), tf.constant(mask), z])) * (1 - mask) + y
    order = [np.array([(i - k) % 4 for i in range(4)]) for k in (0, 1, 2)]
    first, second, third = order
    expected = losses.energy_score(x_tilde[first], x_tilde[second], y[third], mask[third], scales)
    _, g_loss, logs = objective(model, y, keys)
    assert logs["marginal_loss"] == pytest.approx(float(expected), abs=1e-5)
    assert g_loss == pytest.approx(0.3 * float(expected), abs=1e-5)
    # Of two images there are no two others.
    _, g_loss, logs = objective(model, y[:2], model.step_keys(2))
    assert logs["marginal_loss"] == g_loss == 0.0


def test_all_is_hidden_of_the_share_of_images_asked_for():
    usual, hidden = (
        shown(model, y)[1].sum((1, 2, 3))
        for model, y, _ in (
            made({**OFF, "energy": 1.0}, count=200, hide_all=share) for share in (0.0, 0.3)
        )
    )
    left = usual > 0
    assert left.sum() > 100
    assert set((hidden / np.maximum(usual, 1))[left]) == {0.0, 1.0}
    assert 0.16 < (hidden[left] == 0).mean() < 0.44  # binomial: 0.3 +- 3 standard deviations


def test_the_statistics_of_g_are_those_of_observations():
    """G is used on observations; the pass of equation 7 on second measurements leaves its statistics alone."""
    found = []
    for weights in ({"z": 0.0, "y": 0.0}, {"z": 0.0, "y": 0.5}):
        keras.utils.set_random_seed(5)
        model, y, _ = made(weights, generator={"normalization": "batch"})
        objective(model, y)
        found.append([w for w in model.generator.non_trainable_weights if "moving" in w.path])
    assert found[0]
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(array(a), array(b), atol=1e-6)
    assert max(np.abs(array(w)).max() for w in found[0] if "mean" in w.path) > 0
