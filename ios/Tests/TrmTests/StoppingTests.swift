import XCTest

@testable import Trm

/// Every way to stop a solve that would run for days: cancel, close, leave the loop.
final class StoppingTests: XCTestCase {
    /// If the callback cancels, no further step starts.
    func testNoStepAfterTheOneInFlight() async throws {
        let solver = try Sample.sudoku4.endless()
        let token = try CancelToken()
        var steps = 0
        XCTAssertThrowsError(
            try solver.solveOnThisThread(Sample.sudoku4.puzzle, token) { step, _ in
                steps = step.number
                if step.number == 5 { token.cancel() }
            })
        XCTAssertEqual(steps, 5)
    }

    func testCancellingASolve() async throws {
        let solver = try Sample.maze.endless()
        _ = try await solver.prepareDevice()
        let task = Task { try await solver.solve(Sample.maze.puzzle) }
        try await Task.sleep(for: .milliseconds(100))
        let start = ContinuousClock.now
        task.cancel()
        let result = await task.result
        XCTAssertThrowsError(try result.get()) { XCTAssertTrue($0 is CancellationError, "\($0)") }
        // A step takes a few milliseconds. The rest is a margin for a busy machine.
        XCTAssertLessThan(ContinuousClock.now - start, .seconds(1))
    }

    func testATaskThatIsCancelledBefore() async throws {
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
            for try await step in solver.steps(Sample.sudoku4.puzzle) where step.number == 3 {
                seen.fulfill()
            }
            return Task.isCancelled
        }
        await fulfillment(of: [seen], timeout: 10)
        task.cancel()
        // The loop ends without an error.
        let cancelled = try await task.value
        XCTAssertTrue(cancelled)
    }

    /// Leaving the loop releases the solver: its thread has ended.
    func testLeavingALoop() async throws {
        weak var weakSolver: TrmSolver?
        do {
            let solver = try Sample.sudoku4.endless()
            weakSolver = solver
            for try await step in solver.steps(Sample.sudoku4.puzzle) where step.number == 3 {
                break
            }
        }
        for _ in 0..<500 where weakSolver != nil { try await Task.sleep(for: .milliseconds(10)) }
        XCTAssertNil(weakSolver)
    }

    /// The stream keeps a reference to its solver.
    func testStepsRetainTheirSolver() async throws {
        var steps = 0
        let stream = try TrmSolver(model: Sample.sudoku9.file).steps(Sample.sudoku9.puzzle)
        for try await _ in stream { steps += 1 }
        XCTAssertGreaterThan(steps, 1)
    }

    func testClosingTwice() async throws {
        let solver = try TrmSolver(model: Sample.sudoku4.file)
        let answer = try await solver.solve(Sample.sudoku4.puzzle)
        solver.close()
        solver.close()
        XCTAssertEqual(answer.text, "4132234114233214")
        await assertThrows(try await solver.solve(Sample.sudoku4.puzzle)) {
            XCTAssertEqual($0, .closed)
        }
        await assertThrows(try await solver.prepareDevice()) { XCTAssertEqual($0, .closed) }
        do {
            for try await _ in solver.steps(Sample.sudoku4.puzzle) { XCTFail("a step") }
            XCTFail("no error")
        } catch {
            XCTAssertEqual(error as? TrmError, .closed)
        }
    }

    func testClosingDuringASolve() async throws {
        let solver = try Sample.maze.endless()
        _ = try await solver.prepareDevice()
        let solving = Task { try await solver.solve(Sample.maze.puzzle) }
        let looping = Task {
            for try await step in solver.steps(Sample.maze.puzzle) where step.answer != nil {
                XCTFail("an answer")
            }
        }
        try await Task.sleep(for: .milliseconds(100))
        solver.close()
        await assertThrows(try await solving.value) { XCTAssertEqual($0, .closed) }
        await assertThrows(try await looping.value) { XCTAssertEqual($0, .closed) }
    }

    /// Borrowed bytes are not copied. They are released once, after the solver is closed.
    func testBorrowedBytes() async throws {
        let model = try Data(contentsOf: Sample.sudoku4.file)
        let released = Counter()
        func bytes(_ count: Int) -> NSData {
            let copy = UnsafeMutableRawPointer.allocate(byteCount: model.count, alignment: 16)
            model.copyBytes(to: copy.assumingMemoryBound(to: UInt8.self), count: count)
            return NSData(bytesNoCopy: copy, length: count) { memory, _ in
                memory.deallocate()
                released.add()
            }
        }
        let solver = try TrmSolver(borrowing: bytes(model.count))
        let answer = try await solver.solve(Sample.sudoku4.puzzle)
        XCTAssertEqual(answer.text, "4132234114233214")
        XCTAssertEqual(released.value, 0)
        solver.close()
        XCTAssertEqual(released.value, 1)

        XCTAssertThrowsError(try TrmSolver(borrowing: bytes(model.count - 1)))
        XCTAssertEqual(released.value, 2)

        let data = try Data(contentsOf: Sample.maze.file, options: .mappedIfSafe)
        let mapped = try TrmSolver(model: data)
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
