"""The paper's training step in PyTorch, in its author's order: D first, then G and E again."""

import torch
from torch.nn import functional as F

from benchmarks.torch_networks import Discriminator, Encoder, Generator


class TorchUAI:
    """Counterpart of `keras_uai.models.UAI` in the paper's configuration (hinge, equation 8).

    Args:
        image_shape: `(side, side, channels)`.
        p: Fraction of the pixels that the measurement drops.
        width: Width of all networks.
        latent_dim: Length of z.
        compiled: Whether the losses, and so their gradients, pass `torch.compile`.
        channels_last: Whether to use PyTorch's NHWC memory format.
    """

    def __init__(self, image_shape, p, width, latent_dim=128, compiled=False, channels_last=False):
        self.generator = Generator(image_shape, latent_dim, width)
        self.discriminator = Discriminator(image_shape, width)
        self.encoder = Encoder(image_shape, latent_dim, width)
        self.format = torch.channels_last if channels_last else torch.contiguous_format
        for network in self.networks.values():
            network.to(memory_format=self.format)
        self.p = p
        self.latent_dim = latent_dim
        sides = (self.discriminator,), (self.generator, self.encoder)
        self.d_optimizer, self.g_optimizer = (
            torch.optim.Adam(
                [v for network in side for v in network.parameters()], rate, (0.0, 0.99), fused=True
            )
            for side, rate in zip(sides, (4e-4, 1e-4), strict=True)
        )
        self._d_loss = torch.compile(self.d_loss) if compiled else self.d_loss
        self._g_loss = torch.compile(self.g_loss) if compiled else self.g_loss

    @property
    def networks(self):
        return {n: getattr(self, n) for n in ("generator", "discriminator", "encoder")}

    def step(self, y, mask):
        """Updates D, then G and E; returns their losses.

        Args:
            y: `(N, C, H, W)`.
            mask: `(N, 1, H, W)`.
        """
        self.d_optimizer.zero_grad()
        d_loss = self._d_loss(y, mask)
        d_loss.backward()
        self.d_optimizer.step()
        self.discriminator.requires_grad_(False)
        self.g_optimizer.zero_grad()
        g_loss = self._g_loss(y, mask)
        g_loss.backward()
        self.g_optimizer.step()
        self.discriminator.requires_grad_(True)
        return d_loss.item(), g_loss.item()

    def d_loss(self, y, mask):
        with torch.no_grad():
            y_tilde = self._simulate(y, mask)[1]
        real, fake = self.discriminator(y), self.discriminator(y_tilde)
        return F.relu(1 - real).mean() + F.relu(1 + fake).mean()

    def g_loss(self, y, mask):
        z, y_tilde, mask_tilde = self._simulate(y, mask)
        gan_loss = -self.discriminator(y_tilde).mean()
        z_loss = F.mse_loss(self.encoder(y_tilde * (1 - mask))[0], z)
        mean, log_variance = self.encoder(y)
        z_tilde = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        x_hat = self.generator(y_tilde, mask_tilde, z_tilde) * (1 - mask_tilde) + y_tilde
        y_hat = x_hat * mask
        error = (y_hat - y).square() * mask
        error = error.sum((1, 2, 3)) / (mask.sum((1, 2, 3)) * y.shape[1]).clamp(min=1)
        y_loss = -self.discriminator(y_hat).mean() + 10 * error.mean()
        return gan_loss + z_loss + y_loss

    def _simulate(self, y, mask):
        """Returns `z`, and `y_tilde = F(G(y, z) * (1 - m) + y, m_tilde)` with its mask."""
        z = torch.randn(len(y), self.latent_dim)
        mask_tilde = drop_pixel(len(y), *y.shape[2:], self.p)
        x_tilde = self.generator(y, mask, z) * (1 - mask) + y
        return z, x_tilde * mask_tilde, mask_tilde


def drop_pixel(count, height, width, p):
    """Draws masks `(count, 1, height, width)` with `round(p * height * width)` missing pixels."""
    size = height * width
    kept = torch.rand(count, size).topk(size - round(p * size), sorted=False)[1]
    return torch.zeros(count, size).scatter_(1, kept, 1.0).view(count, 1, height, width)
