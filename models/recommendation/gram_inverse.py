"""The inverse of a symmetric positive definite matrix in the memory of that matrix."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shared.errors import TrainingError

BLOCK = 1024


def invert_in_place(gram: NDArray[np.float32]) -> NDArray[np.float32]:
    """The inverse of ``gram`` float32 [n, n], which is overwritten and must not be used again.

    By Cholesky factors (LAPACK potrf, potri), so that the lower triangle is all that is read. In
    Fortran order no copy is made. Raises TrainingError where the matrix is not positive definite.
    """
    from scipy.linalg import lapack

    factor, info = lapack.spotrf(gram, lower=1, overwrite_a=1, clean=0)
    if info == 0:
        factor, info = lapack.spotri(factor, lower=1, overwrite_c=1)
    if info != 0:
        raise TrainingError(
            "the matrix of items is not positive definite: raise the regularisation", info=int(info)
        )
    inverse: NDArray[np.float32] = factor
    size = len(inverse)
    for start in range(0, size, BLOCK):
        stop = min(start + BLOCK, size)
        inverse[start:stop, stop:] = inverse[stop:, start:stop].T
        corner = np.tril(inverse[start:stop, start:stop])
        inverse[start:stop, start:stop] = corner + np.tril(corner, -1).T
    return inverse
