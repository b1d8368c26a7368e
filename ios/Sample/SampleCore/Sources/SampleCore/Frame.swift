import Trm

/// What a board shows after a refinement step.
public struct Frame: Sendable, Equatable {
    /// Steps taken, from 1.
    public let number: Int
    /// Row by row, as in ``Board/cells``; "o" is a cell of a maze's path, "?" what stands for nothing.
    public let cells: [Character]
    /// The cells that the step changed.
    public let changed: Set<Int>
    /// What the model says: the probability that the answer is right.
    public let haltProbability: Double

    init(number: Int, cells: [Character], changed: Set<Int>, haltProbability: Double) {
        self.number = number
        self.cells = cells
        self.changed = changed
        self.haltProbability = haltProbability
    }

    init(_ step: Step) {
        self.init(
            number: step.number, cells: Array(step.text), changed: Set(step.changed), haltProbability: step.haltProbability)
    }

    /// For people, as "Step 3: 12 cells changed, halt 98 %".
    public var summary: String {
        let cells = changed.count == 1 ? "1 cell" : "\(changed.count) cells"
        return "Step \(number): \(cells) changed, halt \(Int((haltProbability * 100).rounded())) %"
    }
}

/// A cell as it is drawn and read aloud.
public struct Cell: Sendable, Equatable {
    /// What is in it; " " if nothing.
    public let symbol: Character
    /// Whether the puzzle has it so.
    public let isGiven: Bool
    /// Whether the step that is shown changed it.
    public let isChanged: Bool
    /// For people, as "row 3, column 4: 7, changed".
    public let label: String
}

extension Board {
    /// A cell, row by row from 0, of the puzzle, or of a step's answer.
    public func cell(_ index: Int, in frame: Frame? = nil) -> Cell {
        let content = frame?.cells[index] ?? cells[index]
        let symbol = content == "." ? " " : content
        let isGiven = !isBlank(index) && content == cells[index]
        let isChanged = frame?.changed.contains(index) ?? false
        var label = "row \(index / side + 1), column \(index % side + 1): \(name(of: symbol))"
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
