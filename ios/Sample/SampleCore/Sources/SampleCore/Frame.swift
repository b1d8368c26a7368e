import Trm

/// The board after a refinement step.
public struct Frame: Sendable, Equatable {
    /// Number of the step, from 1.
    public let number: Int
    /// The cells, row by row, as in ``Board/cells``. "o" is the path of a maze, "?" is a token that
    /// has no symbol.
    public let cells: [Character]
    /// The cells that the step changed.
    public let changed: Set<Int>
    /// The model's estimate, from 0 to 1, that the answer is correct.
    public let haltProbability: Double

    init(number: Int, cells: [Character], changed: Set<Int>, haltProbability: Double) {
        self.number = number
        self.cells = cells
        self.changed = changed
        self.haltProbability = haltProbability
    }

    init(_ step: Step) {
        self.init(
            number: step.number, cells: Array(step.text), changed: Set(step.changed),
            haltProbability: step.haltProbability)
    }

    /// One line of text, for example "Step 3: 12 cells changed, halt 98 %".
    public var summary: String {
        let cells = changed.count == 1 ? "1 cell" : "\(changed.count) cells"
        let percent = Int((haltProbability * 100).rounded())
        return "Step \(number): \(cells) changed, halt \(percent) %"
    }
}

/// A cell on the screen.
public struct Cell: Sendable, Equatable {
    /// The content of the cell, or " ".
    public let symbol: Character
    /// Whether the cell is a given of the puzzle.
    public let isGiven: Bool
    /// Whether the step on the screen changed the cell.
    public let isChanged: Bool
    /// Description for a screen reader, for example "row 3, column 4: 7, changed".
    public let label: String
}

extension Board {
    /// Returns a cell after a step. Without a step: the cell of the puzzle. Indices are from 0, row
    /// by row.
    public func cell(_ index: Int, in frame: Frame? = nil) -> Cell {
        let content = frame?.cells[index] ?? cells[index]
        let symbol = content == "." ? " " : content
        let isGiven = !isBlank(index) && content == cells[index]
        let isChanged = frame?.changed.contains(index) ?? false
        let position = "row \(index / side + 1), column \(index % side + 1)"
        var label = "\(position): \(name(of: symbol))"
        if isGiven && kind == .sudoku { label += ", given" }
        if isChanged { label += ", changed" }
        return Cell(symbol: symbol, isGiven: isGiven, isChanged: isChanged, label: label)
    }

    private func name(of symbol: Character) -> String {
        switch symbol {
        case " ": kind == .maze ? "free" : "blank"
        case "#": "wall"
        case "S": "start"
        case "G": "goal"
        case "o": "path"
        default: String(symbol)
        }
    }
}
