package dev.trm.sample

import dev.trm.Step

/** What can be played, each with its model, an asset. */
enum class Game(val title: String, val asset: String, val side: Int, val examples: List<String>) {
    Sudoku(
        "Sudoku", "sudoku-9x9.safetensors", 9,
        listOf(
            ".76...4.8......63...94...5....19..466.8243.154.3.....9..5.6.9..86..21......3...6.",
            "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79",
        ),
    ),
    Maze(
        "Maze", "maze-10x10.safetensors", 10,
        listOf(" #    #   ## # #       #     # #    #    #  #    #     # #   #  #    # ##  ##       ## G##  #S  #  #"),
    );

    /** How many cells a block has along each side; 1 where there are no blocks. */
    val block: Int get() = if (this == Sudoku) 3 else 1

    /**
     * A puzzle of a person, in one line or more, as the library reads it.
     *
     * @throws IllegalArgumentException What is wrong with it, for people.
     */
    fun parse(text: String): String {
        // Blanks are cells of a maze, and none of a Sudoku.
        val cells = when (this) {
            Sudoku -> text.filterNot { it.isWhitespace() || it in "|-+" }.replace('0', '.').replace('_', '.')
            Maze -> text.lines().filter(String::isNotEmpty).joinToString("") { if (it.length < side) it.padEnd(side) else it }.replace('.', ' ')
        }
        val known = if (this == Sudoku) "123456789." else "# SG"
        cells.firstOrNull { it !in known }?.let { throw IllegalArgumentException("'$it' is no cell of a ${title.lowercase()}") }
        require(cells.length == side * side) { "${cells.length} cells; a ${title.lowercase()} has ${side * side}" }
        return cells
    }
}

/**
 * A cell as it is shown.
 *
 * @property symbol A digit, or of a maze '#', ' ', 'S', 'G', 'o'; ' ' of a Sudoku is empty.
 * @property given Whether the puzzle says so.
 * @property changed Whether the step that is shown changed it.
 */
data class Cell(val symbol: Char, val given: Boolean, val changed: Boolean)

/** The cells of a puzzle, row by row, after a step; as it was given without one. */
fun Game.cells(puzzle: String, step: Step?): List<Cell> {
    val changed = step?.changed?.toSet().orEmpty()
    return puzzle.mapIndexed { index, given ->
        val isGiven = if (this == Game.Sudoku) given != '.' else given != ' '
        val symbol = (step?.text?.getOrNull(index) ?: given).let { if (this == Game.Sudoku && it == '.') ' ' else it }
        Cell(symbol, isGiven, index in changed)
    }
}

/** What a screen reader says of a cell. */
fun Game.spoken(index: Int, cell: Cell): String {
    val what = when {
        this == Game.Sudoku -> if (cell.symbol == ' ') "empty" else cell.symbol.toString()
        else -> mapOf('#' to "wall", ' ' to "free", 'S' to "start", 'G' to "goal", 'o' to "path")[cell.symbol] ?: cell.symbol.toString()
    }
    val origin = if (this == Game.Sudoku && cell.given) ", given" else ""
    val change = if (cell.changed) ", changed" else ""
    return "Row ${index / side + 1}, column ${index % side + 1}: $what$origin$change"
}
