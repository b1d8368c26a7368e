//! Properties of all puzzles, untrusted input included.

use proptest::prelude::*;
use trm_runtime::task::{
    ArcGrid, ArcPuzzle, Cells, Maze, Puzzle, Sudoku, Task, TokenSpec, Tokens, detect,
};

use super::arc::naive_crop;
use super::{arc, puzzle, token_spec};

fn any_content() -> impl Strategy<Value = Cells> {
    let number = || prop_oneof![4 => 0..12_i64, 1 => any::<i64>()];
    let string = || prop_oneof![3 => "[0-9.]{0,100}", 3 => "[# SGo]{0,100}", 1 => "\\PC{0,30}"];
    let row = || prop::collection::vec(number(), 0..10);
    let grid = || prop::collection::vec(row(), 0..10);
    let square = |cell: fn() -> BoxedStrategy<i64>| {
        (1..10_usize)
            .prop_flat_map(move |n| prop::collection::vec(prop::collection::vec(cell(), n), n))
    };
    let sparse = (2..7_usize).prop_flat_map(|n| {
        prop::collection::vec(
            prop::sample::select(vec!['.', '.', '0', '.', '.', '0', '1', '2']),
            n * n,
        )
    });
    prop_oneof![
        sparse.prop_map(|cells| Cells::Text(cells.into_iter().collect())),
        string().prop_map(Cells::Text),
        prop::collection::vec(string(), 0..10).prop_map(Cells::Rows),
        (1..10_usize)
            .prop_flat_map(|n| prop::collection::vec(
                prop::collection::vec(prop::sample::select(vec!['#', ' ', ' ', 'S', 'G']), n),
                n
            ))
            .prop_map(|rows| Cells::Rows(rows.iter().map(|row| row.iter().collect()).collect())),
        grid().prop_map(Cells::Grid),
        square(|| (0..9_i64).boxed()).prop_map(Cells::Grid),
        row().prop_map(Cells::List),
        prop::collection::vec(0..6_i64, 0..40).prop_map(Cells::Tokens),
        row().prop_map(Cells::Tokens),
        (prop::option::of("\\PC{0,10}"), grid()).prop_map(|(task, test)| Cells::Arc(ArcPuzzle {
            task,
            train: vec![].into(),
            test
        })),
    ]
}

/// Returns a Sudoku in one way of writing: blanks may be `0` or `.`, letters in either case.
fn plain(sudoku: &str) -> String {
    sudoku.replace('.', "0").to_uppercase()
}

fn any_task() -> impl Strategy<Value = Box<dyn Task>> {
    let box_shape = prop::option::of(prop_oneof![
        prop::array::uniform2(0..5_usize),
        prop::array::uniform2(any::<usize>())
    ]);
    prop_oneof![
        box_shape.prop_map(|box_shape| Box::new(Sudoku { box_shape }) as Box<dyn Task>),
        Just(()).prop_map(|()| Box::new(Maze) as Box<dyn Task>),
        Just(()).prop_map(|()| Box::new(ArcGrid::default()) as Box<dyn Task>),
        Just(()).prop_map(|()| Box::new(Tokens) as Box<dyn Task>),
    ]
}

fn any_space() -> impl Strategy<Value = TokenSpec> {
    let number = || prop_oneof![4 => 0..20_usize, 1 => any::<usize>()];
    let square = (0..10_usize).prop_map(|n| n * n);
    let seq_len = prop::option::of(prop_oneof![2 => square, 1 => number()]);
    (number(), seq_len, number()).prop_map(|(vocab_size, seq_len, num_puzzle_identifiers)| {
        TokenSpec {
            vocab_size,
            seq_len,
            num_puzzle_identifiers,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 3000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn nothing_that_a_stranger_writes_makes_a_task_panic(
        content in any_content(),
        solution in prop::option::of(any_content()),
        puzzle_id in prop::option::of(0..30_u32),
        task in any_task(),
        token_spec in any_space(),
        answer in prop::collection::vec(prop_oneof![4 => 0..13_u32, 1 => any::<u32>()], 0..120),
    ) {
        let given = Puzzle { solution, puzzle_id, ..puzzle(content) };
        let _ = detect(&given, Some(&token_spec), None, None);
        if let Ok(problem) = task.encode(&given, &token_spec) {
            prop_assert!(problem.tokens.iter().all(|&t| (t as usize) < token_spec.vocab_size));
            prop_assert!(token_spec.seq_len.is_none_or(|s| s == problem.tokens.len()));
            prop_assert_eq!(problem.rows * problem.cols, problem.tokens.len());
            prop_assert!(problem.solution.as_ref().is_none_or(|s| s.len() == problem.tokens.len()));
            for answer in [&answer, &problem.tokens] {
                let _ = task.decode(&problem, answer);
                let _ = task.verify(&problem, answer);
            }
            if let Some(solution) = &problem.solution && task.name() == "arc" {
                prop_assert_eq!(task.verify(&problem, solution).valid, Some(true));
            }
        }
    }

    #[test]
    fn printing_what_was_read_gives_what_was_written(content in any_content(), task in any_task()) {
        let token_spec = token_spec(300, None);
        if let Ok(problem) = task.encode(&puzzle(content.clone()), &token_spec) {
            let printed = task.decode(&problem, &problem.tokens);
            let same = match (content, &printed) {
                (Cells::Arc(arc), Cells::Grid(grid)) => arc.test == *grid,
                (Cells::Text(written), Cells::Text(printed)) if task.name() == "sudoku" => {
                    plain(&written) == plain(printed)
                }
                (Cells::Rows(written), Cells::Rows(printed)) if task.name() == "sudoku" => {
                    plain(&written.join("\n")) == plain(&printed.join("\n"))
                }
                (content, printed) => content == *printed,
            };
            prop_assert!(same, "{:?}", printed);
            if task.name() != "arc" {
                let again = task.encode(&puzzle(printed), &token_spec).expect("what was printed can be read");
                prop_assert_eq!(again.tokens, problem.tokens);
            }
        }
    }

    #[test]
    fn cropping_a_canvas_gives_the_grid(
        grid in (1..31_usize, 1..31_usize)
            .prop_flat_map(|(r, c)| prop::collection::vec(prop::collection::vec(0..10_i64, c), r))
    ) {
        let problem = ArcGrid::default().encode(&arc(None, grid.clone()), &token_spec(12, 900)).expect("a grid");
        prop_assert_eq!(ArcGrid::default().decode(&problem, &problem.tokens), Cells::Grid(grid));
    }

    #[test]
    fn the_crop_is_the_largest_rectangle(
        tokens in prop_oneof![
            prop::collection::vec(prop_oneof![1 => 0..13_u32, 6 => 2..12_u32], 36),
            prop::collection::vec(prop_oneof![1 => 0..2_u32, 30 => 2..12_u32], 36),
        ]
    ) {
        let problem = ArcGrid::default().encode(&arc(None, vec![vec![0]]), &token_spec(12, 36)).expect("a grid");
        let decoded = ArcGrid::default().decode(&problem, &tokens);
        prop_assert_eq!(decoded, Cells::Grid(naive_crop(&tokens, 6)));
    }
}
