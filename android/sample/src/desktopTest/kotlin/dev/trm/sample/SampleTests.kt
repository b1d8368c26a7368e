package dev.trm.sample

import dev.trm.SUDOKU_9_SOLUTION
import dev.trm.Step
import dev.trm.Test
import dev.trm.TrmOptions
import dev.trm.TrmSolver
import dev.trm.assertNoSolvesRunning
import dev.trm.maze
import dev.trm.sudoku9
import java.io.File
import java.util.concurrent.Executors
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertFalse
import kotlin.test.assertNull
import kotlin.test.assertTrue
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.asCoroutineDispatcher
import kotlinx.coroutines.cancel
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withContext

/** Tests the parts of the sample app that do not use Compose. */
class SampleTests {
    @Test
    fun enteredPuzzles() {
        val drawn = """
            |0 7 6 | . . . | 4 . 8
            |. . . | . . . | 6 3 _
            |""".trimMargin() + sudoku9.puzzle.drop(18).chunked(9).joinToString("\n")
        assertEquals(sudoku9.puzzle, PuzzleKind.Sudoku.parse(drawn))
        assertEquals(maze.puzzle, PuzzleKind.Maze.parse(maze.puzzle))
        val lines = maze.puzzle.chunked(10).joinToString("\n") { it.trimEnd() } + "\n"
        assertEquals(maze.puzzle, PuzzleKind.Maze.parse(lines))
        for (kind in PuzzleKind.entries) kind.examples.forEach { assertEquals(it, kind.parse(it)) }
        fun error(kind: PuzzleKind, text: String) =
            assertFailsWith<IllegalArgumentException> { kind.parse(text) }.message
        val sudoku = PuzzleKind.Sudoku
        assertEquals("found 80 cells; a sudoku has 81", error(sudoku, ".".repeat(80)))
        assertEquals("'x' is not a sudoku cell", error(sudoku, ".".repeat(80) + "x"))
        assertEquals("'7' is not a maze cell", error(PuzzleKind.Maze, "7".repeat(100)))
        assertEquals("found 0 cells; a maze has 100", error(PuzzleKind.Maze, ""))
    }

    @Test
    fun cells() {
        val sudoku = PuzzleKind.Sudoku
        val empty = Cell(' ', given = false, changed = false)
        val step = Step(1, "1".repeat(81), listOf(), listOf(0, 4), 0.5)
        val cells = sudoku.cells(sudoku9.puzzle, step)
        assertEquals(Cell('1', given = false, changed = true), cells[0])
        assertEquals(Cell('1', given = true, changed = false), cells[1])
        assertEquals(empty, sudoku.cells(sudoku9.puzzle, null)[0])
        assertEquals("Row 1, column 1: 1, changed", sudoku.description(0, cells[0]))
        assertEquals("Row 1, column 2: 1, given", sudoku.description(1, cells[1]))
        assertEquals("Row 9, column 9: empty", sudoku.description(80, empty))
        val start = maze.puzzle.indexOf('S')
        val startCell = PuzzleKind.Maze.cells(maze.puzzle, null)[start]
        assertEquals("Row 10, column 4: start", PuzzleKind.Maze.description(start, startCell))
    }

    @Test
    fun solving() = withController { controller ->
        assertEquals("Ready", controller.state.value.summary)
        val solutions = listOf(PuzzleKind.Sudoku to SUDOKU_9_SOLUTION, PuzzleKind.Maze to null)
        for ((kind, solution) in solutions) {
            controller.select(kind)
            controller.start()
            assertEquals("Solving…", controller.state.value.summary)
            val end = controller.state.first { !it.isSolving }
            assertTrue(end.summary.startsWith("Solved after "), end.summary)
            assertEquals(end.steps.size, end.shownStep)
            val symbols = end.cells.joinToString("") { it.symbol.toString() }
            if (solution != null) assertEquals(solution, symbols)
            // Step numbers out of range show the puzzle and the last step.
            controller.showStep(-1)
            assertEquals(kind.cells(end.puzzle, null), controller.state.value.cells)
            controller.showStep(1_000)
            assertEquals(end, controller.state.value)
        }
    }

    @Test
    fun stopping() = withController(endless) { controller ->
        controller.start()
        controller.state.first { it.steps.size >= 3 }
        // An older step stays on the screen while others arrive.
        controller.showStep(1)
        val older = controller.state.first { it.steps.size >= 5 }
        assertEquals(1, older.shownStep)
        controller.stop()
        val stopped = controller.state.value
        assertFalse(stopped.isSolving)
        assertTrue(stopped.summary.startsWith("Stopped after "), stopped.summary)
        // Two starts in a row: only the second one's steps arrive.
        controller.start()
        controller.start()
        val again = controller.state.first { it.steps.size >= 3 }
        assertEquals((1..again.steps.size).toList(), again.steps.map { it.number })
        // Another puzzle is selected during a solve.
        controller.select(PuzzleKind.Maze)
        assertEquals(SolveState(PuzzleKind.Maze), controller.state.value)
        controller.start()
        controller.state.first { it.steps.isNotEmpty() }
    }

    @Test
    fun errors() = withController { controller ->
        controller.enter("nothing")
        assertEquals("'n' is not a sudoku cell", controller.state.value.summary)
        controller.enter("55" + ".".repeat(79))
        assertNull(controller.state.value.error)
        controller.start()
        val end = controller.state.first { !it.isSolving }
        assertTrue(end.error!!.isNotEmpty())
        // The controller still works.
        controller.select(PuzzleKind.Sudoku)
        controller.start()
        assertTrue(controller.state.first { !it.isSolving }.summary.startsWith("Solved"))
    }

    private val endless =
        TrmOptions(halt = TrmOptions.HaltRule.Never, maxSteps = 1_000_000_000)

    /** Runs a test on a main thread, with the repository's models. */
    private fun withController(
        options: TrmOptions = TrmOptions(), test: suspend (SolveController) -> Unit,
    ) {
        Executors.newSingleThreadExecutor().asCoroutineDispatcher().use { main ->
            val scope = CoroutineScope(main)
            runBlocking {
                withContext(main) {
                    val controller = SolveController(scope) {
                        TrmSolver.open(File("models/${it.asset.substringBefore('.')}"), options)
                    }
                    test(controller)
                    controller.close()
                }
            }
            scope.cancel()
        }
        assertNoSolvesRunning()
    }
}
