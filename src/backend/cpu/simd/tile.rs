//! Tiles: disjoint parts of matrices that several threads write at once.

use std::marker::PhantomData;
use std::ops::Range;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use crate::backend::cpu::pool::PoolScope;
use crate::backend::cpu::scratch::Scratch;

/// A writable rectangle of a row-major matrix: `rows` rows of `cols` elements, `stride` apart.
#[derive(Debug)]
pub(in super::super) struct Tile<'a> {
    first: *mut f32,
    rows: usize,
    cols: usize,
    stride: usize,
    memory: PhantomData<&'a mut [f32]>,
}

impl<'a> Tile<'a> {
    /// Returns the first `rows` rows and `cols` columns of a matrix whose rows are `stride` apart.
    pub(in super::super) fn of(
        memory: &'a mut [f32],
        rows: usize,
        cols: usize,
        stride: usize,
    ) -> Self {
        let end = if rows == 0 {
            0
        } else {
            (rows - 1) * stride + cols
        };
        assert!(
            cols <= stride && end <= memory.len(),
            "a tile reaches beyond its memory"
        );
        Tile {
            first: memory.as_mut_ptr(),
            rows,
            cols,
            stride,
            memory: PhantomData,
        }
    }

    pub(in super::super) fn rows(&self) -> usize {
        self.rows
    }

    pub(in super::super) fn cols(&self) -> usize {
        self.cols
    }

    pub(super) fn stride(&self) -> usize {
        self.stride
    }

    pub(super) fn as_mut_ptr(&mut self) -> *mut f32 {
        self.first
    }

    /// Returns row `i`.
    pub(in super::super) fn row(&mut self, i: usize) -> &mut [f32] {
        assert!(i < self.rows, "no such row");
        // SAFETY: the row lies inside the memory that was checked in `of`; this tile alone may
        // touch it, and is borrowed.
        unsafe { std::slice::from_raw_parts_mut(self.first.add(i * self.stride), self.cols) }
    }

    /// Returns a rectangle of this tile.
    pub(in super::super) fn sub_tile(
        &mut self,
        rows: Range<usize>,
        cols: Range<usize>,
    ) -> Tile<'_> {
        assert!(
            rows.start <= rows.end
                && rows.end <= self.rows
                && cols.start <= cols.end
                && cols.end <= self.cols,
            "a part reaches beyond its tile"
        );
        let first = if rows.is_empty() {
            0
        } else {
            rows.start * self.stride + cols.start
        };
        Tile {
            // SAFETY: the first element of a part that was just checked, or that of the tile
            // itself.
            first: unsafe { self.first.add(first) },
            rows: rows.len(),
            cols: cols.len(),
            stride: self.stride,
            memory: PhantomData,
        }
    }
}

/// A sum of 1 to 8 buffers of a slot. It is computed on the fly and never stored as a whole.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct BufferSum<'a> {
    terms: [&'a [f32]; 8],
    count: usize,
}

impl<'a> BufferSum<'a> {
    /// Returns the sum of at most eight terms.
    pub(in super::super) fn of(terms: impl Iterator<Item = &'a [f32]>) -> Self {
        let mut sum = BufferSum {
            terms: [&[]; 8],
            count: 0,
        };
        for term in terms {
            sum.terms[sum.count] = term;
            sum.count += 1;
        }
        sum
    }

    pub(in super::super) fn terms(&self) -> &[&'a [f32]] {
        &self.terms[..self.count]
    }
}

/// How matrices of one size are divided into tiles.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct TileGrid {
    /// Rows of the matrix.
    pub(in super::super) rows: usize,
    /// Columns of the matrix.
    pub(in super::super) cols: usize,
    /// Rows of a tile, at least 1.
    pub(in super::super) tile_rows: usize,
    /// Columns of a tile, at least 1.
    pub(in super::super) tile_cols: usize,
    /// Columns of a column block, if the matrix is stored as column blocks one after the other.
    /// `None`: the matrix is row-major as a whole.
    pub(in super::super) column_block: Option<usize>,
}

/// Identifies a tile: its matrix, and its rows and columns there.
#[derive(Debug, Clone)]
pub(in super::super) struct TileIndex {
    pub(in super::super) matrix: usize,
    pub(in super::super) rows: Range<usize>,
    pub(in super::super) cols: Range<usize>,
}

impl TileGrid {
    /// Returns the grid of a row-major matrix `[rows, cols]`.
    pub(in super::super) fn new(
        rows: usize,
        cols: usize,
        tile_rows: usize,
        tile_cols: usize,
    ) -> Self {
        Self {
            rows,
            cols,
            tile_rows: tile_rows.max(1),
            tile_cols: tile_cols.max(1),
            column_block: None,
        }
    }

    fn row_tiles(&self) -> usize {
        self.rows.div_ceil(self.tile_rows)
    }

    fn col_tiles(&self) -> usize {
        self.cols.div_ceil(self.tile_cols)
    }

    /// Returns where a tile starts in its matrix, and the stride of its rows.
    fn start(&self, index: &TileIndex) -> (usize, usize) {
        let width = self.column_block.unwrap_or(self.cols);
        let (block, column) = (index.cols.start / width, index.cols.start % width);
        let stride = width.min(self.cols - block * width);
        (
            block * width * self.rows + index.rows.start * stride + column,
            stride,
        )
    }
}

/// An operation on complete rows, run after all tiles of these rows are written. It gets the index
/// of the rows and the rows themselves.
pub(in super::super) type RowEpilogue<'a> = &'a (dyn Fn(&TileIndex, Tile<'_>) + Sync);

/// Working memory of [`for_each_tile`], reused from call to call so that it does not allocate.
#[derive(Debug, Default)]
pub(in super::super) struct TileCounters {
    /// The number of unfinished tiles in each block of rows.
    remaining: Vec<AtomicUsize>,
    /// The first element of each matrix.
    matrices: Vec<AtomicPtr<f32>>,
}

impl TileCounters {
    /// Allocates for so many matrices, in tiles of at least `tile_rows` rows.
    pub(in super::super) fn new(matrices: usize, rows: usize, tile_rows: usize) -> Self {
        Self {
            remaining: Vec::with_capacity(matrices * rows.div_ceil(tile_rows)),
            matrices: Vec::with_capacity(matrices),
        }
    }
}

/// Computes all tiles of all matrices with `compute(index, tile, scratch)`, on whichever threads
/// are free.
///
/// The thread that finishes a row block's last tile also calls `epilogue`, for all columns of these
/// rows.
pub(in super::super) fn for_each_tile(
    scope: &mut PoolScope<'_>,
    matrices: &mut [Vec<f32>],
    grid: &TileGrid,
    counters: &mut TileCounters,
    compute: impl Fn(&TileIndex, Tile<'_>, &mut Scratch) + Sync,
    epilogue: Option<RowEpilogue<'_>>,
) {
    if matrices.is_empty() || grid.rows == 0 || grid.cols == 0 {
        return;
    }
    let (row_tiles, col_tiles) = (grid.row_tiles(), grid.col_tiles());
    // These checks make the tiles disjoint and keep them inside their matrices.
    assert!(
        matrices.iter().all(|m| grid.rows * grid.cols <= m.len()),
        "a matrix is smaller than its tiles"
    );
    assert!(
        grid.column_block
            .is_none_or(|width| width.is_multiple_of(grid.tile_cols)),
        "a tile is in two column blocks"
    );
    assert!(
        epilogue.is_none() || grid.column_block.is_none(),
        "an epilogue needs whole rows"
    );
    let row_blocks = matrices.len() * row_tiles;
    counters.remaining.clear();
    if epilogue.is_some() {
        counters
            .remaining
            .resize_with(row_blocks, || AtomicUsize::new(col_tiles));
    }
    counters.matrices.clear();
    let pointers = matrices.iter_mut().map(|m| AtomicPtr::new(m.as_mut_ptr()));
    counters.matrices.extend(pointers);
    let counters = &*counters;
    let task = |number: usize, scratch: &mut Scratch| {
        let (row_block, col) = (number % row_blocks, number / row_blocks);
        let (matrix, row) = (row_block / row_tiles, row_block % row_tiles);
        let rows = row * grid.tile_rows..grid.rows.min((row + 1) * grid.tile_rows);
        let cols = col * grid.tile_cols..grid.cols.min((col + 1) * grid.tile_cols);
        let mut index = TileIndex { matrix, rows, cols };
        let tile = |index: &TileIndex| {
            let (start, stride) = grid.start(index);
            Tile {
                // SAFETY: inside the matrix, which is borrowed for as long as this function runs,
                // by the checks above.
                first: unsafe { counters.matrices[matrix].load(Ordering::Relaxed).add(start) },
                rows: index.rows.len(),
                cols: index.cols.len(),
                stride,
                memory: PhantomData,
            }
        };
        // The pool gives every task number to one thread, once; different numbers have different
        // tiles.
        compute(&index, tile(&index), scratch);
        if let Some(epilogue) = epilogue
            && counters.remaining[row_block].fetch_sub(1, Ordering::AcqRel) == 1
        {
            // All tiles of these rows are done and their borrowers gone: the rows are this
            // thread's.
            index.cols = 0..grid.cols;
            epilogue(&index, tile(&index));
        }
    };
    scope.run(row_blocks * col_tiles, &task);
}

/// Calls `work(item, scratch)` for the items at the `chosen` indices (ascending), each on one
/// thread.
pub(in super::super) fn for_each_chosen<T: Send>(
    scope: &mut PoolScope<'_>,
    items: &mut [T],
    chosen: &[usize],
    work: impl Fn(&mut T, &mut Scratch) + Sync,
) {
    assert!(
        chosen.is_sorted_by(|a, b| a < b) && chosen.last().is_none_or(|last| *last < items.len()),
        "the indices do not ascend, or there is no such item"
    );
    let items = AtomicPtr::new(items.as_mut_ptr());
    let task = |number: usize, scratch: &mut Scratch| {
        // SAFETY: an item of the slice, which is borrowed for as long as this function runs; as
        // the indices ascend and the pool gives every task number to one thread, once, nobody else
        // has it.
        work(
            unsafe { &mut *items.load(Ordering::Relaxed).add(chosen[number]) },
            scratch,
        );
    };
    scope.run(chosen.len(), &task);
}
