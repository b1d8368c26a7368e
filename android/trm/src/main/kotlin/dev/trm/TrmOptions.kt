package dev.trm

import java.io.File
import kotlin.math.ceil
import kotlin.time.Duration
import kotlin.time.DurationUnit

/**
 * How a solver works. What is null is left to the library.
 *
 * @property device What the model runs on.
 * @property cacheFolder A folder for what [Device.Auto] measures, so that it is measured once: `context.cacheDir` is a good one. Nowhere
 *   if null.
 * @property kind What the puzzles are; the model's own kind if null.
 * @property format How the weights of the model's blocks are stored; [Format.Int8] if the file has them so, else [Format.F32], if null.
 * @property halt Who decides that a puzzle is done.
 * @property haltThreshold The head says "halt" above this probability; 0.5 if null.
 * @property threads Threads of the CPU; one for each core if null.
 * @property minSteps No puzzle is done before this many steps; 1 if null.
 * @property maxSteps Every puzzle ends after this many steps; as many as the model was trained for if null.
 * @property timeLimit How long a puzzle may take; as long as it takes if null.
 */
public data class TrmOptions(
    val device: Device = Device.Auto,
    val cacheFolder: File? = null,
    val kind: Kind? = null,
    val format: Format? = null,
    val halt: Halt = Halt.Verified,
    val haltThreshold: Double? = null,
    val threads: Int? = null,
    val minSteps: Int? = null,
    val maxSteps: Int? = null,
    val timeLimit: Duration? = null,
) {
    /** What a model runs on. */
    public enum class Device(internal val id: String) {
        /** The GPU where a short measurement finds it faster for the model, otherwise the CPU. */
        Auto("auto"),

        /** The CPU. */
        Cpu("cpu"),

        /** The GPU. */
        Gpu("gpu"),
    }

    /** What a puzzle is. */
    public enum class Kind(internal val id: String) {
        /** A Sudoku. */
        Sudoku("sudoku"),

        /** A maze. */
        Maze("maze"),

        /** A task of ARC. */
        Arc("arc"),

        /** Raw tokens. */
        Tokens("tokens"),
    }

    /** A number format of weights. */
    public enum class Format(internal val id: String) {
        /** 32 bits. */
        F32("f32"),

        /** 16 bits, half precision. */
        F16("f16"),

        /** 16 bits, bfloat. */
        Bf16("bf16"),

        /** Bytes, with a scale for each row. */
        Int8("int8"),
    }

    /** Who decides that a puzzle is done. */
    public enum class Halt(internal val id: String) {
        /** The model's halting head, believed only if its answer keeps the puzzle's rules. */
        Verified("verified"),

        /** The model's halting head. */
        Head("head"),

        /** Nobody: always [TrmOptions.maxSteps]. */
        Never("never"),
    }

    /** Device, cache folder, kind, format, halt. */
    internal fun nativeTexts(): Array<String?> = arrayOf(device.id, cacheFolder?.path, kind?.id, format?.id, halt.id)

    /** Threads, steps at least and at most, milliseconds; 0 stands for null. */
    internal fun nativeNumbers(): IntArray = intArrayOf(
        count(threads?.toLong(), "threads"),
        count(minSteps?.toLong(), "minSteps"),
        count(maxSteps?.toLong(), "maxSteps"),
        count(timeLimit?.let { ceil(it.toDouble(DurationUnit.MILLISECONDS)).toLong() }, "timeLimit in ms"),
    )

    /** 0 stands for null. */
    internal fun nativeHaltThreshold(): Float {
        val threshold = haltThreshold?.toFloat() ?: return 0f
        if (threshold == 0f) throw TrmException.Option("haltThreshold is 0: give a probability above it, or null")
        return threshold
    }

    private fun count(value: Long?, name: String): Int {
        if (value == null) return 0
        if (value !in 1..Int.MAX_VALUE) {
            throw TrmException.Option("$name is $value: give a number from 1 to ${Int.MAX_VALUE}, or null")
        }
        return value.toInt()
    }
}
