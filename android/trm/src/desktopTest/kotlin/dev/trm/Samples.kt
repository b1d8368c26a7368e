package dev.trm

import java.io.File
import java.nio.ByteBuffer
import java.nio.channels.FileChannel
import kotlin.test.assertTrue
import kotlin.test.fail
import kotlinx.coroutines.runBlocking

/** A model of the repository and a puzzle for it. The tests run in the repository's root. */
class Sample(model: String, val puzzle: String) {
    val file = File("models/$model/model.safetensors")

    fun solver(options: TrmOptions = TrmOptions()) = TrmSolver.open(file, options)

    /** Opens a solver that would run for days on one puzzle. */
    fun endless() = solver(endlessOnCpu)

    fun mapped(): ByteBuffer =
        FileChannel.open(file.toPath()).use { it.map(FileChannel.MapMode.READ_ONLY, 0, it.size()) }
}

val endlessOnCpu = TrmOptions(
    device = TrmOptions.Device.Cpu, halt = TrmOptions.HaltRule.Never, maxSteps = 1_000_000_000,
)

val sudoku4 = Sample("sudoku-4x4", "..3......4...2.4")
const val SUDOKU_4_SOLUTION = "4132234114233214"

val sudoku9 = Sample(
    "sudoku-9x9",
    ".76...4.8......63...94...5....19..466.8243.154.3.....9..5.6.9..86..21......3...6.",
)
const val SUDOKU_9_SOLUTION =
    "376512498541789632289436157752198346698243715413675289135867924864921573927354861"

val maze = Sample(
    "maze-10x10",
    " #    #   ## # #       #     # #    #    #  #    #" +
        "     # #   #  #    # ##  ##       ## G##  #S  #  #",
)

/** Fails if a solve still runs after 10 s, which is enough for a busy machine. */
fun assertNoSolvesRunning() {
    repeat(1_000) {
        if (runningSolves() == 0) return
        Thread.sleep(10)
    }
    fail("${runningSolves()} puzzles are still being solved after 10 s")
}

/** Returns the number of solving threads. */
fun runningSolves(): Int = Thread.getAllStackTraces().keys.count { it.name == "trm" }

/** Returns the exception of `call`, which must be an [E] whose message contains `part`. */
inline fun <reified E : TrmException> assertThrows(
    part: String = "", crossinline call: suspend () -> Any?,
): E {
    val thrown = try {
        val value = runBlocking { call() }
        fail("no exception, but the value $value")
    } catch (e: Exception) {
        e as? E ?: throw AssertionError("not a ${E::class.simpleName}", e)
    }
    val message = thrown.message!!
    assertTrue(message.isNotBlank() && part in message, message)
    return thrown
}

/** Runs the garbage collector until `isGone` returns true, for 1 s at most. Returns its result. */
fun collected(isGone: () -> Boolean): Boolean {
    repeat(100) {
        if (isGone()) return true
        System.gc()
        Thread.sleep(10)
    }
    return isGone()
}
