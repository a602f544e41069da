"""What a model takes from a batch, and what it does to it before it learns from it."""

from keras import ops

from keras_uai import random
from keras_uai.models import purposes

#: What `hide_by_mask` may hide of an image's observed pixels, at most, and how many fresh masks it tries.
MOST_HIDDEN, TRIES = 0.75, 8


class BatchMixin:
    """`unpack` and the augmentations of a training batch, for any model with a `measurement`."""

    #: What a training batch must hold beside the observation: clean images of the same scenes ...
    needs_clean = False
    #: ... or clean images of others.
    needs_unpaired = False

    def unpack(self, data, training=False):
        """Batches of `y`, or dicts with "observation" and, where known, "mask", "clean" and "unpaired", as one kind
        of dict: float32 `y`, `mask` and what else there is.

        Raises:
            ValueError: what cannot be a batch; and, with `training`, a batch without the supervision that is needed.
        """
        if isinstance(data, (tuple, list)):
            data, *rest = data
            if any(part is not None for part in rest):
                raise ValueError(
                    'A batch is y, or a dict with "observation" and "mask", "clean" or "unpaired" beside it. '
                    f"Received: a tuple of {1 + len(rest)}"
                )
        if not isinstance(data, dict):
            data = {"observation": data}
        if "observation" not in data:
            raise ValueError(
                f'A batch is y, or a dict with "observation". Received: a dict with {sorted(data)}'
            )
        if training:
            self._check_supervision(data)
        y = ops.cast(data["observation"], "float32")
        if tuple(y.shape[1:]) != self.image_shape:
            raise ValueError(
                f"The model is made for images of {self.image_shape}. Received: observations of shape {y.shape}"
            )
        if data.get("mask") is None:
            mask = self.measurement.recover(y)
        else:
            mask = ops.cast(data["mask"], "float32")
            y = self.measurement(y, mask)  # what lies under the mask is not for the model to see
        batch = {"y": y, "mask": mask}
        for name in ("clean", "unpaired"):
            if data.get(name) is not None:
                batch[name] = ops.cast(data[name], "float32")
        return batch

    def _check_supervision(self, data):
        needed = {
            "clean": (self.needs_clean, "the clean images behind its observations", "clean=True"),
            "unpaired": (
                self.needs_unpaired,
                "clean images, of other scenes than its observations,",
                'split="damaged", unpaired=True',
            ),
        }
        for name, (is_needed, what, how) in needed.items():
            if is_needed and data.get(name) is None:
                raise ValueError(
                    f"{type(self).__name__} is trained with supervision: each batch must hold {what} under "
                    f'"{name}" (datasets.load(..., {how})). Received: a batch with {sorted(data)}'
                )

    def mirrored(self, batch, keys, training):
        """`batch`, in training and with `flip` with half of its images mirrored, and all that belongs to them."""
        if not (self.flip and training):
            return batch
        flipped = random.uniform(random.fold_in(keys, purposes.FLIP), (1, 1, 1)) < 0.5
        return {name: ops.where(flipped, v[:, :, ::-1], v) for name, v in batch.items()}

    def hide_some(self, y, mask, keys, low, high, by_mask=0.0, everything=0.0):
        """The observation with a share of its observed pixels hidden, uniform in `[low, high)`, one draw an image.

        Args:
            y, mask: the observation.
            keys: uint32 `(N, 2)`, one an image.
            low, high: of the share.
            by_mask: the probability, one draw an image, of hiding what a whole fresh mask misses instead: G then sees
                `mask * mask_tilde`.
            everything: the probability, one draw an image, of hiding all of it.

        Returns:
            `(y_seen, mask_seen)`; `mask - mask_seen` are the pixels that a loss can then score.
        """
        share = low + (high - low) * random.uniform(random.fold_in(keys, purposes.HIDE_SHARE), ())
        mask_seen = self.measurement.thin(mask, random.fold_in(keys, purposes.HIDE), share)
        if by_mask:
            again, found = self._seen_twice(mask, random.fold_in(keys, purposes.HIDE_MASK), low)
            u = random.uniform(random.fold_in(keys, purposes.HIDE_CHOICE), ())
            chosen = ops.logical_and(u < by_mask, found)[:, None, None, None]
            mask_seen = ops.where(chosen, again, mask_seen)
        if everything:
            u = random.uniform(random.fold_in(keys, purposes.HIDE_ALL), (1, 1, 1))
            mask_seen = mask_seen * ops.cast(u >= everything, mask_seen.dtype)
        return self.measurement(y, mask_seen), mask_seen

    def _seen_twice(self, mask, keys, low):
        """`mask * mask_tilde` for the first of `TRIES` fresh masks that hides enough to learn from and not too much.

        Two single patches rarely meet, and of two masks that observe a tenth a hundredth is left: neither says
        anything about the hidden pixels. Drawn until it is accepted, a mask is one of p_M's, given that it overlaps.

        Returns:
            `(again, found)`: `(N, H, W, 1)`, and bools `(N,)`, False where no mask hid `low` to `MOST_HIDDEN`.
        """
        height, width = mask.shape[1:3]
        tries = random.fold_in(keys[:, None], ops.arange(TRIES)[None])
        fresh = self.measurement.sample(ops.reshape(tries, (-1, 2)), height, width)
        again = ops.reshape(fresh, (-1, TRIES, height, width, 1)) * mask[:, None]
        observed = ops.maximum(1.0, ops.sum(mask, axis=(1, 2, 3)))
        hidden = 1.0 - ops.sum(again, axis=(2, 3, 4)) / observed[:, None]
        accepted = ops.logical_and(hidden >= low, hidden <= MOST_HIDDEN)
        first = ops.argmax(ops.cast(accepted, "int32"), axis=1)
        again = ops.take_along_axis(again, first[:, None, None, None, None], axis=1)[:, 0]
        return again, ops.any(accepted, axis=1)


def check_hide(hide):
    """`(low, high)` of `hide_some`, or a ValueError."""
    pair = isinstance(hide, (tuple, list)) and len(hide) == 2
    if not pair or not 0 < hide[0] <= hide[1] < 1:
        raise ValueError(f"`hide` is (low, high) with 0 < low <= high < 1. Received: hide={hide!r}")
    return tuple(hide)


def check_share(name, share):
    """A share of the images as a float, or a ValueError that names the argument."""
    if not 0 <= share <= 1:
        raise ValueError(
            f"`{name}` is a share of the images, in [0, 1]. Received: {name}={share!r}"
        )
    return float(share)
