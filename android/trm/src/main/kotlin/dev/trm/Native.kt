package dev.trm

import java.nio.ByteBuffer
import kotlin.time.Duration.Companion.milliseconds

/** Sees the steps of a solve, on the thread that solves. It may call nothing of the library. What it throws ends the solve. */
internal fun interface Watcher {
    fun onStep(step: Step, isLast: Boolean)
}

/**
 * The library of `android/jni`. Its handles are numbers that are never used twice: of one that was freed it says so, and that is all.
 *
 * What it calls is looked up by name and signature: `consumer-rules.pro` keeps them.
 */
internal object Native {
    init {
        System.loadLibrary("trm_jni")
    }

    /** A solver of a file or folder; `texts` and so on as [TrmOptions] gives them. */
    @JvmStatic
    external fun open(path: String, texts: Array<String?>, numbers: IntArray, haltThreshold: Float): Long

    /** A solver of bytes, which are copied. */
    @JvmStatic
    external fun openArray(bytes: ByteArray, texts: Array<String?>, numbers: IntArray, haltThreshold: Float): Long

    /** A solver of a direct buffer, of all its capacity, which is lent. */
    @JvmStatic
    external fun openBuffer(bytes: ByteBuffer, texts: Array<String?>, numbers: IntArray, haltThreshold: Float): Long

    /** What runs, and why. */
    @JvmStatic
    external fun device(solver: Long): String

    /** Frees a solver; what it solves ends before its next step. */
    @JvmStatic
    external fun free(solver: Long)

    /** A new stop token. */
    @JvmStatic
    external fun newStop(): Long

    /** Stops what solves with the token, or will. */
    @JvmStatic
    external fun stop(stop: Long)

    /** Frees a stop token. */
    @JvmStatic
    external fun freeStop(stop: Long)

    /** Solves a puzzle, in UTF-8, on this thread. */
    @JvmStatic
    external fun solve(solver: Long, puzzle: ByteArray, stop: Long, watcher: Watcher?): Answer

    /** Called by the library, as are those below. */
    @JvmStatic
    fun fail(status: Int, text: String): Unit = throw TrmException.of(status, text)

    @JvmStatic
    fun onStep(
        watcher: Watcher, text: String, tokens: IntArray, changed: IntArray, number: Int, haltProbability: Float, last: Boolean,
    ) {
        watcher.onStep(Step(number, text, tokens.asList(), changed.asList(), haltProbability.toDouble()), last)
    }

    @JvmStatic
    fun answer(
        text: String, tokens: IntArray, why: String?, kind: String, device: String, milliseconds: Double, valid: Int, shortest: Int,
        correct: Int, steps: Int, haltLogit: Float, haltProbability: Float, halted: Boolean,
    ): Answer = Answer(
        text = text,
        tokens = tokens.asList(),
        isValid = known(valid),
        why = why,
        isShortest = known(shortest),
        isCorrect = known(correct),
        steps = steps,
        halted = halted,
        haltProbability = haltProbability.toDouble(),
        haltLogit = haltLogit.toDouble(),
        kind = TrmOptions.Kind.entries.find { it.id == kind },
        device = device,
        time = milliseconds.milliseconds,
    )

    /** A `trm_truth`. */
    private fun known(truth: Int): Boolean? = if (truth < 0) null else truth == 1
}
