"""UAI: Unsupervised Adversarial Image Inpainting (Pajot, de Bézenac, Gallinari)."""

import keras
from keras import ops

from keras_uai import losses, measurements, networks, random
from keras_uai import rng_streams as streams
from keras_uai.checks import check_integer
from keras_uai.layers import freeze_batch_statistics
from keras_uai.models import recommended
from keras_uai.models.base import InpaintingModel
from keras_uai.models.latent_distributions import gaussian
from keras_uai.models.logs import pair_std


@keras.saving.register_keras_serializable("keras_uai")
class UAI(InpaintingModel):
    """Learns to inpaint, and to sample reconstructions, from damaged images only (Algorithm 1).

    A step draws z and a fresh mask, reconstructs the observation, and measures the reconstruction
    again. D must not tell the result from observations of the data set (equation 5). Two further
    terms make z matter: E recovers z from what G generated (equation 6), and the observation must
    come back from its own second measurement and the latent that E predicts from it (equation 7).
    Weights of 0 give the four rows of Table 1.

    Where the paper disagrees with itself, Algorithm 1 is followed: D is trained on y and y_tilde
    (on y_hat too, as in equation 7, with `train_on_y_hat=True`); `"y"` weights the whole of L^y
    (equation 8) and `"y_squared_error"` its squared error (Algorithm 1's lambda_rec_y); equations 5
    to 7 lose the factor `1 - mask` of equation 4. Squared norms are means over values, so that
    weights do not depend on the size.

    Terms beyond the paper, off by default, hide some observed pixels from G and score its
    predictions there: `"energy"` scores two samples with the energy score, `"splitting"` the
    predicted mean (or one sample) with the squared error. All terms then use the remaining
    observation. `"marginal"` scores the reconstructions of two other images, measured with an
    image's mask, on its observation. It reaches pixels that are always far from observed ones (a
    single patch), about which hidden pixels say nothing. It is 0 for fewer than three images.

    Args:
        image_shape, measurement, values, latent_dim, ema_decay, seed, generator, name: See
            `InpaintingModel`.
        sampler: A `sampling.OneStage` (default) or `TwoStage`, used by inference.
        train_on_y_hat: Whether D is trained on y_hat, too.
        split_ratio: `(low, high)`. The hidden share of the observed pixels is uniform in this
            range, one draw per image.
        split_by_measurement: Share of the images in which the pixels that a fresh mask of the
            measurement misses are hidden instead; see `measurements.split_mask`.
        context_dropout: Share of the images in which all observed pixels are hidden.
        energy_scales: Sides of the cells, in pixels, whose averages the energy score compares;
            see `losses.energy_score`.
        sample_every: K. Samples are drawn and scored for every K-th image of a batch, which saves
            time. The splitting term of a predicted mean always uses the whole batch.
        discriminator, encoder: Dicts of arguments of the networks that differ from their defaults.

    Example:

    >>> measurement = keras_uai.measurements.DropPixel(0.9)
    >>> ds = keras_uai.datasets.load(
    ...     "drawn_faces", image_size=16, measurement=measurement, batch_size=8, limit=16
    ... )
    >>> model = keras_uai.models.UAI.recommended((16, 16, 3), measurement)
    >>> history = model.fit(ds, epochs=1, verbose=0)
    >>> y = next(iter(ds)).numpy()
    >>> model.inpaint(y, num_samples=10, seed=0).shape
    (8, 10, 16, 16, 3)
    """

    default_loss_weights = {
        "gan": 1.0,
        "z": 1.0,
        "y": 1.0,
        "y_squared_error": 10.0,
        "energy": 0.0,
        "splitting": 0.0,
        "marginal": 0.0,
    }
    fixed_generator = {"conditional": True}
    #: Letter of the images that D scores, for the logs.
    discriminator_domain = "y"

    def __init__(
        self,
        image_shape,
        measurement,
        values=None,
        latent_dim=128,
        ema_decay=None,
        sampler=None,
        train_on_y_hat=False,
        split_ratio=(0.1, 0.5),
        split_by_measurement=0.0,
        context_dropout=0.0,
        energy_scales=(None, 1, 2, 4, 8, 16),
        sample_every=1,
        seed=0,
        generator=None,
        discriminator=None,
        encoder=None,
        name=None,
    ):
        super().__init__(
            image_shape, measurement, values, latent_dim, ema_decay, seed, generator, name
        )
        self.train_on_y_hat = bool(train_on_y_hat)
        self.split_ratio, self.split_by_measurement, self.context_dropout = (
            measurements.check_split(split_ratio, split_by_measurement, context_dropout)
        )
        self.energy_scales = losses.check_energy_scales(energy_scales)
        self.sample_every = check_integer("UAI", "sample_every", sample_every, 1)
        self.sampler = sampler
        self.discriminator_config = dict(discriminator or {})
        self.encoder_config = dict(encoder or {})
        self.discriminator = self.build_network(networks.Discriminator, self.discriminator_config)
        self.encoder = self.build_network(
            networks.Encoder, self.encoder_config, latent_dim=self.latent_dim
        )
        self.build()

    @classmethod
    def recommended(cls, image_shape, measurement, steps=None, **overrides):
        """Builds and compiles a model in the configuration that measured best.

        G predicts a mean beside its samples. The mean is trained by splitting, the samples by the
        energy score at several scales. The paper's terms are off. Call `calibrate_spread` after
        `fit`. Use small batches (16 at 32 pixels).

        Args:
            image_shape, measurement: As in `UAI`.
            steps: Number of updates of the training: the learning rate then falls to 0 along a
                cosine. `None` keeps it constant.
            **overrides: Arguments of `UAI` that differ; dicts of network arguments are merged.

        Raises:
            ValueError: for a class that differs from `UAI` in its adversarial terms only.
        """
        if cls.required_images:
            raise ValueError(
                "The recommended configuration has no adversarial terms and would ignore unpaired "
                f"images: use UAI.recommended. Received: {cls.__name__}"
            )
        measurement = measurements.get(measurement)
        model = cls(image_shape, measurement, **recommended.arguments(measurement, overrides))
        model.compile(**recommended.compile_arguments(measurement, steps))
        return model

    # -- networks and logs -----------------------------------------------------------------------

    def generator_networks(self, every=False):
        encodes = self.loss_weights["z"] or self.loss_weights["y"] if not every else True
        return [self.generator, self.encoder] if encodes else [self.generator]

    def discriminator_networks(self, every=False):
        discriminates = self.loss_weights["gan"] or self.loss_weights["y"] if not every else True
        return [self.discriminator] if discriminates else []

    def log_names(self):
        w, letter = self.loss_weights, self.discriminator_domain
        names = ["g_loss", "std"]
        names += ["d_loss", f"d_{letter}"] if self.discriminator_networks() else []
        names += ["gan_loss", f"d_{letter}_tilde"] if w["gan"] else []
        names += ["z_loss"] if w["z"] else []
        names += ["y_loss", "y_squared_error", f"d_{letter}_hat"] if w["y"] else []
        return names + [f"{name}_loss" for name in ("energy", "splitting", "marginal") if w[name]]

    # -- Algorithm 1 -----------------------------------------------------------------------------

    def compute_losses(self, batch, keys, training):
        w, y, mask_y = self.loss_weights, batch["y"], batch["mask"]
        letter = self.discriminator_domain
        logs, fakes, g_loss, d_loss = {}, [], 0.0, 0.0
        y_seen, mask_seen = self._split(batch, keys)
        features = self.generator.observe(y_seen, mask_seen, training=training)
        if w["splitting"] and self.generator.predicts_mean:
            hidden = mask_y - mask_seen
            logs["splitting_loss"] = losses.mean_squared_error(features["mean"], y, hidden)
            g_loss += w["splitting"] * logs["splitting_loss"]
        if self.sample_every > 1:
            features, batch, y_seen, mask_seen, keys = keras.tree.map_structure(
                lambda value: value[:: self.sample_every],
                (features, batch, y_seen, mask_seen, keys),
            )
            y, mask_y = batch["y"], batch["mask"]
        # Sample m_tilde from p_M and z from p_z.
        mask_tilde = self.sample_masks(random.fold_in(keys, streams.MASK_TILDE), y)
        style, noise = self.draw_latents(random.fold_in(keys, streams.Z), y)
        # x_tilde = G(y, z) * (1 - m^y) + y
        image = self.generator.decode(features, style, noise, training=training)
        x_tilde = self.composite(image, y_seen, mask_seen)
        # y_tilde = F(x_tilde, m_tilde)
        y_tilde = self.measurement(x_tilde, mask_tilde)
        if w["gan"]:
            fakes.append(self._discriminate(x_tilde, mask_tilde, training))
            logs["gan_loss"] = self.generator_loss(fakes[-1])
            logs[f"d_{letter}_tilde"] = ops.mean(fakes[-1])
            g_loss += w["gan"] * logs["gan_loss"]
        if w["z"]:
            # z_hat = E(y_tilde * (1 - m^y)) must be z (equation 6).
            generated = mask_tilde * (1.0 - mask_seen)
            z_hat, _ = self.encoder.encode(
                self.measurement(y_tilde, generated), generated, training=training
            )
            logs["z_loss"] = losses.mean_squared_error(z_hat, style)
            g_loss += w["z"] * logs["z_loss"]
        if w["y"]:
            x_hat = self._x_hat(y, mask_y, y_tilde, mask_tilde, keys, training)
            fake = self._discriminate(x_hat, mask_y, training)
            if self.train_on_y_hat or not fakes:
                fakes.append(fake)
            # y_hat = F(x_hat, m^y) must be y (equation 7).
            y_hat = self.measurement(x_hat, mask_y)
            logs["y_squared_error"] = losses.mean_squared_error(y_hat, y, mask_y)
            logs[f"d_{letter}_hat"] = ops.mean(fake)
            squared_error = w["y_squared_error"] * logs["y_squared_error"]
            logs["y_loss"] = self.generator_loss(fake) + squared_error
            g_loss += w["y"] * logs["y_loss"]
        if fakes:
            real = self._discriminate_data(batch, training)
            logs[f"d_{letter}"] = ops.mean(real)
            d_loss = sum(self.discriminator_loss(real, fake) for fake in fakes) / len(fakes)
            logs["d_loss"] = d_loss
        hidden = mask_y - mask_seen
        if w["splitting"] and not self.generator.predicts_mean:
            logs["splitting_loss"] = losses.mean_squared_error(image, y, hidden)
            g_loss += w["splitting"] * logs["splitting_loss"]
        if w["energy"]:
            latents = self.draw_latents(random.fold_in(keys, streams.Z_SECOND), y)
            second = self.generator.decode(features, *latents, training=training)
            logs["energy_loss"] = losses.energy_score(image, second, y, hidden, self.energy_scales)
            g_loss += w["energy"] * logs["energy_loss"]
            logs["std"] = pair_std(image, second, mask_seen)
        else:
            logs["std"] = self._diversity(features, y, mask_seen, keys)
        if w["marginal"]:
            logs["marginal_loss"] = self._marginal_score(x_tilde, y, mask_y)
            g_loss += w["marginal"] * logs["marginal_loss"]
        logs["g_loss"] = g_loss
        return d_loss, g_loss, logs

    def _split(self, batch, keys):
        """Returns the observation that G sees: y, or a part of it if hidden pixels are scored."""
        y, mask_y = batch["y"], batch["mask"]
        if not (self.loss_weights["energy"] or self.loss_weights["splitting"]):
            return y, mask_y
        if "seen" in batch:
            return self.measurement(y, batch["seen"]), batch["seen"]
        mask_seen = measurements.split_mask(
            self.measurement,
            mask_y,
            keys,
            self.split_ratio,
            self.split_by_measurement,
            self.context_dropout,
        )
        return self.measurement(y, mask_seen), mask_seen

    def _x_hat(self, y, mask_y, y_tilde, mask_tilde, keys, training):
        """Reconstructs the second measurement with the latent that E predicts of y (equation 7)."""
        # z_tilde ~ E(y)
        mean, log_variance = self.encoder.encode(y, mask_y, training=training)
        style, noise = self.draw_latents(random.fold_in(keys, streams.Z_TILDE), y)
        style = mean + ops.exp(0.5 * log_variance) * style
        # x_hat = G(y_tilde, z_tilde) * (1 - m_tilde) + y_tilde. Inference uses G on y: only these
        # statistics count.
        with freeze_batch_statistics():
            features = self.generator.observe(y_tilde, mask_tilde, training=training)
            image = self.generator.decode(features, style, noise, training=training)
        return self.composite(image, y_tilde, mask_tilde)

    def _discriminate_data(self, batch, training):
        """Computes D's logits of the data."""
        return self.discriminator.score(batch["y"], batch["mask"], training=training)

    def _discriminate(self, x, mask, training):
        """Computes D's logits of reconstructions, measured with `mask`."""
        return self.discriminator.score(self.measurement(x, mask), mask, training=training)

    def _marginal_score(self, x_tilde, y, mask_y):
        """Scores the reconstructions of images i and i - 1 on the observation of image i - 2."""
        y, mask_y = (ops.roll(v, 2, axis=0) for v in (y, mask_y))
        enough = ops.cast(ops.shape(y)[0] >= 3, "float32")
        second = ops.roll(x_tilde, 1, axis=0)
        return enough * losses.energy_score(x_tilde, second, y, mask_y, self.energy_scales)

    def _diversity(self, features, y, mask_seen, keys, count=8):
        """Computes the std of two samples of a batch's first images, for the logs."""
        features = {name: value[:count] for name, value in features.items()}
        first, second = (
            self.generator.decode(
                features,
                *self.draw_latents(random.fold_in(keys[:count], stream), y),
                training=False,
            )
            for stream in (streams.Z, streams.Z_DIVERSITY)
        )
        return ops.stop_gradient(pair_std(first, second, mask_seen[:count]))

    # -- distributions of z ----------------------------------------------------------------------

    def prior(self):
        """Returns p_z of the style as a TensorFlow Probability distribution.

        Its event shape is `(latent_dim,)`. Needs the TensorFlow backend.
        """
        return gaussian(ops.zeros((self.latent_dim,)), ops.ones((self.latent_dim,)))

    def posterior(self, y, mask):
        """Returns `E(y)` as a TensorFlow Probability distribution of batch shape `(N,)`."""
        mean, log_variance = self.encoder.encode(y, mask)
        return gaussian(mean, ops.exp(0.5 * log_variance))

    def get_config(self):
        return {
            **super().get_config(),
            "sampler": keras.saving.serialize_keras_object(self.sampler),
            "train_on_y_hat": self.train_on_y_hat,
            "split_ratio": self.split_ratio,
            "split_by_measurement": self.split_by_measurement,
            "context_dropout": self.context_dropout,
            "energy_scales": self.energy_scales,
            "sample_every": self.sample_every,
            "discriminator": self.discriminator_config,
            "encoder": self.encoder_config,
        }
