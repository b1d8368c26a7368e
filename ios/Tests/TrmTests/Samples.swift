import Foundation
import Trm

/// A model of the repository and a puzzle for it.
struct Sample: Sendable {
    /// The model file.
    let file: URL
    let puzzle: String

    fileprivate init(_ name: String, _ puzzle: String) {
        // ios/Tests/TrmTests/Samples.swift
        let repository = (0..<4).reduce(URL(fileURLWithPath: #filePath)) { url, _ in
            url.deletingLastPathComponent()
        }
        file = repository.appendingPathComponent("models/\(name)/model.safetensors")
        self.puzzle = puzzle
    }

    static let sudoku4 = Sample("sudoku-4x4", "..3......4...2.4")
    static let sudoku9 = Sample(
        "sudoku-9x9",
        ".76...4.8......63...94...5....19..466.8243.154.3.....9..5.6.9..86..21......3...6.")
    static let maze = Sample(
        "maze-10x10",
        " #    #   ## # #       #     # #    #    #  #    #"
            + "     # #   #  #    # ##  ##       ## G##  #S  #  #")
    /// The only solution of `sudoku9`.
    static let sudoku9Solution =
        "376512498541789632289436157752198346698243715413675289135867924864921573927354861"

    /// Opens a solver that would run for days on one puzzle.
    func endless() throws -> TrmSolver {
        var options = TrmOptions()
        options.device = .cpu
        options.halt = .never
        options.maxSteps = 1_000_000_000
        return try TrmSolver(model: file, options: options)
    }
}
