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
 * A model, ready to solve puzzles.
 *
 * ```
 * val solver = TrmSolver.fromAsset(assets, "sudoku-9x9.safetensors")
 * val answer = solver.solve("53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79")
 * println("${answer.text} ${answer.isValid}")
 * ```
 *
 * Use it from anywhere, as often at once as you like: it computes on threads of its own, never on those of a dispatcher. Puzzles that are
 * solved at once take turns, step by step, and each has a thread; of many puzzles, give it a few at a time.
 *
 * It holds the model's memory until it is [closed][close]: Java's collector does not know of that memory.
 */
public class TrmSolver private constructor(private val handle: Long) : AutoCloseable {
    /** Where solvers come from; `fromAsset` is another such function. */
    public companion object {
        /**
         * Opens a model.
         *
         * This reads and checks the file on the thread that calls, a matter of milliseconds for small models: not on the main thread. The
         * device is made ready by the first puzzle, or by [device].
         *
         * @param file A file that `trm-run convert` or training wrote, or a folder with one.
         * @param options How to solve.
         * @throws TrmException What is wrong with the file or with an option.
         */
        public fun open(file: File, options: TrmOptions = TrmOptions()): TrmSolver =
            TrmSolver(Native.open(file.path, options.nativeTexts(), options.nativeNumbers(), options.nativeHaltThreshold()))

        /**
         * Opens a model in memory, as [open] does a file.
         *
         * A direct buffer, as a mapped file is one, is lent and not copied: nobody may change its bytes, or shorten the file, until the
         * solver is closed and nothing solves with it any more. So long the solver keeps the buffer. Any other buffer is copied.
         *
         * @param bytes A file that `trm-run convert` wrote, from the buffer's position to its limit, which are left as they are.
         * @param options How to solve.
         * @throws TrmException What is wrong with the bytes or with an option.
         */
        public fun fromBytes(bytes: ByteBuffer, options: TrmOptions = TrmOptions()): TrmSolver {
            val rest = bytes.slice()
            // Nothing has no address.
            if (!rest.isDirect || !rest.hasRemaining()) return fromBytes(ByteArray(rest.remaining()).also(rest::get), options)
            return TrmSolver(
                Native.openBuffer(rest, options.nativeTexts(), options.nativeNumbers(), options.nativeHaltThreshold()),
            )
        }

        /** Opens a model in memory, as the function above does; the bytes are copied. */
        public fun fromBytes(bytes: ByteArray, options: TrmOptions = TrmOptions()): TrmSolver =
            TrmSolver(Native.openArray(bytes, options.nativeTexts(), options.nativeNumbers(), options.nativeHaltThreshold()))
    }

    /**
     * Frees the model's memory. What is being solved ends before its next step with [TrmException.Closed], and so does all that is asked
     * for later. Closing twice does nothing.
     */
    override fun close() {
        Native.free(handle)
    }

    /**
     * The device that runs and why it was chosen, for people, as "cpu: a step of this model and batch is small".
     *
     * This makes the device ready, which the first puzzle does otherwise: it may take a moment, for drivers are loaded and
     * [TrmOptions.Device.Auto] may measure. A coroutine that is cancelled goes on at once, and the device is made ready without it.
     *
     * @throws TrmException
     */
    public suspend fun device(): String = suspendCancellableCoroutine { continuation ->
        startThread { continuation.resumeWith(runCatching { Native.device(handle) }) }
    }

    /**
     * Solves a puzzle.
     *
     * A coroutine that is cancelled goes on at once with a `CancellationException`; computing stops after the step in flight, on a GPU,
     * which works ahead, after three at most.
     *
     * @param puzzle The plain text of a puzzle, as "53..7....6..1...", or JSON, as `trm-run` reads it.
     * @return The answer. It may be wrong: see [Answer.isValid].
     * @throws TrmException
     */
    public suspend fun solve(puzzle: String): Answer = suspendCancellableCoroutine { continuation ->
        val stop = StopToken()
        continuation.invokeOnCancellation { stop.stop() }
        startThread(stop) { continuation.resumeWith(runCatching { run(puzzle, stop, null) }) }
    }

    /**
     * Solves a puzzle and shows every refinement step. The last one brings the answer.
     *
     * ```
     * solver.steps(puzzle).collect { step ->
     *     board.show(step)
     *     step.answer?.let(board::end)
     * }
     * ```
     *
     * Each collector solves anew. Solving does not wait for the collector: steps that it has not yet taken are kept, unless
     * [conflate][kotlinx.coroutines.flow.conflate] drops them. When collecting ends, by whatever, so does solving, after the step in flight.
     *
     * @param puzzle As [solve] takes it.
     * @return One [Step] after the other; it fails with a [TrmException].
     */
    public fun steps(puzzle: String): Flow<Step> = flow {
        val steps = Channel<Step>(Channel.UNLIMITED)
        val stop = StopToken()
        startThread(stop) {
            // The last step waits for its answer, which follows at once.
            var last: Step? = null
            val solved = runCatching { run(puzzle, stop) { step, isLast -> if (isLast) last = step else steps.trySend(step) } }
            solved.onSuccess { answer -> last?.let { steps.trySend(it.copy(answer = answer)) } }
            steps.close(solved.exceptionOrNull())
        }
        try {
            while (true) {
                // On a dispatcher with threads, so that a collector without one (Dispatchers.Unconfined) does not go on inside trySend, on
                // the thread that solves, where nothing of the library may be called.
                val next = withContext(Dispatchers.Default) { steps.receiveCatching() }
                if (next.isClosed) {
                    next.exceptionOrNull()?.let { throw it }
                    break
                }
                emit(next.getOrThrow())
            }
        } finally {
            stop.stop()
        }
    }

    /** Solves a puzzle on this thread. */
    internal fun run(puzzle: String, stop: StopToken, watcher: Watcher?): Answer =
        Native.solve(handle, puzzle.encodeToByteArray(), stop.handle, watcher)
}

/** Stops what solves with it. */
internal class StopToken : AutoCloseable {
    val handle: Long = Native.newStop()

    fun stop(): Unit = Native.stop(handle)

    override fun close(): Unit = Native.freeStop(handle)
}

/**
 * Runs `work` on a thread of its own, and closes `stop` at its end: it may take minutes. Dispatchers.Default has a thread for each core and
 * Dispatchers.IO 64, which all of the app shares; puzzles would keep them from everything else, and each other from taking turns.
 */
private fun startThread(stop: AutoCloseable? = null, work: () -> Unit) {
    // What Rust gives its threads; Android gives half of it.
    val thread = Thread(null, { stop.use { work() } }, "trm", 2L shl 20)
    thread.isDaemon = true
    try {
        thread.start()
    } catch (e: Throwable) {
        stop?.close()
        throw e
    }
}
