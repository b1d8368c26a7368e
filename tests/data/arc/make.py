"""Makes predictions.safetensors, identifiers.json, challenges.json, solutions.json and expected.json: predictions as the published evaluation of ARC
stores them, on a canvas of 12 x 12, and what its rules make of them, calculated with numpy and without this project's code.

    python make.py CHALLENGES SOLUTIONS        the files of ARC-AGI-1's training set (Apache-2.0)

Answers are right or wrong by chance; ties, an empty answer, rubbish beyond the grid, rows of other tasks and of the blank identifier, and a task
that has no rows are among them.
"""
import json
import sys

import numpy as np
from safetensors.numpy import save_file

N = 12
rng = np.random.default_rng(8)
challenges, solutions = (json.load(open(path)) for path in sys.argv[1:3])


def small(name):
    task = challenges[name]
    grids = [p[k] for p in task["train"] + task["test"] for k in p] + solutions[name]
    return all(len(g) <= N and len(g[0]) <= N for g in grids)


names = [name for name in challenges if small(name)]
chosen = [n for n in names if len(challenges[n]["test"]) == 1][:4] + [n for n in names if len(challenges[n]["test"]) == 2][:2]
unknown = chosen[1]


def turn(grid, t):
    return [grid, np.rot90(grid), np.rot90(grid, 2), np.rot90(grid, 3), np.fliplr(grid), np.flipud(grid), grid.T, np.fliplr(np.rot90(grid))][t]


def back(grid, t):
    return turn(grid, [0, 3, 2, 1, 4, 5, 6, 7][t])


def canvas(grid):
    out = np.zeros((N, N), np.uint8)
    rows, cols = grid.shape
    out[:rows, :cols] = grid + 2
    if cols < N:
        out[:rows, cols] = 1
    if rows < N:
        out[rows, :cols] = 1
    return out


def crop(tokens):
    best, size, width = 0, (0, 0), N
    for rows in range(1, N + 1):
        for c in range(1, width + 1):
            if not 2 <= tokens[rows - 1, c - 1] <= 11:
                width = c - 1
                break
        if rows * width > best:
            best, size = rows * width, (rows, width)
    return tokens[: size[0], : size[1]].astype(int) - 2


identifiers, forms = ["<blank>"], {}
for name in chosen + ["feedface"]:
    if name == unknown:
        continue
    forms[name] = []
    for form in range(9):
        t = 0 if form == 0 else int(rng.integers(8))
        colours = np.arange(10) if form == 0 else np.concatenate([[0], 1 + rng.permutation(9)])
        forms[name].append((len(identifiers), t, colours))
        identifiers.append(name if form == 0 else f"{name}|||t{t}|||{''.join(map(str, colours))}")

rows = []
for name in chosen:
    for i, test in enumerate(challenges[name]["test"]):
        right = np.array(solutions[name][i])
        wrong = [np.roll(right, k + 1, axis=1) for k in range(3)] + [np.zeros((0, 0), int), right[:1]]
        share = rng.random()
        for row, t, colours in forms.get(name, []):
            answer = right if rng.random() < share else wrong[rng.integers(len(wrong))]
            tokens = canvas(turn(colours[answer], t)) if answer.size else np.ones((N, N), np.uint8)
            r, c = turn(answer, t).shape
            if answer.size and c + 1 < N and r + 1 < N:
                tokens[r + 1 :, c + 1 :] = rng.integers(0, 12, tokens[r + 1 :, c + 1 :].shape)
            rows.append((canvas(turn(colours[np.array(test["input"])], t)), row, tokens, np.float32(rng.choice([-2, 0.5, 3]))))
# Of a task that nobody asks for, and padding.
rows.append((canvas(np.ones((2, 2), int)), forms["feedface"][0][0], canvas(np.ones((2, 2), int)), np.float32(9)))
rows.append((np.zeros((N, N), np.uint8), 0, np.zeros((N, N), np.uint8), np.float32(9)))
rng.shuffle(rows)
inputs, ids, preds, q = map(np.stack, zip(*rows))

# The published rules.
attempts, scores = {}, {k: [] for k in (1, 2, 5)}
for name in chosen:
    attempts[name], right = [], {k: 0 for k in scores}
    undo = {row: (t, np.argsort(colours)) for row, t, colours in forms.get(name, [])}
    for i, test in enumerate(challenges[name]["test"]):
        pooled = {}
        for x, row, tokens, logit in zip(inputs, ids, preds, q):
            if row in undo:
                t, inverse = undo[row]
                if np.array_equal(inverse[back(crop(x), t)], np.array(test["input"])):
                    grid = inverse[back(crop(tokens), t)].tolist()
                    pooled.setdefault(json.dumps(grid), []).append(float(1 / (1 + np.exp(-logit))))
        ranked = sorted(pooled.items(), key=lambda kv: (len(kv[1]), sum(kv[1]) / len(kv[1])), reverse=True)
        grids = [json.loads(grid) for grid, _ in ranked] or [[[0, 0], [0, 0]]]
        attempts[name].append({"attempt_1": grids[0], "attempt_2": grids[min(1, len(grids) - 1)]})
        for k in right:
            right[k] += solutions[name][i] in grids[:k]
    for k in scores:
        scores[k].append(right[k] / len(challenges[name]["test"]))

save_file({"inputs": inputs.reshape(-1, N * N), "preds": preds.reshape(-1, N * N), "q_halt_logits": q, "puzzle_identifiers": ids.astype(np.int32)}, "predictions.safetensors")
json.dump(identifiers, open("identifiers.json", "w"))
json.dump({n: challenges[n] for n in chosen}, open("challenges.json", "w"))
json.dump({n: solutions[n] for n in chosen}, open("solutions.json", "w"))
json.dump({"unknown": unknown, "submission": attempts, "pass": {k: round(float(np.mean(v)), 6) for k, v in scores.items()}}, open("expected.json", "w"))
