"""Arrays over native memory."""

import numpy as np


def array(memory, dtype, shape=-1):
    """An array over `memory`, which it keeps alive; writable when the memory is."""
    if not len(memory):
        return np.empty(0, dtype).reshape(0 if shape == -1 else shape)
    return np.frombuffer(memory, dtype).reshape(shape)
