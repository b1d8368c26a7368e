package dev.trm.sample

import dev.trm.Step

/** A kind of puzzle, with its model's asset and example puzzles. */
enum class PuzzleKind(
    val title: String, val asset: String, val side: Int, val examples: List<String>,
) {
    Sudoku(
        "Sudoku", "sudoku-9x9.safetensors", 9,
        listOf(
            ".76...4.8......63...94...5....19..466.8243.154.3.....9..5.6.9..86..21......3...6.",
            "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79",
        ),
    ),
    Maze(
        "Maze", "maze-10x10.safetensors", 10,
        listOf(
            " #    #   ## # #       #     # #    #    #  #    #" +
                "     # #   #  #    # ##  ##       ## G##  #S  #  #",
        ),
    );

    /** Number of cells along each side of a block. 1 = no blocks. */
    val block: Int get() = if (this == Sudoku) 3 else 1

    /**
     * Converts a puzzle that a user typed or pasted, in one or more lines, to the library's form.
     *
     * @throws IllegalArgumentException with a readable message if the text is not a puzzle.
     */
    fun parse(text: String): String {
        val name = title.lowercase()
        // Spaces are cells of a maze, but not of a Sudoku.
        val cells = when (this) {
            Sudoku -> text.filterNot { it.isWhitespace() || it in "|-+" }
                .replace('0', '.').replace('_', '.')
            Maze -> text.lines().filter(String::isNotEmpty).joinToString("") { it.padEnd(side) }
                .replace('.', ' ')
        }
        val allowed = if (this == Sudoku) "123456789." else "# SG"
        cells.firstOrNull { it !in allowed }?.let {
            throw IllegalArgumentException("'$it' is not a $name cell")
        }
        require(cells.length == side * side) {
            "found ${cells.length} cells; a $name has ${side * side}"
        }
        return cells
    }
}

/**
 * A cell on the screen.
 *
 * @property symbol Sudoku: a digit, or ' ' for an empty cell. Maze: '#', ' ', 'S', 'G' or 'o'.
 * @property given Whether the cell is a given of the puzzle.
 * @property changed Whether the step on the screen changed it.
 */
data class Cell(val symbol: Char, val given: Boolean, val changed: Boolean)

/** Returns the cells after a step, row by row. Without a step: the cells of the puzzle. */
fun PuzzleKind.cells(puzzle: String, step: Step?): List<Cell> {
    val isSudoku = this == PuzzleKind.Sudoku
    val changed = step?.changed?.toSet().orEmpty()
    return puzzle.mapIndexed { index, given ->
        val isGiven = if (isSudoku) given != '.' else given != ' '
        val content = step?.text?.getOrNull(index) ?: given
        val symbol = if (isSudoku && content == '.') ' ' else content
        Cell(symbol, isGiven, index in changed)
    }
}

private val mazeNames =
    mapOf('#' to "wall", ' ' to "free", 'S' to "start", 'G' to "goal", 'o' to "path")

/** Returns the description of a cell for a screen reader. */
fun PuzzleKind.description(index: Int, cell: Cell): String {
    val name = when {
        this == PuzzleKind.Sudoku -> if (cell.symbol == ' ') "empty" else cell.symbol.toString()
        else -> mazeNames[cell.symbol] ?: cell.symbol.toString()
    }
    val given = if (this == PuzzleKind.Sudoku && cell.given) ", given" else ""
    val changed = if (cell.changed) ", changed" else ""
    return "Row ${index / side + 1}, column ${index % side + 1}: $name$given$changed"
}
