import XCTest

import Trm

/// The error of each mistake.
final class ErrorTests: XCTestCase {
    func testBadModels() async throws {
        let missing = URL(fileURLWithPath: "/nowhere/model.safetensors")
        await assertThrows(try TrmSolver(model: missing)) {
            guard case .file(let text) = $0 else { return XCTFail("\($0)") }
            XCTAssertTrue(text.contains("/nowhere/model.safetensors"), text)
        }
        let model = try Data(contentsOf: Sample.sudoku4.file)
        let text = Data("this is not a model, but a long text".utf8)
        for bytes in [Data(), Data([1, 2, 3]), text, model.dropLast(1)] {
            await assertThrows(try TrmSolver(model: bytes)) {
                guard case .model = $0 else { return XCTFail("\($0)") }
            }
        }
        // 128 channels are not divisible by 3 heads.
        var contradiction = try Data(contentsOf: Sample.maze.file)
        let heads = try XCTUnwrap(contradiction.range(of: Data(#"num_heads\":4"#.utf8)))
        contradiction.replaceSubrange(heads, with: Data(#"num_heads\":3"#.utf8))
        await assertThrows(try TrmSolver(model: contradiction)) {
            guard case .configuration(let text) = $0 else { return XCTFail("\($0)") }
            XCTAssertTrue(text.contains("num_heads"), text)
        }
    }

    func testBadPuzzles() async throws {
        let solver = try TrmSolver(model: Sample.sudoku4.file)
        let puzzles = [
            "", "hello", "11..............", "....", "{", #"{"puzzle": 7}"#, "....\u{0}...........",
            Sample.sudoku9.puzzle,
        ]
        for puzzle in puzzles {
            await assertThrows(try await solver.solve(puzzle)) {
                guard case .puzzle(let text) = $0 else { return XCTFail("\(puzzle): \($0)") }
                XCTAssertFalse(text.isEmpty)
                XCTAssertEqual($0.localizedDescription, text)
                XCTAssertEqual("\($0)", text)
            }
            await assertThrows(try await last(solver.steps(puzzle))) {
                guard case .puzzle = $0 else { return XCTFail("\(puzzle): \($0)") }
            }
        }
        // The solver still works.
        let answer = try await solver.solve(Sample.sudoku4.puzzle)
        XCTAssertEqual(answer.isValid, true)
    }

    func testBadOptions() async throws {
        let changes: [(inout TrmOptions) -> Void] = [
            { $0.maxSteps = 0 }, { $0.maxSteps = -1 }, { $0.maxSteps = Int.max },
            { $0.threads = 0 }, { $0.minSteps = 0 }, { $0.minSteps = 17 },
            { $0.haltThreshold = 0 }, { $0.haltThreshold = 1.5 },
            { $0.haltThreshold = -1 }, { $0.haltThreshold = .nan },
            { $0.timeLimit = .zero }, { $0.timeLimit = .seconds(-1) },
            { $0.timeLimit = .seconds(Int64.max) },
        ]
        for (index, change) in changes.enumerated() {
            var options = TrmOptions()
            change(&options)
            await assertThrows(try TrmSolver(model: Sample.sudoku4.file, options: options)) {
                guard case .argument(let text) = $0 else { return XCTFail("\(index): \($0)") }
                XCTAssertFalse(text.isEmpty)
            }
        }
    }

    /// ios/test.sh runs the tests without a GPU.
    func testAMissingGPU() async throws {
        var options = TrmOptions()
        options.device = .gpu
        let solver = try TrmSolver(model: Sample.sudoku4.file, options: options)
        await assertThrows(try await solver.prepareDevice()) {
            guard case .device = $0 else { return XCTFail("\($0)") }
        }
        await assertThrows(try await solver.solve(Sample.sudoku4.puzzle)) {
            guard case .device = $0 else { return XCTFail("\($0)") }
        }
    }

    func testTheTimeLimit() async throws {
        var options = TrmOptions()
        options.halt = .never
        options.maxSteps = 1_000_000_000
        options.timeLimit = .milliseconds(30)
        let solver = try TrmSolver(model: Sample.sudoku4.file, options: options)
        await assertThrows(try await solver.solve(Sample.sudoku4.puzzle)) {
            guard case .timeLimit = $0 else { return XCTFail("\($0)") }
        }
        await assertThrows(try await last(solver.steps(Sample.sudoku4.puzzle))) {
            guard case .timeLimit = $0 else { return XCTFail("\($0)") }
        }
    }

    private func last(_ steps: AsyncThrowingStream<Step, Error>) async throws -> Step? {
        var last: Step?
        for try await step in steps { last = step }
        return last
    }
}
