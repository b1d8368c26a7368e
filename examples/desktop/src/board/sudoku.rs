//! Sudokus: cells that break a rule.

pub(super) fn conflicts(
    _puzzle: &[u8],
    _answer: Option<&[u8]>,
    _side: usize,
    _boxes: [usize; 2],
) -> Vec<usize> {
    Vec::new()
}

/// The character of a digit, `.` of a blank.
pub(super) fn char_of(digit: u8) -> char {
    match digit {
        1..=9 => char::from(b'0' + digit),
        _ => '.',
    }
}
