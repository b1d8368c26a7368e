//! Sudokus: houses, and the cells that break a rule.

/// Returns the houses of a Sudoku (its rows, columns and boxes), each as the indices of its cells.
pub(crate) fn houses(side: usize, [rows, cols]: [usize; 2]) -> Vec<Vec<usize>> {
    let mut houses = Vec::with_capacity(3 * side);
    for i in 0..side {
        let (top, left) = (i / rows * rows, i % rows * cols);
        houses.push((0..side).map(|j| i * side + j).collect());
        houses.push((0..side).map(|j| j * side + i).collect());
        let cell = |j: usize| (top + j / cols) * side + left + j % cols;
        houses.push((0..side).map(cell).collect());
    }
    houses
}

/// See [`Board::conflicts`](super::Board::conflicts).
pub(super) fn conflicts(
    puzzle: &[u8],
    answer: Option<&[u8]>,
    side: usize,
    boxes: [usize; 2],
) -> Vec<usize> {
    let cells = answer.unwrap_or(puzzle);
    let is_digit = |digit: u8| (1..=side).contains(&usize::from(digit));
    let mut wrong = vec![false; cells.len()];
    for house in houses(side, boxes) {
        for &i in &house {
            wrong[i] |= is_digit(cells[i]) && house.iter().any(|&j| j != i && cells[j] == cells[i]);
        }
    }
    for (i, (&clue, &digit)) in puzzle.iter().zip(cells).enumerate() {
        let is_missing = answer.is_some() && !is_digit(digit);
        wrong[i] |= is_missing || (clue != 0 && clue != digit);
    }
    (0..cells.len()).filter(|&i| wrong[i]).collect()
}

/// The character of a digit, `.` of a blank.
pub(super) fn char_of(digit: u8) -> char {
    match digit {
        1..=9 => char::from(b'0' + digit),
        _ => '.',
    }
}
