package dev.trm

import java.io.File
import java.nio.ByteBuffer
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertTrue
import kotlin.time.Duration
import kotlin.time.Duration.Companion.days
import kotlin.time.Duration.Companion.microseconds
import kotlin.time.Duration.Companion.milliseconds
import kotlinx.coroutines.flow.collect
import kotlinx.coroutines.runBlocking

/** The exception of each mistake. */
class ErrorTests {
    @Test
    fun badModels() {
        assertThrows<TrmException.File>("/nowhere/model.safetensors") {
            TrmSolver.open(File("/nowhere/model.safetensors"))
        }
        val model = sudoku4.file.readBytes()
        val text = "this is not a model, but a long text".toByteArray()
        val truncated = model.copyOf(model.size - 1)
        for (bytes in listOf(byteArrayOf(), byteArrayOf(1, 2, 3), text, truncated)) {
            assertThrows<TrmException.Model> { TrmSolver.fromBytes(bytes) }
            assertThrows<TrmException.Model> { TrmSolver.fromBytes(ByteBuffer.wrap(bytes)) }
            val direct = ByteBuffer.allocateDirect(bytes.size).put(bytes).flip() as ByteBuffer
            assertThrows<TrmException.Model> { TrmSolver.fromBytes(direct) }
        }
        assertThrows<TrmException.Argument>("path") {
            TrmSolver.open(File("models/sudoku-4x4\u0000"))
        }
    }

    @Test
    fun badPuzzles() = sudoku4.solver().use { solver ->
        val puzzles = listOf(
            "", " ", "1234", "x".repeat(16), "44..............", sudoku9.puzzle, "{",
            "{\"puzzle\": 3}", "[1, 2", "\u0000".repeat(16), "\uD800", "🧩".repeat(16),
            "1".repeat(9 shl 20),
        )
        for (puzzle in puzzles) {
            val error = runCatching { runBlocking { solver.solve(puzzle) } }.exceptionOrNull()
            assertTrue(
                error is TrmException.Puzzle || error is TrmException.Argument,
                "${puzzle.take(20)}: $error",
            )
            assertFailsWith<TrmException> { runBlocking { solver.steps(puzzle).collect() } }
        }
    }

    @Test
    fun badOptions() {
        fun refused(part: String, options: TrmOptions) =
            assertThrows<TrmException.Argument>(part) { sudoku4.solver(options) }
        refused("threads is 0", TrmOptions(threads = 0))
        refused("threads is -1", TrmOptions(threads = -1))
        refused("minSteps", TrmOptions(minSteps = Int.MIN_VALUE))
        refused("maxSteps", TrmOptions(maxSteps = 0))
        refused("", TrmOptions(minSteps = 9, maxSteps = 8))
        refused("timeLimit", TrmOptions(timeLimit = Duration.ZERO))
        refused("timeLimit", TrmOptions(timeLimit = (-1).milliseconds))
        refused("timeLimit", TrmOptions(timeLimit = 30.days))
        refused("timeLimit", TrmOptions(timeLimit = Duration.INFINITE))
        for (threshold in listOf(0.0, -1.0, 1.5, Double.NaN)) {
            refused("", TrmOptions(haltThreshold = threshold))
        }
        refused("cacheDir", TrmOptions(cacheDir = File("a\u0000b")))
        // Rounded up to 1 ms: 0 would mean no limit.
        val tiny = TrmOptions(
            timeLimit = 1.microseconds, halt = TrmOptions.HaltRule.Never, maxSteps = 1_000_000,
        )
        assertThrows<TrmException.TimeLimit> {
            sudoku4.solver(tiny).use { it.solve(sudoku4.puzzle) }
        }
    }

    /** android/test.sh hides the GPUs of the machine from this test. */
    @Test
    fun aMissingGpu() = sudoku4.solver(TrmOptions(device = TrmOptions.Device.Gpu)).use { solver ->
        assertThrows<TrmException.Device> { solver.prepareDevice() }
        assertThrows<TrmException.Device> { solver.solve(sudoku4.puzzle) }
        assertThrows<TrmException.Device> { solver.steps(sudoku4.puzzle).collect() }
        Unit
    }

    @Test
    fun theTimeLimit() {
        val options = TrmOptions(
            halt = TrmOptions.HaltRule.Never, maxSteps = 1_000_000_000,
            timeLimit = 30.milliseconds,
        )
        sudoku4.solver(options).use { solver ->
            assertThrows<TrmException.TimeLimit> { solver.solve(sudoku4.puzzle) }
            assertThrows<TrmException.TimeLimit> { solver.steps(sudoku4.puzzle).collect() }
        }
    }

    /** Every `trm_status` of the header has its exception. */
    @Test
    fun everyStatus() {
        val header = File("include/trm.h").readText()
        val names = Regex("TRM_STATUS_(\\w+) = (\\d+),").findAll(header)
            .associate { it.groupValues[2].toInt() to it.groupValues[1] }
        val actual = names.filterKeys { it != 0 }
            .map { (status, name) -> name to TrmException.of(status, "text")::class.simpleName }
        val expected = mapOf(
            "IO" to "File", "CHECKPOINT" to "Model", "CONFIG" to "Configuration",
            "PUZZLE" to "Puzzle", "DEVICE" to "Device", "ARGUMENT" to "Argument",
            "CANCELLED" to "Closed", "DEADLINE" to "TimeLimit", "HANDLE" to "Closed",
            "REENTRY" to "Bug", "PANIC" to "Bug",
        )
        assertEquals<Map<String, String?>>(expected, actual.toMap())
    }
}
