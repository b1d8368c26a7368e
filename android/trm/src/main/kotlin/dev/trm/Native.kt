package dev.trm

import java.nio.ByteBuffer
import kotlin.time.Duration.Companion.milliseconds

/**
 * Receives the steps of a solve on the solving thread. It must not call the library. An exception
 * that it throws ends the solve.
 */
internal fun interface StepListener {
    fun onStep(step: Step, isLast: Boolean)
}

/**
 * The native library in `android/jni`. Its handles are numbers that are never reused, so a freed
 * handle is always detected.
 *
 * The native code finds the methods that it calls by name and signature: `consumer-rules.pro` keeps
 * them.
 */
internal object Native {
    init {
        System.loadLibrary("trm_jni")
    }

    /** Opens a file or folder and returns a solver. [TrmOptions] supplies the last three values. */
    @JvmStatic
    external fun open(
        path: String, strings: Array<String?>, integers: IntArray, haltThreshold: Float,
    ): Long

    /** Returns a solver over a copy of the bytes. */
    @JvmStatic
    external fun openArray(
        bytes: ByteArray, strings: Array<String?>, integers: IntArray, haltThreshold: Float,
    ): Long

    /** Returns a solver that borrows a direct buffer, from its first byte to its capacity. */
    @JvmStatic
    external fun openBuffer(
        bytes: ByteBuffer, strings: Array<String?>, integers: IntArray, haltThreshold: Float,
    ): Long

    /** Prepares the device and returns its name with the reason for choosing it. */
    @JvmStatic
    external fun prepareDevice(solver: Long): String

    /** Frees a solver. Its running solves end before their next step. */
    @JvmStatic
    external fun free(solver: Long)

    /** Creates a cancel token. */
    @JvmStatic
    external fun newCancelToken(): Long

    /** Cancels every current and future solve with the token. */
    @JvmStatic
    external fun cancel(token: Long)

    /** Frees a cancel token. */
    @JvmStatic
    external fun freeCancelToken(token: Long)

    /** Solves a puzzle in UTF-8 on the calling thread. */
    @JvmStatic
    external fun solve(
        solver: Long, puzzle: ByteArray, token: Long, listener: StepListener?,
    ): Answer

    // The native code calls the functions below.

    @JvmStatic
    fun throwException(status: Int, message: String): Unit = throw TrmException.of(status, message)

    @JvmStatic
    fun onStep(
        listener: StepListener, text: String, tokens: IntArray, changed: IntArray, number: Int,
        haltProbability: Float, last: Boolean,
    ) {
        val probability = haltProbability.toDouble()
        listener.onStep(Step(number, text, tokens.asList(), changed.asList(), probability), last)
    }

    @JvmStatic
    fun newAnswer(
        text: String, tokens: IntArray, reason: String?, task: String, device: String,
        milliseconds: Double, valid: Int, shortest: Int, correct: Int, steps: Int,
        haltLogit: Float, haltProbability: Float, halted: Boolean,
    ): Answer = Answer(
        text = text,
        tokens = tokens.asList(),
        isValid = booleanOrNull(valid),
        reason = reason,
        isShortest = booleanOrNull(shortest),
        isCorrect = booleanOrNull(correct),
        steps = steps,
        halted = halted,
        haltProbability = haltProbability.toDouble(),
        haltLogit = haltLogit.toDouble(),
        task = TrmOptions.TaskKind.entries.find { it.id == task },
        device = device,
        time = milliseconds.milliseconds,
    )

    /** Converts a `trm_truth`. Unknown becomes null. */
    private fun booleanOrNull(truth: Int): Boolean? = if (truth < 0) null else truth == 1
}
