import XCTest

import Trm

/// Answers, steps and options.
final class SolvingTests: XCTestCase {
    func testEveryTask() async throws {
        let small = try await TrmSolver(model: Sample.sudoku4.file).solve(Sample.sudoku4.puzzle)
        XCTAssertEqual(small.text, "4132234114233214")
        XCTAssertEqual(small.task, .sudoku)
        XCTAssertEqual(small.isValid, true)
        XCTAssertNil(small.reason)
        XCTAssertNil(small.isShortest)

        let large = try await TrmSolver(model: Sample.sudoku9.file).solve(Sample.sudoku9.puzzle)
        XCTAssertEqual(large.text, Sample.sudoku9Solution)
        XCTAssertEqual(large.tokens.count, 81)
        XCTAssertEqual(large.device, "cpu")
        XCTAssertTrue(large.halted)
        XCTAssertEqual(large.haltProbability, 1 / (1 + exp(-large.haltLogit)), accuracy: 1e-5)
        XCTAssertGreaterThan(large.time, .zero)

        let maze = try await TrmSolver(model: Sample.maze.file).solve(Sample.maze.puzzle)
        XCTAssertEqual(maze.task, .maze)
        XCTAssertEqual(maze.isValid, true)
        XCTAssertEqual(maze.isShortest, true)
        XCTAssertTrue(maze.text.contains("o"), maze.text)
        XCTAssertEqual(maze.text.replacingOccurrences(of: "o", with: " "), Sample.maze.puzzle)
    }

    func testPuzzlesInJSON() async throws {
        let solver = try TrmSolver(model: Sample.sudoku4.file)
        let puzzle = #"["..3.", "....", ".4..", ".2.4"]"#
        let solution = #"["4132", "2341", "1423", "3214"]"#
        let right = try await solver.solve("{\"puzzle\": \(puzzle), \"solution\": \(solution)}")
        XCTAssertEqual(right.text, #"["4132","2341","1423","3214"]"#)
        XCTAssertEqual(right.isCorrect, true)
        let plain = try await solver.solve(Sample.sudoku4.puzzle)
        XCTAssertNil(plain.isCorrect)
    }

    /// An answer that breaks the rules is returned, with the reason.
    func testAnInvalidAnswer() async throws {
        var options = TrmOptions()
        options.maxSteps = 1
        let solver = try TrmSolver(model: Sample.sudoku9.file, options: options)
        let answer = try await solver.solve(Sample.sudoku9.puzzle)
        XCTAssertEqual(answer.isValid, false)
        XCTAssertFalse(answer.reason!.isEmpty)
        XCTAssertFalse(answer.halted)
        XCTAssertEqual(answer.steps, 1)
    }

    func testSteps() async throws {
        let solver = try TrmSolver(model: Sample.sudoku9.file)
        var board = Array(Sample.sudoku9.puzzle)
        var steps: [Step] = []
        for try await step in solver.steps(Sample.sudoku9.puzzle) {
            let next = Array(step.text)
            let changed = board.indices.filter { board[$0] != next[$0] }
            XCTAssertEqual(step.changed, changed, "step \(step.number)")
            board = next
            steps.append(step)
        }
        XCTAssertGreaterThan(steps.count, 1)
        XCTAssertEqual(steps.map(\.number), Array(1...steps.count))
        XCTAssertEqual(steps.compactMap(\.answer).count, 1)
        let last = steps.last!, end = last.answer!
        XCTAssertEqual(end.text, last.text)
        XCTAssertEqual(end.tokens, last.tokens)
        XCTAssertEqual(end.steps, last.number)
        XCTAssertEqual(end.haltProbability, last.haltProbability)

        let solved = try await solver.solve(Sample.sudoku9.puzzle)
        XCTAssertEqual(solved.text, end.text)
        XCTAssertEqual(solved.haltLogit, end.haltLogit)
    }

    /// A slow loop receives every step.
    func testASlowLoop() async throws {
        var options = TrmOptions()
        options.halt = .never
        options.maxSteps = 50
        var numbers: [Int] = []
        let solver = try TrmSolver(model: Sample.sudoku4.file, options: options)
        for try await step in solver.steps(Sample.sudoku4.puzzle) {
            try await Task.sleep(for: .milliseconds(2))
            numbers.append(step.number)
        }
        XCTAssertEqual(numbers, Array(1...50))
    }

    func testTheDevice() async throws {
        var options = TrmOptions()
        options.device = .cpu
        let cpu = try await TrmSolver(model: Sample.sudoku4.file, options: options).prepareDevice()
        XCTAssertEqual(cpu, "cpu")
        let auto = try await TrmSolver(model: Sample.sudoku4.file).prepareDevice()
        XCTAssertTrue(auto.hasPrefix("cpu: "), auto)
    }

    /// Every option reaches the library: each has a visible effect.
    func testOptions() async throws {
        func solve(_ sample: Sample, _ change: (inout TrmOptions) -> Void) async throws -> Answer {
            var options = TrmOptions()
            change(&options)
            let solver = try TrmSolver(model: sample.file, options: options)
            return try await solver.solve(sample.puzzle)
        }
        let usual = try await solve(.sudoku9) { _ in }
        let threads = try await solve(.sudoku9) { $0.threads = 1 }
        XCTAssertEqual(threads.haltLogit, usual.haltLogit)
        let int8 = try await solve(.sudoku9) { $0.dtype = .int8 }
        XCTAssertNotEqual(int8.haltLogit, usual.haltLogit)
        let never = try await solve(.sudoku9) { $0.halt = .never }
        XCTAssertEqual(never.steps, 16)
        let more = try await solve(.sudoku9) { $0.minSteps = usual.steps + 2 }
        XCTAssertEqual(more.steps, usual.steps + 2)
        let sure = try await solve(.sudoku9) { $0.haltThreshold = 0.99999 }
        XCTAssertGreaterThan(sure.steps, usual.steps)
        let head = try await solve(.sudoku4) { $0.halt = .head }
        XCTAssertEqual(head.text, "4132234114233214")

        let puzzle = #"{"tokens": [1,1,4,1,1,1,1,1,1,5,1,1,1,3,1,5]}"#
        let tokens = try await TrmSolver(model: Sample.sudoku4.file).solve(puzzle)
        XCTAssertEqual(tokens.task, .tokens)
        await assertThrows(try await solve(.sudoku4) { $0.task = .maze }) { error in
            guard case .puzzle = error else { return XCTFail("\(error)") }
        }
        let endless: (inout TrmOptions) -> Void = {
            $0.timeLimit = .milliseconds(20)
            $0.halt = .never
            $0.maxSteps = 1_000_000_000
        }
        await assertThrows(try await solve(.sudoku4, endless)) {
            guard case .timeLimit = $0 else { return XCTFail("\($0)") }
        }
    }
}

/// Fails unless `call` throws a `TrmError`. Passes the error to `check`.
func assertThrows(
    _ call: @autoclosure () async throws -> some Any, file: StaticString = #filePath,
    line: UInt = #line, _ check: (TrmError) -> Void
) async {
    do {
        let value = try await call()
        XCTFail("no error, but the value \(value)", file: file, line: line)
    } catch let error as TrmError {
        check(error)
    } catch {
        XCTFail("not a TrmError: \(error)", file: file, line: line)
    }
}
