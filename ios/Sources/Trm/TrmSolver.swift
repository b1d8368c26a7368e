import CTrm
import Foundation

/// A model that solves puzzles.
///
/// ```swift
/// let model = Bundle.main.url(forResource: "sudoku-9x9", withExtension: "safetensors")!
/// let solver = try TrmSolver(model: model)
/// let answer = try await solver.solve(puzzle) // for example "53..7....6..195....98..."
/// print(answer.text, answer.isValid as Any)
/// ```
///
/// All functions are thread-safe. Each solve computes on its own thread, never on the main thread
/// or on those of Swift concurrency. Concurrent solves take turns, step by step. If you have many
/// puzzles, run a few at a time.
public final class TrmSolver: Sendable {
    /// The library never reuses a handle, so a freed handle is always detected.
    private let handle: trm_solver

    /// Opens a model.
    ///
    /// This reads and checks the file, which takes milliseconds for a small model. The first solve
    /// prepares the device, or ``prepareDevice()`` does.
    ///
    /// - Parameters:
    ///   - file: A file written by `trm-run convert` or by training, or a folder that contains one.
    ///   - options: How to solve.
    /// - Throws: ``TrmError`` if the file or an option is not valid.
    public convenience init(model file: URL, options: TrmOptions = TrmOptions()) throws {
        try self.init(options) { options, handle in
            file.withUnsafeFileSystemRepresentation { trm_solver_open($0, options, &handle) }
        }
    }

    /// Opens a model from memory.
    ///
    /// The solver borrows the bytes without copying them, so that a mapped file stays mapped. It
    /// keeps them until it is closed or deallocated and its solves have ended.
    ///
    /// - Parameters:
    ///   - bytes: The content of a file written by `trm-run convert`, for example
    ///     `Data(contentsOf: url, options: .mappedIfSafe)`.
    ///   - options: How to solve.
    /// - Throws: ``TrmError`` if the bytes or an option are not valid.
    public convenience init(model bytes: Data, options: TrmOptions = TrmOptions()) throws {
        // NSData keeps its bytes at a fixed address, which Data does not guarantee. The conversion
        // copies the bytes on Linux, but not on Apple's systems.
        try self.init(borrowing: bytes as NSData, options: options)
    }

    convenience init(borrowing bytes: NSData, options: TrmOptions = TrmOptions()) throws {
        try self.init(options) { options, handle in
            let release: trm_release = { Unmanaged<NSData>.fromOpaque($0!).release() }
            let context = Unmanaged.passRetained(bytes).toOpaque()
            return trm_solver_from_bytes(
                bytes.bytes, bytes.length, release, context, options, &handle)
        }
    }

    private init(
        _ options: TrmOptions,
        open: (UnsafePointer<trm_options>, inout trm_solver) throws -> trm_status
    ) throws {
        var handle: trm_solver = 0
        try options.withNative { try check(open($0, &handle)) }
        self.handle = handle
    }

    deinit {
        close()
    }

    /// Frees the model's memory before the last reference is gone.
    ///
    /// Running solves end before their next step with ``TrmError/closed``, and so do all later
    /// calls. Closing twice does nothing.
    public func close() {
        // Freeing a handle twice returns an error status, which is ignored here.
        trm_solver_free(handle)
    }

    /// Prepares the device and returns it with the reason for choosing it, as readable text, for
    /// example "cpu: a step of this model and batch is small".
    ///
    /// This can be slow: it loads drivers, and ``TrmOptions/Device/auto`` may run measurements.
    /// Without this call the first solve does the same work. Cancelling the task does not stop it.
    ///
    /// - Throws: ``TrmError`` if the device fails.
    public func prepareDevice() async throws -> String {
        try await onNewThread {
            var device: UnsafePointer<CChar>?
            try check(trm_solver_device(self.handle, &device))
            return String(cString: device!)
        }
    }

    /// Solves a puzzle.
    ///
    /// A cancelled task stops after the step in flight. A GPU has up to three steps in flight.
    ///
    /// - Parameter puzzle: One puzzle as plain text, for example "53..7....6..1...", or as JSON in
    ///   the form that `trm-run` reads.
    /// - Returns: The answer. It can be wrong: see ``Answer/isValid``.
    /// - Throws: ``TrmError`` if the puzzle is not valid or solving fails. `CancellationError` if
    ///   the task was cancelled.
    public func solve(_ puzzle: String) async throws -> Answer {
        let token = try CancelToken()
        do {
            return try await withTaskCancellationHandler {
                try await onNewThread {
                    try self.solveOnThisThread(puzzle, token, onStep: nil)
                }
            } onCancel: {
                token.cancel()
            }
        } catch TrmError.closed where Task.isCancelled {
            throw CancellationError()
        }
    }

    /// Solves a puzzle and returns every refinement step. The last step has the answer.
    ///
    /// ```swift
    /// for try await step in solver.steps(puzzle) {
    ///     board.show(step)
    ///     if let answer = step.answer { board.showAnswer(answer) }
    /// }
    /// ```
    ///
    /// Solving starts at once and does not wait for the loop: steps are buffered without limit.
    /// Leaving the loop stops solving after the step in flight. Cancelling the task does the same,
    /// and ends the loop without an error, as in every `AsyncThrowingStream`.
    ///
    /// - Parameter puzzle: A puzzle in the form that ``solve(_:)`` takes.
    /// - Returns: The steps in order. The stream fails with a ``TrmError``.
    public func steps(_ puzzle: String) -> AsyncThrowingStream<Step, Error> {
        AsyncThrowingStream { stream in
            let token: CancelToken
            do {
                token = try CancelToken()
            } catch {
                return stream.finish(throwing: error)
            }
            stream.onTermination = { _ in token.cancel() }
            startThread {
                do {
                    // Hold the last step back until its answer arrives, which is immediately after
                    // it.
                    var last: Step?
                    let answer = try self.solveOnThisThread(puzzle, token) { step, isLast in
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

    /// Solves a puzzle on the calling thread.
    func solveOnThisThread(
        _ puzzle: String, _ token: CancelToken, onStep: ((Step, _ isLast: Bool) -> Void)?
    ) throws -> Answer {
        var answer: trm_answer = 0
        var puzzle = puzzle
        let status = puzzle.withUTF8 { utf8 in
            utf8.withMemoryRebound(to: CChar.self) { text in
                withUnsafePointer(to: onStep) { context in
                    trm_solver_solve(
                        self.handle, text.baseAddress, text.count, token.handle,
                        onStep == nil ? nil : callOnStep,
                        UnsafeMutableRawPointer(mutating: context), &answer)
                }
            }
        }
        try check(status)
        defer { trm_answer_free(answer) }
        return Answer(trm_answer_read(answer).pointee)
    }
}

/// Runs `work` on a new thread. A solve may take minutes, and the threads of Swift concurrency and
/// of Dispatch are few.
private func startThread(_ work: @escaping @Sendable () -> Void) {
    let thread = Thread(block: work)
    thread.name = "trm"
    thread.qualityOfService = .userInitiated
    // 2 MiB is the default of Rust threads. The default on Apple's systems is a quarter of it.
    thread.stackSize = 2 << 20
    thread.start()
}

/// Runs `work` on a new thread and returns its result.
private func onNewThread<Value: Sendable>(
    _ work: @escaping @Sendable () throws -> Value
) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
        startThread { continuation.resume(with: Result(catching: work)) }
    }
}

/// Calls the closure that `context` points to. It always continues: cancel tokens stop a solve.
private let callOnStep: trm_on_step = { context, step in
    let onStep = context!.assumingMemoryBound(to: ((Step, Bool) -> Void)?.self).pointee
    onStep!(Step(step!.pointee), step!.pointee.last)
    return true
}

/// Cancels the solves that use it.
final class CancelToken: Sendable {
    let handle: trm_cancel

    init() throws {
        var handle: trm_cancel = 0
        try check(trm_cancel_new(&handle))
        self.handle = handle
    }

    deinit {
        trm_cancel_free(handle)
    }

    func cancel() {
        trm_cancel_now(handle)
    }
}

/// Throws the error of a failed call. `status` is the result of this thread's last call.
private func check(_ status: trm_status) throws {
    if let error = TrmError(status, String(cString: trm_error())) { throw error }
}
