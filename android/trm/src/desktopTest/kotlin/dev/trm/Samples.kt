package dev.trm

import java.io.File
import java.nio.ByteBuffer
import java.nio.channels.FileChannel
import kotlin.test.assertTrue
import kotlin.test.fail
import kotlinx.coroutines.runBlocking

/** A model of the repository, whose root the tests run in, and a puzzle for it. */
class Sample(model: String, val puzzle: String) {
    val file = File("models/$model/model.safetensors")

    fun solver(options: TrmOptions = TrmOptions()) = TrmSolver.open(file, options)

    /** A solver on the CPU that would take days for a puzzle. */
    fun endless() = solver(TrmOptions(device = TrmOptions.Device.Cpu, halt = TrmOptions.Halt.Never, maxSteps = 1_000_000_000))

    fun mapped(): ByteBuffer = FileChannel.open(file.toPath()).use { it.map(FileChannel.MapMode.READ_ONLY, 0, it.size()) }
}

val sudoku4 = Sample("sudoku-4x4", "..3......4...2.4")
const val SUDOKU_4_SOLUTION = "4132234114233214"

val sudoku9 = Sample("sudoku-9x9", ".76...4.8......63...94...5....19..466.8243.154.3.....9..5.6.9..86..21......3...6.")
const val SUDOKU_9_SOLUTION = "376512498541789632289436157752198346698243715413675289135867924864921573927354861"

val maze = Sample(
    "maze-10x10", " #    #   ## # #       #     # #    #    #  #    #     # #   #  #    # ##  ##       ## G##  #S  #  #",
)

/** Within patience, which a busy machine needs: nothing solves any more. */
fun assertNothingSolves() {
    repeat(1_000) {
        if (solving() == 0) return
        Thread.sleep(10)
    }
    fail("${solving()} puzzles are still being solved after 10 s")
}

fun solving(): Int = Thread.getAllStackTraces().keys.count { it.name == "trm" }

/** The exception of `call`, which must be an [E]; its text must contain `part`. */
inline fun <reified E : TrmException> assertThrows(part: String = "", crossinline call: suspend () -> Any?): E {
    val thrown = try {
        val value = runBlocking { call() }
        fail("no exception but $value")
    } catch (e: Exception) {
        e as? E ?: throw AssertionError("no ${E::class.simpleName} but", e)
    }
    val text = thrown.message!!
    assertTrue(text.isNotBlank() && part in text, text)
    return thrown
}

/** Whether the collector of Java lets go of what `gone` tells of, within patience. */
fun collected(gone: () -> Boolean): Boolean {
    repeat(100) {
        if (gone()) return true
        System.gc()
        Thread.sleep(10)
    }
    return gone()
}
