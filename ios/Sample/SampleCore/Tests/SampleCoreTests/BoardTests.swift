import XCTest

@testable import SampleCore

final class BoardTests: XCTestCase {
    func testPastedSudokus() throws {
        let line = "..3......4...2.4"
        XCTAssertEqual(try Board(line).text, line)
        XCTAssertEqual(try Board("0030000004000204").text, line)
        XCTAssertEqual(try Board("\n__3_\r\n____\r\n_4__\r\n_2_4\r\n").text, line)
        XCTAssertEqual(try Board(". . 3 .\n. . . .\n. 4 . .\n. 2 . 4").text, line)
        XCTAssertEqual(try Board(line).modelName, "sudoku-4x4")
    }

    func testPastedMazesWithoutTrailingSpaces() throws {
        let maze = try XCTUnwrap(Example.all.last).board
        let lines = (0..<10).map { String(maze.text.dropFirst($0 * 10).prefix(10)) }
        let stripped = lines.map { line in String(line.reversed().drop { $0 == " " }.reversed()) }
        XCTAssertNotEqual(lines, stripped)
        XCTAssertEqual(try Board(stripped.joined(separator: "\n") + "\n\n"), maze)
        XCTAssertEqual(try Board(lines.joined(separator: "\r\n")), maze)
        XCTAssertEqual(try Board(maze.text), maze)
        XCTAssertEqual(maze.modelName, "maze-10x10")
    }

    func testEmptyRowsInsideAMaze() throws {
        let empty = "\n\n\nS#\n\n\n\n\n\n#G"
        XCTAssertEqual(try Board(empty).cells[30], "S")
        XCTAssertEqual(try Board("\n\n" + empty).cells[30], "S")
    }

    func testErrorMessages() {
        func message(_ text: String) -> String? {
            do {
                _ = try Board(text)
                return nil
            } catch {
                return error.message
            }
        }
        let spaces = String(repeating: " ", count: 96)
        XCTAssertEqual(message(""), "This text has 0 cells, but a Sudoku has 16, 36 or 81.")
        XCTAssertEqual(message("12345"), "This text has 5 cells, but a Sudoku has 16, 36 or 81.")
        XCTAssertEqual(
            message("..5......4...2.4"),
            "\u{201C}5\u{201D} is not a digit of a Sudoku with 4 rows.")
        XCTAssertEqual(
            message("..x......4...2.4"),
            "\u{201C}x\u{201D} is not a digit of a Sudoku with 4 rows.")
        XCTAssertEqual(message("S##\n###\n##G"), "A maze needs 10 rows and 10 columns.")
        XCTAssertEqual(message("S#  " + spaces), "A maze has one start S and one goal G.")
        XCTAssertEqual(message("SG#x" + spaces), "\u{201C}x\u{201D} is not a maze cell.")
        XCTAssertEqual(
            message(String(repeating: "1", count: 10_001)), "This text is too long for a puzzle.")
    }

    func testCells() throws {
        func cell(_ symbol: Character, given: Bool, changed: Bool, _ label: String) -> Cell {
            Cell(symbol: symbol, isGiven: given, isChanged: changed, label: label)
        }
        let sudoku = try Board("..3......4...2.4")
        let frame = Frame(
            number: 1, cells: Array("1?43341243212134"), changed: [0, 3], haltProbability: 0.5)
        XCTAssertEqual(
            sudoku.cell(0), cell(" ", given: false, changed: false, "row 1, column 1: blank"))
        XCTAssertEqual(
            sudoku.cell(0, in: frame),
            cell("1", given: false, changed: true, "row 1, column 1: 1, changed"))
        XCTAssertEqual(
            sudoku.cell(9), cell("4", given: true, changed: false, "row 3, column 2: 4, given"))
        // A model may change a given.
        XCTAssertEqual(sudoku.cell(9, in: frame).label, "row 3, column 2: 3")
        XCTAssertFalse(sudoku.cell(9, in: frame).isGiven)

        let maze = try Board("SG#" + String(repeating: " ", count: 97))
        let names = (0..<4).map { maze.cell($0).label.split(separator: ": ")[1] }
        XCTAssertEqual(names, ["start", "goal", "wall", "free"])
        let path = Frame(
            number: 1, cells: Array("SG#o" + String(repeating: " ", count: 96)), changed: [3],
            haltProbability: 0)
        XCTAssertEqual(maze.cell(3, in: path).label, "row 1, column 4: path, changed")
    }

    func testTheSummaryOfAStep() {
        func summary(_ changed: Set<Int>, _ probability: Double) -> String {
            Frame(number: 3, cells: [], changed: changed, haltProbability: probability).summary
        }
        XCTAssertEqual(summary([1, 2], 0.984), "Step 3: 2 cells changed, halt 98 %")
        XCTAssertEqual(summary([1], 1), "Step 3: 1 cell changed, halt 100 %")
    }

    func testTheReplayFollowsUnlessAnOlderStepIsSelected() {
        func frame(_ number: Int) -> Frame {
            Frame(number: number, cells: [], changed: [], haltProbability: 0)
        }
        var replay = Replay()
        XCTAssertNil(replay.frame)
        XCTAssertEqual(replay.position, 0)
        replay.position = 3
        XCTAssertNil(replay.frame)
        for number in 1...3 { replay.add(frame(number)) }
        XCTAssertEqual(replay.frame?.number, 3)
        replay.position = 0
        replay.add(frame(4))
        XCTAssertEqual(replay.frame?.number, 1)
        replay.position = -1
        XCTAssertEqual(replay.frame?.number, 1)
        replay.position = 3
        replay.add(frame(5))
        XCTAssertEqual(replay.frame?.number, 5)
    }
}
