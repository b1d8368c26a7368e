package dev.trm

import java.nio.ByteBuffer
import kotlin.math.exp
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertFalse
import kotlin.test.assertNotEquals
import kotlin.test.assertNotNull
import kotlin.test.assertNull
import kotlin.test.assertTrue
import kotlin.time.Duration
import kotlin.time.Duration.Companion.milliseconds
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.map
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.runBlocking

/** What an app gets. */
class SolvingTests {
    @Test
    fun everyKindOfPuzzle() = runBlocking {
        val small = sudoku4.solver().use { it.solve(sudoku4.puzzle) }
        assertEquals(SUDOKU_4_SOLUTION, small.text)
        assertEquals(TrmOptions.Kind.Sudoku, small.kind)
        assertEquals(true, small.isValid)
        assertNull(small.why)
        assertNull(small.isShortest)

        val large = sudoku9.solver().use { it.solve(sudoku9.puzzle) }
        assertEquals(SUDOKU_9_SOLUTION, large.text)
        assertEquals(81, large.tokens.size)
        assertEquals("cpu", large.device)
        assertTrue(large.halted)
        assertEquals(1 / (1 + exp(-large.haltLogit)), large.haltProbability, 1e-5)
        assertTrue(large.time > Duration.ZERO)

        val path = maze.solver().use { it.solve(maze.puzzle) }
        assertEquals(TrmOptions.Kind.Maze, path.kind)
        assertEquals(true, path.isValid)
        assertEquals(true, path.isShortest)
        assertTrue('o' in path.text, path.text)
        assertEquals(maze.puzzle, path.text.replace('o', ' '))
    }

    @Test
    fun bytesOfEveryKind() = runBlocking {
        val model = sudoku4.file.readBytes()
        val padded = ByteBuffer.allocateDirect(model.size + 24).apply { position(16); put(model); flip(); position(16) }
        val heap = ByteBuffer.wrap(ByteArray(7) + model).apply { position(7) }
        for (bytes in listOf(padded, padded.asReadOnlyBuffer(), heap, sudoku4.mapped())) {
            val before = bytes.position() to bytes.limit()
            TrmSolver.fromBytes(bytes).use { assertEquals(SUDOKU_4_SOLUTION, it.solve(sudoku4.puzzle).text) }
            assertEquals(before, bytes.position() to bytes.limit())
        }
        TrmSolver.fromBytes(model).use {
            // They were copied.
            model.fill(0)
            assertEquals(SUDOKU_4_SOLUTION, it.solve(sudoku4.puzzle).text)
        }
    }

    @Test
    fun puzzlesInJson() = runBlocking {
        sudoku4.solver().use { solver ->
            val right = solver.solve("""{"puzzle": ["..3.", "....", ".4..", ".2.4"], "solution": ["4132", "2341", "1423", "3214"]}""")
            assertEquals("""["4132","2341","1423","3214"]""", right.text)
            assertEquals(true, right.isCorrect)
            assertNull(solver.solve(sudoku4.puzzle).isCorrect)
            val tokens = solver.solve("""{"tokens": [1,1,4,1,1,1,1,1,1,5,1,1,1,3,1,5]}""")
            assertEquals(TrmOptions.Kind.Tokens, tokens.kind)
        }
    }

    /** An answer that breaks the rules is an answer, and says so. */
    @Test
    fun aWrongAnswer() = runBlocking {
        val answer = sudoku9.solver(TrmOptions(maxSteps = 1)).use { it.solve(sudoku9.puzzle) }
        assertEquals(false, answer.isValid)
        assertTrue(assertNotNull(answer.why).isNotEmpty())
        assertFalse(answer.halted)
        assertEquals(1, answer.steps)
    }

    @Test
    fun steps() = runBlocking {
        sudoku9.solver().use { solver ->
            val steps = solver.steps(sudoku9.puzzle)
            val seen = steps.toList()
            checkSteps(seen)
            val end = seen.last().answer!!
            assertEquals(SUDOKU_9_SOLUTION, end.text)

            val unwatched = solver.solve(sudoku9.puzzle)
            assertEquals(end.text, unwatched.text)
            assertEquals(end.haltLogit, unwatched.haltLogit)
            // Each collector solves anew.
            assertEquals(seen.map { it.text to it.haltProbability }, steps.map { it.text to it.haltProbability }.toList())
        }
    }

    /** What is planted is caught. */
    @Test
    fun stepsThatAreWrong() = runBlocking {
        val steps = sudoku9.solver().use { it.steps(sudoku9.puzzle).toList() }
        fun planted(index: Int, bug: (Step) -> Step) {
            assertFailsWith<AssertionError> { checkSteps(steps.mapIndexed { at, step -> if (at == index) bug(step) else step }) }
        }
        planted(0) { it.copy(changed = it.changed.drop(1)) }
        planted(1) { it.copy(text = it.text.reversed()) }
        planted(1) { it.copy(number = 3) }
        planted(0) { it.copy(answer = steps.last().answer) }
        planted(steps.lastIndex) { it.copy(answer = null) }
        planted(steps.lastIndex) { it.copy(answer = it.answer!!.copy(tokens = it.tokens.drop(1))) }
    }

    private fun checkSteps(steps: List<Step>) {
        assertTrue(steps.size > 1)
        assertEquals((1..steps.size).toList(), steps.map { it.number })
        var board = sudoku9.puzzle
        for (step in steps) {
            assertEquals(board.indices.filter { board[it] != step.text[it] }, step.changed, "step ${step.number}")
            assertTrue(step.haltProbability in 0.0..1.0)
            board = step.text
        }
        assertEquals(1, steps.count { it.answer != null })
        val end = steps.last().answer ?: throw AssertionError("the last step has no answer")
        assertEquals(steps.last().text, end.text)
        assertEquals(steps.last().tokens, end.tokens)
        assertEquals(steps.last().number, end.steps)
        assertEquals(steps.last().haltProbability, end.haltProbability)
    }

    /** As many steps as a slow collector likes: none is lost. */
    @Test
    fun aSlowCollector() = runBlocking {
        sudoku4.solver(TrmOptions(halt = TrmOptions.Halt.Never, maxSteps = 50)).use { solver ->
            assertEquals((1..50).toList(), solver.steps(sudoku4.puzzle).map { delay(2.milliseconds); it.number }.toList())
        }
    }

    @Test
    fun theDevice() = runBlocking {
        assertEquals("cpu", sudoku4.solver(TrmOptions(device = TrmOptions.Device.Cpu)).use { it.device() })
        val auto = sudoku4.solver().use { it.device() }
        assertTrue(auto.startsWith("cpu: "), auto)
    }

    /** Every option arrives: each changes what can be seen. */
    @Test
    fun options() = runBlocking {
        suspend fun solve(sample: Sample, options: TrmOptions) = sample.solver(options).use { it.solve(sample.puzzle) }
        val usual = solve(sudoku9, TrmOptions())
        assertEquals(usual.haltLogit, solve(sudoku9, TrmOptions(threads = 1)).haltLogit)
        assertNotEquals(usual.haltLogit, solve(sudoku9, TrmOptions(format = TrmOptions.Format.Int8)).haltLogit)
        assertEquals(16, solve(sudoku9, TrmOptions(halt = TrmOptions.Halt.Never)).steps)
        assertEquals(usual.steps + 2, solve(sudoku9, TrmOptions(minSteps = usual.steps + 2)).steps)
        assertTrue(solve(sudoku9, TrmOptions(haltThreshold = 0.99999)).steps > usual.steps)
        assertEquals(SUDOKU_4_SOLUTION, solve(sudoku4, TrmOptions(halt = TrmOptions.Halt.Head)).text)
        assertThrows<TrmException.Puzzle> { solve(sudoku4, TrmOptions(kind = TrmOptions.Kind.Maze)) }
        val endless = TrmOptions(halt = TrmOptions.Halt.Never, maxSteps = 1_000_000_000, timeLimit = 20.milliseconds)
        assertThrows<TrmException.TimeLimit> { solve(sudoku4, endless) }
        Unit
    }
}
