"""UAI: Unsupervised Adversarial Image Inpainting (Pajot, de Bézenac, Gallinari)."""

import keras
from keras import ops

from keras_uai import losses, measurements, networks, random
from keras_uai.layers import statistics_held
from keras_uai.models import purposes, recommended
from keras_uai.models.adversarial import AdversarialModel
from keras_uai.models.batch import check_hide, check_share
from keras_uai.models.latent_distributions import LatentDistributionsMixin
from keras_uai.models.sampling import pair_std
from keras_uai.models.second_look import SecondLookMixin


@keras.saving.register_keras_serializable("keras_uai")
class UAI(SecondLookMixin, LatentDistributionsMixin, AdversarialModel):
    """Learns to inpaint, and to sample reconstructions, from damaged images only: Algorithm 1 of the paper.

    A step draws z and a fresh mask, reconstructs the observation, damages the reconstruction again, and asks D whether
    the result looks like an observation of the data set (equation 5). Two further terms make z matter: E recovers z
    from what G invented (equation 6), and the observation must come back from its own second measurement and the
    latent that E reads from it (equation 7). Weights of 0 give the four rows of Table 1.

    Where the paper disagrees with itself, Algorithm 1 is followed: D is trained on y and y_tilde (on y_hat as well,
    as equation 7 has it, with `discriminate_y_hat=True`); `"y"` weights the whole of L^y (equation 8) and
    `"y_squared_error"` its squared error within it (Algorithm 1's lambda_rec_y); equations 5 to 7 lose the factor
    `1 - mask` that equation 4 has. Squared norms are means over values, so that weights do not depend on the size.

    Beyond the paper, off by default: `"energy"` hides some of the observed pixels from G and scores two samples on
    them with the energy score, `"splitting"` scores one with the squared error. With either, the whole game is played
    on the observation that is left. See `keras_uai.losses.energy_score`. `"marginal"` plays the paper's game with a
    score in D's place: reconstructions of two other images, measured by an image's mask, are scored on its observation,
    which is least where reconstructions together are distributed as the observations are. It reaches the places that
    are always far from what was observed, of which hidden pixels tell nothing (one patch). In a batch, or the part of
    one that a device or a micro-batch has, of fewer than 3 images there are no two others, and the term is 0.

    Args:
        image_shape: `(side, side, channels)`, a side of 16, 32, 64, 128 or 256 and 1 or 3 channels.
        measurement: a `keras_uai.measurements.Measurement`, or a string such as `"Patch(90, 10)"`.
        latent_dim: length of the global part of z, which E recovers.
        average_decay: decay of the average of G's weights used by `inpaint`, `predict` and exports; `None` for none.
        discriminate_y_hat: whether D is trained on y_hat, too.
        hide: `(low, high)`: the share of the observed pixels hidden by the terms beyond the paper is uniform in it,
            one draw an image.
        hide_by_mask: the share of the images of which, instead, all is hidden that a fresh mask of the measurement
            misses (where one of 8 such masks hides `low` to 3/4 of what was observed). Teaches to fill holes as large
            as those of the damage; 0 by default.
        hide_all: the share of images of which everything is hidden: G learns what images are when it sees nothing.
        energy_scales, energy_patches, energy_spread: see `losses.energy_score`.
        look_cell, look_gain: of the second look that a sample is taken by, see `set_look`; off by default.
        flip: whether half of the training images are mirrored, mask and all: right for faces and photographs, wrong for
            text, and for masks whose distribution has a left and a right.
        seed: of all noise.
        generator, discriminator, encoder: dicts of arguments of the networks that differ from their defaults.

    Example:

    >>> measurement = keras_uai.measurements.DropPixel(0.9)
    >>> ds = keras_uai.datasets.load("drawn_faces", image_size=32, measurement=measurement, batch_size=32)
    >>> model = keras_uai.models.UAI.recommended((32, 32, 3), measurement)
    >>> model.fit(ds, epochs=10, shuffle=False)
    >>> model.fit_look_gain(ds)
    >>> y = next(iter(ds))
    >>> model.inpaint(y, num_samples=10, seed=0).shape
    (32, 10, 32, 32, 3)
    """

    default_loss_weights = {
        "gan": 1.0, "z": 1.0, "y": 1.0, "y_squared_error": 10.0, "energy": 0.0, "splitting": 0.0,
        "marginal": 0.0,
    }  # fmt: skip
    fixed_generator = {"conditional": True}  # it may predict a mean, which "splitting" trains
    #: The letter of what D judges, for the logs.
    judged = "y"

    def __init__(
        self,
        image_shape,
        measurement,
        latent_dim=128,
        average_decay=None,
        discriminate_y_hat=False,
        hide=(0.1, 0.5),
        hide_by_mask=0.0,
        hide_all=0.0,
        energy_scales=(None, 1, 2, 4, 8, 16),
        energy_patches=(),
        energy_spread=1.0,
        look_cell=None,
        look_gain=1.0,
        flip=False,
        seed=0,
        generator=None,
        discriminator=None,
        encoder=None,
        name=None,
    ):
        vars(self)["_encoder_config"] = dict(encoder or {})  # for `more_networks`
        super().__init__(
            image_shape, measurement, latent_dim, average_decay, flip, seed, generator, discriminator, name,
        )  # fmt: skip
        self.discriminate_y_hat = bool(discriminate_y_hat)
        self.hide, self.hide_by_mask = check_hide(hide), check_share("hide_by_mask", hide_by_mask)
        self.hide_all = check_share("hide_all", hide_all)
        self.energy_scales, self.energy_patches = tuple(energy_scales), tuple(energy_patches)
        self.energy_spread = float(energy_spread)
        losses.check_energy(self.image_shape[0], energy_scales, energy_patches, energy_spread)
        self.set_look(look_cell, look_gain)

    def more_networks(self):
        self.encoder = self._network(
            networks.Encoder, self._encoder_config, latent_dim=self.latent_dim
        )

    @classmethod
    def recommended(cls, image_shape, measurement, steps=None, **overrides):
        """A compiled model in the configuration that measured best (see `experiments/README.md` and `tried.md`).

        G gets a push-pull fill and predicts a mean beside its samples; the mean is trained by splitting, the samples by
        the energy score at several scales, and where fewer than 8 patches are kept on observations of other images,
        too. The paper's terms are off. Samples are taken in two looks: call `fit_look_gain` after `fit`. Feed it small
        batches (16 at 32 pixels).

        Args:
            image_shape, measurement: as in `UAI`.
            steps: updates you are going to train for: the learning rate then falls to 0 along a cosine, which is worth
                a lot at the end of a training. `None` keeps it constant.
            **overrides: arguments of `UAI` that are to differ; dicts of network arguments are merged.

        Raises:
            ValueError: of a class that differs from `UAI` in its game only, which is not played here.
        """
        if cls.needs_unpaired:
            raise ValueError(
                "What is recommended plays no game, and would not look at unpaired images: "
                f"UAI.recommended(...). Received: {cls.__name__}"
            )
        measurement = measurements.get(measurement)
        model = cls(image_shape, measurement, **recommended.arguments(measurement, overrides))
        model.compile(**recommended.compile_arguments(measurement, steps))
        return model

    # -- the two players -----------------------------------------------------------------------------------------

    def generator_side(self, every=False):
        encodes = self.loss_weights["z"] or self.loss_weights["y"]
        return [self.generator, self.encoder] if encodes or every else [self.generator]

    def discriminator_side(self, every=False):
        judges = self.loss_weights["gan"] or self.loss_weights["y"]
        return [self.discriminator] if judges or every else []

    def log_names(self):
        w = self.loss_weights
        names = ["g_loss", "std", "mse", "mse_mean"]
        names += ["d_loss", f"d_{self.judged}"] if self.discriminator_side() else []
        names += ["gan_loss", f"d_{self.judged}_tilde"] if w["gan"] else []
        names += ["z_loss"] if w["z"] else []
        names += ["y_loss", "y_squared_error", f"d_{self.judged}_hat"] if w["y"] else []
        return names + [f"{name}_loss" for name in ("energy", "splitting", "marginal") if w[name]]

    # -- Algorithm 1 ---------------------------------------------------------------------------------------------

    def objective(self, batch, keys, training):
        batch = self.mirrored(batch, keys, training)
        w, y, mask_y = self.loss_weights, batch["y"], batch["mask"]
        logs, g_loss, d_loss = {}, 0.0, 0.0
        y_seen, mask_seen = self._hide(y, mask_y, keys)
        # Sample m_tilde from p_M and z from p_z.
        mask_tilde = self.measurement.sample(
            random.fold_in(keys, purposes.MASK_TILDE), *self.image_shape[:2]
        )
        z = self.draw_z(keys, purposes.Z)
        # x_tilde = G(y, z) * (1 - m^y) + y
        features = self.generator.observe(y_seen, mask_seen, training=training)
        image = self.generator.decode(features, z, training=training)
        x_tilde = self.paste(image, y_seen, mask_seen)
        # y_tilde = F(x_tilde, m_tilde)
        y_tilde = self.measurement(x_tilde, mask_tilde)
        if self.discriminator_side():
            real = self._judge_data(batch, training)
            logs[f"d_{self.judged}"] = ops.mean(real)
            fakes = []
        if w["gan"]:
            fakes.append(self._judge(x_tilde, mask_tilde, training))
            logs["gan_loss"], logs[f"d_{self.judged}_tilde"] = (
                self.generator_loss(fakes[-1]),
                ops.mean(fakes[-1]),
            )
            g_loss += w["gan"] * logs["gan_loss"]
        if w["z"]:
            logs["z_loss"] = self._z_loss(z, y_tilde, mask_tilde * (1.0 - mask_seen), training)
            g_loss += w["z"] * logs["z_loss"]
        if w["y"]:
            x_hat = self._x_hat(y, mask_y, y_tilde, mask_tilde, keys, training)
            y_hat = self.measurement(x_hat, mask_y)
            fake = self._judge(x_hat, mask_y, training)
            if self.discriminate_y_hat or not fakes:
                fakes.append(fake)
            logs["y_squared_error"], logs[f"d_{self.judged}_hat"] = (
                losses.mean_squared_error(y_hat, y, mask_y),
                ops.mean(fake),
            )
            logs["y_loss"] = (
                self.generator_loss(fake) + w["y_squared_error"] * logs["y_squared_error"]
            )
            g_loss += w["y"] * logs["y_loss"]
        if self.discriminator_side():
            d_loss = sum(self.discriminator_loss(real, fake) for fake in fakes) / len(fakes)
            logs["d_loss"] = d_loss
        hidden = mask_y - mask_seen
        if w["splitting"]:
            mean = features[-1] if self.generator.predicts_mean else image
            logs["splitting_loss"] = losses.mean_squared_error(mean, y, hidden)
            g_loss += w["splitting"] * logs["splitting_loss"]
        if w["energy"]:
            second = self.generator.decode(
                features, self.draw_z(keys, purposes.Z_SECOND), training=training
            )
            logs["energy_loss"] = losses.energy_score(
                image, second, y, hidden,
                self.energy_scales, self.energy_patches, self.energy_spread,
            )  # fmt: skip
            g_loss += w["energy"] * logs["energy_loss"]
            logs["std"] = pair_std(image, second, mask_seen)
        else:
            logs["std"] = self._diversity(features, mask_seen, keys)
        if w["marginal"]:
            logs["marginal_loss"] = self._marginal_score(x_tilde, y, mask_y)
            g_loss += w["marginal"] * logs["marginal_loss"]
        logs["g_loss"] = g_loss
        return d_loss, g_loss, logs

    def _hide(self, y, mask_y, keys):
        """The observation that G is shown: y itself, or what is left of it where the loss scores hidden pixels."""
        if not (self.loss_weights["energy"] or self.loss_weights["splitting"]):
            return y, mask_y
        return self.hide_some(y, mask_y, keys, *self.hide, self.hide_by_mask, self.hide_all)

    def _marginal_score(self, x_tilde, y, mask_y):
        """The energy score of the reconstructions of the batch's images i and i - 1 on the observation of i - 2."""
        y, mask_y = (ops.roll(v, 2, axis=0) for v in (y, mask_y))
        others = ops.cast(ops.shape(y)[0] >= 3, "float32")
        return others * losses.energy_score(
            x_tilde, ops.roll(x_tilde, 1, axis=0), y, mask_y, self.energy_scales, self.energy_patches
        )  # fmt: skip

    def _z_loss(self, z, y_tilde, invented, training):
        """Equation 6 with `z_hat = E(y_tilde * (1 - m^y))`: E sees only what G invented."""
        z_hat, _ = self.encoder.encode(
            self.measurement(y_tilde, invented), invented, training=training
        )
        return losses.mean_squared_error(z_hat, z[:, : self.latent_dim])

    def _judge_data(self, batch, training):
        """D's logits of the data."""
        return self.discriminator.score(batch["y"], batch["mask"], training=training)

    def _judge(self, x, mask, training):
        """D's logits of a reconstruction, as it sees it: measured by `mask`."""
        return self.discriminator.score(self.measurement(x, mask), mask, training=training)

    def _x_hat(self, y, mask_y, y_tilde, mask_tilde, keys, training):
        """Equation 7: the observation comes back from its second measurement and the latent E reads from it."""
        # z_tilde ~ E(y)
        mean, log_variance = self.encoder.encode(y, mask_y, training=training)
        noise = self.draw_z(keys, purposes.Z_TILDE)
        z_tilde = mean + ops.exp(0.5 * log_variance) * noise[:, : self.latent_dim]
        z_tilde = ops.concatenate([z_tilde, noise[:, self.latent_dim :]], axis=-1)
        # x_hat = G(y_tilde, z_tilde) * (1 - m_tilde) + y_tilde. G is used on y, and has the statistics of that.
        with statistics_held():
            features = self.generator.observe(y_tilde, mask_tilde, training=training)
            image = self.generator.decode(features, z_tilde, training=training)
        return self.paste(image, y_tilde, mask_tilde)

    def _diversity(self, features, mask_seen, keys, count=8):
        """The std of two samples of the batch's first images; costs two small decoder passes and moves nothing."""
        z = self.draw_z(keys[:count], purposes.Z_DIVERSITY)
        second = self.generator.decode([f[:count] for f in features], z, training=False)
        first = self.generator.decode(
            [f[:count] for f in features], self.draw_z(keys[:count], purposes.Z), training=False
        )
        return ops.stop_gradient(pair_std(first, second, mask_seen[:count]))

    def get_config(self):
        return {
            **super().get_config(),
            "discriminate_y_hat": self.discriminate_y_hat,
            "hide": self.hide,
            "hide_by_mask": self.hide_by_mask,
            "hide_all": self.hide_all,
            "energy_scales": self.energy_scales,
            "energy_patches": self.energy_patches,
            "energy_spread": self.energy_spread,
            "look_cell": self.look_cell,
            "look_gain": self.look_gain,
            "encoder": self._encoder_config,
        }
