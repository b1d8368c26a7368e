import CTrm
import Foundation

/// A model, ready to solve puzzles.
///
/// ```swift
/// let solver = try TrmSolver(model: Bundle.main.url(forResource: "sudoku-9x9", withExtension: "safetensors")!)
/// let answer = try await solver.solve("53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79")
/// print(answer.text, answer.isValid as Any)
/// ```
///
/// Use it from anywhere, as often at once as you like: it computes on threads of its own, never on the main thread or on those of Swift
/// concurrency. Puzzles that are solved at once take turns, step by step, and each has a thread; of many puzzles, give it a few at a time.
public final class TrmSolver: Sendable {
    /// A number that the library never uses twice: once freed, it is known to be.
    private let handle: trm_solver

    /// Opens a model.
    ///
    /// It reads and checks the file, a matter of milliseconds for small models. The device is made ready by the first puzzle, or by
    /// ``device()``.
    ///
    /// - Parameters:
    ///   - file: A file that `trm-run convert` or training wrote, or a folder with one.
    ///   - options: How to solve.
    /// - Throws: ``TrmError``: what is wrong with the file or with an option.
    public convenience init(model file: URL, options: TrmOptions = TrmOptions()) throws {
        try self.init(options) { options, handle in
            file.withUnsafeFileSystemRepresentation { trm_solver_open($0, options, &handle) }
        }
    }

    /// Opens a model in memory. The bytes are lent and not copied, so that a mapped file stays one; they are kept until the solver is
    /// closed or gone and nothing solves with it any more.
    ///
    /// - Parameters:
    ///   - bytes: A file that `trm-run convert` wrote, as from `Data(contentsOf: url, options: .mappedIfSafe)`.
    ///   - options: How to solve.
    /// - Throws: ``TrmError``: what is wrong with the bytes or with an option.
    public convenience init(model bytes: Data, options: TrmOptions = TrmOptions()) throws {
        // An NSData keeps its bytes in their place, which a Data does not promise. Apple's systems do not copy here, Linux does.
        try self.init(lent: bytes as NSData, options: options)
    }

    convenience init(lent bytes: NSData, options: TrmOptions = TrmOptions()) throws {
        try self.init(options) { options, handle in
            let release: trm_release = { Unmanaged<NSData>.fromOpaque($0!).release() }
            let context = Unmanaged.passRetained(bytes).toOpaque()
            return trm_solver_from_bytes(bytes.bytes, bytes.length, release, context, options, &handle)
        }
    }

    private init(
        _ options: TrmOptions, open: (UnsafePointer<trm_options>, inout trm_solver) throws -> trm_status
    ) throws {
        var handle: trm_solver = 0
        try options.withNative { try check(open($0, &handle)) }
        self.handle = handle
    }

    deinit {
        close()
    }

    /// Frees the model's memory now and not with the last reference. What is being solved ends before its next step with
    /// ``TrmError/closed``, and so does all that is asked for later. Closing twice does nothing.
    public func close() {
        // Of a freed handle the library says so, and that is all.
        trm_solver_free(handle)
    }

    /// The device that runs and why it was chosen, for people, as "cpu: a step of this model and batch is small".
    ///
    /// This makes the device ready, which the first puzzle does otherwise: it may take a moment, for drivers are loaded and ``TrmOptions/Device/auto`` may
    /// measure. Cancelling the task does not stop it.
    ///
    /// - Throws: ``TrmError``.
    public func device() async throws -> String {
        try await onThread {
            var device: UnsafePointer<CChar>?
            try check(trm_solver_device(self.handle, &device))
            return String(cString: device!)
        }
    }

    /// Solves a puzzle.
    ///
    /// A cancelled task stops after the step in flight; a GPU, which works ahead, after three at most.
    ///
    /// - Parameter puzzle: The plain text of a puzzle, as "53..7....6..1...", or JSON, as `trm-run` reads it.
    /// - Returns: The answer. It may be wrong: see ``Answer/isValid``.
    /// - Throws: ``TrmError``, or `CancellationError` if the task was cancelled.
    public func solve(_ puzzle: String) async throws -> Answer {
        let stop = try StopToken()
        do {
            return try await withTaskCancellationHandler {
                try await onThread { try self.run(puzzle, stop, onStep: nil) }
            } onCancel: {
                stop.stop()
            }
        } catch TrmError.closed where Task.isCancelled {
            throw CancellationError()
        }
    }

    /// Solves a puzzle and shows every refinement step. The last one brings the answer.
    ///
    /// ```swift
    /// for try await step in solver.steps(puzzle) {
    ///     board.show(step)
    ///     if let answer = step.answer { board.end(answer) }
    /// }
    /// ```
    ///
    /// Solving begins at once and does not wait for the loop: steps that it has not yet taken are kept. Leaving the loop stops after the step in
    /// flight, and so does cancelling its task, which ends the loop without an error, as it does with every `AsyncThrowingStream`.
    ///
    /// - Parameter puzzle: As ``solve(_:)`` takes it.
    /// - Returns: One ``Step`` after the other; an error is a ``TrmError``.
    public func steps(_ puzzle: String) -> AsyncThrowingStream<Step, Error> {
        AsyncThrowingStream { stream in
            let stop: StopToken
            do {
                stop = try StopToken()
            } catch {
                return stream.finish(throwing: error)
            }
            stream.onTermination = { _ in stop.stop() }
            startThread {
                do {
                    // The last step waits for its answer, which follows at once.
                    var last: Step?
                    let answer = try self.run(puzzle, stop) { step, isLast in
                        if isLast { last = step } else { stream.yield(step) }
                    }
                    last?.answer = answer
                    if let last { stream.yield(last) }
                    stream.finish()
                } catch {
                    stream.finish(throwing: error)
                }
            }
        }
    }

    /// Solves a puzzle on this thread.
    func run(_ puzzle: String, _ stop: StopToken, onStep: ((Step, _ isLast: Bool) -> Void)?) throws -> Answer {
        var handle: trm_answer = 0
        var puzzle = puzzle
        let status = puzzle.withUTF8 { utf8 in
            utf8.withMemoryRebound(to: CChar.self) { text in
                withUnsafePointer(to: onStep) { context in
                    trm_solver_solve(
                        self.handle, text.baseAddress, text.count, stop.handle, onStep == nil ? nil : callOnStep,
                        UnsafeMutableRawPointer(mutating: context), &handle)
                }
            }
        }
        try check(status)
        defer { trm_answer_free(handle) }
        return Answer(trm_answer_read(handle).pointee)
    }
}

/// Runs `work` on a thread of its own: it may take minutes, and the threads of Swift concurrency and of Dispatch are few.
private func startThread(_ work: @escaping @Sendable () -> Void) {
    let thread = Thread(block: work)
    thread.name = "trm"
    thread.qualityOfService = .userInitiated
    // What Rust gives its threads; Apple's systems give a quarter of it.
    thread.stackSize = 2 << 20
    thread.start()
}

/// What `work` returns, which runs on a thread of its own.
private func onThread<Value: Sendable>(_ work: @escaping @Sendable () throws -> Value) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
        startThread { continuation.resume(with: Result(catching: work)) }
    }
}

/// Calls the closure that `context` points to, which says no more: a token stops.
private let callOnStep: trm_on_step = { context, step in
    let onStep = context!.assumingMemoryBound(to: ((Step, Bool) -> Void)?.self).pointee
    onStep!(Step(step!.pointee), step!.pointee.last)
    return true
}

/// Stops what solves with it.
final class StopToken: Sendable {
    let handle: trm_cancel

    init() throws {
        var handle: trm_cancel = 0
        try check(trm_cancel_new(&handle))
        self.handle = handle
    }

    deinit {
        trm_cancel_free(handle)
    }

    func stop() {
        trm_cancel_now(handle)
    }
}

/// Throws what went wrong in the call that this thread has just made.
private func check(_ status: trm_status) throws {
    if let error = TrmError(status, String(cString: trm_error())) { throw error }
}
