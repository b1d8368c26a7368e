import XCTest

@testable import Trm

/// Concurrent solves, memory growth, and threads that must not block.
final class ConcurrencyTests: XCTestCase {
    func testTwoSolversAtOnce() async throws {
        let sudoku = try TrmSolver(model: Sample.sudoku9.file)
        let maze = try TrmSolver(model: Sample.maze.file)
        async let digits = sudoku.solve(Sample.sudoku9.puzzle)
        async let path = maze.solve(Sample.maze.puzzle)
        let (first, second) = try await (digits, path)
        XCTAssertEqual(first.text, Sample.sudoku9Solution)
        XCTAssertEqual(second.isShortest, true)
    }

    /// More solves than Dispatch has threads: each returns its own answer.
    func testManySolvesOnOneSolver() async throws {
        let solver = try TrmSolver(model: Sample.sudoku9.file)
        let easy =
            "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79"
        let answers = try await withThrowingTaskGroup(of: (Bool, String).self) { group in
            for index in 0..<100 {
                group.addTask {
                    let isEasy = index.isMultiple(of: 2)
                    let puzzle = isEasy ? easy : Sample.sudoku9.puzzle
                    return (isEasy, try await solver.solve(puzzle).text)
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        XCTAssertEqual(answers.count, 100)
        for (isEasy, text) in answers {
            XCTAssertEqual(text.hasPrefix("534678912672195348"), isEasy)
            XCTAssertEqual(text == Sample.sudoku9Solution, !isEasy)
        }
    }

    /// With many times more running solves than Swift concurrency has threads, the main actor and
    /// other tasks still run.
    func testSolvesDoNotBlockTasks() async throws {
        let solver = try Sample.sudoku9.endless()
        let solves = (0..<32).map { index in
            Task.detached {
                if index.isMultiple(of: 2) {
                    return try await solver.solve(Sample.sudoku9.puzzle).steps
                }
                for try await step in solver.steps(Sample.sudoku9.puzzle) where step.answer != nil {
                    return step.number
                }
                return 0
            }
        }
        let other = Task.detached {
            for _ in 0..<20 { try await Task.sleep(for: .milliseconds(5)) }
        }
        let longest = try await Task { @MainActor in
            var longest = Duration.zero
            for _ in 0..<50 {
                let start = ContinuousClock.now
                try await Task.sleep(for: .milliseconds(5))
                longest = max(longest, ContinuousClock.now - start)
            }
            return longest
        }.value
        try await other.value
        solves.forEach { $0.cancel() }
        for solve in solves { _ = await solve.result }
        print("longest wait of the main actor: \(longest)")
        XCTAssertLessThan(longest, .milliseconds(500))
    }

    func testTenThousandSolvesDoNotGrowMemory() async throws {
        let solver = try TrmSolver(model: Sample.sudoku4.file)
        func solve(_ count: Int) async throws {
            for index in 0..<count {
                if index.isMultiple(of: 2) {
                    let answer = try await solver.solve(Sample.sudoku4.puzzle)
                    XCTAssertEqual(answer.isValid, true)
                } else {
                    for try await step in solver.steps(Sample.sudoku4.puzzle) {
                        XCTAssertGreaterThan(step.number, 0)
                    }
                }
            }
        }
        try await solve(1_000)
        let before = try residentKilobytes()
        try await solve(10_000)
        let after = try residentKilobytes()
        print("10,000 solves: resident memory from \(before) KB to \(after) KB")
        XCTAssertLessThan(after - before, 1_000)
    }
}

/// Returns the resident memory of this process in KB.
private func residentKilobytes() throws -> Int {
    let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
    let line = status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") }!
    return Int(line.split(separator: " ").dropFirst().first!)!
}
