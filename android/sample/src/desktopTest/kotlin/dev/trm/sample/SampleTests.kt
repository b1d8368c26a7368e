package dev.trm.sample

import dev.trm.SUDOKU_9_SOLUTION
import dev.trm.Step
import dev.trm.Test
import dev.trm.TrmOptions
import dev.trm.TrmSolver
import dev.trm.assertNothingSolves
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

/** What of the sample is no view. */
class SampleTests {
    @Test
    fun puzzlesOfPeople() {
        val drawn = """
            |0 7 6 | . . . | 4 . 8
            |. . . | . . . | 6 3 _
            |""".trimMargin() + sudoku9.puzzle.drop(18).chunked(9).joinToString("\n")
        assertEquals(sudoku9.puzzle, Game.Sudoku.parse(drawn))
        assertEquals(maze.puzzle, Game.Maze.parse(maze.puzzle))
        assertEquals(maze.puzzle, Game.Maze.parse(maze.puzzle.chunked(10).joinToString("\n") { it.trimEnd() } + "\n"))
        for (game in Game.entries) game.examples.forEach { assertEquals(it, game.parse(it)) }
        fun refused(game: Game, text: String) = assertFailsWith<IllegalArgumentException> { game.parse(text) }.message
        assertEquals("80 cells; a sudoku has 81", refused(Game.Sudoku, ".".repeat(80)))
        assertEquals("'x' is no cell of a sudoku", refused(Game.Sudoku, ".".repeat(80) + "x"))
        assertEquals("'7' is no cell of a maze", refused(Game.Maze, "7".repeat(100)))
        assertEquals("0 cells; a maze has 100", refused(Game.Maze, ""))
    }

    @Test
    fun cells() {
        val step = Step(1, "1".repeat(81), listOf(), listOf(0, 4), 0.5)
        val cells = Game.Sudoku.cells(sudoku9.puzzle, step)
        assertEquals(Cell('1', given = false, changed = true), cells[0])
        assertEquals(Cell('1', given = true, changed = false), cells[1])
        assertEquals(Cell(' ', given = false, changed = false), Game.Sudoku.cells(sudoku9.puzzle, null)[0])
        assertEquals("Row 1, column 1: 1, changed", Game.Sudoku.spoken(0, cells[0]))
        assertEquals("Row 1, column 2: 1, given", Game.Sudoku.spoken(1, cells[1]))
        assertEquals("Row 9, column 9: empty", Game.Sudoku.spoken(80, Cell(' ', given = false, changed = false)))
        val start = maze.puzzle.indexOf('S')
        assertEquals("Row 10, column 4: start", Game.Maze.spoken(start, Game.Maze.cells(maze.puzzle, null)[start]))
    }

    @Test
    fun aPuzzle() = withThinker { thinker ->
        assertEquals("Ready", thinker.thinking.value.said)
        for ((game, expected) in listOf(Game.Sudoku to SUDOKU_9_SOLUTION, Game.Maze to null)) {
            thinker.choose(game)
            thinker.start()
            assertEquals("Thinking…", thinker.thinking.value.said)
            val end = thinker.thinking.first { !it.thinks }
            assertTrue(end.said.startsWith("Solved after "), end.said)
            assertEquals(end.steps.size, end.shown)
            if (expected != null) assertEquals(expected, end.cells.joinToString("") { it.symbol.toString() })
            // Back to the puzzle, and beyond both ends.
            thinker.show(-1)
            assertEquals(game.cells(end.puzzle, null), thinker.thinking.value.cells)
            thinker.show(1_000)
            assertEquals(end, thinker.thinking.value)
        }
    }

    @Test
    fun stopping() = withThinker(TrmOptions(halt = TrmOptions.Halt.Never, maxSteps = 1_000_000_000)) { thinker ->
        thinker.start()
        thinker.thinking.first { it.steps.size >= 3 }
        // An older step stays in view while others come.
        thinker.show(1)
        val seen = thinker.thinking.first { it.steps.size >= 5 }
        assertEquals(1, seen.shown)
        thinker.stop()
        val stopped = thinker.thinking.value
        assertFalse(stopped.thinks)
        assertTrue(stopped.said.startsWith("Stopped after "), stopped.said)
        // Twice in a row: the second one's steps only.
        thinker.start()
        thinker.start()
        val again = thinker.thinking.first { it.steps.size >= 3 }
        assertEquals((1..again.steps.size).toList(), again.steps.map { it.number })
        // Another puzzle in the middle of it.
        thinker.choose(Game.Maze)
        assertEquals(Thinking(Game.Maze), thinker.thinking.value)
        thinker.start()
        thinker.thinking.first { it.steps.isNotEmpty() }
    }

    @Test
    fun whatGoesWrong() = withThinker { thinker ->
        thinker.enter("nothing")
        assertEquals("'n' is no cell of a sudoku", thinker.thinking.value.said)
        thinker.enter("55" + ".".repeat(79))
        assertNull(thinker.thinking.value.error)
        thinker.start()
        val end = thinker.thinking.first { !it.thinks }
        assertTrue(end.error!!.isNotEmpty())
        // And goes on.
        thinker.choose(Game.Sudoku)
        thinker.start()
        assertTrue(thinker.thinking.first { !it.thinks }.said.startsWith("Solved"))
    }

    /** On a main thread, with the repository's models; then closed. */
    private fun withThinker(options: TrmOptions = TrmOptions(), test: suspend (Thinker) -> Unit) {
        Executors.newSingleThreadExecutor().asCoroutineDispatcher().use { main ->
            val scope = CoroutineScope(main)
            runBlocking {
                withContext(main) {
                    val thinker = Thinker(scope) { TrmSolver.open(File("models/${it.asset.substringBefore('.')}"), options) }
                    test(thinker)
                    thinker.close()
                }
            }
            scope.cancel()
        }
        assertNothingSolves()
    }
}
