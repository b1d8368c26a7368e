package dev.trm

import java.lang.ref.WeakReference
import java.nio.ByteBuffer
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

/** Cancelling, closing, leaving: each ends what would run for days. */
class StoppingTests {
    /** The token that a cancelled coroutine stops: no step begins after it. */
    @Test
    fun noStepAfterTheOneInFlight() = sudoku4.endless().use { solver ->
        StopToken().use { stop ->
            var steps = 0
            assertFailsWith<TrmException.Closed> {
                solver.run(sudoku4.puzzle, stop) { step, _ ->
                    steps = step.number
                    if (step.number == 5) stop.stop()
                }
            }
            assertEquals(5, steps)
        }
    }

    /** As above, from another thread: it stops in one step, and the step after that one is never seen. */
    @Test
    fun atMostOneStepAfterCancelling() = maze.endless().use { solver ->
        StopToken().use { stop ->
            var seen = 0
            var stoppedAt = 0
            val canceller = Thread {
                while (seen < 3) Thread.onSpinWait()
                stop.stop()
                stoppedAt = seen
            }
            canceller.start()
            assertFailsWith<TrmException.Closed> { solver.run(maze.puzzle, stop) { step, _ -> seen = step.number } }
            canceller.join()
            assertTrue(seen - stoppedAt in 0..1, "stopped at $stoppedAt, seen $seen")
        }
    }

    @Test
    fun cancellingASolve() = runBlocking {
        maze.endless().use { solver ->
            solver.device()
            val solve = async { solver.solve(maze.puzzle) }
            delay(100)
            assertEquals(1, solving())
            solve.cancel()
            withTimeout(1_000) { assertFailsWith<CancellationException> { solve.await() } }
            assertNothingSolves()
            // The solver is as good as before.
            assertEquals(2, solver.steps(maze.puzzle).take(2).toList().size)
        }
    }

    @Test
    fun aCoroutineThatIsCancelledBeforehand() = maze.endless().use { solver ->
        for (call in listOf<suspend () -> Any>({ solver.solve(maze.puzzle) }, { solver.steps(maze.puzzle).first() })) {
            assertFailsWith<CancellationException> {
                runBlocking {
                    cancel()
                    call()
                    fail("it went on")
                }
            }
        }
        assertNothingSolves()
    }

    @Test
    fun cancellingACollector() = runBlocking {
        sudoku4.endless().use { solver ->
            val third = CompletableDeferred<Unit>()
            val job = launch { solver.steps(sudoku4.puzzle).collect { if (it.number == 3) third.complete(Unit) } }
            third.await()
            job.cancelAndJoin()
            assertTrue(job.isCancelled)
            assertNothingSolves()
        }
    }

    @Test
    fun leavingAFlow() = runBlocking {
        sudoku4.endless().use { solver ->
            assertEquals(listOf(1, 2, 3), solver.steps(sudoku4.puzzle).take(3).toList().map { it.number })
            assertNothingSolves()
            assertEquals(5, solver.steps(sudoku4.puzzle).first { it.number == 5 }.number)
            assertNothingSolves()
        }
    }

    @Test
    fun anExceptionOfTheCollector() = runBlocking {
        sudoku4.endless().use { solver ->
            val thrown = IllegalStateException("the collector's")
            val caught = assertFailsWith<IllegalStateException> { solver.steps(sudoku4.puzzle).collect { throw thrown } }
            assertSame(thrown, caught)
            assertNothingSolves()
        }
    }

    /** What the watcher throws stops the solve, also in its last step, and arrives as it is. */
    @Test
    fun anExceptionOfTheWatcher() {
        for (solver in listOf(sudoku4.endless(), sudoku4.solver(TrmOptions(maxSteps = 3, halt = TrmOptions.Halt.Never)))) {
            solver.use {
                StopToken().use { stop ->
                    var steps = 0
                    val thrown = OutOfMemoryError("the watcher's")
                    val caught = assertFailsWith<OutOfMemoryError> {
                        solver.run(sudoku4.puzzle, stop) { _, _ -> if (++steps == 3) throw thrown }
                    }
                    assertSame(thrown, caught)
                    assertEquals(3, steps)
                }
            }
        }
    }

    /** From inside a collector everything may be called, also where it has no thread of its own. */
    @Test
    fun callsFromInsideACollector() = runBlocking {
        for (context in listOf(Dispatchers.Unconfined, Dispatchers.Default)) {
            val solver = sudoku9.solver()
            var answers = 0
            val failure = assertFailsWith<TrmException.Closed> {
                launchAndWait(context) {
                    solver.steps(sudoku9.puzzle).collect {
                        assertEquals(SUDOKU_4_SOLUTION, sudoku4.solver().use { other -> other.solve(sudoku4.puzzle) }.text)
                        answers++
                        solver.close()
                        solver.device()
                    }
                }
            }
            assertEquals("the solver was closed", failure.message)
            assertEquals(1, answers)
        }
    }

    private suspend fun launchAndWait(context: kotlin.coroutines.CoroutineContext, block: suspend () -> Unit) =
        supervisorScope { async(context) { block() }.await() }

    @Test
    fun closingTwice() = runBlocking {
        val solver = sudoku4.solver()
        val answer = solver.solve(sudoku4.puzzle)
        solver.close()
        solver.close()
        assertEquals(SUDOKU_4_SOLUTION, answer.text)
        assertThrows<TrmException.Closed> { solver.solve(sudoku4.puzzle) }
        assertThrows<TrmException.Closed> { solver.device() }
        assertThrows<TrmException.Closed> { solver.steps(sudoku4.puzzle).collect { fail("a step") } }
        Unit
    }

    @Test
    fun closingDuringASolve() = runBlocking {
        val solver = maze.endless()
        solver.device()
        supervisorScope {
            val solve = async { solver.solve(maze.puzzle) }
            val watch = async { solver.steps(maze.puzzle).collect { assertEquals(null, it.answer) } }
            delay(100)
            solver.close()
            withTimeout(1_000) {
                assertFailsWith<TrmException.Closed> { solve.await() }
                assertFailsWith<TrmException.Closed> { watch.await() }
            }
        }
        assertNothingSolves()
    }

    /** Lent bytes are kept while the solver or a solve needs them, and no longer. */
    @Test
    fun lentBytes() = runBlocking {
        val model = sudoku4.file.readBytes()
        fun lend(count: Int): Pair<WeakReference<ByteBuffer>, TrmSolver?> {
            val bytes = ByteBuffer.allocateDirect(count).put(model, 0, count).flip() as ByteBuffer
            val endless = TrmOptions(device = TrmOptions.Device.Cpu, halt = TrmOptions.Halt.Never, maxSteps = 1_000_000_000)
            return WeakReference(bytes) to runCatching { TrmSolver.fromBytes(bytes, endless) }.getOrNull()
        }
        val (bytes, opened) = lend(model.size)
        val solver = assertNotNull(opened)
        assertFalse(collected { bytes.get() == null }, "the solver lets go of what it still reads")
        coroutineScope {
            // Closed in mid-solve: whoever solves has them still.
            val step = CompletableDeferred<Unit>()
            val go = CompletableDeferred<Unit>()
            val watch = async(Dispatchers.Default) {
                runCatching { solver.steps(sudoku4.puzzle).collect { step.complete(Unit); go.await() } }
            }
            step.await()
            solver.close()
            go.complete(Unit)
            assertTrue(watch.await().exceptionOrNull() is TrmException.Closed)
        }
        assertNothingSolves()
        assertTrue(collected { bytes.get() == null }, "lent bytes stay after the solver was closed")

        val (half, none) = lend(model.size / 2)
        assertEquals(null, none)
        assertTrue(collected { half.get() == null }, "lent bytes stay although no solver was made")
    }
}
