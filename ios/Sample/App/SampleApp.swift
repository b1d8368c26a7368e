import SampleCore
import SwiftUI

@main
struct SampleApp: App {
    var body: some Scene {
        WindowGroup { PuzzlesScreen() }
    }
}

/// Lists the example puzzles and opens pasted ones.
struct PuzzlesScreen: View {
    @State private var path: [Board] = []
    @State private var pasteError: String?

    var body: some View {
        NavigationStack(path: $path) {
            List {
                Section {
                    ForEach(Example.all) { example in
                        NavigationLink(example.name, value: example.board)
                    }
                }
                Section {
                    PasteButton(payloadType: String.self) { texts in
                        // PasteButton may call this on any thread.
                        Task { @MainActor in open(texts.first ?? "") }
                    }
                } footer: {
                    Text(pasteError ?? pasteHelp)
                        .foregroundStyle(pasteError == nil ? Color.secondary : Color.red)
                }
            }
            .navigationTitle("Puzzles")
            .navigationDestination(for: Board.self) { SolveScreen(board: $0) }
        }
    }

    private let pasteHelp = """
        Paste a Sudoku (digits, 0 or . for a blank) or a maze (lines of #, spaces, S and G).
        """

    private func open(_ text: String) {
        do {
            path = [try Board(text)]
            pasteError = nil
        } catch {
            pasteError = error.message
        }
    }
}
