"""G, D and E of the paper's configuration in PyTorch, for `tools/benchmark step` (section 2.4).

Written as a PyTorch user would: NCHW, `torch.nn` layers, PyTorch's own spectral normalisation (a power iteration a
call). Attributes are called as the Keras layers are, see `torch_weights.copy`.
"""

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from keras_uai.networks.sizes import levels


def conv(inputs, filters, side, spectral, bias=True):
    """A convolution that keeps the size."""
    layer = nn.Conv2d(inputs, filters, side, padding=side // 2, bias=bias)
    return spectral_norm(layer) if spectral else layer


def norm(channels, affine=True):
    return nn.BatchNorm2d(channels, eps=1e-5, momentum=0.1, affine=affine)


class ResidualBlock(nn.Module):
    """As `keras_uai.layers.ResidualBlock`; `style` is the length of the vector that modulates it, or None."""

    def __init__(self, inputs, filters, resample=None, spectral=True, style=None):
        super().__init__()
        self.resample = resample
        first = 4 * filters if resample == "up" else filters
        self.norms = nn.ModuleList([norm(c, style is None) for c in (inputs, filters)])
        self.modulations = nn.ModuleList(
            [nn.Linear(style, 2 * c) for c in (inputs, filters)] if style else []
        )
        self.convs = nn.ModuleList(
            [conv(inputs, first, 3, spectral), conv(filters, filters, 3, spectral)]
        )
        self.shortcut = None
        if resample == "up" or inputs != filters:
            self.shortcut = conv(inputs, first, 1, spectral)

    def forward(self, x, w=None):
        h = self._convolve(0, x, w)
        if self.resample == "up":
            h = F.pixel_shuffle(h, 2)
        h = self._convolve(1, h, w)
        if self.resample == "up":
            return h + F.pixel_shuffle(self.shortcut(x), 2)
        if self.resample == "down":
            h, x = F.avg_pool2d(h, 2), F.avg_pool2d(x, 2)
        return h + (x if self.shortcut is None else self.shortcut(x))

    def _convolve(self, i, x, w):
        x = self.norms[i](x)
        if w is not None:
            gamma, beta = self.modulations[i](w)[:, :, None, None].chunk(2, dim=1)
            x = x * (1 + gamma) + beta
        return self.convs[i](F.relu(x))


class SelfAttention(nn.Module):
    """As `keras_uai.layers.SelfAttention`."""

    def __init__(self, channels, spectral=True):
        super().__init__()
        narrow, half = max(1, channels // 8), max(1, channels // 2)
        self.query, self.key = (conv(channels, narrow, 1, spectral, False) for _ in range(2))
        self.value = conv(channels, half, 1, spectral, False)
        self.out = conv(half, channels, 1, spectral, False)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x):
        query, key, value = (f(x).flatten(2) for f in (self.query, self.key, self.value))
        attention = torch.bmm(query.transpose(1, 2), key).softmax(-1)
        mixed = torch.bmm(value, attention.transpose(1, 2)).unflatten(2, x.shape[2:])
        return x + self.gamma * self.out(mixed)


class _Down(nn.Module):
    """Stem and the way down, shared by G's observer, D and E; yields the features of every level."""

    def __init__(self, inputs, sizes, spectral, attention_size, names):
        super().__init__()
        stem, block, attention = names
        self.order = []
        self._add(stem, conv(inputs, sizes[0][1], 3, spectral), False)
        before = sizes[0][1]
        for level, (side, filters) in enumerate(sizes):
            resample = "down" if level else None
            attends = side == attention_size
            made = ResidualBlock(before, filters, resample, spectral)
            self._add(block.format(side), made, not attends)
            if attends:
                self._add(attention.format(side), SelfAttention(filters, spectral), True)
            before = filters

    def _add(self, name, module, ends_level):
        self.add_module(name, module)
        self.order.append((name, ends_level))

    def forward(self, x):
        features = []
        for name, ends_level in self.order:
            x = getattr(self, name)(x)
            if ends_level:
                features.append(x)
        return features


class Generator(nn.Module):
    """`G(y, mask, z)`, the paper's: observed features down, modulated by z up, tanh."""

    def __init__(self, image_shape, latent_dim=128, width=64, max_width=256, attention_size=32):
        super().__init__()
        channels, sizes = image_shape[-1], levels(image_shape, 1, width, max_width)
        names = "observe_stem", "observe_{}_0", "observe_{}_attention"
        self.observer = _Down(channels + 1, sizes, True, attention_size, names)
        self.decoder = nn.Module()
        add = self.decoder.add_module
        for i in range(2):
            add(f"style_{i}", nn.Linear(latent_dim, latent_dim))
        self.sizes, self.attention_size, before = sizes[::-1], attention_size, None
        for side, filters in self.sizes:
            add(f"decode_{side}_skip", conv(filters, filters, 1, True))
            if before is not None:
                add(f"decode_{side}_up", ResidualBlock(before, filters, "up", True, latent_dim))
            if side == attention_size:
                add(f"decode_{side}_attention", SelfAttention(filters))
            add(f"decode_{side}_0", ResidualBlock(filters, filters, None, True, latent_dim))
            before = filters
        add("head_norm", norm(width))
        add("head_image", conv(width, channels, 3, False))

    def forward(self, y, mask, z):
        features = self.observer(torch.cat([y, mask], 1))
        part, x = self.decoder._modules, None
        style = F.relu(part["style_1"](F.relu(part["style_0"](z))))
        for (side, _), observed in zip(self.sizes, features[::-1], strict=True):
            skip = part[f"decode_{side}_skip"](observed)
            x = skip if x is None else part[f"decode_{side}_up"](x, style) + skip
            if side == self.attention_size:
                x = part[f"decode_{side}_attention"](x)
            x = part[f"decode_{side}_0"](x, style)
        return torch.tanh(part["head_image"](F.relu(part["head_norm"](x))))


class Discriminator(nn.Module):
    """`D(y)`: one logit an observation."""

    def __init__(self, image_shape, width=64, max_width=256, attention_size=32):
        super().__init__()
        sizes = levels(image_shape, 1, width, max_width)
        self.path = _Down(
            image_shape[-1], sizes, True, attention_size, ("stem", "block_{}_0", "attention_{}")
        )
        self.head_norm = norm(sizes[-1][1])
        self.head_logit = spectral_norm(nn.Linear(sizes[-1][1], 1))

    def forward(self, y):
        x = F.relu(self.head_norm(self.path(y)[-1]))
        return self.head_logit(x.mean((2, 3)))[:, 0]


class Encoder(nn.Module):
    """`E(y)`: mean and log-variance of the latent."""

    def __init__(self, image_shape, latent_dim=128, width=64, max_width=256):
        super().__init__()
        sizes = levels(image_shape, 1, width, max_width)
        self.path = _Down(image_shape[-1], sizes, False, None, ("stem", "block_{}_0", None))
        side, filters = sizes[-1]
        self.head_norm = norm(filters)
        self.mean, self.log_variance = (
            nn.Linear(side * side * filters, latent_dim) for _ in range(2)
        )

    def forward(self, y):
        x = F.relu(self.head_norm(self.path(y)[-1])).flatten(1)
        return self.mean(x), self.log_variance(x)
