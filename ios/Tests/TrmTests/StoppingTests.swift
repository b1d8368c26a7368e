import XCTest

@testable import Trm

/// Cancelling, closing, leaving: each ends what would run for days.
final class StoppingTests: XCTestCase {
    /// The token that a cancelled task stops: no step begins after it.
    func testNoStepAfterTheOneInFlight() async throws {
        let solver = try Sample.sudoku4.endless()
        let stop = try StopToken()
        var steps = 0
        XCTAssertThrowsError(
            try solver.run(Sample.sudoku4.puzzle, stop) { step, _ in
                steps = step.number
                if step.number == 5 { stop.stop() }
            })
        XCTAssertEqual(steps, 5)
    }

    func testCancellingASolve() async throws {
        let solver = try Sample.maze.endless()
        _ = try await solver.device()
        let task = Task { try await solver.solve(Sample.maze.puzzle) }
        try await Task.sleep(for: .milliseconds(100))
        let start = ContinuousClock.now
        task.cancel()
        let result = await task.result
        XCTAssertThrowsError(try result.get()) { XCTAssertTrue($0 is CancellationError, "\($0)") }
        // A step takes some milliseconds; the rest is patience with a busy machine.
        XCTAssertLessThan(ContinuousClock.now - start, .seconds(1))
    }

    func testATaskThatIsCancelledBeforehand() async throws {
        let solver = try Sample.maze.endless()
        let task = Task {
            withUnsafeCurrentTask { $0!.cancel() }
            return try await solver.solve(Sample.maze.puzzle)
        }
        let result = await task.result
        XCTAssertThrowsError(try result.get()) { XCTAssertTrue($0 is CancellationError, "\($0)") }
    }

    func testCancellingALoop() async throws {
        let solver = try Sample.sudoku4.endless()
        let seen = expectation(description: "steps")
        seen.assertForOverFulfill = false
        let task = Task {
            for try await step in solver.steps(Sample.sudoku4.puzzle) where step.number == 3 { seen.fulfill() }
            return Task.isCancelled
        }
        await fulfillment(of: [seen], timeout: 10)
        task.cancel()
        // The loop ends without an error.
        let cancelled = try await task.value
        XCTAssertTrue(cancelled)
    }

    /// A loop that is left lets go of the solver: nothing computes any more.
    func testLeavingALoop() async throws {
        weak var left: TrmSolver?
        do {
            let solver = try Sample.sudoku4.endless()
            left = solver
            for try await step in solver.steps(Sample.sudoku4.puzzle) where step.number == 3 { break }
        }
        for _ in 0..<500 where left != nil { try await Task.sleep(for: .milliseconds(10)) }
        XCTAssertNil(left)
    }

    /// The steps keep their solver.
    func testASolverThatNobodyHolds() async throws {
        var steps = 0
        for try await _ in try TrmSolver(model: Sample.sudoku9.file).steps(Sample.sudoku9.puzzle) { steps += 1 }
        XCTAssertGreaterThan(steps, 1)
    }

    func testClosingTwice() async throws {
        let solver = try TrmSolver(model: Sample.sudoku4.file)
        let answer = try await solver.solve(Sample.sudoku4.puzzle)
        solver.close()
        solver.close()
        XCTAssertEqual(answer.text, "4132234114233214")
        await assertThrows(try await solver.solve(Sample.sudoku4.puzzle)) { XCTAssertEqual($0, .closed) }
        await assertThrows(try await solver.device()) { XCTAssertEqual($0, .closed) }
        do {
            for try await _ in solver.steps(Sample.sudoku4.puzzle) { XCTFail("a step") }
            XCTFail("no error")
        } catch {
            XCTAssertEqual(error as? TrmError, .closed)
        }
    }

    func testClosingDuringASolve() async throws {
        let solver = try Sample.maze.endless()
        _ = try await solver.device()
        let solving = Task { try await solver.solve(Sample.maze.puzzle) }
        let watching = Task { for try await step in solver.steps(Sample.maze.puzzle) where step.answer != nil { XCTFail() } }
        try await Task.sleep(for: .milliseconds(100))
        solver.close()
        await assertThrows(try await solving.value) { XCTAssertEqual($0, .closed) }
        await assertThrows(try await watching.value) { XCTAssertEqual($0, .closed) }
    }

    /// Lent bytes are not copied: they are let go once, when the last solve is over.
    func testLentBytes() async throws {
        let model = try Data(contentsOf: Sample.sudoku4.file)
        let released = Counter()
        func lend(_ count: Int) -> NSData {
            let copy = UnsafeMutableRawPointer.allocate(byteCount: model.count, alignment: 16)
            model.copyBytes(to: copy.assumingMemoryBound(to: UInt8.self), count: count)
            return NSData(bytesNoCopy: copy, length: count) { memory, _ in
                memory.deallocate()
                released.add()
            }
        }
        let solver = try TrmSolver(lent: lend(model.count))
        let answer = try await solver.solve(Sample.sudoku4.puzzle)
        XCTAssertEqual(answer.text, "4132234114233214")
        XCTAssertEqual(released.value, 0)
        solver.close()
        XCTAssertEqual(released.value, 1)

        XCTAssertThrowsError(try TrmSolver(lent: lend(model.count - 1)))
        XCTAssertEqual(released.value, 2)

        let mapped = try TrmSolver(model: Data(contentsOf: Sample.maze.file, options: .mappedIfSafe))
        let path = try await mapped.solve(Sample.maze.puzzle)
        XCTAssertEqual(path.isValid, true)
    }
}

/// Counts from any thread.
final class Counter: @unchecked Sendable {
    private let lock = NSLock()
    private var count = 0

    func add() { lock.withLock { count += 1 } }
    var value: Int { lock.withLock { count } }
}
