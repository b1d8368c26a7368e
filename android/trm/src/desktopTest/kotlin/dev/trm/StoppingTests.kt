package dev.trm

import java.lang.ref.WeakReference
import java.nio.ByteBuffer
import kotlin.coroutines.CoroutineContext
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertFalse
import kotlin.test.assertNotNull
import kotlin.test.assertSame
import kotlin.test.assertTrue
import kotlin.test.fail
import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.async
import kotlinx.coroutines.cancel
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.take
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.supervisorScope
import kotlinx.coroutines.withTimeout

/** Every way to stop a solve that would run for days: cancel, close, leave the flow, throw. */
class StoppingTests {
    /** If the listener cancels, no further step starts. */
    @Test
    fun noStepAfterTheOneInFlight() = sudoku4.endless().use { solver ->
        CancelToken().use { token ->
            var steps = 0
            assertFailsWith<TrmException.Closed> {
                solver.solveOnThisThread(sudoku4.puzzle, token) { step, _ ->
                    steps = step.number
                    if (step.number == 5) token.cancel()
                }
            }
            assertEquals(5, steps)
        }
    }

    /** If another thread cancels, at most the step in flight reaches the listener. */
    @Test
    fun atMostOneStepAfterCancelling() = maze.endless().use { solver ->
        CancelToken().use { token ->
            var seen = 0
            var stoppedAt = 0
            val canceller = Thread {
                while (seen < 3) Thread.onSpinWait()
                token.cancel()
                stoppedAt = seen
            }
            canceller.start()
            assertFailsWith<TrmException.Closed> {
                solver.solveOnThisThread(maze.puzzle, token) { step, _ -> seen = step.number }
            }
            canceller.join()
            assertTrue(seen - stoppedAt in 0..1, "stopped at $stoppedAt, seen $seen")
        }
    }

    @Test
    fun cancellingASolve() = runBlocking {
        maze.endless().use { solver ->
            solver.prepareDevice()
            val solve = async { solver.solve(maze.puzzle) }
            delay(100)
            assertEquals(1, runningSolves())
            solve.cancel()
            withTimeout(1_000) { assertFailsWith<CancellationException> { solve.await() } }
            assertNoSolvesRunning()
            // The solver still works.
            assertEquals(2, solver.steps(maze.puzzle).take(2).toList().size)
        }
    }

    @Test
    fun aCoroutineThatIsCancelledBefore() = maze.endless().use { solver ->
        val calls = listOf<suspend () -> Any>(
            { solver.solve(maze.puzzle) }, { solver.steps(maze.puzzle).first() },
        )
        for (call in calls) {
            assertFailsWith<CancellationException> {
                runBlocking {
                    cancel()
                    call()
                    fail("the call returned")
                }
            }
        }
        assertNoSolvesRunning()
    }

    @Test
    fun cancellingACollector() = runBlocking {
        sudoku4.endless().use { solver ->
            val third = CompletableDeferred<Unit>()
            val job = launch {
                solver.steps(sudoku4.puzzle).collect { if (it.number == 3) third.complete(Unit) }
            }
            third.await()
            job.cancelAndJoin()
            assertTrue(job.isCancelled)
            assertNoSolvesRunning()
        }
    }

    @Test
    fun leavingAFlow() = runBlocking {
        sudoku4.endless().use { solver ->
            val steps = solver.steps(sudoku4.puzzle).take(3).toList()
            assertEquals(listOf(1, 2, 3), steps.map { it.number })
            assertNoSolvesRunning()
            assertEquals(5, solver.steps(sudoku4.puzzle).first { it.number == 5 }.number)
            assertNoSolvesRunning()
        }
    }

    @Test
    fun anExceptionOfTheCollector() = runBlocking {
        sudoku4.endless().use { solver ->
            val thrown = IllegalStateException("thrown by the collector")
            val caught = assertFailsWith<IllegalStateException> {
                solver.steps(sudoku4.puzzle).collect { throw thrown }
            }
            assertSame(thrown, caught)
            assertNoSolvesRunning()
        }
    }

    /** An exception of the listener stops the solve, even in the last step, and propagates. */
    @Test
    fun anExceptionOfTheListener() {
        val threeSteps = TrmOptions(maxSteps = 3, halt = TrmOptions.HaltRule.Never)
        for (solver in listOf(sudoku4.endless(), sudoku4.solver(threeSteps))) {
            solver.use {
                CancelToken().use { token ->
                    var steps = 0
                    val thrown = OutOfMemoryError("thrown by the listener")
                    val caught = assertFailsWith<OutOfMemoryError> {
                        solver.solveOnThisThread(sudoku4.puzzle, token) { _, _ ->
                            if (++steps == 3) throw thrown
                        }
                    }
                    assertSame(thrown, caught)
                    assertEquals(3, steps)
                }
            }
        }
    }

    /** A collector may call everything, even on a dispatcher without threads of its own. */
    @Test
    fun callsFromACollector() = runBlocking {
        for (context in listOf(Dispatchers.Unconfined, Dispatchers.Default)) {
            val solver = sudoku9.solver()
            var answers = 0
            val failure = assertFailsWith<TrmException.Closed> {
                launchAndWait(context) {
                    solver.steps(sudoku9.puzzle).collect {
                        val answer = sudoku4.solver().use { other -> other.solve(sudoku4.puzzle) }
                        assertEquals(SUDOKU_4_SOLUTION, answer.text)
                        answers++
                        solver.close()
                        solver.prepareDevice()
                    }
                }
            }
            assertEquals("the solver was closed", failure.message)
            assertEquals(1, answers)
        }
    }

    private suspend fun launchAndWait(context: CoroutineContext, block: suspend () -> Unit) =
        supervisorScope { async(context) { block() }.await() }

    @Test
    fun closingTwice() = runBlocking {
        val solver = sudoku4.solver()
        val answer = solver.solve(sudoku4.puzzle)
        solver.close()
        solver.close()
        assertEquals(SUDOKU_4_SOLUTION, answer.text)
        assertThrows<TrmException.Closed> { solver.solve(sudoku4.puzzle) }
        assertThrows<TrmException.Closed> { solver.prepareDevice() }
        assertThrows<TrmException.Closed> {
            solver.steps(sudoku4.puzzle).collect { fail("a step") }
        }
        Unit
    }

    @Test
    fun closingDuringASolve() = runBlocking {
        val solver = maze.endless()
        solver.prepareDevice()
        supervisorScope {
            val solve = async { solver.solve(maze.puzzle) }
            val collect = async {
                solver.steps(maze.puzzle).collect { assertEquals(null, it.answer) }
            }
            delay(100)
            solver.close()
            withTimeout(1_000) {
                assertFailsWith<TrmException.Closed> { solve.await() }
                assertFailsWith<TrmException.Closed> { collect.await() }
            }
        }
        assertNoSolvesRunning()
    }

    /** A borrowed buffer stays reachable exactly as long as the solver or a solve needs it. */
    @Test
    fun borrowedBuffers() = runBlocking {
        val model = sudoku4.file.readBytes()
        fun open(count: Int): Pair<WeakReference<ByteBuffer>, TrmSolver?> {
            val bytes = ByteBuffer.allocateDirect(count).put(model, 0, count).flip() as ByteBuffer
            val solver = runCatching { TrmSolver.fromBytes(bytes, endlessOnCpu) }.getOrNull()
            return WeakReference(bytes) to solver
        }
        val (bytes, opened) = open(model.size)
        val solver = assertNotNull(opened)
        assertFalse(collected { bytes.get() == null }, "the buffer is gone while the solver lives")
        coroutineScope {
            // Closed during a solve: the solve keeps the buffer.
            val step = CompletableDeferred<Unit>()
            val go = CompletableDeferred<Unit>()
            val collect = async(Dispatchers.Default) {
                runCatching {
                    solver.steps(sudoku4.puzzle).collect { step.complete(Unit); go.await() }
                }
            }
            step.await()
            solver.close()
            go.complete(Unit)
            assertTrue(collect.await().exceptionOrNull() is TrmException.Closed)
        }
        assertNoSolvesRunning()
        assertTrue(collected { bytes.get() == null }, "the buffer stays after the solver closed")

        val (half, failed) = open(model.size / 2)
        assertEquals(null, failed)
        assertTrue(collected { half.get() == null }, "the buffer stays after opening failed")
    }
}
