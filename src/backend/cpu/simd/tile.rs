//! Parts of memory that several threads write at once: tiles that cannot overlap.

use std::marker::PhantomData;
use std::ops::Range;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use super::team::{Scratch, Shift};

/// A rectangle of a row-major matrix, to be written: `rows` rows of `cols` elements, `stride` apart.
#[derive(Debug)]
pub(in super::super) struct Tile<'a> {
    first: *mut f32,
    rows: usize,
    cols: usize,
    stride: usize,
    memory: PhantomData<&'a mut [f32]>,
}

impl<'a> Tile<'a> {
    /// The first `rows` rows of `cols` elements of a matrix with rows of `stride`.
    pub(in super::super) fn of(memory: &'a mut [f32], rows: usize, cols: usize, stride: usize) -> Tile<'a> {
        let end = if rows == 0 { 0 } else { (rows - 1) * stride + cols };
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

    /// A row.
    pub(in super::super) fn row(&mut self, i: usize) -> &mut [f32] {
        assert!(i < self.rows, "no such row");
        // SAFETY: the row lies inside the memory that was checked in `of`; this tile alone may touch it, and is borrowed.
        unsafe { std::slice::from_raw_parts_mut(self.first.add(i * self.stride), self.cols) }
    }

    /// A rectangle of the rectangle.
    pub(in super::super) fn part(&mut self, rows: Range<usize>, cols: Range<usize>) -> Tile<'_> {
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
            // SAFETY: the first element of a part that was just checked, or that of the tile itself.
            first: unsafe { self.first.add(first) },
            rows: rows.len(),
            cols: cols.len(),
            stride: self.stride,
            memory: PhantomData,
        }
    }
}

/// The sum of some buffers of a slot, never stored as a whole: 1 to 8 terms.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Sum<'a> {
    terms: [&'a [f32]; 8],
    count: usize,
}

impl<'a> Sum<'a> {
    /// The sum of these terms, at most eight.
    pub(in super::super) fn of(terms: impl Iterator<Item = &'a [f32]>) -> Sum<'a> {
        let mut sum = Sum {
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

/// How equal matrices are cut.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Grid {
    pub(in super::super) rows: usize,
    pub(in super::super) cols: usize,
    /// Rows of a tile, at least 1.
    pub(in super::super) row_block: usize,
    /// Columns of a tile, at least 1.
    pub(in super::super) col_block: usize,
    /// The matrix is stored as a row of matrices of so many columns, one after the other: `None`, all columns in one.
    pub(in super::super) stored: Option<usize>,
}

/// Which tile: of which matrix, its rows and columns.
#[derive(Debug, Clone)]
pub(in super::super) struct Place {
    pub(in super::super) matrix: usize,
    pub(in super::super) rows: Range<usize>,
    pub(in super::super) cols: Range<usize>,
}

impl Grid {
    pub(in super::super) fn row_blocks(&self) -> usize {
        self.rows.div_ceil(self.row_block)
    }

    pub(in super::super) fn col_blocks(&self) -> usize {
        self.cols.div_ceil(self.col_block)
    }

    /// Where a tile starts in its matrix, and how far its rows are apart.
    fn start(&self, place: &Place) -> (usize, usize) {
        let width = self.stored.unwrap_or(self.cols);
        let (matrix, column) = (place.cols.start / width, place.cols.start % width);
        let stride = width.min(self.cols - matrix * width);
        (
            matrix * width * self.rows + place.rows.start * stride + column,
            stride,
        )
    }
}

/// What a tile's last one does: `(place of the whole rows, the whole rows)`.
pub(in super::super) type Finish<'a> = &'a (dyn Fn(&Place, Tile<'_>) + Sync);

/// What [`for_each_tile`] keeps from call to call, so as to allocate nothing.
#[derive(Debug, Default)]
pub(in super::super) struct Marks {
    /// How many tiles are left of each block of rows.
    left: Vec<AtomicUsize>,
    /// Where each matrix begins.
    firsts: Vec<AtomicPtr<f32>>,
}

impl Marks {
    /// For so many matrices in blocks of at least `row_block` rows.
    pub(in super::super) fn new(matrices: usize, rows: usize, row_block: usize) -> Marks {
        Marks {
            left: Vec::with_capacity(matrices * rows.div_ceil(row_block)),
            firsts: Vec::with_capacity(matrices),
        }
    }
}

/// Computes all tiles of all matrices with `work(place, tile, scratch)`, on whichever threads are free.
///
/// With `finish`, whoever computes the last tile of a block of rows calls it for the whole of these rows.
pub(in super::super) fn for_each_tile(
    shift: &mut Shift<'_>,
    matrices: &mut [Vec<f32>],
    grid: &Grid,
    marks: &mut Marks,
    work: impl Fn(&Place, Tile<'_>, &mut Scratch) + Sync,
    finish: Option<Finish<'_>>,
) {
    if matrices.is_empty() || grid.rows == 0 || grid.cols == 0 {
        return;
    }
    let (row_blocks, col_blocks) = (grid.row_blocks(), grid.col_blocks());
    // What makes the tiles disjoint and keeps them inside.
    assert!(matrices.iter().all(|m| grid.rows * grid.cols <= m.len()));
    assert!(
        grid.stored
            .is_none_or(|width| width.is_multiple_of(grid.col_block))
    );
    assert!(finish.is_none() || grid.stored.is_none());
    let blocks = matrices.len() * row_blocks;
    marks.left.clear();
    if finish.is_some() {
        marks.left.resize_with(blocks, || AtomicUsize::new(col_blocks));
    }
    marks.firsts.clear();
    let firsts = matrices.iter_mut().map(|m| AtomicPtr::new(m.as_mut_ptr()));
    marks.firsts.extend(firsts);
    let marks = &*marks;
    let task = |index: usize, scratch: &mut Scratch| {
        let (block, col) = (index % blocks, index / blocks);
        let (matrix, row) = (block / row_blocks, block % row_blocks);
        let rows = row * grid.row_block..grid.rows.min((row + 1) * grid.row_block);
        let cols = col * grid.col_block..grid.cols.min((col + 1) * grid.col_block);
        let mut place = Place { matrix, rows, cols };
        let tile = |place: &Place| {
            let (start, stride) = grid.start(place);
            Tile {
                // SAFETY: inside the matrix, which is borrowed for as long as this function runs, by the checks above.
                first: unsafe { marks.firsts[matrix].load(Ordering::Relaxed).add(start) },
                rows: place.rows.len(),
                cols: place.cols.len(),
                stride,
                memory: PhantomData,
            }
        };
        // The team gives every index to one thread, once; different indices have different tiles.
        work(&place, tile(&place), scratch);
        if let Some(finish) = finish
            && marks.left[block].fetch_sub(1, Ordering::AcqRel) == 1
        {
            // All tiles of these rows are done and their borrowers gone: the rows are this thread's.
            place.cols = 0..grid.cols;
            finish(&place, tile(&place));
        }
    };
    shift.run(blocks * col_blocks, &task);
}

/// Calls `work(item, scratch)` for the chosen items (rising), each by one thread.
pub(in super::super) fn for_each_chosen<T: Send>(
    shift: &mut Shift<'_>,
    items: &mut [T],
    chosen: &[usize],
    work: impl Fn(&mut T, &mut Scratch) + Sync,
) {
    assert!(chosen.is_sorted_by(|a, b| a < b) && chosen.last().is_none_or(|last| *last < items.len()));
    let items = AtomicPtr::new(items.as_mut_ptr());
    let task = |index: usize, scratch: &mut Scratch| {
        // SAFETY: an item of the slice, which is borrowed for as long as this function runs; as the choice rises and the team gives every
        // index to one thread, once, nobody else has it.
        work(
            unsafe { &mut *items.load(Ordering::Relaxed).add(chosen[index]) },
            scratch,
        );
    };
    shift.run(chosen.len(), &task);
}
