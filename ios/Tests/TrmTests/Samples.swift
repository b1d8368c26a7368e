import Foundation

/// A model of the repository and a puzzle for it.
struct Sample {
    let file: URL
    let puzzle: String
    let answer: String

    init(_ name: String, _ puzzle: String, _ answer: String) {
        // ios/Tests/TrmTests/Samples.swift
        var repository = URL(fileURLWithPath: #filePath)
        for _ in 0..<4 { repository.deleteLastPathComponent() }
        file = repository.appendingPathComponent("models/\(name)/model.safetensors")
        self.puzzle = puzzle
        self.answer = answer
    }
}

enum Samples {
    static let sudoku9 = Sample(
        "sudoku-9x9",
        "53..7....6..195....98....6.8...6...34..8.3..17...2...6.6....28....419..5....8..79",
        "534678912672195348198342567859761423426853791713924856961537284287419635345286179")
}
