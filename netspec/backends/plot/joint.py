"""The effective field over two axes at once: the sum over paths is no product of what each axis shows alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from netspec.analyses.effective.transfer import Lines, Transfer, others, transfer
from netspec.analyses.field import Fields

Mass = np.ndarray[Any, np.dtype[np.float64]]


def joint_mass(found: Fields, source: int, axes: tuple[int, int], value: int, positions: tuple[int, int]) -> Mass:
    """The share of the gradient's expected square at every place of two axes of an input, for one position of a value.

    As `analyses.effective` says, which gives the sums over one axis. The whole is 1, or 0 where nothing arrives.
    """
    closed, lines = found.closed, [Lines(found, source, axis) for axis in axes]
    mass: dict[int, Mass] = {value: np.zeros([line.length(value) for line in lines])}
    mass[value][tuple(min(p, n - 1) for p, n in zip(positions, mass[value].shape))] = 1.0
    nodes = closed.graph.nodes
    for index in range(len(nodes) - 1, -1, -1):
        for place, output in enumerate(nodes[index].outputs):
            if output not in mass:
                continue
            for read in closed.reads(index, place):
                if not all(line.reaches(read.value) for line in lines):
                    continue
                part = mass[output] * others(closed, nodes[index], output, read, {line.along(read.value) for line in lines})
                for along, line in enumerate(lines):
                    part = _pushed(part, along, transfer(line, nodes[index], output, read), line.length(read.value))
                mass[read.value] = mass[read.value] + part if read.value in mass else part
    arrived = mass.get(source, np.zeros([line.length(source) for line in lines]))
    return arrived / (arrived.sum() or 1.0)


def _pushed(mass: Mass, along: int, by: Transfer, length: int) -> Mass:
    """The mass moved along one axis; only rows (columns) that have some are looked at."""
    if type(by) is Transfer:
        return mass
    occupied = np.flatnonzero(mass.any(axis=1 - along))
    if not len(occupied):
        return np.zeros([length if a == along else n for a, n in enumerate(mass.shape)])
    matrix = np.zeros((len(occupied), length))
    for row, position in enumerate(occupied):
        for place, share in by.entries(int(position)):
            matrix[row, place] += share
    return matrix.T @ mass[occupied] if along == 0 else mass[:, occupied] @ matrix
