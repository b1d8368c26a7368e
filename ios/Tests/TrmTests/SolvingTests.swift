import XCTest

import Trm

final class SolvingTests: XCTestCase {
    func testSudoku9x9() async throws {
        let solver = try TrmSolver(model: Samples.sudoku9.file)
        let answer = try await solver.solve(Samples.sudoku9.puzzle)
        XCTAssertEqual(answer.text, Samples.sudoku9.answer)
    }
}
