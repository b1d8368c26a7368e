package dev.trm

import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.async
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.take
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.runBlocking

/** Tests a GPU, if there is one. android/test.sh runs them separately from the other tests. */
class GpuTests {
    private val gpu = TrmOptions(device = TrmOptions.Device.Gpu)

    private fun openOrSkip(options: TrmOptions): TrmSolver {
        val solver = sudoku4.solver(options)
        try {
            runBlocking { solver.prepareDevice() }
        } catch (e: TrmException.Device) {
            solver.close()
            throw if (System.getenv("TRM_REQUIRE_GPU") == "1") e else Skipped(e.message!!)
        }
        return solver
    }

    @Test
    fun aGpuSolves() = runBlocking {
        openOrSkip(gpu).use { solver ->
            val answer = solver.solve(sudoku4.puzzle)
            assertEquals(SUDOKU_4_SOLUTION, answer.text)
            assertEquals("gpu", answer.device)
            assertEquals(SUDOKU_4_SOLUTION, solver.steps(sudoku4.puzzle).toList().last().text)
        }
    }

    @Test
    fun aGpuStops() = runBlocking {
        val endless = gpu.copy(halt = TrmOptions.HaltRule.Never, maxSteps = 1_000_000_000)
        openOrSkip(endless).use { solver ->
            val solve = async { solver.solve(sudoku4.puzzle) }
            delay(200)
            solve.cancel()
            assertFailsWith<CancellationException> { solve.await() }
            assertNoSolvesRunning()
            assertEquals(3, solver.steps(sudoku4.puzzle).take(3).toList().size)
            assertNoSolvesRunning()
        }
    }
}
