"""Tests the training data: puzzles, symmetries, difficulty, and that test puzzles are left out.

Run it with `python models/train/test_data.py`.
"""

import itertools
import pathlib
import tempfile

import numpy as np

import arc
import data
import difficulty
import train

RNG = np.random.default_rng(0)


def count_solutions(puzzle: np.ndarray, box: tuple[int, int], limit: int = 2) -> int:
    """Counts the solutions of a puzzle of tokens, slowly and without generate.c."""
    side = box[0] * box[1]
    blanks = np.flatnonzero(puzzle == 1)
    if not len(blanks):
        return 1
    row, col = np.divmod(np.arange(side**2), side)
    place = row // box[0] * side + col // box[1]
    options = {}
    for cell in blanks:
        seen = puzzle[(row == row[cell]) | (col == col[cell]) | (place == place[cell])]
        options[cell] = sorted(set(range(2, side + 2)) - set(seen.tolist()))
    cell = min(options, key=lambda c: len(options[c]))
    found = 0
    for digit in options[cell]:
        tried = puzzle.copy()
        tried[cell] = digit
        found += count_solutions(tried, box, limit - found)
        if found >= limit:
            break
    return found


def test_sudokus():
    for box in ((2, 2), (2, 3), (3, 3)):
        task = data.Sudoku(box)
        puzzles, answers = task.generate(20, 3, (0, 0))
        moved = task.augment(puzzles, answers, RNG)
        for puzzle, answer in (*zip(puzzles, answers), *zip(*moved)):
            assert ((puzzle == 1) | (puzzle == answer)).all()
            assert count_solutions(answer, box) == 1 and count_solutions(puzzle, box) == 1
        for puzzle in puzzles[:3]:  # (0, 0): every clue is needed
            for cell in np.flatnonzero(puzzle > 1):
                fewer = puzzle.copy()
                fewer[cell] = 1
                assert count_solutions(fewer, box) == 2
        assert (moved[0] != puzzles).any(1).all()
        again, other = (task.generate(20, seed, (0, 0))[0] for seed in (3, 4))
        assert (again == puzzles).all() and (other != puzzles).any()
    clues = (data.Sudoku((3, 3)).generate(200, 1, (32, 50))[0] > 1).sum(1)
    assert clues.min() >= 32 and clues.max() <= 50 and len(set(clues)) > 10
    print("Sudokus: one solution each, also after augmentation")


def guesses_of(puzzle: np.ndarray, box: tuple[int, int]) -> int:
    """Counts the guesses of the backtracking solver, slowly and without generate.c."""
    side = box[0] * box[1]
    row, col = np.divmod(np.arange(side**2), side)
    place = row // box[0] * box[0] + col // box[1]
    units = [np.flatnonzero(of == i) for of in (row, col, place) for i in range(side)]
    peers = [
        set(np.concatenate([u for u in units if cell in u]).tolist()) - {cell}
        for cell in range(side**2)
    ]

    def singles(left: list[set]) -> bool:
        """Sets naked and hidden singles until none is left. Returns False on a contradiction."""
        changed = True
        while changed:
            changed = False
            for cell in range(side**2):
                if not left[cell]:
                    return False
                if len(left[cell]) == 1:
                    for peer in peers[cell]:
                        if left[cell] <= left[peer]:
                            left[peer] = left[peer] - left[cell]
                            changed = True
            for unit in units:
                for digit in range(2, side + 2):
                    holders = [cell for cell in unit if digit in left[cell]]
                    if not holders:
                        return False
                    if len(holders) == 1 and len(left[holders[0]]) > 1:
                        left[holders[0]] = {digit}
                        changed = True
        return True

    def search(left: list[set]) -> int:
        if not singles(left) or all(len(digits) == 1 for digits in left):
            return 0
        cell = min((c for c in range(side**2) if len(left[c]) > 1), key=lambda c: len(left[c]))
        return 1 + sum(
            search([*left[:cell], {digit}, *left[cell + 1 :]]) for digit in sorted(left[cell])
        )

    return search([{int(t)} if t > 1 else set(range(2, side + 2)) for t in puzzle])


def test_difficulty():
    """Guesses equal those of a slow solver. Hard puzzles are hard enough and have one solution."""
    for box in ((2, 3), (3, 3)):
        task = data.Sudoku(box)
        puzzles = task.generate(8, 11, (0, 0))[0]
        assert task.guesses(puzzles).tolist() == [guesses_of(puzzle, box) for puzzle in puzzles]
    more = puzzles[:2].copy()
    more[1, np.flatnonzero(more[1] > 1)[0]] = 1  # two solutions
    assert task.guesses(more)[1] == -1 and task.guesses(more)[0] >= 0
    hard, answers = task.generate(60, 5, data.Hard(8))
    found = task.guesses(hard)
    assert found.min() >= 8, found
    assert found[:4].tolist() == [guesses_of(puzzle, (3, 3)) for puzzle in hard[:4]]
    for puzzle, answer in zip(hard[:10], answers):
        assert count_solutions(puzzle, (3, 3)) == 1 and ((puzzle == 1) | (puzzle == answer)).all()
        assert count_solutions(answer, (3, 3)) == 1
    assert len(np.unique(task.classes(hard))) > 40 and len(np.unique(answers, axis=0)) > 10
    again = task.generate(60, 5, data.Hard(8))[0]
    other = task.generate(60, 6, data.Hard(8))[0]
    assert (again == hard).all() and (other != hard).any()
    # Puzzles made from the puzzles of a file differ from them, but not much.
    with tempfile.NamedTemporaryFile("w", suffix=".csv") as file:
        data.write(file.name, "puzzle,solution", "0123456789", (hard, answers))
        mutants, _ = task.generate(40, 5, data.Hard(8, file.name))
        rows = [difficulty.row(file.name, hard)]
    assert task.guesses(mutants).min() >= 8
    assert (
        len({puzzle.tobytes() for puzzle in mutants} - {puzzle.tobytes() for puzzle in hard}) > 20
    )
    kept = (mutants[:, None, :] == hard[None, :, :]).sum(2).max(1)
    assert kept.min() > 50, kept  # of 81 cells
    assert len(rows[0]) == len(difficulty.header()) and rows[0][1] == "60" and rows[0][5] == "0.0"
    print("difficulty: guesses equal those of a slow solver, hard puzzles are hard enough")


def test_workers():
    """Each process gives other puzzles, and none is equivalent to a test puzzle."""
    recipe = train.RECIPES["sudoku-6x6"]
    tests = [data.read(data.TESTS / test)[0] for test in recipe.tests]
    workers = data.Workers(
        2, lambda seed: data.Stream(recipe.task, recipe.kinds, [], tests, seed), 0
    )
    puzzles, answers, ids = workers.take(1200)
    assert puzzles.shape == answers.shape == (1200, 36) and not ids.any()
    assert ((puzzles == 1) | (puzzles == answers)).all()
    assert len(np.unique(puzzles, axis=0)) > 1190
    assert not np.isin(
        recipe.task.classes(puzzles), recipe.task.classes(np.concatenate(tests))
    ).any()
    print("workers: puzzles from other processes")


def canonical(puzzle: np.ndarray, box: tuple[int, int]) -> bytes:
    """Returns the smallest equivalent of a puzzle, found by trying all symmetries."""
    side = box[0] * box[1]

    def lines(size: int) -> list[list[int]]:
        bands = [[b * size + i for i in range(size)] for b in range(side // size)]
        inner = [list(itertools.permutations(band)) for band in bands]
        return [
            sum(map(list, rows), [])
            for order in itertools.permutations(inner)
            for rows in itertools.product(*order)
        ]

    grid = puzzle.reshape(side, side)
    best = None
    for oriented in [grid, grid.T] if box[0] == box[1] else [grid]:
        for rows in lines(box[0]):
            for cols in lines(box[1]):
                cells = oriented[np.ix_(rows, cols)].ravel()
                names: dict[int, int] = {1: 0}
                found = bytes(names.setdefault(int(c), len(names)) for c in cells)
                best = found if best is None else min(best, found)
    return best


def test_classes():
    """Equivalent puzzles have the same number, other puzzles have different numbers."""
    for box, count in (((2, 2), 60), ((2, 3), 12)):
        task = data.Sudoku(box)
        puzzles = task.generate(count // 2, 5, (0, 0))[0]
        puzzles = np.concatenate([puzzles, task.augment(puzzles, puzzles, RNG)[0]])
        forms = [canonical(p, box) for p in puzzles]
        classes = task.classes(puzzles)
        for i, j in itertools.combinations(range(count), 2):
            assert (forms[i] == forms[j]) == (classes[i] == classes[j])
    task = data.Sudoku((3, 3))
    puzzles, answers = task.generate(500, 6, (24, 40))
    assert len(np.unique(task.classes(puzzles))) == 500
    for _ in range(5):
        assert (task.classes(task.augment(puzzles, answers, RNG)[0]) == task.classes(puzzles)).all()
    # Changes that are no symmetry change the number: rows of different bands, a missing clue.
    swapped = puzzles.reshape(-1, 9, 9)[:, [0, 3, 2, 1, 4, 5, 6, 7, 8]].reshape(-1, 81)
    assert (task.classes(swapped) != task.classes(puzzles)).all()
    fewer = puzzles.copy()
    fewer[np.arange(500), (puzzles > 1).argmax(1)] = 1
    assert (task.classes(fewer) != task.classes(puzzles)).all()
    print("classes: as found by trying all symmetries")


def test_no_test_puzzle_gets_in():
    for name, recipe in train.RECIPES.items():
        if not recipe.exclude or not recipe.tests:
            continue
        task, tests = recipe.task, [data.read(data.TESTS / test) for test in recipe.tests]
        if isinstance(task, data.Maze):
            tests = [tuple(map(task.pad, pairs)) for pairs in tests]
        known = np.concatenate([task.classes(puzzles) for puzzles, _ in tests])
        # A file to train on: augmented test puzzles and as many others.
        others = task.generate(len(tests[0][0]), 7, *recipe.kinds[0][:-1])
        mixed = [np.concatenate(both) for both in zip(task.augment(*tests[0], RNG), others)]
        characters = "0123456789" if isinstance(task, data.Sudoku) else "# SGo"
        with tempfile.NamedTemporaryFile("w", suffix=".csv") as file:
            data.write(file.name, "puzzle,solution", characters, mixed)
            assert all((r == m).all() for r, m in zip(data.read(file.name), mixed))
            stream = data.Stream(
                task, recipe.kinds, [(file.name, 1.0)], [puzzles for puzzles, _ in tests], 0
            )
            open_stream = data.Stream(task, recipe.kinds, [(file.name, 1.0)], [], 0)
        assert len(stream.files[0][0]) == len(others[0]), name
        assert not np.isin(task.classes(stream.take(3000)[0]), known).any(), name
        # A stream without the check contains them.
        assert np.isin(task.classes(open_stream.take(3000)[0]), known).any(), name
        print(f"{name}: no test puzzle gets in")


def distances_to_goal(maze: np.ndarray, side: int) -> dict[int, int]:
    """Returns the distance to the goal of each cell that reaches it, without generate.c."""
    goal = int((maze == 4).argmax())
    distance, queue = {goal: 0}, [goal]
    for cell in queue:
        r, c = divmod(cell, side)
        for p, q in ((r + 1, c), (r, c - 1), (r, c + 1), (r - 1, c)):
            to = p * side + q
            if (
                0 <= p < len(maze) // side
                and 0 <= q < side
                and maze[to] != 1
                and to not in distance
            ):
                distance[to] = distance[cell] + 1
                queue.append(to)
    return distance


def check_maze(maze: np.ndarray, answer: np.ndarray, side: int) -> int:
    """Checks that the answer is a shortest path. Returns its length."""
    assert (maze == 3).sum() == 1 and (maze == 4).sum() == 1
    distance = distances_to_goal(maze, side)
    steps = distance[int((maze == 3).argmax())]
    assert sorted(distance[int(c)] for c in np.flatnonzero(answer == 5)) == list(range(1, steps))
    assert ((answer == maze) | ((maze == 2) & (answer == 5))).all()
    return steps


def test_mazes():
    task = data.Maze(10)
    puzzles, answers = task.generate(50, 2, 12)
    for maze, answer in (*zip(puzzles, answers), *zip(*task.augment(puzzles, answers, RNG))):
        assert check_maze(maze, answer, 10) >= 12
    assert (task.classes(task.augment(puzzles, answers, RNG)[0]) == task.classes(puzzles)).all()
    assert len(np.unique(task.classes(puzzles))) == 50
    # Smaller mazes occur in all sizes and at all places.
    places = set()
    for maze, answer in zip(*task.generate(300, 2, 12, 5)):
        check_maze(maze, answer, 10)
        open_rows, open_cols = (
            np.flatnonzero((maze.reshape(10, 10) != 1).any(axis)) for axis in (1, 0)
        )
        places |= {(open_rows[0], len(open_rows)), (open_cols[0], len(open_cols))}
    assert {0, 3, 5} <= {first for first, _ in places} and {5, 10} <= {size for _, size in places}
    # In the corner of a larger grid a maze has the same number.
    small, large = data.Maze(10), data.Maze(14)
    assert (large.classes(large.pad(puzzles)) == small.classes(puzzles)).all()
    for maze, answer in zip(large.pad(puzzles), large.pad(answers)):
        check_maze(maze, answer, 14)
    task, kinds = data.Maze(16).resized(9, [(18, 15, 15, 1), (18, 5, 15, 2)])
    assert (task, kinds) == (data.Maze(9), [(10, 8, 8, 1), (10, 5, 8, 2)])
    grids = task.generate(100, 3, *kinds[0][:-1])[0].reshape(-1, 9, 9) != 1
    assert (grids.any(2).sum(1) <= 8).all() and (grids.any(1).sum(1) <= 8).all()
    print("mazes: shortest paths, also when transformed, padded and in grids of other sizes")


def test_arc():
    for _ in range(200):
        grid = RNG.integers(0, 10, RNG.integers(1, 11, 2))
        augmentation = arc.Augmentation.random(RNG)
        assert arc.Augmentation.parse(str(augmentation)) == augmentation
        assert (augmentation.undo(augmentation.apply(grid)) == grid).all()
        # The crop of the published evaluation, cell by cell.
        tokens = arc.Arc(10).canvas(grid).reshape(10, 10)
        assert (arc.crop(tokens) == grid).all()
        tokens = RNG.choice([0, 1, 2, 5, 11], (10, 10), p=[0.05, 0.05, 0.3, 0.3, 0.3]).astype(
            np.uint8
        )
        best, size, width = 0, (0, 0), 10
        for rows in range(1, 11):
            for c in range(1, width + 1):
                if not 2 <= tokens[rows - 1, c - 1] <= 11:
                    width = c - 1
                    break
            if rows * width > best:
                best, size = rows * width, (rows, width)
        assert arc.crop(tokens).tolist() == (tokens[: size[0], : size[1]].astype(int) - 2).tolist()
    folder = pathlib.Path(__file__).parents[2] / "tests/data/arc"
    stream = arc.Arc(12).stream([str(folder / "challenges.json")], 5, 0)
    assert stream.identifiers[0] == "<blank>" and len(set(stream.identifiers)) == len(
        stream.identifiers
    )
    named = arc.augmentations_of(stream.identifiers)
    augmentations = dict(pair for pairs in named.values() for pair in pairs)
    pairs = {(row, x.tobytes()): y for row, x, y in stream.pairs}
    for x, y, row in zip(*stream.take(300)):  # the grid belongs to its row, wherever it lies
        x, y = (t.reshape(12, 12) for t in (x, y))
        top, left = (int((x >= 2).any(axis).argmax()) for axis in (1, 0))
        found = arc.crop(x[top:, left:])
        assert arc.crop(y[top:, left:]).tolist() == pairs[row, found.tobytes()].tolist()
        augmentations[row].undo(found)
    print("ARC: augmentations, canvas and crop")


if __name__ == "__main__":
    test_sudokus()
    test_difficulty()
    test_workers()
    test_classes()
    test_mazes()
    test_no_test_puzzle_gets_in()
    test_arc()
