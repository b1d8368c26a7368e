import XCTest

@testable import Thinking

/// Against the real library and the repository's models. It has nothing that changes; XCTest on Linux hands it to the main actor.
@MainActor
final class ThinkerTests: XCTestCase, @unchecked Sendable {
    /// ios/Sample/Thinking/Tests/ThinkingTests/ThinkerTests.swift
    private let models = (0..<6).reduce(URL(fileURLWithPath: #filePath)) { url, _ in url.deletingLastPathComponent() }
        .appendingPathComponent("models")

    private func thinker(_ example: Int, pace: Duration = .zero) -> Thinker {
        Thinker(Example.all[example].board, models: models, pace: pace)
    }

    /// Waits until a step came.
    private func firstStep(of thinker: Thinker) async throws {
        while thinker.replay.frames.isEmpty, thinker.state == .thinking { try await Task.sleep(for: .milliseconds(1)) }
        XCTAssertFalse(thinker.replay.frames.isEmpty, thinker.summary)
    }

    func testEveryExampleIsSolvedAndEveryStepIsKept() async throws {
        for example in Example.all.indices {
            let thinker = thinker(example)
            XCTAssertEqual(thinker.state, .ready)
            thinker.think()
            XCTAssertEqual(thinker.state, .thinking)
            await thinker.task?.value
            guard case .done(let answer) = thinker.state else { return XCTFail(thinker.summary) }
            XCTAssertEqual(answer.isValid, true, Example.all[example].name)
            XCTAssertEqual(thinker.replay.frames.map(\.number), Array(1...answer.steps))
            XCTAssertEqual(thinker.replay.frame?.cells, Array(answer.text))
            for frame in thinker.replay.frames {
                XCTAssertEqual(frame.cells.count, thinker.board.cells.count)
                XCTAssert(frame.changed.allSatisfy(thinker.board.cells.indices.contains))
            }
            XCTAssert(thinker.summary.contains(" ms on the "), thinker.summary)
        }
    }

    func testStoppingKeepsWhatWasThought() async throws {
        let thinker = thinker(0, pace: .seconds(1000))
        thinker.think()
        try await firstStep(of: thinker)
        thinker.stop()
        XCTAssertEqual(thinker.state, .stopped)
        XCTAssertEqual(thinker.summary, "Stopped after 1 step")
        await thinker.task?.value
        XCTAssertEqual(thinker.state, .stopped)
        XCTAssertEqual(thinker.replay.frames.count, 1)
        // Only what thinks can be stopped.
        let other = self.thinker(0)
        other.stop()
        XCTAssertEqual(other.state, .ready)
    }

    func testBeginningAgainForgetsTheFirstTime() async throws {
        let thinker = thinker(0)
        for _ in 0..<20 { thinker.think() }
        await thinker.task?.value
        guard case .done(let answer) = thinker.state else { return XCTFail(thinker.summary) }
        XCTAssertEqual(thinker.replay.frames.count, answer.steps)
    }

    func testHeatShortensDelaysAndStops() async throws {
        // This Sudoku takes more steps than a warm phone is given.
        let hard = try Board("........739...1...8.5.6.9...5....6.9......41.12..5........3....6...2.17...8.....4")
        let thinker = Thinker(hard, models: models, pace: .zero)
        thinker.think()
        await thinker.task?.value
        guard case .done(let cool) = thinker.state else { return XCTFail(thinker.summary) }
        XCTAssertGreaterThan(cool.steps, 4)
        thinker.heat = .warm
        XCTAssertEqual(thinker.state, .done(cool))
        thinker.think()
        await thinker.task?.value
        guard case .done(let warm) = thinker.state else { return XCTFail(thinker.summary) }
        XCTAssertEqual(warm.steps, 4)

        thinker.heat = .hot
        XCTAssertEqual(thinker.state, .done(warm))
        thinker.think()
        XCTAssertEqual(thinker.state, .tooHot)
        thinker.heat = .cool
        thinker.think()
        XCTAssertEqual(thinker.state, .thinking)
        thinker.heat = .hot
        XCTAssertEqual(thinker.state, .tooHot)
        await thinker.task?.value
        XCTAssertEqual(thinker.state, .tooHot)
    }

    func testAnErrorIsShown() async throws {
        let missing = Thinker(Example.all[0].board, models: models.appendingPathComponent("none"))
        missing.think()
        await missing.task?.value
        guard case .failed(let why) = missing.state else { return XCTFail(missing.summary) }
        XCTAssert(!why.isEmpty)

        let impossible = Thinker(try Board("11.............."), models: models)
        impossible.think()
        await impossible.task?.value
        guard case .failed = impossible.state else { return XCTFail(impossible.summary) }
    }

    func testAThinkerThatIsGoneThinksNoMore() async throws {
        var thinker: Thinker? = self.thinker(0, pace: .seconds(1000))
        thinker?.think()
        try await firstStep(of: thinker!)
        let task = thinker?.task
        weak var gone = thinker
        thinker = nil
        XCTAssertNil(gone)
        await task?.value
    }
}
