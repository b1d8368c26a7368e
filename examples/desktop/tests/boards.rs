//! Boards without a window: rules, conflicts, undo.

use proptest::prelude::*;
use trm_demo::board::{Board, FREE, GOAL, INVALID, Kind, PATH, START, WALL};
use trm_runtime::task::TaskKind;

mod common;

use common::{EASY, EASY_SOLVED, NO_CELLS, digits, maze, parse};

/// Returns the index of a cell in the maze of [`maze`].
const fn at(row: usize, col: usize) -> usize {
    row * 4 + col
}

#[test]
fn sizes_are_clamped() {
    assert_eq!(
        Kind::sudoku(4),
        Kind::Sudoku {
            side: 4,
            boxes: [2, 2]
        }
    );
    assert_eq!(
        Kind::sudoku(6),
        Kind::Sudoku {
            side: 6,
            boxes: [2, 3]
        }
    );
    for side in [0, 5, 9, 16, usize::MAX] {
        assert_eq!(
            Kind::sudoku(side),
            Kind::Sudoku {
                side: 9,
                boxes: [3, 3]
            }
        );
    }
    assert_eq!(
        (Kind::maze(0), Kind::maze(51)),
        (Kind::Maze { side: 2 }, Kind::Maze { side: 50 })
    );
    assert_eq!(Kind::arc(0, 31), Kind::Arc { rows: 1, cols: 30 });
    let invalid = Kind::Sudoku {
        side: 7,
        boxes: [1, 2],
    };
    assert_eq!(Board::empty(invalid).kind(), Kind::sudoku(9));
    assert_eq!(Kind::arc(3, 5).name(), "ARC 3 x 5");
    assert_eq!(Kind::sudoku(6).task(), TaskKind::Sudoku);
}

#[test]
fn empty_boards_have_only_blanks_and_ends() {
    assert!(Board::sudoku(6).cells().iter().all(|&digit| digit == 0));
    let maze = Board::maze(3);
    assert_eq!(maze.cells(), b"S       G");
    assert_eq!((maze.rows(), maze.cols()), (3, 3));
    assert_eq!(Board::empty(Kind::arc(2, 3)).cells(), [0; 6]);
    assert_eq!(Board::sudoku(9).cell(81), 0);
    assert_eq!(Board::maze(3).cell(usize::MAX), FREE);
}

#[test]
fn values_and_tokens_are_inverse() {
    for kind in [
        Kind::sudoku(4),
        Kind::sudoku(9),
        Kind::maze(5),
        Kind::arc(3, 3),
    ] {
        let known: Vec<u32> = (0..300)
            .filter(|&token| kind.value(token).is_some())
            .collect();
        for &token in &known {
            assert_eq!(
                kind.token(kind.value(token).unwrap()),
                Some(token),
                "{kind:?}"
            );
        }
        let expected = match kind {
            Kind::Sudoku { side, .. } => (1..=side as u32 + 1).collect::<Vec<_>>(),
            Kind::Maze { .. } => (1..=5).collect(),
            Kind::Arc { .. } => (2..=11).collect(),
        };
        assert_eq!(known, expected, "{kind:?}");
        assert_eq!((kind.value(u32::MAX), kind.token(200)), (None, None));
    }
}

#[test]
fn a_cell_accepts_only_values_of_its_kind() {
    let mut board = Board::sudoku(6);
    assert!(board.set(0, 6) && board.is_given(0));
    assert!(!board.set(0, 7) && !board.set(0, 255) && !board.set(36, 1) && !board.set(0, 6));
    assert!(board.set(0, 0) && !board.is_given(0));
    let mut board = Board::empty(Kind::arc(1, 2));
    assert!(board.set(1, 9) && !board.set(1, 10) && !board.is_given(1));
    let mut board = Board::maze(3);
    assert!(board.set(4, WALL) && board.is_given(4) && board.is_given(0) && !board.is_given(1));
    for value in [PATH, INVALID, 0, 1] {
        assert!(!board.set(1, value));
    }
}

#[test]
fn the_ends_of_a_maze_move_and_are_never_overwritten() {
    let mut board = Board::maze(3);
    for value in [WALL, FREE, GOAL] {
        assert!(!board.set(0, value), "the start was overwritten");
    }
    assert!(board.set(4, WALL) && board.set(4, START));
    assert_eq!(board.cells(), b"    S   G");
    assert!(board.undo(), "the move must be one edit");
    assert_eq!(board.cells(), b"S   #   G");
    board.clear();
    assert_eq!(board.cells(), b"S       G");
    assert!(board.undo() && board.cell(4) == WALL);
}

#[test]
fn a_stroke_is_one_edit() {
    let mut board = Board::maze(5);
    let before = board.clone();
    board.begin_stroke();
    for cell in [1, 2, 3, 2, 1] {
        board.set(cell, WALL);
    }
    board.end_stroke();
    board.set(7, WALL);
    let after = board.clone();
    assert!(board.undo() && board.cell(7) == FREE && board.cell(2) == WALL);
    assert!(board.undo());
    assert_eq!(board, before);
    assert!(!board.undo() && !board.can_undo() && board.can_redo());
    assert!(board.redo() && board.redo() && !board.redo());
    assert_eq!(board, after);
    // A new edit discards what redo could bring back.
    assert!(board.undo() && board.set(8, WALL) && !board.redo());
    // A stroke without a change is not an edit, and undo ends a stroke.
    let mut board = before.clone();
    board.begin_stroke();
    assert!(board.set(1, WALL) && board.set(1, FREE));
    board.end_stroke();
    assert!(!board.can_undo());
    board.begin_stroke();
    board.set(1, WALL);
    board.set(2, WALL);
    assert!(board.undo() && board == before && board.redo() && board.cell(2) == WALL);
    board.end_stroke();
    assert!(board.undo() && board == before);
    // Drawing the start along a row moves it, and leaves only free cells.
    board.begin_stroke();
    for cell in 1..5 {
        assert!(board.set(cell, START));
    }
    board.end_stroke();
    assert_eq!(board.cells()[..5], *b"    S");
    assert!(board.undo() && board == before);
}

#[test]
fn the_number_of_edits_is_limited() {
    let mut board = Board::sudoku(9);
    for n in 0..3000 {
        assert!(board.set(n % 81, 1 + (n / 81 % 9) as u8));
    }
    let steps = std::iter::from_fn(|| board.undo().then_some(())).count();
    assert!((500..3000).contains(&steps), "{steps}");
}

#[test]
fn sudoku_conflicts_are_exactly_the_cells_that_break_a_rule() {
    let with = |side: usize, cells: &[(usize, u8)]| {
        let mut board = Board::sudoku(side);
        for &(cell, digit) in cells {
            assert!(board.set(cell, digit));
        }
        board.conflicts(None)
    };
    assert_eq!(with(9, &[(0, 5), (8, 5), (40, 5)]), [0, 8]);
    assert_eq!(with(9, &[(1, 5), (73, 5), (40, 6)]), [1, 73]);
    assert_eq!(with(9, &[(30, 7), (50, 7)]), [30, 50]);
    assert_eq!(with(9, &[(0, 1), (10, 1), (20, 1)]), [0, 10, 20]);
    // 6 x 6: boxes are 2 rows high and 3 columns wide.
    assert_eq!(with(6, &[(0, 1), (8, 1)]), [0, 8]);
    assert_eq!(with(6, &[(0, 1), (9, 1)]), NO_CELLS);
    assert_eq!(with(6, &[(0, 1), (13, 1)]), NO_CELLS);

    let board = parse(EASY);
    let solved = digits(EASY_SOLVED);
    assert_eq!(board.conflicts(Some(&solved)), NO_CELLS);
    let mut answer = solved.clone();
    answer[2] = 0;
    assert_eq!(
        board.conflicts(Some(&answer)),
        [2],
        "an answer must have a digit in every cell"
    );
    // A changed clue conflicts with the 9s of its row, its column and its box.
    answer = solved.clone();
    answer[0] = 9;
    let wrong = board.conflicts(Some(&answer));
    assert!(wrong.contains(&0) && wrong.contains(&6), "{wrong:?}");
    answer.swap(0, 6);
    assert!(board.conflicts(Some(&answer)).contains(&0));
    // A valid grid of another puzzle: 1 and 2 are swapped everywhere, including clues.
    let other: Vec<u8> = solved
        .iter()
        .map(|&d| if d < 3 { 3 - d } else { d })
        .collect();
    let clues: Vec<usize> = (0..81)
        .filter(|&i| matches!(board.cell(i), 1 | 2))
        .collect();
    assert_eq!((clues.len(), board.conflicts(Some(&other))), (5, clues));
    assert_eq!(
        board.conflicts(Some(&solved[..80])),
        NO_CELLS,
        "an answer of another length is ignored"
    );
}

#[test]
fn equal_digits_conflict_exactly_within_a_row_a_column_or_a_box() {
    for (side, high, wide) in [(4, 2, 2), (6, 2, 3), (9, 3, 3)] {
        for a in 0..side * side {
            for b in a + 1..side * side {
                let mut board = Board::sudoku(side);
                assert!(board.set(a, 1) && board.set(b, 1));
                let boxed = |cell: usize| (cell / side / high, cell % side / wide);
                let share_house =
                    a / side == b / side || a % side == b % side || boxed(a) == boxed(b);
                let expected = if share_house { vec![a, b] } else { vec![] };
                assert_eq!(board.conflicts(None), expected, "{side}");
            }
        }
    }
}

#[test]
fn the_path_of_an_answer_is_followed_to_its_gap() {
    let (board, solved) = maze();
    let path = board.path(&solved);
    let whole_path = [
        at(0, 0),
        at(0, 1),
        at(1, 1),
        at(2, 1),
        at(2, 2),
        at(2, 3),
        at(1, 3),
        at(0, 3),
    ];
    assert!(path.connected && path.gap.is_none());
    assert_eq!(
        (path.from_start, path.to_goal, path.detached),
        (whole_path.to_vec(), vec![], vec![])
    );
    assert_eq!(board.conflicts(Some(&solved)), NO_CELLS);

    let mut broken = solved.clone();
    broken[at(2, 2)] = FREE;
    let path = board.path(&broken);
    assert_eq!(
        (path.connected, path.gap),
        (false, Some([at(2, 1), at(2, 3)]))
    );
    assert_eq!(
        (path.from_start, path.to_goal),
        (whole_path[..4].to_vec(), whole_path[5..].to_vec())
    );
    assert_eq!(board.conflicts(Some(&broken)), [at(2, 1), at(2, 3)]);

    // Without any path cell, the gap is between the ends.
    let bare: Vec<u8> = board.cells().to_vec();
    assert_eq!(board.path(&bare).gap, Some([at(0, 0), at(0, 3)]));
    // A detached cell is a conflict while the path has a gap.
    let mut isolated = bare.clone();
    isolated[at(2, 2)] = PATH;
    let path = board.path(&isolated);
    assert_eq!(
        (path.from_start.as_slice(), path.detached.as_slice()),
        ([0].as_slice(), [at(2, 2)].as_slice())
    );
    assert!(board.conflicts(Some(&isolated)).contains(&at(2, 2)));
    // A path through a wall counts as a changed wall, not as a path.
    let mut through = bare;
    (through[at(0, 1)], through[at(0, 2)]) = (PATH, PATH);
    assert!(!board.path(&through).connected);
    assert!(board.conflicts(Some(&through)).contains(&at(0, 2)));
    // More than one path is not a conflict, and `from_start` is a shortest one.
    let open = Board::maze(4);
    let all: Vec<u8> = open
        .cells()
        .iter()
        .map(|&c| if c == FREE { PATH } else { c })
        .collect();
    let path = open.path(&all);
    assert_eq!(
        (
            path.from_start.len(),
            path.detached.len(),
            open.conflicts(Some(&all))
        ),
        (7, 9, vec![])
    );
    assert_eq!(open.path(&[]), Default::default());
}

fn any_board() -> impl Strategy<Value = Board> {
    let kind = prop_oneof![
        prop_oneof![Just(4usize), Just(6), Just(9)].prop_map(Kind::sudoku),
        (2usize..12).prop_map(Kind::maze),
        (1usize..8, 1usize..8).prop_map(|(rows, cols)| Kind::arc(rows, cols)),
    ];
    (kind, prop::collection::vec((0usize..150, 0u8..12), 0..60)).prop_map(|(kind, edits)| {
        let mut board = Board::empty(kind);
        for (cell, value) in edits {
            board.set(cell, any_value(kind, value));
        }
        board
    })
}

/// Returns a value that may or may not belong to the kind.
fn any_value(kind: Kind, n: u8) -> u8 {
    match kind {
        Kind::Maze { .. } => b"# #SG# #o?##"[usize::from(n % 12)],
        _ => n,
    }
}

fn any_answer(board: &Board, noise: &[u8]) -> Vec<u8> {
    let noise = noise.iter().cycle();
    let cells = board.cells().iter().zip(noise);
    cells
        .map(|(&cell, &n)| match board.kind() {
            Kind::Maze { .. } if cell == FREE && n % 3 > 0 => PATH,
            Kind::Maze { .. } if n == 0 => INVALID,
            Kind::Maze { .. } => cell,
            _ => n % 11,
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_written_board_is_read_back(board in any_board()) {
        prop_assert_eq!(Board::parse(&board.to_text()), Ok(board.clone()));
        prop_assert_eq!(Board::from_puzzle(&board.to_puzzle()), Ok(board));
    }

    #[test]
    fn every_edit_can_be_undone_and_redone(
        start in any_board(),
        edits in prop::collection::vec((0usize..150, 0u8..12, 0u8..8), 0..60),
    ) {
        let mut board = start.clone();
        while board.undo() {}
        let empty = board.clone();
        while board.redo() {}
        prop_assert_eq!(&board, &start);
        for (cell, value, action) in edits {
            match action {
                0 => board.begin_stroke(),
                1 => board.end_stroke(),
                2 if value == 0 => board.clear(),
                _ => { board.set(cell, any_value(start.kind(), value)); }
            }
        }
        board.end_stroke();
        let end = board.clone();
        while board.undo() {}
        prop_assert_eq!(board.cells(), empty.cells());
        while board.redo() {}
        prop_assert_eq!(board, end);
    }

    /// Conflicts and the verdict of the library are computed independently.
    #[test]
    fn an_answer_is_without_conflicts_exactly_if_the_library_calls_it_valid(
        board in any_board(),
        noise in prop::collection::vec(any::<u8>(), 1..80),
    ) {
        let answer = any_answer(&board, &noise);
        let token = |&value: &u8| board.kind().token(value).unwrap_or(0);
        let tokens: Vec<u32> = answer.iter().map(token).collect();
        let conflicts = board.conflicts(Some(&answer));
        prop_assert!(conflicts.is_sorted() && conflicts.iter().all(|&i| i < answer.len()));
        let is_arc = matches!(board.kind(), Kind::Arc { .. });
        if let Ok(verdict) = board.verdict(&tokens) && !is_arc {
            prop_assert_eq!(verdict.valid, Some(conflicts.is_empty()), "{:?}", verdict);
            if verdict.valid == Some(true) && matches!(board.kind(), Kind::Maze { .. }) {
                let path = board.path(&answer);
                let shortest = path.detached.is_empty() && {
                    let fill = |&cell: &u8| if cell == FREE { PATH } else { cell };
                    let all_paths: Vec<u8> = board.cells().iter().map(fill).collect();
                    board.path(&all_paths).from_start.len() == path.from_start.len()
                };
                prop_assert_eq!(verdict.shortest, Some(shortest));
            }
        }
    }

    /// Random answers are rarely valid, so that these differ from the solution in a few cells only.
    #[test]
    fn conflicts_of_nearly_valid_answers_agree_with_the_library(
        wrong_digits in prop::collection::vec((0usize..81, 0u8..10), 0..3),
        gaps in prop::collection::vec(0usize..16, 0..3),
    ) {
        let (maze, mut path) = maze();
        for cell in gaps {
            if path[cell] == PATH {
                path[cell] = FREE;
            }
        }
        let mut answer = digits(EASY_SOLVED);
        wrong_digits.into_iter().for_each(|(cell, digit)| answer[cell] = digit);
        for (board, answer) in [(parse(EASY), answer), (maze, path)] {
            let token = |&value: &u8| board.kind().token(value).unwrap();
            let tokens: Vec<u32> = answer.iter().map(token).collect();
            let verdict = board.verdict(&tokens).unwrap();
            let is_valid = board.conflicts(Some(&answer)).is_empty();
            prop_assert_eq!(verdict.valid, Some(is_valid), "{:?}", verdict);
        }
    }

    #[test]
    fn a_board_passes_the_check_exactly_if_it_has_no_conflicts(board in any_board()) {
        let has_no_rules = matches!(board.kind(), Kind::Arc { .. });
        prop_assert_eq!(board.check().is_ok(), has_no_rules || board.conflicts(None).is_empty());
    }

    #[test]
    fn the_path_consists_of_path_cells_of_the_answer(
        board in any_board(),
        noise in prop::collection::vec(any::<u8>(), 1..80),
    ) {
        let answer = any_answer(&board, &noise);
        let path = board.path(&answer);
        if let Kind::Maze { side } = board.kind() {
            let are_neighbors = |pair: &[usize]| {
                let rows = (pair[0] / side).abs_diff(pair[1] / side);
                let cols = (pair[0] % side).abs_diff(pair[1] % side);
                rows + cols == 1
            };
            for part in [&path.from_start, &path.to_goal] {
                prop_assert!(part.windows(2).all(are_neighbors), "{:?}", path);
            }
            prop_assert_eq!(path.from_start.first().map(|&i| board.cell(i)), Some(START));
            let last = if path.connected { path.from_start.last() } else { path.to_goal.last() };
            prop_assert_eq!(last.map(|&i| board.cell(i)), Some(GOAL));
            let mut cells: Vec<usize> = [path.from_start, path.to_goal, path.detached].concat();
            cells.sort_unstable();
            let expected = |i: &usize| answer[*i] == PATH || matches!(board.cell(*i), START | GOAL);
            prop_assert_eq!(cells, (0..answer.len()).filter(expected).collect::<Vec<_>>());
        } else {
            prop_assert_eq!(path, Default::default());
        }
    }
}
