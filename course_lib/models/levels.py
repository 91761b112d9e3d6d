"""Log power as tensors: what is refused, and the way back from the logarithm."""

import torch


def check(x: torch.Tensor, n_mels: int | None = None) -> None:
    """Raise a ValueError unless `x` is floats `(clips, frames, mels)`, with `n_mels` mels and, on a CPU, all finite."""
    if x.ndim != 3 or 0 in x.shape or not x.is_floating_point():
        raise ValueError(
            f"x: {x.dtype} of shape {tuple(x.shape)}, expected floats (clips, frames, mels), none of them 0"
        )
    if n_mels is not None and x.shape[2] != n_mels:
        raise ValueError(f"x: {x.shape[2]} mels, expected {n_mels}, which this layer was made for")
    finite("x", x)


def finite(name: str, values: torch.Tensor) -> None:
    """Raise a ValueError for NaN and infinity, on a CPU; a GPU would have to stop and wait for the answer."""
    looked_at = values.device.type == "cpu" and not torch.compiler.is_compiling()
    if looked_at and not values.detach().sum(dtype=torch.float64).isfinite():
        raise ValueError(f"{name}: holds NaN or infinite values; expected finite ones, with a floor under silence")


def full(x: torch.Tensor) -> torch.Tensor:
    """`x` in single precision where it is in half."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x


def relative_power(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Power relative to the loudest value of the clip, and the natural logarithm of that value, `(clips, 1, 1)`."""
    x = full(x)
    top = x.detach().amax((1, 2), keepdim=True)
    return (x - top).exp(), top
