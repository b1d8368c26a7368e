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

/** Answers, steps and options. */
class SolvingTests {
    @Test
    fun everyTask() = runBlocking {
        val small = sudoku4.solver().use { it.solve(sudoku4.puzzle) }
        assertEquals(SUDOKU_4_SOLUTION, small.text)
        assertEquals(TrmOptions.TaskKind.Sudoku, small.task)
        assertEquals(true, small.isValid)
        assertNull(small.reason)
        assertNull(small.isShortest)

        val large = sudoku9.solver().use { it.solve(sudoku9.puzzle) }
        assertEquals(SUDOKU_9_SOLUTION, large.text)
        assertEquals(81, large.tokens.size)
        assertEquals("cpu", large.device)
        assertTrue(large.halted)
        assertEquals(1 / (1 + exp(-large.haltLogit)), large.haltProbability, 1e-5)
        assertTrue(large.time > Duration.ZERO)

        val path = maze.solver().use { it.solve(maze.puzzle) }
        assertEquals(TrmOptions.TaskKind.Maze, path.task)
        assertEquals(true, path.isValid)
        assertEquals(true, path.isShortest)
        assertTrue('o' in path.text, path.text)
        assertEquals(maze.puzzle, path.text.replace('o', ' '))
    }

    @Test
    fun everyKindOfBuffer() = runBlocking {
        val model = sudoku4.file.readBytes()
        val padded = ByteBuffer.allocateDirect(model.size + 24).apply {
            position(16)
            put(model)
            flip()
            position(16)
        }
        val heap = ByteBuffer.wrap(ByteArray(7) + model).apply { position(7) }
        for (bytes in listOf(padded, padded.asReadOnlyBuffer(), heap, sudoku4.mapped())) {
            val before = bytes.position() to bytes.limit()
            TrmSolver.fromBytes(bytes).use {
                assertEquals(SUDOKU_4_SOLUTION, it.solve(sudoku4.puzzle).text)
            }
            assertEquals(before, bytes.position() to bytes.limit())
        }
        TrmSolver.fromBytes(model).use {
            // An array is copied, so this does not change the model.
            model.fill(0)
            assertEquals(SUDOKU_4_SOLUTION, it.solve(sudoku4.puzzle).text)
        }
    }

    @Test
    fun puzzlesInJson() = runBlocking {
        sudoku4.solver().use { solver ->
            val puzzle = """["..3.", "....", ".4..", ".2.4"]"""
            val solution = """["4132", "2341", "1423", "3214"]"""
            val right = solver.solve("""{"puzzle": $puzzle, "solution": $solution}""")
            assertEquals("""["4132","2341","1423","3214"]""", right.text)
            assertEquals(true, right.isCorrect)
            assertNull(solver.solve(sudoku4.puzzle).isCorrect)
            val tokens = solver.solve("""{"tokens": [1,1,4,1,1,1,1,1,1,5,1,1,1,3,1,5]}""")
            assertEquals(TrmOptions.TaskKind.Tokens, tokens.task)
        }
    }

    /** An answer that breaks the rules is returned, with the reason. */
    @Test
    fun anInvalidAnswer() = runBlocking {
        val answer = sudoku9.solver(TrmOptions(maxSteps = 1)).use { it.solve(sudoku9.puzzle) }
        assertEquals(false, answer.isValid)
        assertTrue(assertNotNull(answer.reason).isNotEmpty())
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

            val answer = solver.solve(sudoku9.puzzle)
            assertEquals(end.text, answer.text)
            assertEquals(end.haltLogit, answer.haltLogit)
            // Each collector starts a new solve.
            assertEquals(
                seen.map { it.text to it.haltProbability },
                steps.map { it.text to it.haltProbability }.toList(),
            )
        }
    }

    /** [checkSteps] finds planted bugs. */
    @Test
    fun plantedBugsInSteps() = runBlocking {
        val steps = sudoku9.solver().use { it.steps(sudoku9.puzzle).toList() }
        fun planted(index: Int, bug: (Step) -> Step) {
            val changed = steps.mapIndexed { at, step -> if (at == index) bug(step) else step }
            assertFailsWith<AssertionError> { checkSteps(changed) }
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
            val changed = board.indices.filter { board[it] != step.text[it] }
            assertEquals(changed, step.changed, "step ${step.number}")
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

    /** A slow collector receives every step. */
    @Test
    fun aSlowCollector() = runBlocking {
        sudoku4.solver(TrmOptions(halt = TrmOptions.HaltRule.Never, maxSteps = 50)).use { solver ->
            val numbers = solver.steps(sudoku4.puzzle).map { delay(2.milliseconds); it.number }
            assertEquals((1..50).toList(), numbers.toList())
        }
    }

    @Test
    fun theDevice() = runBlocking {
        val cpu = TrmOptions(device = TrmOptions.Device.Cpu)
        assertEquals("cpu", sudoku4.solver(cpu).use { it.prepareDevice() })
        val auto = sudoku4.solver().use { it.prepareDevice() }
        assertTrue(auto.startsWith("cpu: "), auto)
    }

    /** Every option reaches the library: each has a visible effect. */
    @Test
    fun options() = runBlocking {
        suspend fun solve(sample: Sample, options: TrmOptions) =
            sample.solver(options).use { it.solve(sample.puzzle) }
        val usual = solve(sudoku9, TrmOptions())
        assertEquals(usual.haltLogit, solve(sudoku9, TrmOptions(threads = 1)).haltLogit)
        val int8 = TrmOptions(dtype = TrmOptions.WeightDtype.Int8)
        assertNotEquals(usual.haltLogit, solve(sudoku9, int8).haltLogit)
        assertEquals(16, solve(sudoku9, TrmOptions(halt = TrmOptions.HaltRule.Never)).steps)
        val minSteps = usual.steps + 2
        assertEquals(minSteps, solve(sudoku9, TrmOptions(minSteps = minSteps)).steps)
        assertTrue(solve(sudoku9, TrmOptions(haltThreshold = 0.99999)).steps > usual.steps)
        val head = TrmOptions(halt = TrmOptions.HaltRule.Head)
        assertEquals(SUDOKU_4_SOLUTION, solve(sudoku4, head).text)
        assertThrows<TrmException.Puzzle> {
            solve(sudoku4, TrmOptions(task = TrmOptions.TaskKind.Maze))
        }
        val endless = TrmOptions(
            halt = TrmOptions.HaltRule.Never, maxSteps = 1_000_000_000,
            timeLimit = 20.milliseconds,
        )
        assertThrows<TrmException.TimeLimit> { solve(sudoku4, endless) }
        Unit
    }
}
