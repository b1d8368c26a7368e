//! Matrix products, by the `gemm` crate behind checked views.
#![allow(
    unsafe_code,
    reason = "the gemm crate takes raw pointers; the views are checked here"
)]

/// A matrix inside a slice: element (i, j) is `data[i * row + j * column]`.
#[derive(Clone, Copy)]
pub(in super::super) struct Matrix<'a> {
    data: &'a [f32],
    row: usize,
    column: usize,
}

impl<'a> Matrix<'a> {
    /// Rows of `row` elements, one after the other.
    pub(in super::super) fn rows(data: &'a [f32], row: usize) -> Matrix<'a> {
        Matrix { data, row, column: 1 }
    }

    /// The transpose.
    pub(in super::super) fn t(self) -> Matrix<'a> {
        Matrix {
            data: self.data,
            row: self.column,
            column: self.row,
        }
    }

    /// Panics unless all of `[rows, columns]` lies inside the data: a size that the model's checks should have caught.
    fn check(&self, rows: usize, columns: usize) {
        let last = rows.saturating_sub(1) * self.row + columns.saturating_sub(1) * self.column;
        assert!(
            rows == 0 || columns == 0 || last < self.data.len(),
            "a matrix reaches beyond its memory"
        );
    }
}

/// `out = alpha a b`: a `[m, k]`, b `[k, n]`, out `[m, n]` with rows of `out_row` elements; on the calling thread.
pub(in super::super) fn matmul(
    [m, n, k]: [usize; 3],
    alpha: f32,
    a: Matrix<'_>,
    b: Matrix<'_>,
    out: &mut [f32],
    out_row: usize,
) {
    a.check(m, k);
    b.check(k, n);
    Matrix::rows(out, out_row).check(m, n);
    // SAFETY: all three views were checked to lie inside their slices; `out` is borrowed mutably, so it overlaps neither.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            out_row as isize,
            false,
            a.data.as_ptr(),
            a.column as isize,
            a.row as isize,
            b.data.as_ptr(),
            b.column as isize,
            b.row as isize,
            0.0,
            alpha,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}
