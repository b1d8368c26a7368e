//! Raw tokens.

use trm_runtime::task::{Cells, Task, TokenSpec, Tokens};

use super::{assert_says, error, puzzle, text, why};

#[test]
fn tokens_run_any_model() {
    let model = TokenSpec {
        vocab_size: 7,
        seq_len: None,
        num_puzzle_identifiers: 4,
    };
    let mut given = puzzle(Cells::Tokens(vec![0, 6, 3]));
    given.puzzle_id = Some(3);
    let problem = Tokens.encode(&given, &model).expect("tokens");
    assert_eq!(
        (problem.tokens.as_slice(), problem.puzzle_id),
        ([0, 6, 3].as_slice(), 3)
    );
    assert_eq!((problem.rows, problem.cols), (1, 3));
    assert_eq!(
        Tokens.decode(&problem, &[1, 2, 3]),
        Cells::Tokens(vec![1, 2, 3])
    );
    assert_eq!(Tokens.verify(&problem, &[1, 2, 3]).valid, None);
    given.solution = Some(Cells::List(vec![5, 0, 2]));
    let problem = Tokens.encode(&given, &model).expect("tokens");
    assert_eq!(
        Tokens.verify(&problem, &[5, 4, 2]).valid,
        Some(true),
        "padding does not count"
    );
    assert_says(&why(&Tokens, &problem, &[5, 4, 3]), "1 token differs");
    assert_says(
        &why(&Tokens, &problem, &[5, 4]),
        "the answer has 2 tokens, not 3",
    );
    let square = Tokens
        .encode(&puzzle(Cells::Grid(vec![vec![1, 2], vec![3, 4]])), &model)
        .expect("tokens");
    assert_eq!((square.rows, square.cols), (2, 2));
    assert_eq!(
        Tokens.decode(&square, &[6, 5, 4, 3]),
        Cells::Grid(vec![vec![6, 5], vec![4, 3]])
    );
}

#[test]
fn impossible_tokens_are_told_in_words() {
    let model = TokenSpec {
        vocab_size: 7,
        seq_len: Some(3),
        num_puzzle_identifiers: 4,
    };
    let cases = [
        (
            Cells::Tokens(vec![1, 2]),
            "this puzzle has 2 tokens, but the model was trained on 3",
        ),
        (
            Cells::Tokens(vec![1, 7, 2]),
            "token 1 is 7, but the model's tokens are 0 to 6",
        ),
        (Cells::Tokens(vec![1, 2, -1]), "token 2 is -1"),
        (
            Cells::Tokens(vec![]),
            "this puzzle has 0 tokens, but a puzzle has 1 to 65536",
        ),
        (
            Cells::Tokens(vec![0; 65_537]),
            "this puzzle has 65537 tokens",
        ),
        (text("123"), "this is a string, not a list of tokens"),
    ];
    for (content, part) in cases {
        assert_says(&error(&Tokens, content, &model), part);
    }
    let mut given = puzzle(Cells::Tokens(vec![1, 2, 3]));
    given.solution = Some(Cells::Tokens(vec![1, 2]));
    assert_says(
        &Tokens
            .encode(&given, &model)
            .expect_err("short")
            .to_string(),
        "solution: has 2 tokens, but the puzzle has 3",
    );
    given.solution = None;
    given.puzzle_id = Some(4);
    assert_says(
        &Tokens
            .encode(&given, &model)
            .expect_err("row 4")
            .to_string(),
        "the model knows only 0 to 3",
    );
}
