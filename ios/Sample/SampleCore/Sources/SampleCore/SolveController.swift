import Foundation
import Observation
import Trm

/// Solves a board and keeps every step.
@MainActor @Observable
public final class SolveController {
    /// The progress of a solve.
    public enum State: Equatable {
        case ready
        case solving
        /// The user stopped it or left the screen.
        case stopped
        /// The phone is too hot to start or to continue.
        case tooHot
        case done(Answer)
        /// Readable error message.
        case failed(String)
    }

    /// The puzzle.
    public let board: Board
    /// The steps so far.
    public var replay = Replay()
    /// The progress of the solve.
    public private(set) var state = State.ready
    /// How hot the phone is. The screen sets it.
    public var thermalLevel = ThermalLevel.cool {
        didSet {
            if thermalLevel == .hot, state == .solving { end(.tooHot) }
        }
    }

    @ObservationIgnored private(set) var task: Task<Void, Never>?
    private let models: URL
    private let minStepTime: Duration

    /// - Parameters:
    ///   - board: The puzzle.
    ///   - models: The repository's `models/`.
    ///   - minStepTime: The minimum time on the screen for each step. Most models are faster than
    ///     people can follow.
    public init(_ board: Board, models: URL, minStepTime: Duration = .milliseconds(300)) {
        self.board = board
        self.models = models
        self.minStepTime = minStepTime
    }

    deinit { task?.cancel() }

    /// Starts solving, from the beginning.
    public func start() {
        task?.cancel()
        replay = Replay()
        guard thermalLevel != .hot else { return state = .tooHot }
        state = .solving
        task = Task { [weak self, board, models, minStepTime, maxSteps = thermalLevel.maxSteps] in
            do {
                let solver = try await openSolver(
                    board.modelName, in: models, maxSteps: maxSteps)
                for try await step in solver.steps(board.text) {
                    // `end` or `start` has set the state. Leaving the loop stops the solver.
                    guard !Task.isCancelled else { return }
                    self?.show(step)
                    if step.answer == nil { try await Task.sleep(for: minStepTime) }
                }
            } catch {
                if !Task.isCancelled { self?.state = .failed(error.localizedDescription) }
            }
        }
    }

    /// Stops after the step in flight. The steps so far stay.
    public func stop() {
        if state == .solving { end(.stopped) }
    }

    private func end(_ state: State) {
        task?.cancel()
        self.state = state
    }

    private func show(_ step: Step) {
        replay.add(Frame(step))
        if let answer = step.answer { state = .done(answer) }
    }
}

extension SolveController {
    /// One line of status text.
    public var summary: String {
        switch state {
        case .ready: "Ready"
        case .solving: "Solving\u{2026}"
        case .stopped: "Stopped after \(count(replay.frames.count))"
        case .tooHot: "The phone is too hot. Try again when it is cooler."
        case .done(let answer): summary(of: answer)
        case .failed(let message): message
        }
    }

    private func summary(of answer: Answer) -> String {
        let verdict =
            switch answer.isValid {
            case true: answer.isShortest == false ? "A path, but not the shortest" : "Solved"
            case false: answer.reason.map { "Not solved: \($0)" } ?? "Not solved"
            default: "Done"
            }
        let format = FloatingPointFormatStyle<Double>.number.precision(.fractionLength(1))
        let time = (answer.time / .milliseconds(1)).formatted(format)
        let device = answer.device.uppercased()
        return "\(verdict), \(count(answer.steps)), \(time) ms on the \(device)"
    }

    private func count(_ steps: Int) -> String { steps == 1 ? "1 step" : "\(steps) steps" }
}

/// Opens a model. Not on the main actor, because it reads a file.
private func openSolver(_ name: String, in models: URL, maxSteps: Int?) async throws -> TrmSolver {
    let file = models.appendingPathComponent(name).appendingPathComponent("model.safetensors")
    var options = TrmOptions()
    options.maxSteps = maxSteps
    let caches = FileManager.default.urls(for: .cachesDirectory, in: .userDomainMask)
    options.cacheDirectory = caches.first
    return try TrmSolver(
        model: Data(contentsOf: file, options: .mappedIfSafe), options: options)
}
