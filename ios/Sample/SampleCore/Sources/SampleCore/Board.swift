/// A puzzle on a square board that one of the repository's models solves.
public struct Board: Sendable, Hashable {
    /// What a puzzle is.
    public enum Kind: Sendable {
        case sudoku
        case maze
    }

    /// What the puzzle is.
    public let kind: Kind
    /// Rows, and columns.
    public let side: Int
    /// Row by row: "1" to "9" or "." in a Sudoku, " ", "#", "S" or "G" in a maze.
    public let cells: [Character]

    /// The puzzle as the library reads it.
    public var text: String { String(cells) }

    /// The folder of its model.
    public var modelName: String { "\(kind)-\(side)x\(side)" }

    /// Rows and columns of a Sudoku's box; of a maze, all.
    public var box: (rows: Int, columns: Int) {
        switch (kind, side) {
        case (.sudoku, 4): (2, 2)
        case (.sudoku, 6): (2, 3)
        case (.sudoku, 9): (3, 3)
        default: (side, side)
        }
    }

    /// Whether the puzzle leaves a cell to the model.
    public func isBlank(_ cell: Int) -> Bool { cells[cell] == "." || cells[cell] == " " }

    /// Reads what people paste: a Sudoku's digits with 0, "." or "_" for a blank, in lines or in one; a maze's lines of " ", "#", "S", "G".
    ///
    /// - Throws: ``Unreadable``.
    public init(_ text: String) throws(Unreadable) {
        // Not even split, if it is a book.
        guard text.utf8.count <= 10_000 else { throw Unreadable(message: "This text is too long for a puzzle.") }
        let isMaze = text.contains { "#SG".contains($0) }
        self = isMaze ? try Board(maze: text) : try Board(sudoku: text)
    }

    private init(sudoku text: String) throws(Unreadable) {
        kind = .sudoku
        cells = text.filter { !$0.isWhitespace }.map { "0_".contains($0) ? "." : $0 }
        side = [4, 6, 9].first { [cells] in $0 * $0 == cells.count } ?? 0
        guard side > 0 else {
            throw Unreadable(message: "A Sudoku has 16, 36 or 81 cells, this text has \(cells.count).")
        }
        let allowed = "123456789".prefix(side) + "."
        if let stranger = cells.first(where: { !allowed.contains($0) }) {
            throw Unreadable(message: "\u{201C}\(stranger)\u{201D} is no digit of a Sudoku with \(side) rows.")
        }
    }

    private init(maze text: String) throws(Unreadable) {
        kind = .maze
        side = 10
        var lines = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
        // What surrounds a copied text; within a maze, an empty line is a row.
        while lines.last?.isEmpty == true { lines.removeLast() }
        while lines.count > side, lines.first?.isEmpty == true { lines.removeFirst() }
        if lines.count == 1, lines[0].count == side * side {
            cells = Array(lines[0])
        } else {
            guard lines.count == side, lines.allSatisfy({ [side] in $0.count <= side }) else {
                throw Unreadable(message: "There is a model for mazes of \(side) rows and \(side) columns only.")
            }
            // Spaces at the end of a line are easily lost.
            cells = lines.flatMap { [side] in $0 + String(repeating: " ", count: side - $0.count) }
        }
        if let stranger = cells.first(where: { !" #SG".contains($0) }) {
            throw Unreadable(message: "\u{201C}\(stranger)\u{201D} is no cell of a maze.")
        }
        for end in "SG" where cells.count(where: { $0 == end }) != 1 {
            throw Unreadable(message: "A maze has one S, where it begins, and one G, where it ends.")
        }
    }

    /// Why a text is no puzzle, for people.
    public struct Unreadable: Error, Equatable {
        public let message: String
    }
}
