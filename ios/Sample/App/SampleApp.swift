import SwiftUI
import Thinking

@main
struct SampleApp: App {
    var body: some Scene {
        WindowGroup { PuzzlesScreen() }
    }
}

/// The puzzles there are, and one that is pasted.
struct PuzzlesScreen: View {
    @State private var path: [Board] = []
    @State private var unreadable: String?

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
                        // It may call from any thread.
                        Task { @MainActor in open(texts.first ?? "") }
                    }
                } footer: {
                    Text(unreadable ?? "A Sudoku in digits, 0 or . for a blank, or a maze in lines of #, spaces, S and G.")
                        .foregroundStyle(unreadable == nil ? Color.secondary : Color.red)
                }
            }
            .navigationTitle("Puzzles")
            .navigationDestination(for: Board.self) { ThinkingScreen(board: $0) }
        }
    }

    private func open(_ text: String) {
        do {
            path = [try Board(text)]
            unreadable = nil
        } catch {
            unreadable = error.message
        }
    }
}
