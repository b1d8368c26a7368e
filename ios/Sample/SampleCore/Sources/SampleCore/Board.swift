/// A puzzle on a square board, for one of the repository's models.
public struct Board: Sendable, Hashable {
    /// The kind of a puzzle.
    public enum Kind: Sendable {
        case sudoku
        case maze
    }

    /// The kind of the puzzle.
    public let kind: Kind
    /// Number of rows, which is also the number of columns.
    public let side: Int
    /// The cells, row by row. Sudoku: "1" to "9" or ".". Maze: " ", "#", "S" or "G".
    public let cells: [Character]

    /// The puzzle in the form that the library reads.
    public var text: String { String(cells) }

    /// The name of the model's folder.
    public var modelName: String { "\(kind)-\(side)x\(side)" }

    /// Size of a Sudoku box. Maze: size of the board.
    public var box: (rows: Int, columns: Int) {
        switch (kind, side) {
        case (.sudoku, 4): (2, 2)
        case (.sudoku, 6): (2, 3)
        case (.sudoku, 9): (3, 3)
        default: (side, side)
        }
    }

    /// Returns whether a cell of the puzzle is blank, so that the model fills it.
    public func isBlank(_ cell: Int) -> Bool { cells[cell] == "." || cells[cell] == " " }

    /// Reads a puzzle that a user pasted, in one or more lines.
    ///
    /// A Sudoku consists of digits, with "0", "." or "_" for a blank. A maze consists of " ", "#",
    /// "S" and "G".
    ///
    /// - Throws: ``ParseError`` if the text is not a puzzle.
    public init(_ text: String) throws(ParseError) {
        // Long texts are rejected before any work on them.
        guard text.utf8.count <= 10_000 else {
            throw ParseError(message: "This text is too long for a puzzle.")
        }
        let isMaze = text.contains { "#SG".contains($0) }
        self = isMaze ? try Board(maze: text) : try Board(sudoku: text)
    }

    private init(sudoku text: String) throws(ParseError) {
        kind = .sudoku
        cells = text.filter { !$0.isWhitespace }.map { "0_".contains($0) ? "." : $0 }
        side = [4, 6, 9].first { [cells] in $0 * $0 == cells.count } ?? 0
        guard side > 0 else {
            let found = "This text has \(cells.count) cells"
            throw ParseError(message: "\(found), but a Sudoku has 16, 36 or 81.")
        }
        let allowed = "123456789".prefix(side) + "."
        if let invalid = cells.first(where: { !allowed.contains($0) }) {
            let found = "\u{201C}\(invalid)\u{201D}"
            throw ParseError(message: "\(found) is not a digit of a Sudoku with \(side) rows.")
        }
    }

    private init(maze text: String) throws(ParseError) {
        kind = .maze
        side = 10
        var lines = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
        // Removes empty lines around the maze. Inside a maze, an empty line is a row.
        while lines.last?.isEmpty == true { lines.removeLast() }
        while lines.count > side, lines.first?.isEmpty == true { lines.removeFirst() }
        if lines.count == 1, lines[0].count == side * side {
            cells = Array(lines[0])
        } else {
            guard lines.count == side, lines.allSatisfy({ [side] in $0.count <= side }) else {
                throw ParseError(message: "A maze needs \(side) rows and \(side) columns.")
            }
            // Pasted text often has lost the spaces at the end of its lines.
            cells = lines.flatMap { [side] in
                $0 + String(repeating: " ", count: side - $0.count)
            }
        }
        if let invalid = cells.first(where: { !" #SG".contains($0) }) {
            throw ParseError(message: "\u{201C}\(invalid)\u{201D} is not a maze cell.")
        }
        for end in "SG" where cells.count(where: { $0 == end }) != 1 {
            throw ParseError(message: "A maze has one start S and one goal G.")
        }
    }

    /// The readable reason why a text is not a puzzle.
    public struct ParseError: Error, Equatable {
        public let message: String
    }
}
