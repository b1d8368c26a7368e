package dev.trm

import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.async
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.take
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.runBlocking

/** Of a GPU, if there is one; the script runs them apart. */
class GpuTests {
    private val gpu = TrmOptions(device = TrmOptions.Device.Gpu)

    private fun solver(options: TrmOptions): TrmSolver {
        val solver = sudoku4.solver(options)
        try {
            runBlocking { solver.device() }
        } catch (e: TrmException.Device) {
            solver.close()
            throw if (System.getenv("TRM_REQUIRE_GPU") == "1") e else Skipped(e.message!!)
        }
        return solver
    }

    @Test
    fun solving() = runBlocking {
        solver(gpu).use { solver ->
            val answer = solver.solve(sudoku4.puzzle)
            assertEquals(SUDOKU_4_SOLUTION, answer.text)
            assertEquals("gpu", answer.device)
            assertEquals(SUDOKU_4_SOLUTION, solver.steps(sudoku4.puzzle).toList().last().text)
        }
    }

    @Test
    fun stopping() = runBlocking {
        solver(gpu.copy(halt = TrmOptions.Halt.Never, maxSteps = 1_000_000_000)).use { solver ->
            val solve = async { solver.solve(sudoku4.puzzle) }
            delay(200)
            solve.cancel()
            assertFailsWith<CancellationException> { solve.await() }
            assertNothingSolves()
            assertEquals(3, solver.steps(sudoku4.puzzle).take(3).toList().size)
            assertNothingSolves()
        }
    }
}
