/// An example puzzle.
public struct Example: Sendable, Identifiable {
    public let name: String
    public let board: Board
    public var id: String { name }

    private init(_ name: String, _ text: String) {
        self.name = name
        board = try! Board(text)
    }

    /// One example for each kind and size of board.
    public static let all = [
        Example(
            "Sudoku 9 x 9",
            ".76...4.8......63...94...5....19..466.8243.154.3.....9..5.6.9..86..21......3...6."),
        Example("Sudoku 6 x 6", "3...526.....2.34...5........43...1.."),
        Example("Sudoku 4 x 4", "..3......4...2.4"),
        Example(
            "Maze 10 x 10",
            """
             #    #   
            ## # #    
               #     #
             #    #   
             #  #    #
                 # #  
             #  #    #
             ##  ##   
                ## G##
              #S  #  #
            """),
    ]
}
