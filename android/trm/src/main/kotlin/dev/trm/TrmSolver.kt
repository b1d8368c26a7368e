package dev.trm

import java.io.File
import java.nio.ByteBuffer
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.suspendCancellableCoroutine
import kotlinx.coroutines.withContext

/**
 * A model that solves puzzles.
 *
 * ```
 * val solver = TrmSolver.fromAsset(assets, "sudoku-9x9.safetensors")
 * val answer = solver.solve(puzzle) // for example "53..7....6..195....98..."
 * println("${answer.text} ${answer.isValid}")
 * ```
 *
 * All functions are thread-safe. Each solve computes on its own thread, never on a dispatcher's.
 * Concurrent solves take turns, step by step. If you have many puzzles, run a few at a time.
 *
 * A solver holds native memory, which the garbage collector does not see: [close] it.
 */
public class TrmSolver private constructor(private val handle: Long) : AutoCloseable {
    /** Opens solvers. `fromAsset` is an extension of this object. */
    public companion object {
        /**
         * Opens a model.
         *
         * This reads and checks the file on the calling thread, which takes milliseconds for a
         * small model. Do not call it on the main thread. The first solve prepares the device, or
         * [prepareDevice] does.
         *
         * @param file A file written by `trm-run convert` or by training, or a folder that contains
         *   one.
         * @param options How to solve.
         * @throws TrmException if the file or an option is not valid.
         */
        public fun open(file: File, options: TrmOptions = TrmOptions()): TrmSolver = TrmSolver(
            Native.open(
                file.path, options.nativeStrings(), options.nativeIntegers(),
                options.nativeHaltThreshold(),
            ),
        )

        /**
         * Opens a model from memory.
         *
         * The solver borrows a direct buffer, for example a mapped file, without copying it, and
         * keeps a reference to it. Do not change its bytes or truncate its file until the solver is
         * closed and its solves have ended. Any other buffer is copied.
         *
         * @param bytes The content of a file written by `trm-run convert`, from the buffer's
         *   position to its limit. The position and the limit do not change.
         * @param options How to solve.
         * @throws TrmException if the bytes or an option are not valid.
         */
        public fun fromBytes(bytes: ByteBuffer, options: TrmOptions = TrmOptions()): TrmSolver {
            val slice = bytes.slice()
            // An empty direct buffer has no address.
            if (!slice.isDirect || !slice.hasRemaining()) {
                return fromBytes(ByteArray(slice.remaining()).also(slice::get), options)
            }
            return TrmSolver(
                Native.openBuffer(
                    slice, options.nativeStrings(), options.nativeIntegers(),
                    options.nativeHaltThreshold(),
                ),
            )
        }

        /**
         * Opens a model from a copy of `bytes`.
         *
         * @param bytes The content of a file written by `trm-run convert`.
         * @param options How to solve.
         * @throws TrmException if the bytes or an option are not valid.
         */
        public fun fromBytes(bytes: ByteArray, options: TrmOptions = TrmOptions()): TrmSolver =
            TrmSolver(
                Native.openArray(
                    bytes, options.nativeStrings(), options.nativeIntegers(),
                    options.nativeHaltThreshold(),
                ),
            )
    }

    /**
     * Frees the model's memory. Running solves end before their next step with
     * [TrmException.Closed], and so do all later calls. Closing twice does nothing.
     */
    override fun close() {
        Native.free(handle)
    }

    /**
     * Prepares the device and returns it with the reason for choosing it, as readable text, for
     * example "cpu: a step of this model and batch is small".
     *
     * This can be slow: it loads drivers, and [TrmOptions.Device.Auto] may run measurements.
     * Without this call the first solve does the same work. A cancelled coroutine resumes at once,
     * while the preparation continues.
     *
     * @throws TrmException if the device fails.
     */
    public suspend fun prepareDevice(): String = suspendCancellableCoroutine { continuation ->
        startThread {
            continuation.resumeWith(runCatching { Native.prepareDevice(handle) })
        }
    }

    /**
     * Solves a puzzle.
     *
     * A cancelled coroutine resumes at once with a `CancellationException`. The computation stops
     * after the step in flight. A GPU has up to three steps in flight.
     *
     * @param puzzle One puzzle as plain text, for example "53..7....6..1...", or as JSON in the
     *   form that `trm-run` reads.
     * @return The answer. It can be wrong: see [Answer.isValid].
     * @throws TrmException if the puzzle is not valid or solving fails.
     */
    public suspend fun solve(puzzle: String): Answer = suspendCancellableCoroutine { continuation ->
        val token = CancelToken()
        continuation.invokeOnCancellation { token.cancel() }
        startThread(token) {
            continuation.resumeWith(runCatching { solveOnThisThread(puzzle, token, null) })
        }
    }

    /**
     * Solves a puzzle and emits every refinement step. The last step has the answer.
     *
     * ```
     * solver.steps(puzzle).collect { step ->
     *     board.show(step)
     *     step.answer?.let(board::showAnswer)
     * }
     * ```
     *
     * The flow is cold: each collector starts a new solve. Solving does not wait for the collector.
     * Steps are buffered without limit, unless [conflate][kotlinx.coroutines.flow.conflate] drops
     * them. When the collection ends, for any reason, solving stops after the step in flight.
     *
     * @param puzzle A puzzle in the form that [solve] takes.
     * @return The steps in order. The flow fails with a [TrmException].
     */
    public fun steps(puzzle: String): Flow<Step> = flow {
        val steps = Channel<Step>(Channel.UNLIMITED)
        val token = CancelToken()
        startThread(token) {
            // Hold the last step back until its answer arrives, which is immediately after it.
            var last: Step? = null
            val result = runCatching {
                solveOnThisThread(puzzle, token) { step, isLast ->
                    if (isLast) last = step else steps.trySend(step)
                }
            }
            result.onSuccess { answer -> last?.let { steps.trySend(it.copy(answer = answer)) } }
            steps.close(result.exceptionOrNull())
        }
        try {
            while (true) {
                // Receive on a dispatcher that has threads. Otherwise a collector on
                // Dispatchers.Unconfined would resume inside trySend, on the solving thread, which
                // must not call the library.
                val next = withContext(Dispatchers.Default) { steps.receiveCatching() }
                if (next.isClosed) {
                    next.exceptionOrNull()?.let { throw it }
                    break
                }
                emit(next.getOrThrow())
            }
        } finally {
            token.cancel()
        }
    }

    /** Solves a puzzle on the calling thread. */
    internal fun solveOnThisThread(
        puzzle: String, token: CancelToken, listener: StepListener?,
    ): Answer = Native.solve(handle, puzzle.encodeToByteArray(), token.handle, listener)
}

/** Cancels the solves that use it. */
internal class CancelToken : AutoCloseable {
    val handle: Long = Native.newCancelToken()

    fun cancel(): Unit = Native.cancel(handle)

    override fun close(): Unit = Native.freeCancelToken(handle)
}

/**
 * Runs `work` on a new thread and then closes `token`.
 *
 * A solve may take minutes. Dispatchers.Default has one thread per core and Dispatchers.IO has 64,
 * and the whole app shares them. Solves on a dispatcher would block other work, and they could not
 * take turns with solves that wait for a thread.
 */
private fun startThread(token: AutoCloseable? = null, work: () -> Unit) {
    // 2 MiB is the default of Rust threads. Android's default is half of it.
    val thread = Thread(null, { token.use { work() } }, THREAD_NAME, STACK_BYTES)
    thread.isDaemon = true
    try {
        thread.start()
    } catch (e: Throwable) {
        token?.close()
        throw e
    }
}

private const val THREAD_NAME = "trm"
private const val STACK_BYTES = 2L shl 20
