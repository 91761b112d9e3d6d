"""Windows of a long recording: where they start, from an array or from a stream of blocks.

Windows of `window_samples` start every `hop_samples`, and one more ends with the recording. So every sample lies in at
least one window, and no window reaches beyond the end. Only a recording shorter than a window is padded with zeros, at
its end. Positions are whole samples; divide by the rate for seconds. Notebook: 12.
"""

from collections.abc import Iterable, Iterator

import numpy as np

from course_lib.audio import timebase


def hop_for(window_samples: int, overlap: float) -> int:
    """Samples between the starts of two windows that share the part `overlap` (0 to below 1) of their length.

    Raises
    ------
    ValueError
        `overlap` is not in [0, 1).
    """
    if not 0 <= overlap < 1:
        raise ValueError(f"overlap={overlap}: must be at least 0 and below 1, the part that two windows share")
    return max(1, timebase.nearest_whole(window_samples * (1 - overlap)))


def window_starts(n_samples: int, window_samples: int, hop_samples: int) -> np.ndarray:
    """First sample of each window, `(windows,)`, int64; the last window ends with the recording.

    A recording shorter than a window has one window, which starts at 0.

    Raises
    ------
    ValueError
        There are no samples, or windows that far apart would leave samples out.
    """
    _check(window_samples, hop_samples)
    if n_samples < 1:
        raise ValueError(f"n_samples={n_samples}: a recording has at least one sample")
    last = max(0, n_samples - window_samples)
    starts = np.arange(0, last + 1, hop_samples)
    return starts if starts[-1] == last else np.append(starts, last)


def stream_windows(
    blocks: Iterable[np.ndarray], window_samples: int, hop_samples: int
) -> Iterator[tuple[int, np.ndarray]]:
    """Windows from consecutive `blocks` `(samples,)` of any sizes: each start, as in `window_starts`, with its window.

    Holds at most one window and one block in memory. A window is yielded once all its samples are there. No blocks, or
    empty ones, give no windows.

    Raises
    ------
    ValueError
        Windows that far apart would leave samples out.
    """
    _check(window_samples, hop_samples)
    held, first = np.zeros(0, np.float32), 0  # the samples from `first` on, which later windows may need
    start, end = 0, 0  # of the next window; of all that came so far
    for block in blocks:
        held = np.concatenate([held, block])
        end += len(block)
        while start + window_samples <= end:
            yield start, held[start - first : start - first + window_samples]
            start += hop_samples
        # The window that ends with the recording may begin up to one sample after the last one that was yielded
        needed = max(0, end - window_samples)
        held, first = held[needed - first :], needed
    if 0 < end < window_samples:
        yield 0, np.pad(held, (0, window_samples - end))
    elif end and start - hop_samples + window_samples < end:
        yield end - window_samples, held[end - window_samples - first :]


def _check(window_samples: int, hop_samples: int) -> None:
    """Raise a ValueError unless windows of that length and hop cover every sample."""
    if not 1 <= hop_samples <= window_samples:
        raise ValueError(
            f"hop_samples={hop_samples}: must be from 1 to window_samples={window_samples}, so that none is left out"
        )
