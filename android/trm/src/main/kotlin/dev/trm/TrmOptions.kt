package dev.trm

import java.io.File
import kotlin.math.ceil
import kotlin.time.Duration
import kotlin.time.DurationUnit

/**
 * Options of a solver. Null selects the default.
 *
 * @property device The device that runs the model.
 * @property cacheDir Folder that keeps the measurements of [Device.Auto], so that they run once,
 *   for example `context.cacheDir`. Default: not kept.
 * @property task The task of the puzzles. Default: the model's own task.
 * @property dtype Dtype of the weights in the model's blocks. Default: [WeightDtype.Int8] if the
 *   file stores them as int8, else [WeightDtype.F32].
 * @property halt When a puzzle halts.
 * @property haltThreshold Threshold of the halting probability, for [halt]. Default: 0.5.
 * @property threads Number of CPU threads. Default: one per core.
 * @property minSteps Minimum number of refinement steps for each puzzle. Default: 1.
 * @property maxSteps Maximum number of refinement steps for each puzzle. Default: the number of
 *   steps that the model was trained with.
 * @property timeLimit Maximum time for each puzzle. Default: no limit.
 */
public data class TrmOptions(
    val device: Device = Device.Auto,
    val cacheDir: File? = null,
    val task: TaskKind? = null,
    val dtype: WeightDtype? = null,
    val halt: HaltRule = HaltRule.Verified,
    val haltThreshold: Double? = null,
    val threads: Int? = null,
    val minSteps: Int? = null,
    val maxSteps: Int? = null,
    val timeLimit: Duration? = null,
) {
    /** The device that runs a model. */
    public enum class Device(internal val id: String) {
        /** The GPU if a short measurement shows that it is faster for the model, else the CPU. */
        Auto("auto"),

        /** The CPU. */
        Cpu("cpu"),

        /** The GPU. */
        Gpu("gpu"),
    }

    /** The task of a puzzle. */
    public enum class TaskKind(internal val id: String) {
        /** Sudoku. */
        Sudoku("sudoku"),

        /** Maze. */
        Maze("maze"),

        /** ARC. */
        Arc("arc"),

        /** Raw tokens. */
        Tokens("tokens"),
    }

    /** The dtype of weights. */
    public enum class WeightDtype(internal val id: String) {
        /** 32-bit floating point. */
        F32("f32"),

        /** 16-bit floating point (IEEE half precision). */
        F16("f16"),

        /** 16-bit floating point (bfloat16). */
        Bf16("bf16"),

        /** 8-bit integers with one scale per row. */
        Int8("int8"),
    }

    /** When a puzzle halts. */
    public enum class HaltRule(internal val id: String) {
        /** As [Head], and only if the answer is valid. */
        Verified("verified"),

        /** When the halting probability is above [TrmOptions.haltThreshold]. */
        Head("head"),

        /** Never: every puzzle runs [TrmOptions.maxSteps] steps. */
        Never("never"),
    }

    /** Returns device, cacheDir, task, dtype and halt for [Native]. */
    internal fun nativeStrings(): Array<String?> =
        arrayOf(device.id, cacheDir?.path, task?.id, dtype?.id, halt.id)

    /** Returns threads, minSteps, maxSteps and timeLimit in ms for [Native]. 0 = default. */
    internal fun nativeIntegers(): IntArray {
        val milliseconds = timeLimit?.let { ceil(it.toDouble(DurationUnit.MILLISECONDS)).toLong() }
        return intArrayOf(
            positiveInt(threads?.toLong(), "threads"),
            positiveInt(minSteps?.toLong(), "minSteps"),
            positiveInt(maxSteps?.toLong(), "maxSteps"),
            positiveInt(milliseconds, "timeLimit in ms"),
        )
    }

    /** Returns haltThreshold for [Native]. 0 = default. */
    internal fun nativeHaltThreshold(): Float {
        val threshold = haltThreshold?.toFloat() ?: return 0f
        if (threshold == 0f) {
            throw TrmException.Argument("haltThreshold is 0; expected a number above 0, or null")
        }
        return threshold
    }

    private fun positiveInt(value: Long?, name: String): Int {
        if (value == null) return 0
        if (value !in 1..Int.MAX_VALUE) {
            val range = "expected a number from 1 to ${Int.MAX_VALUE}, or null"
            throw TrmException.Argument("$name is $value; $range")
        }
        return value.toInt()
    }
}
