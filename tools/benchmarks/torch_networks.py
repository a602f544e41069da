"""The paper's G, D and E in PyTorch (section 2.4), for `tools/benchmark step`.

They follow PyTorch's conventions: NCHW, `torch.nn` layers and PyTorch's spectral normalization,
which makes one power iteration per call. Attributes have the names of the Keras layers; see
`torch_weights.copy`.
"""

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from keras_uai.networks.sizes import Levels


def conv(inputs, filters, side, spectral, bias=True):
    """Returns a convolution that keeps height and width."""
    layer = nn.Conv2d(inputs, filters, side, padding=side // 2, bias=bias)
    return spectral_norm(layer) if spectral else layer


def norm(channels, affine=True):
    """Returns a batch normalization."""
    return nn.BatchNorm2d(channels, eps=1e-5, momentum=0.1, affine=affine)


class ResidualBlock(nn.Module):
    """Counterpart of `keras_uai.layers.ResidualBlock`.

    Args:
        inputs, filters: Numbers of channels.
        resample: None, "down" or "up".
        spectral: Whether convolutions are spectrally normalized.
        style: Length of the style that modulates the block, or None.
    """

    def __init__(self, inputs, filters, resample=None, spectral=True, style=None):
        super().__init__()
        self.resample = resample
        first = 4 * filters if resample == "up" else filters
        channels = (inputs, filters)
        self.norms = nn.ModuleList([norm(c, style is None) for c in channels])
        self.modulations = nn.ModuleList([nn.Linear(style, 2 * c) for c in channels if style])
        self.convs = nn.ModuleList(
            [conv(inputs, first, 3, spectral), conv(filters, filters, 3, spectral)]
        )
        self.shortcut = None
        if resample == "up" or inputs != filters:
            self.shortcut = conv(inputs, first, 1, spectral)

    def forward(self, x, style=None):
        h = self._convolve(0, x, style)
        if self.resample == "up":
            h = F.pixel_shuffle(h, 2)
        h = self._convolve(1, h, style)
        if self.resample == "up":
            return h + F.pixel_shuffle(self.shortcut(x), 2)
        if self.resample == "down":
            h = F.avg_pool2d(h, 2)
            x = F.avg_pool2d(x, 2)
        return h + (x if self.shortcut is None else self.shortcut(x))

    def _convolve(self, i, x, style):
        x = self.norms[i](x)
        if style is not None:
            gamma, beta = self.modulations[i](style)[:, :, None, None].chunk(2, dim=1)
            x = x * (1 + gamma) + beta
        return self.convs[i](F.relu(x))


class SelfAttention(nn.Module):
    """Counterpart of `keras_uai.layers.SelfAttention`."""

    def __init__(self, channels, spectral=True):
        super().__init__()
        narrow = max(1, channels // 8)
        half = max(1, channels // 2)
        self.query = conv(channels, narrow, 1, spectral, False)
        self.key = conv(channels, narrow, 1, spectral, False)
        self.value = conv(channels, half, 1, spectral, False)
        self.out = conv(half, channels, 1, spectral, False)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x):
        query, key, value = (f(x).flatten(2) for f in (self.query, self.key, self.value))
        attention = torch.bmm(query.transpose(1, 2), key).softmax(-1)
        mixed = torch.bmm(value, attention.transpose(1, 2)).unflatten(2, x.shape[2:])
        return x + self.gamma * self.out(mixed)


class Down(nn.Module):
    """First convolution and downward path of G's observer, D and E.

    Returns the features of every level.

    Args:
        inputs: Number of channels.
        levels: `keras_uai.networks.sizes.Levels`.
        spectral: Whether convolutions are spectrally normalized.
        names: Name of the first convolution, and formats of the names of the blocks and of the
            attention.
    """

    def __init__(self, inputs, levels, spectral, names):
        super().__init__()
        stem, block, attention = names
        self.stages = [[stem]]
        before = levels.widths[0]
        self.add_module(stem, conv(inputs, before, 3, spectral))
        for stride, filters in levels:
            resample = "down" if stride > levels.strides[0] else None
            stage = [block.format(stride)]
            self.add_module(stage[0], ResidualBlock(before, filters, resample, spectral))
            if stride == levels.attention_stride:
                stage.append(attention.format(stride))
                self.add_module(stage[1], SelfAttention(filters, spectral))
            self.stages.append(stage)
            before = filters

    def forward(self, x):
        features = []
        for stage in self.stages:
            for name in stage:
                x = getattr(self, name)(x)
            features.append(x)
        return features[1:]


class Generator(nn.Module):
    """Counterpart of `keras_uai.networks.Generator` in the paper's configuration."""

    def __init__(self, image_shape, latent_dim=128, width=64, max_width=256):
        super().__init__()
        levels = Levels(image_shape, None, 1, width, max_width, "auto")
        channels = image_shape[-1]
        names = "observe_stem", "observe_{}_0", "observe_{}_attention"
        self.observer = Down(channels + 1, levels, True, names)
        self.decoder = nn.Module()
        add = self.decoder.add_module
        for i in range(2):
            add(f"style_{i}", nn.Linear(latent_dim, latent_dim))
        self.attention_stride = levels.attention_stride
        self.strides = levels.strides[::-1]
        before = None
        for stride, filters in reversed(list(levels)):
            add(f"decode_{stride}_skip", conv(filters, filters, 1, True))
            if before is not None:
                add(f"decode_{stride}_up", ResidualBlock(before, filters, "up", True, latent_dim))
            if stride == self.attention_stride:
                add(f"decode_{stride}_attention", SelfAttention(filters))
            add(f"decode_{stride}_0", ResidualBlock(filters, filters, None, True, latent_dim))
            before = filters
        add("head_norm", norm(width))
        add("head_image", conv(width, channels, 3, False))

    def forward(self, y, mask, style):
        features = self.observer(torch.cat([y, mask], 1))
        part = dict(self.decoder.named_children())
        for i in range(2):
            style = F.relu(part[f"style_{i}"](style))
        x = None
        for stride, observed in zip(self.strides, features[::-1], strict=True):
            skip = part[f"decode_{stride}_skip"](observed)
            x = skip if x is None else part[f"decode_{stride}_up"](x, style) + skip
            if stride == self.attention_stride:
                x = part[f"decode_{stride}_attention"](x)
            x = part[f"decode_{stride}_0"](x, style)
        return torch.tanh(part["head_image"](F.relu(part["head_norm"](x))))


class Tower(nn.Module):
    """Downward path, normalization and global pooling: the part that D and E share."""

    def __init__(self, image_shape, width, max_width, spectral):
        super().__init__()
        attention_level = "auto" if spectral else None
        levels = Levels(image_shape, None, 1, width, max_width, attention_level)
        self.features = levels.widths[-1]
        names = "stem", "block_{}_0", "attention_{}"
        self.down = Down(image_shape[-1], levels, spectral, names)
        self.head_norm = norm(self.features)

    def forward(self, y):
        return F.relu(self.head_norm(self.down(y)[-1])).mean((2, 3))


class Discriminator(Tower):
    """Counterpart of `keras_uai.networks.Discriminator` in the paper's configuration."""

    def __init__(self, image_shape, width=64, max_width=256):
        super().__init__(image_shape, width, max_width, spectral=True)
        self.head_logit = spectral_norm(nn.Linear(self.features, 1))

    def forward(self, y):
        return self.head_logit(super().forward(y))[:, 0]


class Encoder(Tower):
    """Counterpart of `keras_uai.networks.Encoder` in the paper's configuration."""

    def __init__(self, image_shape, latent_dim=128, width=64, max_width=256):
        super().__init__(image_shape, width, max_width, spectral=False)
        self.mean = nn.Linear(self.features, latent_dim)
        self.log_variance = nn.Linear(self.features, latent_dim)

    def forward(self, y):
        x = super().forward(y)
        return self.mean(x), self.log_variance(x)
