import Foundation
import Observation
import Trm

/// Lets a model think about a board, and keeps what it thought.
@MainActor @Observable
public final class Thinker {
    /// How far it is.
    public enum State: Equatable {
        case ready
        case thinking
        /// A person, or leaving the screen, stopped it.
        case stopped
        /// It is not begun, or was stopped, until the phone is cooler.
        case tooHot
        case done(Answer)
        /// What went wrong, for people.
        case failed(String)
    }

    /// The puzzle.
    public let board: Board
    /// Its steps so far.
    public var replay = Replay()
    /// How far it is.
    public private(set) var state = State.ready
    /// How hot the phone is, from whoever can tell.
    public var heat = Heat.cool {
        didSet {
            if heat == .hot, state == .thinking { end(.tooHot) }
        }
    }

    @ObservationIgnored private(set) var task: Task<Void, Never>?
    private let models: URL
    private let pace: Duration

    /// - Parameters:
    ///   - board: The puzzle.
    ///   - models: The repository's `models/`.
    ///   - pace: The least time for each step. Most models think faster than people see.
    public init(_ board: Board, models: URL, pace: Duration = .milliseconds(300)) {
        self.board = board
        self.models = models
        self.pace = pace
    }

    deinit { task?.cancel() }

    /// Begins, again if it had begun.
    public func think() {
        task?.cancel()
        replay = Replay()
        guard heat != .hot else { return state = .tooHot }
        state = .thinking
        task = Task { [weak self, board, models, pace, maxSteps = heat.maxSteps] in
            do {
                let solver = try await openSolver(board.modelName, in: models, maxSteps: maxSteps)
                for try await step in solver.steps(board.text) {
                    // Who cancelled it has said what comes next. Leaving the loop stops the solver.
                    guard !Task.isCancelled else { return }
                    self?.show(step)
                    if step.answer == nil { try await Task.sleep(for: pace) }
                }
            } catch {
                if !Task.isCancelled { self?.state = .failed(error.localizedDescription) }
            }
        }
    }

    /// Stops after the step in flight. What was thought stays.
    public func stop() {
        if state == .thinking { end(.stopped) }
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

extension Thinker {
    /// How far it is, for people.
    public var summary: String {
        switch state {
        case .ready: "Ready"
        case .thinking: "Thinking\u{2026}"
        case .stopped: "Stopped after \(count(replay.frames.count))"
        case .tooHot: "The phone is too hot to think. Try again when it is cooler."
        case .done(let answer): summary(of: answer)
        case .failed(let why): why
        }
    }

    private func summary(of answer: Answer) -> String {
        let verdict =
            switch answer.isValid {
            case true: answer.isShortest == false ? "A path, not the shortest" : "Solved"
            case false: answer.why.map { "Not solved: \($0)" } ?? "Not solved"
            default: "Done"
            }
        let time = (answer.time / .milliseconds(1)).formatted(.number.precision(.fractionLength(1)))
        return "\(verdict), \(count(answer.steps)), \(time) ms on the \(answer.device.uppercased())"
    }

    private func count(_ steps: Int) -> String { steps == 1 ? "1 step" : "\(steps) steps" }
}

/// Opens a model, not on the main actor: it reads a file.
private func openSolver(_ name: String, in models: URL, maxSteps: Int?) async throws -> TrmSolver {
    let file = models.appendingPathComponent(name).appendingPathComponent("model.safetensors")
    var options = TrmOptions()
    options.maxSteps = maxSteps
    options.cacheFolder = FileManager.default.urls(for: .cachesDirectory, in: .userDomainMask).first
    return try TrmSolver(model: Data(contentsOf: file, options: .mappedIfSafe), options: options)
}
