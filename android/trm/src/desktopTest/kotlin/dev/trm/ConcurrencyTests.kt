package dev.trm

import java.io.File
import java.util.concurrent.Executors
import kotlin.test.assertEquals
import kotlin.test.assertTrue
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.asCoroutineDispatcher
import kotlinx.coroutines.async
import kotlinx.coroutines.awaitAll
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withContext

/** Concurrent solves, memory growth, and threads that must not block. */
class ConcurrencyTests {
    @Test
    fun twoSolversAtOnce() = runBlocking {
        sudoku9.solver().use { sudoku ->
            maze.solver().use { paths ->
                val digits = async { sudoku.solve(sudoku9.puzzle) }
                val path = async { paths.solve(maze.puzzle) }
                assertEquals(SUDOKU_9_SOLUTION, digits.await().text)
                assertEquals(true, path.await().isShortest)
            }
        }
    }

    /** More solves than Dispatchers.IO has threads: each returns its own answer. */
    @Test
    fun manySolvesOnOneSolver() = runBlocking {
        val easy =
            "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79"
        sudoku9.solver().use { solver ->
            val puzzles = (0 until 100).map { if (it % 2 == 0) easy else sudoku9.puzzle }
            val texts = puzzles.map { async { solver.solve(it).text } }.awaitAll()
            texts.forEachIndexed { index, text ->
                assertEquals(index % 2 == 0, text.startsWith("534678912672195348"))
                assertEquals(index % 2 == 1, text == SUDOKU_9_SOLUTION)
            }
        }
    }

    /** A solving coroutine is suspended: the only thread of its dispatcher runs other work. */
    @Test
    fun solvingCoroutinesAreSuspended() = runBlocking {
        Executors.newSingleThreadExecutor().asCoroutineDispatcher().use { main ->
            sudoku9.endless().use { solver ->
                withContext(main) {
                    val solves = listOf(
                        launch { solver.solve(sudoku9.puzzle) },
                        launch { solver.steps(sudoku9.puzzle).collect {} },
                    )
                    println("        one thread: longest wait ${longestWait()} ms")
                    solves.forEach { assertTrue(it.isActive); it.cancelAndJoin() }
                }
            }
        }
        assertNoSolvesRunning()
    }

    /** With more running solves than the dispatchers have threads, other coroutines still run. */
    @Test
    fun solvesDoNotBlockDispatchers() = runBlocking {
        sudoku9.endless().use { solver ->
            val solves = (0 until 80).map { index ->
                launch(if (index % 2 == 0) Dispatchers.IO else Dispatchers.Default) {
                    if (index % 4 < 2) {
                        solver.solve(sudoku9.puzzle)
                    } else {
                        solver.steps(sudoku9.puzzle).collect {}
                    }
                }
            }
            for (dispatcher in listOf(Dispatchers.IO, Dispatchers.Default)) {
                val longest = withContext(dispatcher) { longestWait() }
                println("        $dispatcher: longest wait $longest ms")
                assertTrue(longest < 1_000, "$longest ms")
            }
            assertEquals(80, runningSolves())
            solves.forEach { it.cancel() }
        }
        assertNoSolvesRunning()
    }

    /** Returns by how many ms the slowest of 40 delays of 5 ms is late. */
    private suspend fun longestWait(): Long = (0 until 40).maxOf {
        val start = System.nanoTime()
        delay(5)
        (System.nanoTime() - start) / 1_000_000 - 5
    }

    @Test
    fun tenThousandSolvesDoNotGrowMemory() = runBlocking {
        sudoku4.solver(TrmOptions(device = TrmOptions.Device.Cpu)).use { solver ->
            suspend fun solve(count: Int) = repeat(count) { index ->
                if (index % 2 == 0) {
                    assertEquals(SUDOKU_4_SOLUTION, solver.solve(sudoku4.puzzle).text)
                } else {
                    val last = solver.steps(sudoku4.puzzle).toList().last()
                    assertEquals(SUDOKU_4_SOLUTION, last.answer?.text)
                }
            }
            // Warm up: the JVM compiles code that runs often, and grows.
            solve(4_000)
            val sizes = mutableListOf(Size.now())
            repeat(10) {
                solve(1_000)
                sizes += Size.now()
            }
            val list = sizes.joinToString { "${it.resident}/${it.heap}" }
            println("        KB resident/Java heap at the start and after each 1,000 solves: $list")
            // Compares the two halves, so that a single growth does not count.
            fun growth(size: (Size) -> Long) =
                sizes.takeLast(5).minOf(size) - sizes.take(5).minOf(size)
            assertTrue(growth(Size::heap) < 100, "Java's heap grew by ${growth(Size::heap)} KB")
            val resident = growth(Size::resident)
            assertTrue(resident < 1_000, "the process grew by $resident KB")
        }
    }

    /** Memory in KB: resident memory of the process, used heap of Java. */
    private class Size(val resident: Long, val heap: Long) {
        companion object {
            fun now(): Size {
                repeat(2) { System.gc() }
                val runtime = Runtime.getRuntime()
                val status = File("/proc/self/status").readLines()
                val line = status.first { it.startsWith("VmRSS:") }
                val resident = line.filter(Char::isDigit).toLong()
                return Size(resident, (runtime.totalMemory() - runtime.freeMemory()) / 1024)
            }
        }
    }
}
