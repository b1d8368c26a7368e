//! Mazes.

use trm_runtime::task::{Cells, EncodedPuzzle, Maze, Puzzle, Task};

use super::{SMALL, assert_says, csv, error, puzzle, rows, text, token_spec, why};

fn maze_tokens(s: &str) -> Vec<u32> {
    s.chars()
        .map(|c| "?# SGo".find(c).expect("a maze cell") as u32)
        .collect()
}

#[test]
fn a_maze_in_every_form_is_the_same_tokens_and_decodes_to_its_form() {
    let tokens = vec![3, 2, 2, 2, 2, 1, 1, 2, 2, 1, 4, 2, 2, 2, 2, 2];
    let forms = [
        text(&SMALL.concat()),
        text(&SMALL.join("\n")),
        text(&(SMALL.join("\r\n") + "\r\n")),
        rows(&SMALL),
        Cells::Tokens(tokens.iter().map(|&t| t.into()).collect()),
    ];
    for form in forms {
        let problem = Maze
            .encode(&puzzle(form.clone()), &token_spec(6, 16))
            .expect("a maze");
        assert_eq!(problem.tokens, tokens, "{form:?}");
        assert_eq!((problem.rows, problem.cols), (4, 4));
        assert_eq!(Maze.decode(&problem, &tokens), form);
    }
    let problem = Maze
        .encode(&puzzle(rows(&SMALL)), &token_spec(6, 16))
        .expect("a maze");
    let answer = [0, 1, 2, 3, 4, 5, 6, u32::MAX];
    assert_eq!(
        Maze.decode(&problem, &answer),
        rows(&["?# S", "Go??", "????", "????"])
    );
}

#[test]
fn impossible_mazes_are_told_in_words() {
    let cases = [
        (
            rows(&["S  ", "   ", "   "]),
            "the maze has no goal: mark it with G",
        ),
        (
            rows(&["G  ", "   ", "   "]),
            "the maze has no start: mark it with S",
        ),
        (
            rows(&["SS ", "  G", "   "]),
            "the maze has 2 starts: mark only one cell with S",
        ),
        (rows(&["SG ", "  G", "G  "]), "the maze has 3 goals"),
        (
            rows(&["So ", "  G", "   "]),
            "the maze already has a path ('o' in row 1, column 2)",
        ),
        (
            rows(&["S# ", "# G", "   "]),
            "no path leads from the start to the goal",
        ),
        (
            rows(&["S  ", " x ", "  G"]),
            "'x' in row 2, column 2 is not a maze cell",
        ),
        (
            rows(&["S  ", "  ", "  G"]),
            "row 2 has 2 cells, but row 1 has 3",
        ),
        (
            rows(&["S  ", "  G"]),
            "a maze is square, but this one has 2 rows of 3 cells",
        ),
        (
            rows(&["", "", ""]),
            "a maze is square, but this one has 3 rows of 0 cells",
        ),
        (
            text("S  G "),
            "a maze has n x n cells (100, 900, ...), but this one has 5",
        ),
        (
            Cells::Tokens(vec![3, 4, 2, 0]),
            "token 0 in row 2, column 2 is not a maze cell",
        ),
        (
            Cells::Tokens(vec![3, 4, 2, -7]),
            "token -7 in row 2, column 2",
        ),
        (
            Cells::List(vec![3, 4, 2, 2]),
            "a maze is written in characters",
        ),
        (
            text(&" ".repeat(257 * 257)),
            "too large: the limit is 256 rows",
        ),
    ];
    for (content, part) in cases {
        assert_says(&error(&Maze, content, &token_spec(6, None)), part);
    }
    assert_says(
        &error(&Maze, rows(&SMALL), &token_spec(6, 9)),
        "this maze is 4 x 4, but the model was trained on 3 x 3",
    );
    assert_says(
        &error(&Maze, rows(&SMALL), &token_spec(5, 16)),
        "has only 5",
    );
    let mut solved = puzzle(rows(&SMALL));
    solved.solution = Some(text("S oG"));
    let message = Maze
        .encode(&solved, &token_spec(6, 16))
        .expect_err("2 x 2")
        .to_string();
    assert_says(&message, "solution: is 2 x 2, but the maze is 4 x 4");
}

#[test]
fn a_path_may_be_longer_or_stray_but_must_arrive() {
    let problem = Maze
        .encode(&puzzle(rows(&SMALL)), &token_spec(6, 16))
        .expect("a maze");
    let cases = [
        (["Sooo", " ##o", " #Go", "    "], Some(true), Some(true)),
        (["S   ", "o## ", "o#G ", "ooo "], Some(true), Some(true)),
        (["Sooo", "o##o", "o#Go", "    "], Some(true), Some(false)),
        (["Sooo", " ##o", " #Go", "  oo"], Some(true), Some(false)),
        (["Sooo", " ## ", " #Go", "    "], Some(false), Some(false)),
        (["S   ", " ## ", " #G ", "    "], Some(false), Some(false)),
        (["Sooo", " #oo", " #Go", "    "], Some(false), Some(false)),
        (["Sooo", " ##o", " #oo", "    "], Some(false), Some(false)),
        (["oooo", " ##o", " #Go", "    "], Some(false), Some(false)),
        (["S oo", "  #o", " #Go", "    "], Some(false), Some(false)),
    ];
    for (answer, valid, shortest) in cases {
        let verdict = Maze.verify(&problem, &maze_tokens(&answer.concat()));
        assert_eq!(
            (verdict.valid, verdict.shortest),
            (valid, shortest),
            "{answer:?}"
        );
        assert_eq!(verdict.reason.is_some(), valid == Some(false));
    }
    let wall = maze_tokens(&["Sooo", " #oo", " #Go", "    "].concat());
    assert_says(
        &why(&Maze, &problem, &wall),
        "row 2, column 3 is a wall in the maze and path in the answer",
    );
    assert_says(
        &why(&Maze, &problem, &problem.tokens),
        "does not lead from the start to the goal",
    );
    assert_says(
        &why(&Maze, &problem, &wall[1..]),
        "the answer has 15 cells, but the puzzle has 16",
    );
    let beside = Maze
        .encode(&puzzle(rows(&["SG", "  "])), &token_spec(6, 4))
        .expect("a maze");
    assert_eq!(
        Maze.verify(&beside, &beside.tokens).shortest,
        Some(true),
        "no path cell is needed"
    );
}

#[test]
fn a_smaller_maze_stands_in_walls() {
    let solved = ["Sooo", " ##o", " #Go", "    "];
    let canvas = ["Sooo##", " ##o##", " #Go##", "    ##", "######", "######"];
    for form in [text(&SMALL.concat()), text(&SMALL.join("\n")), rows(&SMALL)] {
        let written = Puzzle {
            solution: Some(text(&solved.concat())),
            ..puzzle(form.clone())
        };
        let problem = Maze.encode(&written, &token_spec(6, 36)).expect("a maze");
        assert_eq!((problem.rows, problem.cols), (6, 6));
        assert_eq!(
            problem.tokens,
            maze_tokens(&canvas.concat().replace('o', " "))
        );
        let inside = |cell: usize| cell / 6 < 4 && cell % 6 < 4;
        let wanted = maze_tokens(&canvas.concat());
        let solution: Vec<u32> = (0..36)
            .map(|cell| if inside(cell) { wanted[cell] } else { 0 })
            .collect();
        assert_eq!(problem.solution, Some(solution));
        // The answer has the form of the puzzle, without the walls.
        assert_eq!(Maze.decode(&problem, &problem.tokens), form);
        let answer = maze_tokens(&canvas.concat());
        assert_eq!(Maze.verify(&problem, &answer).shortest, Some(true));
        // Changed walls around the maze do not count. Changed walls of the maze do.
        let mut around = answer.clone();
        (around[4], around[35]) = (5, 2);
        assert_eq!(Maze.verify(&problem, &around).shortest, Some(true));
        assert_eq!(problem.is_solved_by(&around), Some(true));
        let mut through = answer.clone();
        through[8] = 5;
        assert_says(
            &why(&Maze, &problem, &through),
            "row 2, column 3 is a wall in the maze and path in the answer",
        );
        // A way around the walls is not valid.
        let mut outside = maze_tokens(&canvas.concat().replace('o', " "));
        for cell in [1, 2, 3, 4, 10, 16, 22, 21, 20] {
            outside[cell] = 5;
        }
        assert_eq!(Maze.verify(&problem, &outside).valid, Some(false));
        // Turned with its walls it is the same maze.
        for seed in 0..20 {
            let turned = Maze
                .random_symmetry(
                    &problem,
                    &mut trm_runtime::low_level::random::Random::new(seed),
                )
                .expect("a symmetry");
            let other = turned.apply(&problem);
            assert_eq!(turned.undo(&other.tokens), problem.tokens);
            let whole = |tokens: &[u32]| EncodedPuzzle {
                tokens: tokens.to_vec(),
                ..problem.clone()
            };
            let solved = turned.apply(&whole(&around)).tokens;
            assert_eq!(
                Maze.verify(&other, &solved).shortest,
                Some(true),
                "seed {seed}"
            );
            let wrong = turned.apply(&whole(&through)).tokens;
            assert_eq!(
                Maze.verify(&other, &wrong).valid,
                Some(false),
                "seed {seed}"
            );
        }
    }
    // No model is this large: memory is not reserved for the size that a file claims.
    assert_says(
        &error(&Maze, rows(&SMALL), &token_spec(6, 1_000_000_000_000)),
        "this maze is 4 x 4, but the model was trained on 1000000 x 1000000",
    );
    assert_eq!(Maze::side(&rows(&SMALL)), Some(4));
    assert_eq!(Maze::side(&text("S G")), None);
}

/// The published rule in another way: cells become reached until nothing changes.
fn naive_maze(maze: &[u32], answer: &[u32], keeps: bool, connects: bool) -> bool {
    let n = maze.len().isqrt();
    if keeps
        && maze
            .iter()
            .zip(answer)
            .any(|(&m, &a)| a != m && !(m == 2 && a == 5))
    {
        return false;
    }
    let mut reached = vec![vec![false; n + 2]; n + 2];
    loop {
        let before = reached.clone();
        for r in 0..n {
            for c in 0..n {
                let beside = reached[r][c + 1]
                    || reached[r + 2][c + 1]
                    || reached[r + 1][c]
                    || reached[r + 1][c + 2];
                let passable = answer[r * n + c] == 5 || answer[r * n + c] == 4;
                reached[r + 1][c + 1] |= maze[r * n + c] == 3 || (passable && beside);
            }
        }
        if reached == before {
            break;
        }
    }
    let goal = maze.iter().position(|&m| m == 4).expect("a goal");
    !connects || reached[goal / n + 1][goal % n + 1]
}

/// A small generator of random numbers, so that failures repeat.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % n
    }
}

#[test]
fn real_maze_solutions_are_shortest_and_changed_ones_judged_as_by_the_naive_rule() {
    let mut random = Random(7);
    let (mut no_keep_differs, mut no_connect_differs, mut right, mut longer) = (0, 0, 0, 0);
    for (given, solved) in csv("maze_10x10_test_1000.csv").into_iter().take(200) {
        let mut with_solution = puzzle(text(&given));
        with_solution.solution = Some(text(&solved));
        let problem = Maze
            .encode(&with_solution, &token_spec(6, 100))
            .expect("a maze");
        let solution = problem.solution.clone().expect("a solution");
        let verdict = Maze.verify(&problem, &solution);
        assert_eq!((verdict.valid, verdict.shortest), (Some(true), Some(true)));
        assert_eq!(Maze.decode(&problem, &solution), text(&solved));
        // Every cell of a shortest path is needed.
        for cell in (0..100).filter(|&cell| solution[cell] == 5) {
            let mut answer = solution.clone();
            answer[cell] = 2;
            assert_eq!(Maze.verify(&problem, &answer).valid, Some(false));
        }
        for _ in 0..50 {
            let mut answer = solution.clone();
            for _ in 0..1 + random.below(3) {
                let cell = random.below(100);
                answer[cell] = if random.below(4) > 0 && answer[cell] == 2 {
                    5
                } else {
                    random.below(7) as u32
                };
            }
            let verdict = Maze.verify(&problem, &answer);
            let naive = naive_maze(&problem.tokens, &answer, true, true);
            assert_eq!(verdict.valid, Some(naive), "{given:?} {answer:?}");
            right += usize::from(naive);
            longer += usize::from(naive && verdict.shortest == Some(false));
            // Planted bugs: these answers must tell apart rules that lack one of the two halves.
            no_keep_differs +=
                usize::from(naive != naive_maze(&problem.tokens, &answer, false, true));
            no_connect_differs +=
                usize::from(naive != naive_maze(&problem.tokens, &answer, true, false));
        }
    }
    assert!(right > 100 && longer > 100, "{right} {longer}");
    assert!(
        no_keep_differs > 100 && no_connect_differs > 10,
        "{no_keep_differs} {no_connect_differs}"
    );
}
