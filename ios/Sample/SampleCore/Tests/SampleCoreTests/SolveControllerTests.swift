import XCTest

@testable import SampleCore

/// Runs the controller with the native library and the repository's models. `@unchecked Sendable`,
/// because XCTest on Linux passes the test case to the main actor. It has no mutable state.
@MainActor
final class SolveControllerTests: XCTestCase, @unchecked Sendable {
    /// This file is ios/Sample/SampleCore/Tests/SampleCoreTests/SolveControllerTests.swift.
    private let models = (0..<6).reduce(URL(fileURLWithPath: #filePath)) { url, _ in
        url.deletingLastPathComponent()
    }
    .appendingPathComponent("models")

    private func controller(_ example: Int, minStepTime: Duration = .zero) -> SolveController {
        SolveController(Example.all[example].board, models: models, minStepTime: minStepTime)
    }

    /// Waits for the first step.
    private func firstStep(of controller: SolveController) async throws {
        while controller.replay.frames.isEmpty, controller.state == .solving {
            try await Task.sleep(for: .milliseconds(1))
        }
        XCTAssertFalse(controller.replay.frames.isEmpty, controller.summary)
    }

    func testEveryExampleIsSolvedAndEveryStepIsKept() async throws {
        for example in Example.all.indices {
            let controller = controller(example)
            XCTAssertEqual(controller.state, .ready)
            controller.start()
            XCTAssertEqual(controller.state, .solving)
            await controller.task?.value
            guard case .done(let answer) = controller.state else {
                return XCTFail(controller.summary)
            }
            XCTAssertEqual(answer.isValid, true, Example.all[example].name)
            XCTAssertEqual(controller.replay.frames.map(\.number), Array(1...answer.steps))
            XCTAssertEqual(controller.replay.frame?.cells, Array(answer.text))
            for frame in controller.replay.frames {
                XCTAssertEqual(frame.cells.count, controller.board.cells.count)
                XCTAssert(frame.changed.allSatisfy(controller.board.cells.indices.contains))
            }
            XCTAssert(controller.summary.contains(" ms on the "), controller.summary)
        }
    }

    func testStoppingKeepsTheSteps() async throws {
        let controller = controller(0, minStepTime: .seconds(1000))
        controller.start()
        try await firstStep(of: controller)
        controller.stop()
        XCTAssertEqual(controller.state, .stopped)
        XCTAssertEqual(controller.summary, "Stopped after 1 step")
        await controller.task?.value
        XCTAssertEqual(controller.state, .stopped)
        XCTAssertEqual(controller.replay.frames.count, 1)
        // Stopping has no effect before the start.
        let other = self.controller(0)
        other.stop()
        XCTAssertEqual(other.state, .ready)
    }

    func testStartingAgainDropsTheOldSteps() async throws {
        let controller = controller(0)
        for _ in 0..<20 { controller.start() }
        await controller.task?.value
        guard case .done(let answer) = controller.state else { return XCTFail(controller.summary) }
        XCTAssertEqual(controller.replay.frames.count, answer.steps)
    }

    func testThermalLevels() async throws {
        // This Sudoku takes more steps than a warm phone may run.
        let hard = try Board(
            "........739...1...8.5.6.9...5....6.9......41.12..5........3....6...2.17...8.....4")
        let controller = SolveController(hard, models: models, minStepTime: .zero)
        controller.start()
        await controller.task?.value
        guard case .done(let cool) = controller.state else { return XCTFail(controller.summary) }
        XCTAssertGreaterThan(cool.steps, 4)
        controller.thermalLevel = .warm
        XCTAssertEqual(controller.state, .done(cool))
        controller.start()
        await controller.task?.value
        guard case .done(let warm) = controller.state else { return XCTFail(controller.summary) }
        XCTAssertEqual(warm.steps, 4)

        controller.thermalLevel = .hot
        XCTAssertEqual(controller.state, .done(warm))
        controller.start()
        XCTAssertEqual(controller.state, .tooHot)
        controller.thermalLevel = .cool
        controller.start()
        XCTAssertEqual(controller.state, .solving)
        controller.thermalLevel = .hot
        XCTAssertEqual(controller.state, .tooHot)
        await controller.task?.value
        XCTAssertEqual(controller.state, .tooHot)
    }

    func testAnErrorIsShown() async throws {
        let noModels = models.appendingPathComponent("none")
        let missing = SolveController(Example.all[0].board, models: noModels)
        missing.start()
        await missing.task?.value
        guard case .failed(let message) = missing.state else { return XCTFail(missing.summary) }
        XCTAssert(!message.isEmpty)

        let impossible = SolveController(try Board("11.............."), models: models)
        impossible.start()
        await impossible.task?.value
        guard case .failed = impossible.state else { return XCTFail(impossible.summary) }
    }

    func testDeallocationStopsTheSolve() async throws {
        var controller: SolveController? = self.controller(0, minStepTime: .seconds(1000))
        controller?.start()
        try await firstStep(of: controller!)
        let task = controller?.task
        weak var weakController = controller
        controller = nil
        XCTAssertNil(weakController)
        await task?.value
    }
}
