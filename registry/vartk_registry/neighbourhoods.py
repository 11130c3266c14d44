"""Neighbourhoods: of the keys that a mask shows, those near the query's place in the image.

Legend: S and T queries and keys, n of one map, h and w a grid's sides.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from .interfaces.schedule import Grid


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """Queries and keys as the cells of maps, of which a query sees a square of keys around its place.

    The centre of the square in a map of keys [H, W] is the cell that holds the centre of the query's own
    cell: row ((2 i + 1) H) // (2 h) for a query in row i of h. At the edges the square is cut off.

    Args:
        size: the side of the square, an odd number of cells of the keys' map.
        q_grids, kv_grids: the maps, one after another, each row by row.

    Raises:
        ValueError: the size is not an odd number from 1 on.
    """

    size: int
    q_grids: tuple[Grid, ...]
    kv_grids: tuple[Grid, ...]

    def __post_init__(self) -> None:
        if self.size < 1 or self.size % 2 == 0:
            raise ValueError(f"a neighbourhood of {self.size} cells has no centre; take an odd number")

    def pairs(self, q_grid: Grid, kv_grid: Grid) -> int:
        """Return how many (query, key) pairs of two maps are near."""
        rows, columns = (
            sum(
                min(whole, centre + self._reach + 1) - max(0, centre - self._reach)
                for centre in (((2 * i + 1) * whole) // (2 * side) for i in range(side))
            )
            for side, whole in zip(q_grid, kv_grid, strict=True)
        )
        return rows * columns

    def seen(self, device: Any = None) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
        """Return the function of indices of queries and keys that says which pairs are near."""
        queries, keys = _cells(self.q_grids, device), _cells(self.kv_grids, device)
        reach = self._reach

        def near(q: torch.Tensor, kv: torch.Tensor) -> torch.Tensor:
            inside = kv >= 0
            for (q_place, q_side), (kv_place, kv_side) in zip(queries, keys, strict=True):
                centre = ((2 * q_place[q] + 1) * kv_side[kv]) // (2 * q_side[q])
                inside = inside & ((kv_place[kv] - centre).abs() <= reach)
            return inside

        return near

    @property
    def _reach(self) -> int:
        return self.size // 2


def sizes_of(grids: Sequence[Grid]) -> list[int]:
    """Return the number of cells of each map."""
    return [h * w for h, w in grids]


def _cells(grids: Sequence[Grid], device: Any) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Return the rows of all cells and their maps' heights, then the columns and widths; int32 [n] each."""
    import torch

    rows = [row for h, w in grids for row in range(h) for _ in range(w)]
    columns = [column for h, w in grids for _ in range(h) for column in range(w)]
    heights, widths = ([grid[axis] for grid in grids for _ in range(grid[0] * grid[1])] for axis in (0, 1))
    return [
        (
            torch.tensor(places, dtype=torch.int32, device=device),
            torch.tensor(sides, dtype=torch.int32, device=device),
        )
        for places, sides in ((rows, heights), (columns, widths))
    ]
