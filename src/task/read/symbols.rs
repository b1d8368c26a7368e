//! The characters with which people write puzzles.

/// The characters of a blank cell of a Sudoku besides `0` and `.`.
pub(crate) const BLANKS: &str = "_*?xX-";

/// Returns a line with each character replaced by its plain form: typographic white space by a
/// space, full-width characters by ASCII, lines of a frame by `|`, `-` and `+`, solid blocks by
/// `#`, and dots and empty squares by `.`. Invisible characters are removed.
pub(crate) fn plain(line: &str) -> String {
    line.chars().filter_map(plain_char).collect()
}

/// Returns the plain form of a character. `None` if it is invisible.
pub(crate) fn plain_char(c: char) -> Option<char> {
    Some(match c {
        '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '\u{fe0e}' | '\u{fe0f}' | '\u{ad}' => {
            return None;
        }
        '\t' | '\r' | '\n' => c,
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(c as u32 - 0xfee0)?,
        '│' | '┃' | '║' | '┆' | '┇' | '┊' | '┋' | '╎' | '╏' | '¦' | '▏' | '▕' => {
            '|'
        }
        '─' | '━' | '═' | '┄' | '┅' | '┈' | '┉' | '╌' | '╍' | '−' | '–' | '—' | '‐' | '‑' => {
            '-'
        }
        '\u{2500}'..='\u{257f}' => '+',
        '█' | '▓' | '▒' | '■' | '▉' | '▮' | '▪' | '◼' | '◾' | '⬛' => '#',
        '·' | '∙' | '•' | '․' | '⋅' | '□' | '▢' | '☐' | '▫' | '◻' | '◽' | '⬜' | '░' => {
            '.'
        }
        c if c.is_whitespace() => ' ',
        c => c,
    })
}

/// Returns whether a character is a digit of a Sudoku of any size, or one of the two standard
/// blanks.
pub(crate) fn is_standard_cell(c: char) -> bool {
    c == '.' || c.is_ascii_alphanumeric()
}

/// Returns whether a character only separates cells of a Sudoku.
pub(crate) fn is_separator(c: char) -> bool {
    c.is_whitespace() || matches!(c, '|' | '!' | ':')
}

/// Returns whether a line consists of characters of a frame, such as `+---+---+`. It has at least
/// three of them. A line with only one kind of character can also be a row of blanks.
pub(crate) fn is_frame(line: &str) -> bool {
    let strokes = line.chars().filter(|c| "-=+*_".contains(*c)).count();
    strokes >= 3
        && line
            .chars()
            .all(|c| c.is_whitespace() || "-=+*_|!:.'`,\"~".contains(c))
}

/// Returns whether all characters but white space and bars are the same blank: `- - - | - - -`.
pub(crate) fn is_row_of_one_blank(line: &str) -> bool {
    let mut cells = line.chars().filter(|&c| !is_separator(c));
    let Some(first) = cells.next() else {
        return false;
    };
    BLANKS.contains(first) && cells.all(|c| c == first)
}

/// Returns whether a line is a comment: it starts with `//`, `/*`, `<!--`, `;` or `%`, or with
/// `#` and is no row of a maze; or it is the header of a section, such as `[Puzzle]`.
pub(crate) fn is_comment(line: &str) -> bool {
    let line = line.trim();
    if ["//", "/*", "<!--"]
        .iter()
        .any(|mark| line.starts_with(mark))
    {
        return true;
    }
    if line.starts_with([';', '%']) {
        // A row of a table can start with an empty field.
        return line.contains(char::is_alphabetic);
    }
    if let Some(rest) = line.strip_prefix('#') {
        let total = rest.chars().count();
        let is_cell = |c: char| is_maze_char(c) || c.is_whitespace();
        let foreign = rest.chars().filter(|&c| !is_cell(c)).count();
        // A row of a maze with a wrong character is not a comment.
        return foreign > 0 && foreign * 3 > total;
    }
    section(line).is_some()
}

/// Returns the name of a section: `Puzzle` of `[Puzzle]`.
pub(crate) fn section(line: &str) -> Option<&str> {
    let name = line.trim().strip_prefix('[')?.strip_suffix(']')?;
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, ' ' | '_' | '-'));
    is_name.then_some(name)
}

/// Returns whether a character can be a cell of a maze in some notation.
pub(crate) fn is_maze_char(c: char) -> bool {
    matches!(c, '#' | ' ' | 'S' | 'G' | 'o' | '.' | '_')
}

/// Returns whether a line is text and not cells: a title, such as `Grid 01`.
///
/// It has a word, many of its characters are letters, and it can neither be a row nor a whole
/// puzzle.
pub(crate) fn is_text(line: &str) -> bool {
    let count = line.chars().filter(|c| !c.is_whitespace()).count();
    let letters = line.chars().filter(|c| c.is_alphabetic()).count();
    let has_word = line
        .split(|c: char| !c.is_alphabetic())
        .any(|word| word.chars().count() >= 2);
    has_word && letters * 3 >= count && !is_maze_row(line) && !can_be_row(line)
}

fn is_maze_row(line: &str) -> bool {
    line.contains(['#', 'S', 'G', 'o']) && line.chars().all(is_maze_char)
}

/// Returns whether the characters can be a row of a Sudoku, or a whole one, judged by the largest
/// digit.
fn can_be_row(line: &str) -> bool {
    let cells = || line.chars().filter(|&c| !is_separator(c));
    let count = cells().count();
    let n = count.isqrt();
    let is_blank = |c: char| c == '.' || BLANKS.contains(c);
    let largest = cells()
        .filter(|&c| !is_blank(c))
        .try_fold(0, |largest, c| Some(c.to_digit(36)?.max(largest)));
    let Some(largest) = largest.map(|digit| digit as usize) else {
        return false;
    };
    (count >= 4 && largest <= count) || (n >= 4 && n * n == count && largest <= n)
}

/// Returns the value of a digit of a Sudoku with n rows. `None` if it is not a digit up to n.
pub(crate) fn digit(c: char, n: usize) -> Option<usize> {
    c.to_digit(36)
        .map(|digit| digit as usize)
        .filter(|&digit| digit <= n)
}
