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

/** Many at once, for long, and who must not wait for them. */
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

    /** More at once than Dispatchers.IO has threads for; each gets its own answer. */
    @Test
    fun manyOnOneSolver() = runBlocking {
        val easy = "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79"
        sudoku9.solver().use { solver ->
            val texts = (0 until 100).map { async { solver.solve(if (it % 2 == 0) easy else sudoku9.puzzle).text } }.awaitAll()
            texts.forEachIndexed { index, text ->
                assertEquals(index % 2 == 0, text.startsWith("534678912672195348"))
                assertEquals(index % 2 == 1, text == SUDOKU_9_SOLUTION)
            }
        }
    }

    /** A dispatcher with one thread goes on while that very thread's coroutines solve: they are suspended. */
    @Test
    fun coroutinesAreSuspended() = runBlocking {
        Executors.newSingleThreadExecutor().asCoroutineDispatcher().use { main ->
            sudoku9.endless().use { solver ->
                withContext(main) {
                    val solves = listOf(launch { solver.solve(sudoku9.puzzle) }, launch { solver.steps(sudoku9.puzzle).collect {} })
                    println("        one thread: waited ${longestWait()} ms at most")
                    solves.forEach { assertTrue(it.isActive); it.cancelAndJoin() }
                }
            }
        }
        assertNothingSolves()
    }

    /** While more puzzles are at work than dispatchers have threads, others on them go on. */
    @Test
    fun nobodyWaits() = runBlocking {
        sudoku9.endless().use { solver ->
            val solves = (0 until 80).map { index ->
                launch(if (index % 2 == 0) Dispatchers.IO else Dispatchers.Default) {
                    if (index % 4 < 2) solver.solve(sudoku9.puzzle) else solver.steps(sudoku9.puzzle).collect {}
                }
            }
            for (dispatcher in listOf(Dispatchers.IO, Dispatchers.Default)) {
                val longest = withContext(dispatcher) { longestWait() }
                println("        $dispatcher: waited $longest ms at most")
                assertTrue(longest < 1_000, "$longest ms")
            }
            assertEquals(80, solving())
            solves.forEach { it.cancel() }
        }
        assertNothingSolves()
    }

    /** How much longer than it should a delay takes, in ms. */
    private suspend fun longestWait(): Long = (0 until 40).maxOf {
        val start = System.nanoTime()
        delay(5)
        (System.nanoTime() - start) / 1_000_000 - 5
    }

    @Test
    fun tenThousandSolvesDoNotGrow() = runBlocking {
        sudoku4.solver(TrmOptions(device = TrmOptions.Device.Cpu)).use { solver ->
            suspend fun solve(count: Int) = repeat(count) { index ->
                if (index % 2 == 0) {
                    assertEquals(SUDOKU_4_SOLUTION, solver.solve(sudoku4.puzzle).text)
                } else {
                    assertEquals(SUDOKU_4_SOLUTION, solver.steps(sudoku4.puzzle).toList().last().answer?.text)
                }
            }
            // The virtual machine compiles what runs often: it grows for that.
            solve(4_000)
            val sizes = mutableListOf(Size.now())
            repeat(10) {
                solve(1_000)
                sizes += Size.now()
            }
            println("        KB resident and on Java's heap, before and after each 1,000 solves: ${sizes.joinToString { "${it.resident}/${it.heap}" }}")
            // Half of the blocks against the other half, so that what grows once does not count.
            fun growth(size: (Size) -> Long) = sizes.takeLast(5).minOf(size) - sizes.take(5).minOf(size)
            assertTrue(growth(Size::heap) < 100, "Java's heap grew by ${growth(Size::heap)} KB")
            assertTrue(growth(Size::resident) < 1_000, "it grew by ${growth(Size::resident)} KB")
        }
    }

    /** In KB. */
    private class Size(val resident: Long, val heap: Long) {
        companion object {
            fun now(): Size {
                repeat(2) { System.gc() }
                val runtime = Runtime.getRuntime()
                val resident = File("/proc/self/status").readLines().first { it.startsWith("VmRSS:") }.filter(Char::isDigit).toLong()
                return Size(resident, (runtime.totalMemory() - runtime.freeMemory()) / 1024)
            }
        }
    }
}
